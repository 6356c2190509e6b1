"""The seam between Qt and the engine."""

from __future__ import annotations

import logging
import threading

import pytest
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.bridge import EngineBridge
from engine.errors import ErrorKind, KnownError
from engine.library.query import Query
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.service.messages import (
    Done,
    EncoderReady,
    EngineStopped,
    Event,
    Find,
    FoldersChanged,
    Indexed,
    IndexFinished,
    LibraryOpened,
    Pause,
    ProblemOccurred,
    Refused,
    Reply,
    Request,
    Resume,
)
from tests.fakes import READY, FakeEngine, opened

ERROR = KnownError(ErrorKind.DISK_FULL, "The disk is full.", "Make room.")
EVENTS: dict[str, Event] = {
    "library_opened": opened(),
    "encoder_ready": READY,
    "folders_changed": FoldersChanged(()),
    "indexed": Indexed(IndexProgress(IndexPhase.IDLE)),
    "index_finished": IndexFinished(IndexSummary()),
    "problem_occurred": ProblemOccurred(ERROR),
    "engine_stopped": EngineStopped(None),
}


def test_every_kind_of_event_has_a_signal() -> None:
    assert {type(event) for event in EVENTS.values()} == set(Event.__args__)


@pytest.mark.parametrize("signal", EVENTS)
def test_an_event_arrives_on_the_ui_thread(
    bridged: tuple[EngineBridge, FakeEngine], qtbot: QtBot, qapp: QApplication, signal: str
) -> None:
    bridge, engine = bridged
    threads: list[QThread] = []
    getattr(bridge, signal).connect(lambda: threads.append(QThread.currentThread()))
    with qtbot.waitSignal(getattr(bridge, signal)) as seen:
        engine.emit(EVENTS[signal])
    assert seen.args == [EVENTS[signal]]
    assert threads == [qapp.thread()]


def test_a_reply_goes_to_who_asked_and_only_once(
    bridged: tuple[EngineBridge, FakeEngine], qtbot: QtBot, qapp: QApplication
) -> None:
    bridge, engine = bridged
    heard: list[tuple[Reply, QThread]] = []
    first = bridge.send(Pause(), lambda reply: heard.append((reply, QThread.currentThread())))
    second = bridge.send(Resume(), lambda reply: heard.append((reply, QThread.currentThread())))
    for number in (second, first, first, 99):
        with qtbot.waitSignal(bridge.delivered):
            engine.emit(Reply(number, Done()))
    assert heard == [(Reply(second, Done()), qapp.thread()), (Reply(first, Done()), qapp.thread())]


def test_a_refusal_that_nobody_listens_for_is_a_signal(bridged: tuple[EngineBridge, FakeEngine], qtbot: QtBot) -> None:
    bridge, engine = bridged
    number = bridge.send(Pause())
    with qtbot.waitSignal(bridge.refused) as refused:
        engine.emit(Reply(number, Refused(ERROR)))
    assert refused.args == [ERROR]


def test_requests_made_before_the_engine_runs_arrive_in_order(qtbot: QtBot) -> None:
    engines: list[FakeEngine] = []
    may_build = threading.Event()

    def make_engine() -> FakeEngine:
        may_build.wait()
        engines.append(FakeEngine())
        return engines[0]

    bridge = EngineBridge(make_engine)
    requests: list[Request] = [Find(Query("rain")), Pause(), Resume()]
    numbers = [bridge.send(requests[0])]
    bridge.start()
    numbers += [bridge.send(requests[1]), bridge.send(requests[2])]
    assert len(set(numbers)) == 3
    may_build.set()
    qtbot.waitUntil(lambda: bool(engines) and len(engines[0].requests) == 3)
    assert engines[0].requests == requests
    bridge.close()


def test_the_engine_is_made_off_the_ui_thread(qtbot: QtBot) -> None:
    makers: list[threading.Thread] = []

    def make_engine() -> FakeEngine:
        makers.append(threading.current_thread())
        return FakeEngine([READY])

    bridge = EngineBridge(make_engine)
    with qtbot.waitSignal(bridge.encoder_ready):
        bridge.start()
    assert makers[0] is not threading.current_thread()
    bridge.close()


def test_an_engine_that_cannot_be_made_is_an_engine_that_stopped(
    qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    error = ImportError("no such module")

    def make_engine() -> FakeEngine:
        raise error

    bridge = EngineBridge(make_engine)
    with qtbot.waitSignal(bridge.engine_stopped) as stopped, caplog.at_level(logging.ERROR):
        bridge.start()
    assert stopped.args == [EngineStopped(error)]
    assert "no such module" in caplog.text


def test_closing_ends_the_engine_and_silences_it(bridged: tuple[EngineBridge, FakeEngine]) -> None:
    bridge, engine = bridged
    seen: list[EncoderReady] = []
    bridge.encoder_ready.connect(seen.append)
    engine.emit(READY)  # on its way, perhaps, when the bridge closes
    bridge.close()
    QApplication.processEvents()
    assert engine.closed
    assert not engine.thread.is_alive()
    assert seen == []


def test_closing_while_the_engine_is_being_made_closes_it_too(qtbot: QtBot) -> None:
    engines: list[FakeEngine] = []
    building = threading.Event()

    def make_engine() -> FakeEngine:
        building.set()
        engines.append(FakeEngine())
        return engines[0]

    bridge = EngineBridge(make_engine)
    bridge.start()
    building.wait()
    bridge.close()  # before the event loop could adopt the engine
    QApplication.processEvents()
    assert engines[0].closed


def test_starting_anew_leaves_the_earlier_engine_unheard(qtbot: QtBot) -> None:
    engines: list[FakeEngine] = []

    def make_engine() -> FakeEngine:
        engines.append(FakeEngine([opened()]))
        return engines[-1]

    bridge = EngineBridge(make_engine)
    with qtbot.waitSignal(bridge.library_opened):
        bridge.start()
    ready: list[EncoderReady] = []
    bridge.encoder_ready.connect(ready.append)
    stale = engines[0].on_message
    openings: list[LibraryOpened] = []
    bridge.library_opened.connect(openings.append)
    with qtbot.waitSignal(bridge.library_opened):
        bridge.start()
    stale(READY)
    QApplication.processEvents()
    assert engines[0].closed
    assert ready == []
    assert len(openings) == 1
    bridge.close()
