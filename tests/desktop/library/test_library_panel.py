"""The side panel: folders, progress, failures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.actions import Actions
from desktop.library.folder_row import FolderRow
from desktop.library.library_panel import LibraryPanel
from desktop.library.progress_card import ProgressCard
from desktop.library_state import Library
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Theme
from engine.errors import ErrorKind, KnownError
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from tests.fakes import make_folder

READY = Library(opened=True, encoder_ready=True, folders=(make_folder(1, "/sounds"), make_folder(2, "/foley")))
INDEXING = IndexProgress(IndexPhase.INDEXING, 0, 1243, 4120, 3, 212.4, 780.0)


@pytest.fixture
def panel(qtbot: QtBot, theme: Theme, icons: Icons) -> LibraryPanel:
    actions = Actions(icons)
    panel = LibraryPanel(theme, icons, actions.add_folder)
    panel.destroyed.connect(actions.deleteLater)
    qtbot.addWidget(panel)
    panel.resize(250, 500)
    panel.show()
    return panel


@pytest.fixture
def card(qtbot: QtBot, theme: Theme, icons: Icons) -> ProgressCard:
    card = ProgressCard(theme, icons)
    qtbot.addWidget(card)
    return card


def buttons(card: ProgressCard) -> list[str]:
    named = {"pause": card.pause, "resume": card.resume, "cancel": card.cancel}
    return [name for name, button in named.items() if not button.isHidden()]


def test_folders_and_counts(panel: LibraryPanel) -> None:
    panel.show_library(READY)
    assert [row.name.text() for row in panel.rows.values()] == ["sounds", "foley"]
    assert panel.rows[1].counts.text() == "100 sounds"
    assert panel.total.text() == "200 sounds"


def test_tab_goes_down_the_panel(panel: LibraryPanel) -> None:
    panel.show_library(replace(READY, folders=(READY.folders[1], make_folder(3, "/new", failed=1))))
    panel.show_library(replace(READY, folders=(READY.folders[0], READY.folders[1], make_folder(3, "/new", failed=1))))
    QApplication.processEvents()  # Qt shows new rows a moment later
    panel.add.setFocus()
    reached = []
    for _ in range(4):
        QTest.keyClick(panel.focusWidget(), Qt.Key.Key_Tab)
        reached.append(panel.focusWidget())
    assert reached == [*(panel.rows[number].remove for number in (1, 2, 3)), panel.failures]


def test_rows_stay_where_only_counts_change(panel: LibraryPanel) -> None:
    panel.show_library(READY)
    row = panel.rows[1]
    panel.show_library(replace(READY, folders=(make_folder(1, "/sounds", 120, 110), READY.folders[1])))
    assert panel.rows[1] is row
    assert row.counts.text() == "110 of 120"


def test_a_removed_folder_goes_and_an_added_one_takes_its_place(panel: LibraryPanel) -> None:
    panel.show_library(READY)
    panel.show_library(replace(READY, folders=(make_folder(3, "/new"), make_folder(2, "/foley"))))
    assert set(panel.rows) == {2, 3}
    QApplication.processEvents()  # Qt lays rows out a moment later
    assert panel.rows[3].y() < panel.rows[2].y()
    assert [row for row in panel.findChildren(FolderRow) if row.isVisible()] == list(panel.rows.values())


def test_failed_missing_and_unavailable_are_said(panel: LibraryPanel) -> None:
    folders = (make_folder(1, "/a", 10, 7, failed=2, missing=1), make_folder(2, "/b", available=False))
    panel.show_library(replace(READY, folders=folders))
    assert panel.rows[1].counts.text() == "7 sounds  ·  2 failed  ·  1 missing"
    assert panel.rows[2].counts.text() == "Not available now"


def test_the_remove_button_asks_for_its_folder(panel: LibraryPanel, qtbot: QtBot) -> None:
    panel.show_library(READY)
    with qtbot.waitSignal(panel.remove_requested) as asked:
        panel.rows[2].remove.click()
    assert asked.args == [READY.folders[1]]
    assert panel.rows[2].remove.accessibleName() == "Remove foley from the library"


def test_the_remove_button_shows_itself_under_the_pointer_and_with_the_focus(panel: LibraryPanel, qtbot: QtBot) -> None:
    panel.show_library(READY)
    row = panel.rows[1]
    assert row.remove.icon().isNull()
    QApplication.sendEvent(row, QEnterEvent(QPointF(), QPointF(), QPointF()))
    assert not row.remove.icon().isNull()
    QApplication.sendEvent(row, QEvent(QEvent.Type.Leave))
    assert row.remove.icon().isNull()
    panel.activateWindow()
    row.remove.setFocus()
    qtbot.waitUntil(row.remove.hasFocus)
    assert not row.remove.icon().isNull()
    row.remove.clearFocus()
    assert row.remove.icon().isNull()


def test_a_folders_menu(panel: LibraryPanel, qtbot: QtBot) -> None:
    folder = make_folder(1, "/a", 10, 8, failed=2)
    panel.show_library(replace(READY, folders=(folder,)))
    actions = {action.text(): action for action in panel.rows[1].menu().actions() if action.text()}
    assert list(actions) == ["Show in file manager", "Sounds that could not be read…", "Remove from the library…"]
    with qtbot.waitSignals([panel.reveal_requested, panel.failures_requested, panel.remove_requested]):
        for action in actions.values():
            action.trigger()


def test_a_read_only_library_says_so_and_keeps_its_folders(panel: LibraryPanel) -> None:
    panel.show_library(replace(READY, read_only=True))
    assert panel.read_only.isVisible()
    assert not panel.rows[1].remove.isVisible()
    assert [action.text() for action in panel.rows[1].menu().actions()] == ["Show in file manager"]


def test_failures_are_a_way_to_their_list(panel: LibraryPanel, qtbot: QtBot) -> None:
    panel.show_library(READY)
    assert not panel.failures.isVisible()
    panel.show_library(replace(READY, folders=(make_folder(sounds=5, indexed=2, failed=3),)))
    assert panel.failures.text() == "3 sounds could not be read"
    with qtbot.waitSignal(panel.failures_requested):
        panel.failures.click()


def test_progress_while_indexing(card: ProgressCard) -> None:
    card.show_library(replace(READY, progress=INDEXING))
    assert not card.isHidden()
    assert (card.bar.value(), card.bar.maximum()) == (1243, 4120)
    assert card.counts.text() == "1,243 of 4,120 sounds"
    assert card.rate.text() == "212× real time  ·  about 13 min left"
    assert buttons(card) == ["pause", "cancel"]


def test_progress_while_scanning_has_no_end_yet(card: ProgressCard) -> None:
    card.show_library(replace(READY, progress=IndexProgress(IndexPhase.SCANNING, found=311)))
    assert card.bar.maximum() == 0
    assert card.counts.text() == "311 sounds found"


def test_paused(card: ProgressCard, qtbot: QtBot) -> None:
    card.show_library(replace(READY, progress=replace(INDEXING, phase=IndexPhase.PAUSED)))
    assert card.title.text() == "Paused"
    assert buttons(card) == ["resume", "cancel"]


def test_the_buttons_ask(card: ProgressCard, qtbot: QtBot) -> None:
    with qtbot.waitSignals([card.pause_requested, card.resume_requested, card.cancel_requested]):
        for button in (card.pause, card.resume, card.cancel):
            button.click()


def test_stopped_halfway_can_go_on(card: ProgressCard) -> None:
    folders = (make_folder(sounds=100, indexed=60),)
    card.show_library(replace(READY, folders=folders, summary=IndexSummary(indexed=60, elapsed_s=5), cancelled=True))
    assert card.title.text() == "40 sounds not indexed"
    assert card.counts.text() == "60 sounds added in 5.0 s"
    assert buttons(card) == ["resume"]


def test_what_a_run_did_stays_to_be_read(card: ProgressCard) -> None:
    card.show_library(replace(READY, summary=IndexSummary(indexed=3, elapsed_s=1)))
    assert card.counts.text() == "3 sounds added in 1.0 s"
    assert buttons(card) == []


def test_a_run_that_had_nothing_to_do_says_nothing(card: ProgressCard) -> None:
    card.show_library(replace(READY, summary=IndexSummary()))
    assert card.isHidden()


def test_loading_the_model(card: ProgressCard) -> None:
    card.show_library(replace(READY, encoder_ready=False))
    assert card.counts.text() == "Loading the model"
    assert buttons(card) == []
    card.show_library(replace(READY, encoder_ready=False, stopped=KnownError(ErrorKind.FOLDER_MISSING, "y")))
    assert card.isHidden()
