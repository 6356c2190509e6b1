"""The hits as a table, in order of rank or sorted by a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QMimeData, QModelIndex, QObject, QPersistentModelIndex, Qt, QUrl

from desktop.search.columns import COLUMNS, FOLDER, Column
from desktop.search.roles import HIT_ROLE, PLAYED_ROLE
from engine.library.types import Hit

Index = QModelIndex | QPersistentModelIndex
SortKey = Callable[[Hit], Any]


class ResultsModel(QAbstractTableModel):
    """Hits by row. ``HIT_ROLE`` gives the Hit, ``PLAYED_ROLE`` how much of it has played (None: not playing)."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ranked: list[Hit] = []
        self._rows: list[Hit] = []
        self._roots: tuple[Path, ...] = ()
        self._sorted_by: SortKey | None = None
        self._order = Qt.SortOrder.AscendingOrder
        self._playing: int | None = None
        self._played = 0.0

    def set_hits(self, hits: Sequence[Hit]) -> None:
        """Show other hits, given by rank; a chosen sort order stays."""
        self.beginResetModel()
        self._ranked = list(hits)
        self._rows = self._sort_hits()
        self.endResetModel()

    def set_roots(self, roots: tuple[Path, ...]) -> None:
        """Tell the library's folders, so that paths are shown from there."""
        if roots != self._roots:
            self._roots = roots
            self._touch(0, len(self._rows) - 1, [FOLDER])

    def set_playing(self, sound_id: int | None, played: float = 0.0) -> None:
        """Mark one sound as playing, up to a fraction of its length."""
        before, self._playing, self._played = self._playing, sound_id, played
        for changed in {before, sound_id} - {None}:
            row = self.row_of(changed)
            if row is not None:
                moved = [column for column in COLUMNS if column.follows_playing]
                self._touch(row, row, moved if before == sound_id else COLUMNS)

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
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text for display and assistive technology, the Hit, or how far it has played."""
        hit = self._rows[index.row()]
        if role == HIT_ROLE:
            return hit
        if role == PLAYED_ROLE:
            return self._played if hit.sound_id == self._playing else None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return COLUMNS[index.column()].text(hit, self._roots)
        if role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS[index.column()].tool_tip(hit)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Column names; numbers are right-aligned as the cells are."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return COLUMNS[section].alignment | Qt.AlignmentFlag.AlignVCenter
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Rows can be selected and dragged out."""
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        flag = Qt.ItemFlag
        return flag.ItemIsSelectable | flag.ItemIsEnabled | flag.ItemIsDragEnabled | flag.ItemNeverHasChildren

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, or by rank for column -1 and for the waveform. Selections move with their rows."""
        self._sorted_by = COLUMNS[column].sort_key if column >= 0 else None
        self._order = order
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        ids = [self._rows[index.row()].sound_id for index in before]
        self._rows = self._sort_hits()
        row_of = {hit.sound_id: row for row, hit in enumerate(self._rows)}
        after = [self.index(row_of[i], index.column()) for i, index in zip(ids, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def mimeTypes(self) -> list[str]:
        """Rows are dragged out as files."""
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

    def _sort_hits(self) -> list[Hit]:
        if self._sorted_by is None:
            return list(self._ranked)
        return sorted(self._ranked, key=self._sorted_by, reverse=self._order == Qt.SortOrder.DescendingOrder)

    def _touch(self, first: int, last: int, columns: Sequence[Column]) -> None:
        """Tell that these columns of some rows look otherwise now."""
        if last >= first:
            places = [COLUMNS.index(column) for column in columns]
            self.dataChanged.emit(self.index(first, min(places)), self.index(last, max(places)))
