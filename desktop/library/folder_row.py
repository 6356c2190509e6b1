"""One folder of the library: its name, its counts, and a button to remove it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QAction, QContextMenuEvent, QEnterEvent, QIcon
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QToolButton, QVBoxLayout

from desktop.widgets.icons import Icons
from desktop.widgets.labels import ElidedLabel, tone
from desktop.widgets.theme import Theme
from desktop.wording import folder_counts, quantity
from engine.library.types import Folder


class FolderRow(QFrame):
    """Shows a ``Folder``.

    Signals:
        remove_requested(Folder), reveal_requested(Folder), failures_requested(): from its button and context menu.
    """

    remove_requested = Signal(Folder)
    reveal_requested = Signal(Folder)
    failures_requested = Signal()

    def __init__(self, folder: Folder, theme: Theme, icons: Icons) -> None:
        super().__init__()
        self.setObjectName("folderRow")
        self.folder = folder
        self._may_change = True
        self._hovered = False
        self.name, self.counts = ElidedLabel(), ElidedLabel(Qt.TextElideMode.ElideRight)
        self.counts.setFont(theme.fonts.small)
        self.remove = QToolButton()
        self.remove.clicked.connect(lambda: self.remove_requested.emit(self.folder))
        self.remove.installEventFilter(self)
        self._icons = icons
        icons.redraw_with_theme(self, self._show_remove)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self.name)
        words.addWidget(self.counts)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 7, 6, 7)
        row.setSpacing(9)
        row.addWidget(icons.mark("folder", 18), 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(self.remove)
        self.show_folder(folder)

    def show_folder(self, folder: Folder) -> None:
        """Show other counts of the same folder."""
        self.folder = folder
        name = folder.path.name or str(folder.path)
        self.name.set_text(name, str(folder.path))
        failed = f"  ·  {folder.failed:,} failed" if folder.failed else ""
        missing = f"  ·  {folder.missing:,} missing" if folder.missing and folder.available else ""
        self.counts.set_text(folder_counts(folder) + failed + missing)
        tone(self.counts, "muted" if folder.available else "warning")
        self.remove.setToolTip(f"Remove {name} from the library")
        self.remove.setAccessibleName(f"Remove {name} from the library")
        self.setAccessibleName(f"{name}, {quantity(folder.indexed, 'sound')}")

    def set_may_change(self, may_change: bool) -> None:
        """Say whether the folder may be removed, which a read-only library does not allow."""
        self._may_change = may_change
        self.remove.setVisible(may_change)

    def enterEvent(self, event: QEnterEvent) -> None:
        """Show the remove button."""
        super().enterEvent(event)
        self._hovered = True
        self._show_remove()

    def leaveEvent(self, event: QEvent) -> None:
        """Hide the remove button."""
        super().leaveEvent(event)
        self._hovered = False
        self._show_remove()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Show the remove button also while it has the keyboard focus."""
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self._show_remove()
        return super().eventFilter(watched, event)

    def _show_remove(self) -> None:
        wanted = self._hovered or self.remove.hasFocus()
        self.remove.setIcon(self._icons.icon("close") if wanted else QIcon())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the menu of what can be done with the folder."""
        menu = self.menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def menu(self) -> QMenu:
        """The context menu."""
        menu = QMenu(self)
        reveal = QAction("Show in file manager", menu)
        reveal.triggered.connect(lambda: self.reveal_requested.emit(self.folder))
        menu.addAction(reveal)
        if self.folder.failed:
            failures = QAction("Sounds that could not be read…", menu)
            failures.triggered.connect(self.failures_requested)
            menu.addAction(failures)
        if self._may_change:
            menu.addSeparator()
            remove = QAction("Remove from the library…", menu)
            remove.triggered.connect(lambda: self.remove_requested.emit(self.folder))
            menu.addAction(remove)
        return menu
