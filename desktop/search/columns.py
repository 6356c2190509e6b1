"""The columns of the results, each one object: what it says, sorts by, looks like, and how wide it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QWidget

from desktop.search.results_cells import (
    PADDING_PX,
    SCORE_BAR_PX,
    Cell,
    MatchCell,
    NameCell,
    Rows,
    ScoreCell,
    TextCell,
    WaveformCell,
)
from desktop.widgets.theme import Theme
from desktop.wording import clock, matched_span, parent_trail, sample_format
from engine.library.types import Hit

Roots = tuple[Path, ...]


@dataclass(frozen=True)
class Room:
    """What a column's width depends on: the width of the view, and the fonts."""

    view_px: int
    body: QFontMetrics
    small: QFontMetrics


def _about(hit: Hit) -> str:
    return f"{hit.path}\n{clock(hit.duration_s)}, {sample_format(hit)}"


def _plain_text(theme: Theme, rows: Rows, parent: QWidget) -> Cell:
    return TextCell(theme, rows, parent)


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: What its header says.
        text: What a cell says, to the eye or to assistive technology.
        make_cell: Makes the delegate that paints its cells.
        width_px: Its width; None where it shares what the others leave.
        share: Its part of what is left, beside those of the others that share it.
        sort_key: What it is sorted by; None where sorting by it makes no sense.
        tool_tip: What a cell says to the pointer.
        alignment: Where its header's text stands.
        shown_from_px: Width of the view from which on it is shown.
        follows_playing: Whether its cells change while their sound plays.
    """

    title: str
    text: Callable[[Hit, Roots], str]
    make_cell: Callable[[Theme, Rows, QWidget], Cell] = _plain_text
    width_px: Callable[[Room], int] | None = None
    share: int = 0
    sort_key: Callable[[Hit], Any] | None = None
    tool_tip: Callable[[Hit], str] = _about
    alignment: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft
    shown_from_px: int = 0
    follows_playing: bool = False


NAME: Final = Column(
    "Name",
    lambda hit, _: hit.path.name,
    NameCell,
    share=3,
    sort_key=lambda hit: hit.path.name.casefold(),
)
WAVEFORM: Final = Column(
    "Waveform",
    lambda *_: "",
    WaveformCell,
    width_px=lambda room: 168 if room.view_px >= 760 else 120,
    follows_playing=True,
)
MATCH: Final = Column(
    "Match",
    lambda hit, _: matched_span(hit) or "whole",
    MatchCell,
    width_px=lambda room: room.body.horizontalAdvance("00:00 – 00:00") + 2 * PADDING_PX,
    sort_key=lambda hit: hit.start_s,
    shown_from_px=520,
)
LENGTH: Final = Column(
    "Length",
    lambda hit, _: clock(hit.duration_s),
    lambda theme, rows, parent: TextCell(theme, rows, parent, align=Qt.AlignmentFlag.AlignRight),
    width_px=lambda room: room.body.horizontalAdvance("000:00.0") + 2 * PADDING_PX,
    sort_key=lambda hit: hit.duration_s,
    alignment=Qt.AlignmentFlag.AlignRight,
)
SCORE: Final = Column(
    "Score",
    lambda hit, _: f"{hit.score:.2f}",
    ScoreCell,
    width_px=lambda room: SCORE_BAR_PX + 8 + room.small.horizontalAdvance("0.00") + 2 * PADDING_PX,
    sort_key=lambda hit: hit.score,
    tool_tip=lambda hit: f"Likeness to what you described: {hit.score:.3f} (1 is a perfect match)",
    shown_from_px=680,
)
FOLDER: Final = Column(
    "Folder",
    lambda hit, roots: parent_trail(hit.path, roots),
    lambda theme, rows, parent: TextCell(theme, rows, parent, elide=Qt.TextElideMode.ElideLeft),
    share=2,
    sort_key=lambda hit: str(hit.path.parent).casefold(),
    shown_from_px=900,
)

COLUMNS: Final = (NAME, WAVEFORM, MATCH, LENGTH, SCORE, FOLDER)
"""From left to right."""


def widths_px(room: Room) -> dict[Column, int]:
    """The columns to show and their widths, which fill the view."""
    shown = [column for column in COLUMNS if room.view_px >= column.shown_from_px]
    widths = {column: column.width_px(room) for column in shown if column.width_px is not None}
    rest, shares = room.view_px - sum(widths.values()), sum(column.share for column in shown)
    for column in shown:
        if column.width_px is None:
            widths[column] = rest * column.share // shares
    return widths
