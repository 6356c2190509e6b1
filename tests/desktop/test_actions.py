"""Menu items and shortcuts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from desktop.actions import Actions
from desktop.widgets.help_dialogs import shortcut_rows, show_about, show_shortcuts
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Theme


@pytest.fixture
def actions(icons: Icons) -> Iterator[Actions]:
    actions = Actions(icons)
    yield actions
    actions.deleteLater()


def test_no_two_share_a_shortcut(actions: Actions) -> None:
    keys = Counter(a.shortcut().toString() for a in actions.findChildren(QAction) if not a.shortcut().isEmpty())
    assert keys
    assert [key for key, number in keys.items() if number > 1] == []


def test_space_is_free_for_buttons_and_text(actions: Actions) -> None:
    for action in (actions.toggle, actions.play_from_start):
        assert action.shortcutContext() == Qt.ShortcutContext.WidgetWithChildrenShortcut


def test_tool_tips_name_the_keys(actions: Actions) -> None:
    assert actions.add_folder.toolTip() == "Add a folder of sounds to the library (Ctrl+O)"
    assert actions.about.toolTip() == "About Foundsound"


def test_the_help_lists_every_shortcut(actions: Actions, theme: Theme, qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = show_shortcuts(actions, theme, parent)
    texts = {label.text() for label in dialog.findChildren(QLabel)}
    for what, keys in shortcut_rows(actions):
        assert {what, keys} <= texts
    assert ("Find similar sounds", "Ctrl+Shift+F") in shortcut_rows(actions)
    dialog.close()


def test_about_names_the_version(qtbot: QtBot) -> None:
    from engine import __version__

    parent = QWidget()
    qtbot.addWidget(parent)
    box = show_about(parent)
    assert __version__ in box.text()
    box.close()


def test_a_checked_item_shows_its_mark_in_the_menu(actions: Actions) -> None:
    shown = [a.text() for a in actions.findChildren(QAction) if not a.icon().isNull() and a.isIconVisibleInMenu()]
    assert shown == []
