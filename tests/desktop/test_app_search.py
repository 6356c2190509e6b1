"""Searching in the whole app, with an engine and a player that are scripted."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from desktop.search import search_session
from engine.errors import ErrorKind, KnownError
from engine.library.types import IndexPhase, IndexProgress
from engine.service.messages import Find, Found, Indexed, Outcome, Refused, Reply, Request
from tests.desktop.conftest import Desk, Start, answer_with
from tests.fakes import READY, make_folder, make_hit, make_hits, opened

Key = Qt.Key


def test_a_search_from_the_keyboard_alone(desk: Desk) -> None:
    app, player = desk.app, desk.player
    QTest.keyClicks(app.search_bar.edit, "door creaks")
    with desk.qtbot.waitSignal(app.session.answered):
        desk.press(Key.Key_Return)
    assert [find.query.words for find in desk.engine.sent(Find)] == ["door creaks"]
    assert app.view.isVisible()
    assert app.model.rowCount() == 100
    assert app.results.headline.text() == "100 sounds for “door creaks”"
    desk.press(Key.Key_Down)
    assert app.view.hasFocus()
    hits = make_hits(100)
    assert player.played == [(hits[0].path, hits[0].start_s)]
    assert app.preview.name.text() == hits[0].path.name
    desk.press(Key.Key_Down)
    desk.qtbot.waitUntil(lambda: player.played[-1] == (hits[1].path, hits[1].start_s))


def test_typing_searches_by_itself(desk: Desk) -> None:
    with desk.qtbot.waitSignal(desk.app.session.answered):
        QTest.keyClicks(desk.app.search_bar.edit, "rain")
    asked = desk.engine.sent(Find)
    assert asked[-1].query.words == "rain"
    assert len(asked) < 4


def test_escape_stops_and_then_returns_to_the_search_box(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    desk.press(Key.Key_Escape)
    assert not desk.is_playing()
    assert desk.app.view.hasFocus()
    desk.press(Key.Key_Escape)
    assert desk.app.search_bar.edit.hasFocus()
    assert desk.app.search_bar.edit.selectedText() == "door"


def test_escape_in_the_search_box_clears_it(desk: Desk) -> None:
    desk.search("door")
    desk.app.search_bar.focus()
    desk.press(Key.Key_Escape)
    assert desk.app.search_bar.edit.text() == ""
    assert desk.app.search_bar.edit.hasFocus()
    assert desk.title == "What are you listening for?"


def test_up_from_the_first_row_returns_to_the_search_box(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    desk.press(Key.Key_Up)
    assert desk.app.search_bar.edit.hasFocus()


def test_similar_sounds_and_back(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.selectRow(3)
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.actions.similar.trigger()
    path = make_hits(100)[3].path
    assert [like.path for find in desk.engine.sent(Find) for like in find.query.like] == [path]
    assert desk.app.results.headline.text() == f"100 sounds like {path.name}"
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.search_bar.clear()
    assert desk.app.results.headline.text() == "100 sounds for “door”"


def test_searching_goes_on_quietly_while_indexing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_session, "REFRESH_MS", 5)
    found = list(make_hits(3))
    desk = start(answers={Find: lambda _: Found(tuple(found), len(found), 0.01)})
    desk.search("door")
    desk.app.view.selectRow(1)
    played = list(desk.player.played)
    found.insert(0, make_hit(99, "/sounds/just indexed.wav", score=0.95))
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.engine.emit(Indexed(IndexProgress(IndexPhase.INDEXING, done=4, total=9)))
    assert desk.app.model.rowCount() == 4
    assert [hit.sound_id for hit in desk.app.view.selected_hits()] == [2]
    assert desk.player.played == played
    assert desk.is_playing()


def test_clearing_the_search_leaves_nothing_to_play_by_accident(desk: Desk) -> None:
    desk.app.actions.automatic.setChecked(False)
    desk.search("door")
    desk.app.view.enter()
    desk.app.search_bar.clear()
    assert desk.title == "What are you listening for?"
    desk.press(Key.Key_Down)
    assert desk.player.played == []
    assert not desk.app.actions.similar.isEnabled()


def test_an_example_is_a_search(desk: Desk) -> None:
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.empty.example_chosen.emit("glass breaking")
    assert desk.app.search_bar.edit.text() == "glass breaking"


def test_a_search_made_while_the_model_loads_is_answered_then(start: Start) -> None:
    desk = start(opening=(opened(make_folder()),), answers={})
    desk.qtbot.waitUntil(lambda: desk.app.library.library.opened)
    desk.app.search_bar.search_caption("rain")
    assert desk.title == "Loading the model"
    desk.emit(READY)
    desk.emit(Reply(1, Found(make_hits(2), 100, 0.01)))
    assert desk.app.view.isVisible()


def test_nothing_found(start: Start) -> None:
    desk = start(answers=answer_with(()))
    desk.search("xyzzy")
    assert desk.title == "Nothing found"


def test_a_search_that_fails_can_be_tried_again(start: Start) -> None:
    failing = True

    def answer(_: Request) -> Outcome:
        if failing:
            return Refused(KnownError(ErrorKind.SOUND_VANISHED, "a.wav is gone.", "Look again."))
        return Found(make_hits(2), 100, 0.01)

    desk = start(answers={Find: answer})
    with desk.qtbot.waitSignal(desk.app.session.failed):
        desk.app.drops.sound_dropped.emit(Path("/a.wav"))
    assert desk.title == "File not found"
    failing = False
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.empty.button.click()
    assert desk.app.view.isVisible()
