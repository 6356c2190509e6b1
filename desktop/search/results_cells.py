"""Paints the cells of the results table: one small delegate per kind of column."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop.playback.waveform import paint_peaks
from desktop.search.roles import HIT_ROLE, PLAYED_ROLE
from desktop.widgets.theme import Theme
from desktop.wording import is_whole
from engine.library.types import Hit

PADDING_PX = 10
ROW_AIR_PX = 18
SCORE_BAR_PX = 44

Index = QModelIndex | QPersistentModelIndex


class Rows(Protocol):
    """What a cell must know of its table to paint whole rows alike."""

    def is_hovered(self, row: int) -> bool:
        """Whether the pointer is on the row."""

    def is_current(self, row: int) -> bool:
        """Whether the row is the current one."""

    def has_keyboard(self) -> bool:
        """Whether the table has the keyboard focus."""


class Cell(QStyledItemDelegate):
    """Paints the background of a row and leaves the content to ``draw``."""

    def __init__(self, theme: Theme, rows: Rows, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme = theme
        self._rows = rows

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint the row's background, then the content within the padding."""
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        rect: QRect = option.rect
        painter.save()
        painter.fillRect(rect, self._background(index.row(), selected))
        if index.column() == 0 and selected and self._rows.is_current(index.row()) and self._rows.has_keyboard():
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), self.theme.colour("accent"))
        hit: Hit = index.data(HIT_ROLE)
        self.draw(painter, rect.adjusted(PADDING_PX, 0, -PADDING_PX, 0), hit, index)
        painter.restore()

    def draw(self, painter: QPainter, rect: QRect, hit: Hit, index: Index) -> None:
        """Paint the content; subclasses override."""
        raise NotImplementedError

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """The size of one comfortable line."""
        return QSize(80, row_height(QFontMetrics(self.theme.fonts.body)))

    def _background(self, row: int, selected: bool) -> QColor:
        if selected:
            return self.theme.colour("selected" if self._rows.has_keyboard() else "selected_idle")
        return self.theme.colour("hovered" if self._rows.is_hovered(row) else "window")


class NameCell(Cell):
    """The file's name, its suffix paler; the accent colour while it plays."""

    def draw(self, painter: QPainter, rect: QRect, hit: Hit, index: Index) -> None:
        """Elide the stem in the middle, so that take numbers and the suffix stay readable."""
        playing = index.data(PLAYED_ROLE) is not None
        painter.setFont(self.theme.fonts.body)
        metrics = painter.fontMetrics()
        suffix = hit.path.suffix
        room = rect.width() - metrics.horizontalAdvance(suffix)
        stem = metrics.elidedText(hit.path.stem, Qt.TextElideMode.ElideMiddle, room)
        painter.setPen(self.theme.colour("accent" if playing else "text"))
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, stem)
        painter.setPen(self.theme.colour("faint"))
        after = rect.adjusted(metrics.horizontalAdvance(stem), 0, 0, 0)
        painter.drawText(after, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, suffix)


class WaveformCell(Cell):
    """The whole sound as a small waveform, stronger where it matched, accented where it has played."""

    def draw(self, painter: QPainter, rect: QRect, hit: Hit, index: Index) -> None:
        """The segment is painted over the whole, clipped to its seconds."""
        area = rect.adjusted(0, 7, 0, -7)
        played = index.data(PLAYED_ROLE)
        if is_whole(hit) or hit.duration_s <= 0:
            self._peaks(painter, area, hit, "wave_match", played)
            return
        self._peaks(painter, area, hit, "wave", played)
        left = area.left() + area.width() * hit.start_s / hit.duration_s
        right = area.left() + area.width() * min(1.0, hit.end_s / hit.duration_s)
        painter.setClipRect(QRectF(left, area.top(), max(2.0, right - left), area.height()))
        self._peaks(painter, area, hit, "wave_match", played)

    def _peaks(self, painter: QPainter, area: QRect, hit: Hit, role: str, played: float | None) -> None:
        paint_peaks(painter, QRectF(area), hit.peaks, self.theme.colour(role), played)


class TextCell(Cell):
    """One line of quiet text."""

    def __init__(
        self,
        theme: Theme,
        rows: Rows,
        parent: QWidget,
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__(theme, rows, parent)
        self._align = align
        self._elide = elide

    def draw(self, painter: QPainter, rect: QRect, hit: Hit, index: Index) -> None:
        """Paint one muted line, elided where there is no room for all of it."""
        painter.setFont(self.theme.fonts.body)
        painter.setPen(self.theme.colour(self.role(hit)))
        text = painter.fontMetrics().elidedText(str(index.data()), self._elide, rect.width())
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | self._align, text)

    def role(self, _hit: Hit) -> str:
        """The token of the text's colour."""
        return "muted"


class MatchCell(TextCell):
    """The seconds that matched; fainter when that is simply everything."""

    def role(self, hit: Hit) -> str:
        """The text is faint where the match is the whole sound."""
        return "faint" if is_whole(hit) else "muted"


class ScoreCell(Cell):
    """The score as a thin bar with its number."""

    def draw(self, painter: QPainter, rect: QRect, hit: Hit, index: Index) -> None:
        """The bar is full at 1 and empty at 0 or below."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        bar = QRectF(rect.left(), rect.center().y() - 1.5, SCORE_BAR_PX, 4)
        painter.setBrush(self.theme.colour("raised"))
        painter.drawRoundedRect(bar, 2, 2)
        bar.setWidth(SCORE_BAR_PX * min(1.0, max(0.0, hit.score)))
        painter.setBrush(self.theme.colour("muted"))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setFont(self.theme.fonts.small)
        painter.setPen(self.theme.colour("muted"))
        text = rect.adjusted(SCORE_BAR_PX + 8, 0, PADDING_PX, 0)
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, str(index.data()))


def row_height(metrics: QFontMetrics) -> int:
    """Height of a row for a font."""
    return metrics.height() + ROW_AIR_PX
