"""The engine thread: the one owner of the library and the encoder. Clients send it requests."""

from __future__ import annotations

import logging
import queue
import threading
from pathlib import Path

from engine.errors import ErrorKind, KnownError
from engine.service import messages as m
from engine.service.client import Client, Inbox, OnMessage, Sent
from engine.service.loop import Loop

log = logging.getLogger(__name__)


class Engine:
    """Answers requests and indexes in between, on a thread of its own.

    Args:
        library: The library file; made when it does not exist.
        pack: Name of the model pack, or its folder.
    """

    def __init__(self, library: Path, pack: str) -> None:
        self._library = library
        self._pack = pack
        self._inbox: Inbox = queue.Queue()
        self._clients: list[Client] = []
        self._news: dict[type, m.Event] = {}  # what a client that connects late is told first
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)

    def connect(self, on_message: OnMessage) -> Client:
        """A new client, at any time.

        Args:
            on_message: Called with replies and events, on the engine thread as a rule; must not block.
        """
        client = Client(self._take, self._disconnect, on_message)
        with self._lock:
            self._clients.append(client)
            for event in self._news.values():
                on_message(event)
        return client

    def _disconnect(self, client: Client) -> None:
        with self._lock:
            if client in self._clients:
                self._clients.remove(client)

    def start(self) -> None:
        """Start the thread, unless it was closed; LibraryOpened and EncoderReady follow, or EngineStopped."""
        if not self._stopped:
            self._thread.start()

    def _take(self, sent: Sent) -> None:
        with self._lock:
            if not self._stopped:
                self._inbox.put(sent)
                return
        self._refuse(sent)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Stop the thread after the step it is in; False when it did not end in time."""
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        elif not self._stopped:  # it never started, so nobody else replies to what waits
            self._end(None)
        return not self._thread.is_alive()

    def _main(self) -> None:
        error: Exception | None = None
        try:
            from engine.models.packs import find_pack
            from engine.service.opening import open_session

            session = open_session(self._library, find_pack(self._pack))
            try:
                Loop(session, self._inbox, self._reply, self._emit).run()
            finally:
                session.close()
        except KnownError as known:
            log.warning("engine stopped: %s", known)
            error = known
        except Exception as bug:
            log.exception("engine stopped by a bug")
            error = bug
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        """Take no more requests, refuse those that wait, and say so."""
        with self._lock:
            self._stopped = True
        while not self._inbox.empty():
            sent = self._inbox.get_nowait()
            if sent is not None:
                self._refuse(sent)
        self._emit(m.EngineStopped(error))

    def _reply(self, sent: Sent, outcome: m.Outcome) -> None:
        with self._lock:
            hears = sent.client in self._clients
        if hears:
            sent.client.on_message(m.Reply(sent.request_id, outcome))

    def _refuse(self, sent: Sent) -> None:
        error = KnownError(
            ErrorKind.ENGINE_STOPPED, "The search engine is not running.", "Start it again, or restart Foundsound."
        )
        self._reply(sent, m.Refused(error))

    def _emit(self, event: m.Event) -> None:
        with self._lock:
            if isinstance(event, m.LibraryOpened | m.EncoderReady | m.EngineStopped):
                self._news[type(event)] = event
            clients = list(self._clients)
        for client in clients:
            client.on_message(event)
