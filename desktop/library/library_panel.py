"""The side panel: the library's folders, how indexing goes, and what could not be read."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget

from desktop.library.folder_row import FolderRow
from desktop.library.progress_card import ProgressCard
from desktop.library_state import Library
from desktop.widgets.icons import Icons
from desktop.widgets.labels import tone
from desktop.widgets.theme import Theme
from desktop.wording import quantity
from engine.library.types import Folder


class LibraryPanel(QFrame):
    """Shows a ``Library``.

    Signals:
        remove_requested(Folder), reveal_requested(Folder): from a folder's row.
        failures_requested(): show what could not be read.
    """

    remove_requested = Signal(Folder)
    reveal_requested = Signal(Folder)
    failures_requested = Signal()

    def __init__(self, theme: Theme, icons: Icons, add_folder: QAction) -> None:
        super().__init__()
        self.setObjectName("libraryPanel")
        self._theme = theme
        self._icons = icons
        self.rows: dict[int, FolderRow] = {}
        self.progress = ProgressCard(theme, icons)
        self.total = QLabel()
        self.total.setFont(theme.fonts.small)
        tone(self.total, "muted")
        self.failures = QPushButton()
        self.failures.setProperty("kind", "link")
        self.failures.clicked.connect(self.failures_requested)
        icons.bind(self.failures, "warning", "warning")
        self.read_only = QLabel("Read-only: folders cannot be changed, searching works.")
        self.read_only.setWordWrap(True)
        self.read_only.setFont(theme.fonts.small)
        self.read_only.setContentsMargins(10, 0, 10, 4)
        tone(self.read_only, "warning")

        column = QVBoxLayout(self)
        column.setContentsMargins(10, 12, 10, 14)
        column.setSpacing(8)
        column.addLayout(self._lay_out_head(theme, add_folder))
        column.addWidget(self.read_only)
        column.addWidget(self._make_list(), 1)
        column.addWidget(self.failures)
        column.addWidget(self.progress)
        self.show_library(Library())

    def show_library(self, library: Library) -> None:
        """Show folders and progress, keeping the rows that are there already."""
        self.progress.show_library(library)
        self.total.setText(quantity(library.indexed, "sound") if library.folders else "")
        self.read_only.setVisible(library.opened and library.read_only)
        self.failures.setVisible(library.failed > 0)
        self.failures.setText(f"{quantity(library.failed, 'sound')} could not be read")
        self._show_folders(library.folders, may_change=not library.read_only)

    def sizeHint(self) -> QSize:
        """A size wide enough for a folder's name and counts."""
        return QSize(248, 400)

    def _show_folders(self, folders: tuple[Folder, ...], may_change: bool) -> None:
        present = {folder.folder_id for folder in folders}
        for gone in self.rows.keys() - present:
            row = self.rows.pop(gone)
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        before: QWidget = self.add
        for place, folder in enumerate(folders):
            row_or_none = self.rows.get(folder.folder_id)
            row = row_or_none if row_or_none is not None else self._add_row(folder)
            row.show_folder(folder)
            row.set_may_change(may_change)
            if self._list.indexOf(row) != place:
                self._list.insertWidget(place, row)
                self.setTabOrder(before, row.remove)
            before = row.remove

    def _add_row(self, folder: Folder) -> FolderRow:
        row = FolderRow(folder, self._theme, self._icons)
        row.remove_requested.connect(self.remove_requested)
        row.reveal_requested.connect(self.reveal_requested)
        row.failures_requested.connect(self.failures_requested)
        self.rows[folder.folder_id] = row
        return row

    def _make_list(self) -> QScrollArea:
        holder = QWidget()
        holder.setObjectName("folderRows")
        outer = QVBoxLayout(holder)
        outer.setContentsMargins(0, 0, 0, 0)
        self._list = QVBoxLayout()
        self._list.setSpacing(2)
        outer.addLayout(self._list)
        outer.addStretch(1)
        area = QScrollArea()
        area.setWidget(holder)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        return area

    def _lay_out_head(self, theme: Theme, add_folder: QAction) -> QHBoxLayout:
        title = QLabel("Library")
        title.setFont(theme.fonts.strong)
        self.add = QToolButton()
        self.add.setDefaultAction(add_folder)
        self.add.setAccessibleName("Add a folder")
        row = QHBoxLayout()
        row.setContentsMargins(10, 0, 2, 0)
        row.addWidget(title)
        row.addWidget(self.total, 1)
        row.addWidget(self.add)
        return row
