"""The only seam between Qt and the engine: requests go out, engine events come in as Qt signals."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from typing import Protocol

from PySide6.QtCore import QObject, Qt, Signal

from engine.service.messages import (
    EncoderReady,
    EngineStopped,
    Event,
    FailuresListed,
    FoldersChanged,
    Indexed,
    IndexFinished,
    LibraryOpened,
    ProblemOccurred,
    Request,
    SearchDone,
    SearchFailed,
)

log = logging.getLogger(__name__)


class EngineLike(Protocol):
    """What the desktop needs of ``engine.service.engine.Engine``."""

    def start(self) -> None:
        """Start the engine thread."""

    def send(self, request: Request) -> None:
        """Queue a request; never blocks."""

    def close(self) -> bool:
        """End the engine thread and wait for it; False when it did not end in time."""


EngineFactory = Callable[[Callable[[Event], None]], EngineLike]


class EngineBridge(QObject):
    """Starts the engine away from the UI thread and delivers its events on the UI thread, one signal per kind.

    The factory imports the engine, which takes a while, so it too runs away from the UI thread; requests sent in the
    meantime wait in order.
    """

    library_opened = Signal(object)
    encoder_ready = Signal(object)
    folders_changed = Signal(object)
    indexed = Signal(object)
    index_finished = Signal(object)
    search_done = Signal(object)
    search_failed = Signal(object)
    failures_listed = Signal(object)
    problem_occurred = Signal(object)
    engine_stopped = Signal(object)
    _arrived = Signal(int, object)
    _built = Signal(int)

    def __init__(self, make_engine: EngineFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._make_engine = make_engine
        self._engine: EngineLike | None = None
        self._fresh: EngineLike | None = None
        self._starter: Thread | None = None
        self._run = 0
        self._waiting: list[Request] = []
        self._signals: dict[type[Event], Callable[[Event], None]] = {
            LibraryOpened: self.library_opened.emit,
            EncoderReady: self.encoder_ready.emit,
            FoldersChanged: self.folders_changed.emit,
            Indexed: self.indexed.emit,
            IndexFinished: self.index_finished.emit,
            SearchDone: self.search_done.emit,
            SearchFailed: self.search_failed.emit,
            FailuresListed: self.failures_listed.emit,
            ProblemOccurred: self.problem_occurred.emit,
            EngineStopped: self.engine_stopped.emit,
        }
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._built.connect(self._adopt, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Start an engine, closing the one before. Events of an earlier engine are no longer delivered."""
        self._end()
        run = self._run
        self._starter = Thread(target=self._build, args=(run,), name="engine starter", daemon=True)
        self._starter.start()

    def send(self, request: Request) -> None:
        """Send a request, or keep it until the engine has started."""
        if self._engine is None:
            self._waiting.append(request)
        else:
            self._engine.send(request)

    def close(self) -> None:
        """Close the engine, if there is one, and wait for it. Requests that still waited are dropped."""
        self._end()
        self._waiting.clear()

    def _end(self) -> None:
        self._run += 1
        if self._starter is not None:
            self._starter.join()
            self._starter = None
        for engine in (self._engine, self._fresh):
            if engine is not None:
                engine.close()
        self._engine = self._fresh = None

    def _build(self, run: int) -> None:
        try:
            engine = self._make_engine(lambda event: self._arrived.emit(run, event))
            engine.start()
        except Exception as error:
            log.exception("the engine could not be started")
            self._arrived.emit(run, EngineStopped(error))
        else:
            self._fresh = engine
            self._built.emit(run)

    def _adopt(self, run: int) -> None:
        if run != self._run or self._fresh is None:
            return
        self._engine, self._fresh = self._fresh, None
        for request in self._waiting:
            self._engine.send(request)
        self._waiting.clear()

    def _deliver(self, run: int, event: Event) -> None:
        if run == self._run:
            self._signals[type(event)](event)
