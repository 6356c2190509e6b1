"""The only seam between Qt and the engine: requests go out, replies come back to who asked, events as Qt signals."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from typing import Protocol

from PySide6.QtCore import QObject, Qt, Signal

from engine.errors import KnownError
from engine.service.messages import (
    EncoderReady,
    EngineStopped,
    Event,
    FoldersChanged,
    Indexed,
    IndexFinished,
    LibraryOpened,
    ProblemOccurred,
    Refused,
    Reply,
    Request,
)

log = logging.getLogger(__name__)

OnMessage = Callable[[Reply | Event], None]
OnReply = Callable[[Reply], None]


class ClientLike(Protocol):
    """What the desktop needs of ``engine.service.engine.Client``."""

    def send(self, request_id: int, request: Request) -> None:
        """Queue a request; never blocks."""


class EngineLike(Protocol):
    """What the desktop needs of ``engine.service.engine.Engine``."""

    def connect(self, on_message: OnMessage) -> ClientLike:
        """A new client, whose messages arrive on another thread."""

    def start(self) -> None:
        """Start the engine thread."""

    def close(self) -> bool:
        """End the engine thread and wait for it; False when it did not end in time."""


EngineFactory = Callable[[], EngineLike]


class EngineBridge(QObject):
    """Starts the engine away from the UI thread and delivers on the UI thread what it says.

    The factory imports the engine, which takes a while, so it too runs away from the UI thread; requests sent in the
    meantime wait in order.

    Signals:
        one for each kind of event; refused(KnownError): a request was refused whose sender did not ask for the reply.
    """

    library_opened = Signal(LibraryOpened)
    encoder_ready = Signal(EncoderReady)
    folders_changed = Signal(FoldersChanged)
    indexed = Signal(Indexed)
    index_finished = Signal(IndexFinished)
    problem_occurred = Signal(ProblemOccurred)
    engine_stopped = Signal(EngineStopped)
    refused = Signal(KnownError)
    delivered = Signal(object)
    """Any reply or event, after all else has heard of it."""
    _arrived = Signal(int, object)
    _built = Signal(int)

    def __init__(self, make_engine: EngineFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._make_engine = make_engine
        self._engine: EngineLike | None = None
        self._client: ClientLike | None = None
        self._fresh: tuple[EngineLike, ClientLike] | None = None
        self._starter: Thread | None = None
        self._run = 0
        self._last_id = 0
        self._waiting: list[tuple[int, Request]] = []
        self._asked: dict[int, OnReply] = {}
        self._signals: dict[type[Event], Callable[[Event], None]] = {
            LibraryOpened: self.library_opened.emit,
            EncoderReady: self.encoder_ready.emit,
            FoldersChanged: self.folders_changed.emit,
            Indexed: self.indexed.emit,
            IndexFinished: self.index_finished.emit,
            ProblemOccurred: self.problem_occurred.emit,
            EngineStopped: self.engine_stopped.emit,
        }
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._built.connect(self._adopt, Qt.ConnectionType.QueuedConnection)

    @property
    def running(self) -> bool:
        """Whether there is an engine that takes requests."""
        return self._client is not None

    def start(self) -> None:
        """Start an engine, closing the one before, which is not heard any more."""
        self._end()
        run = self._run
        self._starter = Thread(target=self._build, args=(run,), name="engine starter", daemon=True)
        self._starter.start()

    def send(self, request: Request, on_reply: OnReply | None = None) -> int:
        """Send a request, or keep it until the engine has started; returns its number.

        Args:
            request: The request.
            on_reply: Called with the reply; without it, a refusal becomes a signal.
        """
        self._last_id += 1
        self._asked[self._last_id] = on_reply or self._note_refusal
        if self._client is None:
            self._waiting.append((self._last_id, request))
        else:
            self._client.send(self._last_id, request)
        return self._last_id

    def close(self) -> None:
        """Close the engine, if there is one, and wait for it. Requests that still waited are dropped."""
        self._end()
        self._waiting.clear()

    def _end(self) -> None:
        self._run += 1
        if self._starter is not None:
            self._starter.join()
            self._starter = None
        fresh = self._fresh[0] if self._fresh is not None else None
        for engine in (self._engine, fresh):
            if engine is not None:
                engine.close()
        self._engine = self._client = self._fresh = None
        waiting = {number for number, _ in self._waiting}
        self._asked = {number: on_reply for number, on_reply in self._asked.items() if number in waiting}

    def _build(self, run: int) -> None:
        try:
            engine = self._make_engine()
            client = engine.connect(lambda message: self._arrived.emit(run, message))
            engine.start()
        except Exception as error:
            log.exception("the engine could not be started")
            self._arrived.emit(run, EngineStopped(error))
        else:
            self._fresh = (engine, client)
            self._built.emit(run)

    def _adopt(self, run: int) -> None:
        if run != self._run or self._fresh is None:
            return
        (self._engine, self._client), self._fresh = self._fresh, None
        for number, request in self._waiting:
            self._client.send(number, request)
        self._waiting.clear()

    def _deliver(self, run: int, message: Reply | Event) -> None:
        if run != self._run:
            return
        if isinstance(message, Reply):
            on_reply = self._asked.pop(message.request_id, None)
            if on_reply is not None:
                on_reply(message)
        else:
            self._signals[type(message)](message)
        self.delivered.emit(message)

    def _note_refusal(self, reply: Reply) -> None:
        if isinstance(reply.outcome, Refused):
            self.refused.emit(reply.outcome.error)
