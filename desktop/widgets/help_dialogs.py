"""Two small windows of the Help menu: keyboard shortcuts, and about."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QMessageBox, QWidget

from desktop.actions import Actions
from desktop.widgets.labels import tone
from desktop.widgets.theme import Theme
from engine import __version__
from engine.paths import APP_NAME

_FIXED = (
    ("Search at once", "Enter"),
    ("From the search to the results, and back", "Down  /  Up"),
    ("Next or previous sound", "Down  /  Up"),
    ("Play the selected sound from its match", "Enter"),
    ("One second back or on while playing", "Left  /  Right"),
)


def shortcut_rows(actions: Actions) -> list[tuple[str, str]]:
    """What can be done and the keys for it."""
    named = [
        (action.text().replace("&", "").rstrip("…"), action.shortcut().toString(QKeySequence.SequenceFormat.NativeText))
        for action in actions.findChildren(QAction)
        if not action.shortcut().isEmpty()
    ]
    return [*_FIXED, *named]


def show_shortcuts(actions: Actions, theme: Theme, parent: QWidget) -> QDialog:
    """Open the list of keyboard shortcuts."""
    dialog = QDialog(parent)
    dialog.setWindowTitle("Keyboard shortcuts")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    grid = QGridLayout(dialog)
    grid.setContentsMargins(24, 20, 24, 22)
    grid.setHorizontalSpacing(36)
    grid.setVerticalSpacing(8)
    for row, (text, keys) in enumerate(shortcut_rows(actions)):
        what, how = QLabel(text), QLabel(keys)
        how.setFont(theme.fonts.strong)
        tone(what, "muted")
        grid.addWidget(what, row, 0)
        grid.addWidget(how, row, 1)
    dialog.open()
    return dialog


def show_about(parent: QWidget) -> QMessageBox:
    """Open the about box."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(f"About {APP_NAME}")
    box.setText(f"{APP_NAME} {__version__}")
    box.setInformativeText(
        "Describe a sound, find it in your own library, hear it.\nEverything stays on this computer."
    )
    box.open()
    return box
