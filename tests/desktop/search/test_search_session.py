"""Searching: ids, stale answers, and asking again while indexing goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.bridge import EngineBridge
from desktop.search.search_session import Answer, Query, SearchSession
from engine.errors import ErrorKind, KnownError
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.service.messages import FindSimilar, Indexed, IndexFinished, Search, SearchDone, SearchFailed
from tests.fakes import FakeEngine, make_hits

Bridged = tuple[EngineBridge, FakeEngine]
RAIN, DOOR = Query("rain"), Query("door")


@pytest.fixture
def session(bridged: Bridged) -> SearchSession:
    return SearchSession(bridged[0], refresh_ms=5)


def answers_of(session: SearchSession) -> list[Answer]:
    answers: list[Answer] = []
    session.answered.connect(answers.append)
    return answers


def reply(bridge: EngineBridge, request_id: int, count: int = 3) -> None:
    bridge.search_done.emit(SearchDone(request_id, make_hits(count), 10, 0.01))


def progress(bridge: EngineBridge, done: int) -> None:
    bridge.indexed.emit(Indexed(IndexProgress(IndexPhase.INDEXING, done=done, total=100)))


def test_a_caption_is_searched_for(bridged: Bridged, session: SearchSession) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    assert bridged[1].requests == [Search(1, "rain", 200)]
    reply(bridged[0], 1)
    assert answers == [Answer(RAIN, make_hits(3), 10, 0.01, refreshed=False)]
    assert not session.waiting


def test_a_sound_is_searched_by(bridged: Bridged, session: SearchSession) -> None:
    session.ask(Query(sound=Path("/a.wav")))
    assert bridged[1].requests == [FindSimilar(1, Path("/a.wav"), 200)]


def test_a_stale_answer_is_ignored(bridged: Bridged, session: SearchSession) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    session.ask(DOOR)
    reply(bridged[0], 1)
    assert answers == []
    reply(bridged[0], 2)
    assert [answer.query for answer in answers] == [DOOR]


def test_an_answer_to_what_was_cleared_is_ignored(bridged: Bridged, session: SearchSession) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    session.ask(Query())
    reply(bridged[0], 1)
    assert answers == []
    assert session.answer is None


def test_the_same_query_is_not_asked_twice(bridged: Bridged, session: SearchSession) -> None:
    session.ask(RAIN)
    session.ask(RAIN)
    reply(bridged[0], 1)
    session.ask(RAIN)
    assert len(bridged[1].requests) == 1


def test_a_failed_query_can_be_asked_again(bridged: Bridged, session: SearchSession) -> None:
    errors: list[KnownError] = []
    session.failed.connect(errors.append)
    session.ask(RAIN)
    error = KnownError(ErrorKind.SOUND_VANISHED, "Gone.")
    bridged[0].search_failed.emit(SearchFailed(1, error))
    assert errors == [error]
    session.ask(RAIN)
    assert [request.request_id for request in bridged[1].requests if isinstance(request, Search)] == [1, 2]


def test_a_stale_failure_is_ignored(bridged: Bridged, session: SearchSession) -> None:
    errors: list[KnownError] = []
    session.failed.connect(errors.append)
    session.ask(RAIN)
    session.ask(DOOR)
    bridged[0].search_failed.emit(SearchFailed(1, KnownError(ErrorKind.FOLDER_MISSING, "y")))
    assert errors == []
    assert session.waiting


def test_progress_of_indexing_asks_again_quietly(bridged: Bridged, session: SearchSession, qtbot: QtBot) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    reply(bridged[0], 1)
    progress(bridged[0], 10)
    progress(bridged[0], 20)
    qtbot.waitUntil(lambda: len(bridged[1].requests) == 2)
    reply(bridged[0], 2, 5)
    assert [(len(answer.hits), answer.refreshed) for answer in answers] == [(3, False), (5, True)]


def test_the_end_of_indexing_asks_again(bridged: Bridged, session: SearchSession, qtbot: QtBot) -> None:
    session.ask(RAIN)
    reply(bridged[0], 1)
    bridged[0].index_finished.emit(IndexFinished(IndexSummary(indexed=1)))
    qtbot.waitUntil(lambda: len(bridged[1].requests) == 2)


def test_progress_that_indexed_nothing_new_does_not(bridged: Bridged, session: SearchSession) -> None:
    session.ask(RAIN)
    progress(bridged[0], 10)
    session._refresh.stop()
    progress(bridged[0], 10)
    assert not session._refresh.isActive()


def test_an_answer_on_its_way_is_not_asked_for_again(bridged: Bridged, session: SearchSession) -> None:
    session.ask(RAIN)
    session.ask_again()
    assert len(bridged[1].requests) == 1


def test_no_query_is_never_asked(bridged: Bridged, session: SearchSession) -> None:
    session.ask_again()
    progress(bridged[0], 10)
    QApplication.processEvents()
    assert bridged[1].requests == []
    assert not session._refresh.isActive()


def test_another_engine_is_asked_what_the_one_before_left_open(bridged: Bridged, session: SearchSession) -> None:
    session.ask(RAIN)
    session.restart()
    assert bridged[1].requests == [Search(1, "rain", 200), Search(2, "rain", 200)]
