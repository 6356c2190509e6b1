"""The library in the whole app, with an engine and a player that are scripted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.errors import ErrorKind, KnownError
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.service.messages import FailuresListed, FoldersChanged, Indexed, IndexFinished, ListFailures, Refused
from tests.desktop.conftest import Desk, Start
from tests.fakes import READY, make_folder, opened


def test_the_first_start_asks_for_a_folder(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = start(opening=(opened(), READY))
    desk.qtbot.waitUntil(lambda: desk.title == "Add a folder of sounds")
    asked: list[bool] = []
    monkeypatch.setattr(desk.app.library_commands, "choose_folder", lambda: asked.append(True))
    desk.app.empty.button.click()
    assert asked == [True]


def test_a_read_only_library_can_be_searched_but_not_changed(start: Start) -> None:
    desk = start(opening=(opened(make_folder(), read_only=True), READY))
    desk.qtbot.waitUntil(lambda: desk.app.library.library.opened)
    assert not desk.app.actions.add_folder.isEnabled()
    assert not desk.app.actions.rescan.isEnabled()
    assert not desk.app.drops.takes_folders
    desk.search("door")
    assert desk.app.model.rowCount() == 100


def test_a_folder_that_cannot_be_named_is_a_banner(desk: Desk) -> None:
    desk.app.drops.refused.emit(KnownError(ErrorKind.NAME_NOT_UNICODE, "Its name is not Unicode.", "Rename it."))
    assert [banner.key for banner in desk.app.banners.banners] == ["name_not_unicode"]


def test_indexing_shows_in_the_panel(desk: Desk) -> None:
    progress = IndexProgress(IndexPhase.INDEXING, done=40, total=100, speed_x=212, remaining_s=300)
    desk.emit(Indexed(progress))
    card = desk.app.panel.progress
    assert card.isVisible()
    assert "212× real time" in card.rate.text()
    desk.emit(IndexFinished(IndexSummary(indexed=100, elapsed_s=3)))
    assert card.counts.text() == "100 sounds added in 3.0 s"


def test_the_progress_buttons_reach_the_engine(desk: Desk) -> None:
    card = desk.app.panel.progress
    for button in (card.pause, card.resume, card.cancel):
        button.click()
    assert [type(request).__name__ for request in desk.engine.requests] == ["Pause", "Resume", "Cancel"]


def test_failures_are_listed_and_follow_retries(start: Start) -> None:
    desk = start(answers={ListFailures: lambda _: FailuresListed(())})
    desk.emit(FoldersChanged((make_folder(failed=1),)))
    desk.app.panel.failures.click()
    assert desk.engine.sent(ListFailures) == [ListFailures()]
    desk.app.failures.retry_requested.emit()
    desk.emit(IndexFinished(IndexSummary(indexed=1)))
    desk.qtbot.waitUntil(lambda: len(desk.engine.sent(ListFailures)) == 2)
    desk.qtbot.waitUntil(lambda: desk.app.failures.head.text() == "All sounds could be read")
    desk.app.failures.close()
    desk.emit(IndexFinished(IndexSummary(indexed=1)))
    assert len(desk.engine.sent(ListFailures)) == 2


def test_failures_that_cannot_be_listed_are_a_banner(start: Start) -> None:
    error = KnownError(ErrorKind.LIBRARY_IO_ERROR, "The disk does not answer.", "Check it.")
    desk = start(answers={ListFailures: lambda _: Refused(error)})
    with desk.qtbot.waitSignal(desk.app.bridge.delivered):
        desk.app.actions.failures.trigger()
    desk.qtbot.waitUntil(lambda: [banner.key for banner in desk.app.banners.banners] == ["library_io_error"])


def test_what_is_good_to_know_of_the_library_is_said_once(start: Start) -> None:
    notice = KnownError(ErrorKind.LIBRARY_ON_NETWORK, "It lies on a network share.", "Keep it on this computer.")
    opening = replace(opened(make_folder()), notice=notice)
    desk = start(opening=(opening, READY))
    desk.qtbot.waitUntil(lambda: len(desk.app.banners.banners) == 1)
    assert "It lies on a network share." in desk.app.banners.banners[0].text
    desk.app.banners.dismiss(desk.app.banners.banners[0])
    with desk.qtbot.waitSignal(desk.app.bridge.library_opened):
        desk.app.restart_engine()
    assert desk.app.banners.banners == ()


def test_folders_are_shown_from_the_library_downwards(desk: Desk) -> None:
    desk.search("door")
    assert desk.app.model.index(0, 5).data() == "sounds › folder 0"
