"""The list of sounds that could not be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from desktop.library.failures_dialog import FailuresDialog
from desktop.widgets.theme import Theme
from engine.library.types import Failure

FAILURES = (
    Failure(1, Path("/sounds/broken.wav"), "sound_unreadable", "broken.wav holds no sound.", "Copy it again."),
    Failure(2, Path("/sounds/empty.wav"), "sound_empty", "empty.wav is empty.", "Delete it."),
)


@pytest.fixture
def dialog(qtbot: QtBot, theme: Theme) -> FailuresDialog:
    dialog = FailuresDialog(theme)
    qtbot.addWidget(dialog)
    return dialog


def select(dialog: FailuresDialog, row: int) -> None:
    item = dialog.list.topLevelItem(row)
    assert item is not None
    dialog.list.setCurrentItem(item)


def test_opening_asks_for_the_failures(dialog: FailuresDialog, qtbot: QtBot) -> None:
    with qtbot.waitSignal(dialog.opened):
        dialog.open_list()
    assert dialog.isVisible()
    assert not dialog.isModal()


def test_nothing_is_claimed_before_the_answer(dialog: FailuresDialog) -> None:
    dialog.open_list()
    assert dialog.head.text() == "Looking them up"


def test_each_has_its_reason(dialog: FailuresDialog) -> None:
    dialog.show_failures(FAILURES)
    rows = [dialog.list.topLevelItem(row) for row in range(dialog.list.topLevelItemCount())]
    assert [[row.text(column) for column in range(3)] for row in rows if row is not None] == [
        ["broken.wav", "Not readable as sound", str(Path("/sounds"))],
        ["empty.wav", "Empty file", str(Path("/sounds"))],
    ]
    assert dialog.head.text() == "2 sounds could not be read"


def test_the_selected_one_says_what_to_do(dialog: FailuresDialog) -> None:
    dialog.show_failures(FAILURES)
    assert dialog.detail.text() == "broken.wav holds no sound.\nCopy it again."
    select(dialog, 1)
    assert dialog.detail.text() == "empty.wav is empty.\nDelete it."


def test_none(dialog: FailuresDialog) -> None:
    dialog.show_failures(FAILURES)
    dialog.show_failures(())
    assert dialog.head.text() == "All sounds could be read"
    assert dialog.detail.text() == ""
    assert not any(button.isEnabled() for button in (dialog.retry, dialog.reveal, dialog.copy))


def test_retrying(dialog: FailuresDialog, qtbot: QtBot) -> None:
    dialog.show_failures(FAILURES)
    with qtbot.waitSignal(dialog.retry_requested):
        dialog.retry.click()


def test_a_read_only_library_cannot_retry(dialog: FailuresDialog) -> None:
    dialog.set_may_retry(False)
    dialog.show_failures(FAILURES)
    assert not dialog.retry.isEnabled()
    assert dialog.copy.isEnabled()


def test_showing_one_in_the_file_manager(dialog: FailuresDialog, qtbot: QtBot) -> None:
    dialog.show_failures(FAILURES)
    select(dialog, 1)
    with qtbot.waitSignal(dialog.reveal_requested) as asked:
        dialog.reveal.click()
    assert asked.args == [Path("/sounds/empty.wav")]


def test_copying_the_list(dialog: FailuresDialog) -> None:
    dialog.show_failures(FAILURES)
    dialog.copy.click()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0] == f"{FAILURES[0].path}\tbroken.wav holds no sound."
    assert len(lines) == 2
