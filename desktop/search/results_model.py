"""The hits as a table, in order of rank or sorted by a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QMimeData, QModelIndex, QObject, QPersistentModelIndex, Qt, QUrl

from desktop.wording import clock, matched, parent_trail, sample_format
from engine.library.types import Hit

Index = QModelIndex | QPersistentModelIndex

HIT_ROLE = Qt.ItemDataRole.UserRole
PLAYED_ROLE = Qt.ItemDataRole.UserRole + 1


class Column(IntEnum):
    """The columns, from left to right."""

    NAME = 0
    WAVEFORM = 1
    MATCH = 2
    LENGTH = 3
    SCORE = 4
    FOLDER = 5


_HEADERS = {
    Column.NAME: "Name",
    Column.WAVEFORM: "Waveform",
    Column.MATCH: "Match",
    Column.LENGTH: "Length",
    Column.SCORE: "Score",
    Column.FOLDER: "Folder",
}

_SORT_KEYS: dict[Column, Callable[[Hit], Any]] = {
    Column.NAME: lambda hit: hit.path.name.casefold(),
    Column.MATCH: lambda hit: hit.start_s,
    Column.LENGTH: lambda hit: hit.duration_s,
    Column.SCORE: lambda hit: hit.score,
    Column.FOLDER: lambda hit: str(hit.path.parent).casefold(),
}


class ResultsModel(QAbstractTableModel):
    """Hits by row. ``HIT_ROLE`` gives the Hit, ``PLAYED_ROLE`` how much of it has played (None: not playing)."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ranked: list[Hit] = []
        self._rows: list[Hit] = []
        self._roots: tuple[Path, ...] = ()
        self._sorted_by: Column | None = None
        self._order = Qt.SortOrder.AscendingOrder
        self._playing: int | None = None
        self._played = 0.0

    def set_hits(self, hits: Sequence[Hit]) -> None:
        """Show other hits, given by rank; a chosen sort order stays."""
        self.beginResetModel()
        self._ranked = list(hits)
        self._rows = self._arranged()
        self.endResetModel()

    def set_roots(self, roots: tuple[Path, ...]) -> None:
        """Tell the library's folders, so that paths are shown from there."""
        if roots != self._roots:
            self._roots = roots
            self._touch(0, len(self._rows) - 1, Column.FOLDER)

    def set_playing(self, sound_id: int | None, played: float = 0.0) -> None:
        """Mark one sound as playing, up to a fraction of its length."""
        before, self._playing, self._played = self._playing, sound_id, played
        for changed in {before, sound_id} - {None}:
            row = self.row_of(changed)
            if row is not None:
                self._touch(row, row, *((Column.WAVEFORM,) if before == sound_id else tuple(Column)))

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The hits by rank."""
        return tuple(self._ranked)

    def hit(self, row: int) -> Hit:
        """The hit in a row."""
        return self._rows[row]

    def row_of(self, sound_id: int | None) -> int | None:
        """The row of a sound, or None when it is not among the hits."""
        return next((row for row, hit in enumerate(self._rows) if hit.sound_id == sound_id), None)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Number of hits."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of columns."""
        return 0 if parent.isValid() else len(Column)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text for display and assistive technology, the Hit, or how far it has played."""
        hit = self._rows[index.row()]
        if role == HIT_ROLE:
            return hit
        if role == PLAYED_ROLE:
            return self._played if hit.sound_id == self._playing else None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(hit, Column(index.column()))
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tool_tip(hit, Column(index.column()))
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Column names; numbers are right-aligned as the cells are."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _HEADERS[Column(section)]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section == Column.LENGTH else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Rows can be selected and dragged out."""
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        flag = Qt.ItemFlag
        return flag.ItemIsSelectable | flag.ItemIsEnabled | flag.ItemIsDragEnabled | flag.ItemNeverHasChildren

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, or by rank for column -1 and for the waveform. Selections move with their rows."""
        self._sorted_by = Column(column) if column in _SORT_KEYS else None
        self._order = order
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        ids = [self._rows[index.row()].sound_id for index in before]
        self._rows = self._arranged()
        row_of = {hit.sound_id: row for row, hit in enumerate(self._rows)}
        after = [self.index(row_of[i], index.column()) for i, index in zip(ids, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def mimeTypes(self) -> list[str]:
        """Rows leave as files."""
        return ["text/uri-list"]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """The files of the rows, each once, in the order shown."""
        rows = sorted({index.row() for index in indexes})
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(self._rows[row].path)) for row in rows])
        return data

    def supportedDragActions(self) -> Qt.DropAction:
        """Files are copied or linked to where they land, never moved."""
        return Qt.DropAction.CopyAction | Qt.DropAction.LinkAction

    def _arranged(self) -> list[Hit]:
        if self._sorted_by is None:
            return list(self._ranked)
        return sorted(
            self._ranked, key=_SORT_KEYS[self._sorted_by], reverse=self._order == Qt.SortOrder.DescendingOrder
        )

    def _text(self, hit: Hit, column: Column) -> str:
        match column:
            case Column.NAME:
                return hit.path.name
            case Column.WAVEFORM:
                return ""
            case Column.MATCH:
                return matched(hit) or "whole"
            case Column.LENGTH:
                return clock(hit.duration_s)
            case Column.SCORE:
                return f"{hit.score:.2f}"
            case Column.FOLDER:
                return parent_trail(hit.path, self._roots)

    def _touch(self, first: int, last: int, *columns: Column) -> None:
        if last >= first:
            self.dataChanged.emit(self.index(first, min(columns)), self.index(last, max(columns)))


def _tool_tip(hit: Hit, column: Column) -> str:
    if column is Column.SCORE:
        return f"Likeness to what you described: {hit.score:.3f} (1 is a perfect match)"
    return f"{hit.path}\n{clock(hit.duration_s)}, {sample_format(hit)}"
