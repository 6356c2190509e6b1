"""The page in place of the results."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from desktop.search.empty_state import EmptyState
from desktop.search.pages import EXAMPLES, Page, PageAction
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Appearance, Theme

START = Page("wave", "What are you listening for?", "Describe it.", examples=EXAMPLES)
BUSY = Page("wave", "Loading the model", busy=True)
ADD = Page("folder-add", "Add a folder", "Drop one.", PageAction.ADD_FOLDER)


@pytest.fixture
def empty(qtbot: QtBot, theme: Theme, icons: Icons) -> EmptyState:
    empty = EmptyState(theme, icons)
    qtbot.addWidget(empty)
    empty.resize(500, 500)
    empty.show()
    return empty


def chips(empty: EmptyState) -> list[QPushButton]:
    return [button for button in empty.findChildren(QPushButton) if button.property("kind") == "chip"]


def test_examples_can_be_tried(empty: EmptyState, qtbot: QtBot) -> None:
    empty.show_page(START)
    assert [chip.text() for chip in chips(empty)] == list(EXAMPLES)
    with qtbot.waitSignal(empty.example_chosen) as chosen:
        chips(empty)[2].click()
    assert chosen.args == [EXAMPLES[2]]


def test_examples_stay_within_a_narrow_page(empty: EmptyState) -> None:
    empty.show_page(START)
    QApplication.processEvents()
    assert all(chip.x() >= 0 and chip.x() + chip.width() <= empty.chips.width() for chip in chips(empty))
    assert len({chip.y() for chip in chips(empty)}) > 1
    assert all(chip.y() + chip.height() <= empty.chips.height() for chip in chips(empty))


def test_a_button(empty: EmptyState, qtbot: QtBot) -> None:
    empty.show_page(ADD)
    assert empty.button.isVisible()
    with qtbot.waitSignal(empty.action_requested) as asked:
        empty.button.click()
    assert asked.args == [PageAction.ADD_FOLDER]


def test_each_page_shows_only_its_own(empty: EmptyState) -> None:
    for page in (START, ADD, BUSY):
        empty.show_page(page)
    assert empty.busy.isVisible()
    assert not empty.button.isVisible()
    assert not empty.chips.isVisible()
    assert not empty.body.isVisible()
    assert empty.title.text() == "Loading the model"


def test_its_picture_follows_the_theme(empty: EmptyState, theme: Theme) -> None:
    theme.set_appearance(Appearance.DARK)
    empty.show_page(START)
    dark = empty.mark.pixmap().toImage()
    theme.set_appearance(Appearance.LIGHT)
    assert empty.mark.pixmap().toImage() != dark
