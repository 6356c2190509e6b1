"""Everything the user can do from a menu or with a key: wording and shortcuts, and nothing of how it is done."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

from desktop.widgets.icons import Icons
from desktop.widgets.theme import Appearance

Keys = str | QKeySequence.StandardKey | Qt.Key


class Actions(QObject):
    """The app's actions."""

    def __init__(self, icons: Icons, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.add_folder = self._make("&Add folder…", "Ctrl+O", "Add a folder of sounds to the library")
        self.rescan = self._make("&Look for changes", "F5", "Look for new, changed and moved sounds")
        self.failures = self._make("&Sounds that could not be read…", None)
        self.quit = self._make("&Quit", "Ctrl+Q")
        self.quit.setMenuRole(QAction.MenuRole.QuitRole)

        self.find = self._make("&Search", "Ctrl+F")
        self.copy_path = self._make("&Copy path", "Ctrl+Shift+C")

        self.toggle = self._make("&Play or stop", "Space")
        # Only where it is added, so that Space still presses a focused button and types into the search box.
        self.toggle.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.play_from_start = self._make("Play from the &beginning", "Shift+Space")
        self.play_from_start.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.stop = self._make("S&top, go back, or clear", "Esc")
        self.automatic = self._make("&Play while browsing", "Ctrl+P", "Play each sound as it is selected")
        self.automatic.setCheckable(True)
        self.similar = self._make("&Find similar sounds", "Ctrl+Shift+F", "Find sounds like the selected one")
        self.reveal = self._make("Show in file &manager", "Ctrl+Shift+R")

        self.library_visible = self._make("&Library", "Ctrl+B")
        self.library_visible.setCheckable(True)
        self.appearances = QActionGroup(self)
        self.appearance = {value: self._choice(value) for value in Appearance}

        self.open_log = self._make("Open &log folder", None)
        self.shortcuts = self._make("&Keyboard shortcuts", QKeySequence.StandardKey.HelpContents)
        self.about = self._make("&About Foundsound", None)
        self.about.setMenuRole(QAction.MenuRole.AboutRole)

        icons.bind(self.add_folder, "folder-add")
        icons.bind(self.automatic, "headphones")
        for action in (self.add_folder, self.automatic):
            action.setIconVisibleInMenu(False)  # no other entry has one, and it would hide a check mark

    @property
    def on_selection(self) -> tuple[QAction, ...]:
        """The actions that need a selected sound."""
        return (self.similar, self.reveal, self.copy_path)

    @property
    def on_sound(self) -> tuple[QAction, ...]:
        """The actions that need a sound at hand."""
        return (self.toggle, self.play_from_start)

    @property
    def on_writable(self) -> tuple[QAction, ...]:
        """The actions that write to the library."""
        return (self.add_folder, self.rescan)

    def _make(self, text: str, keys: Keys | None, tip: str = "") -> QAction:
        action = QAction(text, self)
        if keys is not None:
            action.setShortcut(QKeySequence(keys))
        plain = tip or text.replace("&", "").rstrip("…")
        shortcut = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{plain} ({shortcut})" if shortcut else plain)
        return action

    def _choice(self, value: Appearance) -> QAction:
        action = self._make({"system": "Follow the &system", "light": "&Light", "dark": "&Dark"}[value], None)
        action.setCheckable(True)
        action.setData(value)
        self.appearances.addAction(action)
        return action
