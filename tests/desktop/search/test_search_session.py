"""Searching: ids, stale answers, and asking again while indexing goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.bridge import EngineBridge
from desktop.search import search_session
from desktop.search.search_session import LIMIT, Answer, SearchSession, like_sound
from engine.errors import ErrorKind, KnownError
from engine.library.query import Likeness, Query
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.service.messages import Find, Found, Indexed, IndexFinished, Outcome, Refused, Reply, Superseded
from tests.fakes import FakeEngine, make_hits

Bridged = tuple[EngineBridge, FakeEngine]
Say = Callable[[int, Outcome], None]
RAIN, DOOR = Query("rain"), Query("door")


@pytest.fixture
def session(bridged: Bridged, monkeypatch: pytest.MonkeyPatch) -> SearchSession:
    monkeypatch.setattr(search_session, "REFRESH_MS", 5)
    return SearchSession(bridged[0])


@pytest.fixture
def say(bridged: Bridged, qtbot: QtBot) -> Say:
    """Lets the engine reply to a request, and waits until that has arrived."""

    def say(request_id: int, outcome: Outcome) -> None:
        with qtbot.waitSignal(bridged[0].delivered):
            bridged[1].emit(Reply(request_id, outcome))

    return say


def answers_of(session: SearchSession) -> list[Answer]:
    answers: list[Answer] = []
    session.answered.connect(answers.append)
    return answers


def found(count: int = 3) -> Found:
    return Found(make_hits(count), 10, 0.01)


def asked(words: str) -> Find:
    return Find(Query(words, limit=LIMIT))


def progress(bridge: EngineBridge, done: int) -> None:
    bridge.indexed.emit(Indexed(IndexProgress(IndexPhase.INDEXING, done=done, total=100)))


def test_a_caption_is_searched_for(bridged: Bridged, session: SearchSession, say: Say) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    assert bridged[1].requests == [asked("rain")]
    say(1, found())
    assert answers == [Answer(RAIN, make_hits(3), 10, 0.01, refreshed=False)]
    assert not session.waiting


def test_a_sound_is_searched_by(bridged: Bridged, session: SearchSession, say: Say) -> None:
    session.ask(like_sound(Path("/a.wav")))
    assert bridged[1].requests == [Find(Query(like=(Likeness(path=Path("/a.wav")),), limit=LIMIT))]


def test_a_stale_answer_is_ignored(bridged: Bridged, session: SearchSession, say: Say) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    session.ask(DOOR)
    say(1, found())
    assert answers == []
    say(2, found())
    assert [answer.query for answer in answers] == [DOOR]


def test_a_superseded_question_is_no_failure(bridged: Bridged, session: SearchSession, say: Say) -> None:
    errors: list[KnownError] = []
    session.failed.connect(errors.append)
    session.ask(RAIN)
    session.ask(DOOR)
    say(1, Superseded())
    assert errors == []
    assert session.waiting


def test_an_answer_to_what_was_cleared_is_ignored(bridged: Bridged, session: SearchSession, say: Say) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    session.ask(Query())
    say(1, found())
    assert answers == []
    assert session.answer is None


def test_the_same_query_is_not_asked_twice(bridged: Bridged, session: SearchSession, say: Say) -> None:
    session.ask(RAIN)
    session.ask(RAIN)
    say(1, found())
    session.ask(RAIN)
    assert len(bridged[1].requests) == 1


def test_a_failed_query_can_be_asked_again(bridged: Bridged, session: SearchSession, say: Say) -> None:
    errors: list[KnownError] = []
    session.failed.connect(errors.append)
    session.ask(RAIN)
    error = KnownError(ErrorKind.SOUND_VANISHED, "Gone.")
    say(1, Refused(error))
    assert errors == [error]
    session.ask(RAIN)
    assert bridged[1].requests == [asked("rain"), asked("rain")]


def test_a_stale_failure_is_ignored(bridged: Bridged, session: SearchSession, say: Say) -> None:
    errors: list[KnownError] = []
    session.failed.connect(errors.append)
    session.ask(RAIN)
    session.ask(DOOR)
    say(1, Refused(KnownError(ErrorKind.FOLDER_MISSING, "y")))
    assert errors == []
    assert session.waiting


def test_progress_of_indexing_asks_again_quietly(
    bridged: Bridged, session: SearchSession, say: Say, qtbot: QtBot
) -> None:
    answers = answers_of(session)
    session.ask(RAIN)
    say(1, found())
    progress(bridged[0], 10)
    progress(bridged[0], 20)
    qtbot.waitUntil(lambda: len(bridged[1].requests) == 2)
    say(2, found(5))
    assert [(len(answer.hits), answer.refreshed) for answer in answers] == [(3, False), (5, True)]


def test_the_end_of_indexing_asks_again(bridged: Bridged, session: SearchSession, say: Say, qtbot: QtBot) -> None:
    session.ask(RAIN)
    say(1, found())
    bridged[0].index_finished.emit(IndexFinished(IndexSummary(indexed=1)))
    qtbot.waitUntil(lambda: len(bridged[1].requests) == 2)


def test_progress_that_indexed_nothing_new_does_not(
    bridged: Bridged, session: SearchSession, say: Say, qtbot: QtBot
) -> None:
    session.ask(RAIN)
    progress(bridged[0], 10)
    assert session.refresh_due
    qtbot.waitUntil(lambda: not session.refresh_due)
    progress(bridged[0], 10)
    assert not session.refresh_due


def test_an_answer_on_its_way_is_not_asked_for_again(bridged: Bridged, session: SearchSession, say: Say) -> None:
    session.ask(RAIN)
    session.ask_again()
    assert len(bridged[1].requests) == 1


def test_no_query_is_never_asked(bridged: Bridged, session: SearchSession, say: Say) -> None:
    session.ask_again()
    progress(bridged[0], 10)
    QApplication.processEvents()
    assert bridged[1].requests == []
    assert not session.refresh_due


def test_another_engine_is_asked_what_the_one_before_left_open(
    bridged: Bridged, session: SearchSession, say: Say
) -> None:
    session.ask(RAIN)
    session.restart()
    assert bridged[1].requests == [asked("rain"), asked("rain")]
