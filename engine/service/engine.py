"""The engine thread: the one owner of the encoder and the store. Everyone else sends it messages."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import KnownError
from engine.library.types import IndexPhase
from engine.service import messages as m

if TYPE_CHECKING:
    from engine.service.session import Session

log = logging.getLogger(__name__)

PROGRESS_INTERVAL_S = 0.2
FOLDERS_INTERVAL_S = 2.0


class _Stop:
    """Inbox item that ends the thread."""


class Engine:
    """Answers requests and indexes in between, on a thread of its own.

    Args:
        library: The library file; made when it does not exist.
        pack: Name of the model pack, or its folder.
        on_event: Called on the engine thread for every event; must not block.
    """

    def __init__(self, library: Path, pack: str, on_event: Callable[[m.Event], None]) -> None:
        self._library = library
        self._pack = pack
        self._emit = on_event
        self._inbox: queue.Queue[m.Request | _Stop] = queue.Queue()
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread; LibraryOpened and EncoderReady follow, or EngineStopped."""
        self._thread.start()

    def send(self, request: m.Request) -> None:
        """Queue a request; never blocks. Searches sent before the encoder is ready are answered once it is."""
        self._inbox.put(request)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Stop the thread after the step it is in; False when it did not end in time."""
        self._inbox.put(_Stop())
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _main(self) -> None:
        error: Exception | None = None
        try:
            from engine.models.packs import find_pack
            from engine.service.session import Session

            session = Session(self._library, find_pack(self._pack))
            try:
                _Loop(session, self._inbox, self._emit).run()
            finally:
                session.close()
        except KnownError as known:
            log.warning("engine stopped: %s", known)
            error = known
        except Exception as bug:
            log.exception("engine stopped by a bug")
            error = bug
        self._emit(m.EngineStopped(error))


class _Loop:
    """Takes a request if there is one, else does one small step of indexing."""

    def __init__(
        self, session: Session, inbox: queue.Queue[m.Request | _Stop], emit: Callable[[m.Event], None]
    ) -> None:
        self._session = session
        self._inbox = inbox
        self._emit = emit
        self._paused = False
        self._away: set[int] = set()  # folders that were not there when last looked for
        self._last_progress = self._last_folders = 0.0

    def run(self) -> None:
        store = self._session.store
        self._emit(m.LibraryOpened(store.status(), store.folders(), store.read_only))
        self._emit(m.EncoderReady(self._session.pack.pack_id, self._session.encoder().device))
        folders = store.folders()
        available = [folder.folder_id for folder in folders if folder.available]
        self._away = {folder.folder_id for folder in folders} - set(available)
        if not store.read_only and (available or store.count_pending()):
            self._session.indexer.begin(available)  # what changed meanwhile, and what an earlier run left
        while True:
            for request in self._take(self._idle_s()):
                if isinstance(request, _Stop):
                    return
                self._guard(partial(self._handle, request), request)
            if self._working:
                self._guard(self._step)
            elif self._away and time.monotonic() - self._last_folders >= FOLDERS_INTERVAL_S:
                self._guard(self._report_folders)

    @property
    def _working(self) -> bool:
        return self._session.indexer.running and not self._paused

    def _idle_s(self) -> float | None:
        """How long to wait for a request: not at all, until folders are to be looked for again, or for ever."""
        if self._working:
            return 0.0
        return FOLDERS_INTERVAL_S if self._away else None

    def _take(self, wait_s: float | None) -> list[m.Request | _Stop]:
        """All requests waiting, but of the searches only the newest."""
        requests: list[m.Request | _Stop] = []
        try:
            requests.append(self._inbox.get(block=wait_s != 0.0, timeout=wait_s))
            while True:
                requests.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        searches = [request for request in requests if isinstance(request, m.Search | m.FindSimilar)]
        return [r for r in requests if not isinstance(r, m.Search | m.FindSimilar) or r is searches[-1]]

    def _guard(self, act: Callable[[], None], request: m.Request | None = None) -> None:
        """Known errors become events and the loop goes on; bugs end the engine."""
        try:
            act()
        except KnownError as error:
            log.warning("%s", error)
            if isinstance(request, m.Search | m.FindSimilar):
                self._emit(m.SearchFailed(request.request_id, error))
            else:
                self._emit(m.ProblemOccurred(error))
                if request is None:  # a step of indexing: the run has ended, and can be taken up again
                    self._finished(cancelled=True)
                self._report(force=True)

    def _handle(self, request: m.Request) -> None:
        session, store = self._session, self._session.store
        match request:
            case m.Search() | m.FindSimilar():
                self._answer(request)
            case m.AddFolder(path):
                session.indexer.begin([session.add_folder(path)])
                self._report(force=True)
            case m.RemoveFolder(folder_id):
                running = session.indexer.running
                unscanned = session.indexer.cancel()
                store.remove_folder(folder_id)
                if running:
                    session.indexer.begin(unscanned)
                self._report(force=True)
            case m.Rescan():
                session.indexer.begin([folder.folder_id for folder in store.folders()])
                self._report(force=True)
            case m.Pause():
                self._paused = True
                self._report(force=True)
            case m.Resume():
                self._paused = False
                if not session.indexer.running:
                    session.indexer.begin([])
                self._report(force=True)
            case m.Cancel():
                self._paused = False
                if session.indexer.running:
                    session.indexer.cancel()
                    self._finished(cancelled=True)
            case m.ListFailures(limit):
                self._emit(m.FailuresListed(store.failures(limit)))
            case m.RetryFailed():
                store.retry_failed()
                session.indexer.begin([])
                self._report(force=True)

    def _answer(self, request: m.Search | m.FindSimilar) -> None:
        started = time.perf_counter()
        if isinstance(request, m.Search):
            hits = next(self._session.search([request.caption], request.limit))
        else:
            hits = self._session.similar(request.sound, request.limit)
        elapsed_s = time.perf_counter() - started
        self._emit(m.SearchDone(request.request_id, hits, self._session.store.searchable, elapsed_s))

    def _step(self) -> None:
        if self._session.indexer.step():
            self._report()
        else:
            self._finished(cancelled=False)

    def _finished(self, cancelled: bool) -> None:
        self._report(force=True)
        for problem in self._session.problems:
            self._emit(m.ProblemOccurred(KnownError(problem.kind, problem.detail, problem.hint)))
        self._emit(m.IndexFinished(self._session.indexer.summary, cancelled))

    def _report(self, force: bool = False) -> None:
        """Progress a few times a second; folders, whose counts cost a query, more seldom."""
        now = time.monotonic()
        if force or now - self._last_progress >= PROGRESS_INTERVAL_S:
            self._last_progress = now
            progress = self._session.indexer.progress
            if self._paused and progress.phase is not IndexPhase.IDLE:
                progress = replace(progress, phase=IndexPhase.PAUSED)
            self._emit(m.Indexed(progress))
        if force or now - self._last_folders >= FOLDERS_INTERVAL_S:
            self._report_folders()

    def _report_folders(self) -> None:
        """Tell which folders there are, and scan those that have come back."""
        self._last_folders = time.monotonic()
        folders = self._session.store.folders()
        returned = [folder.folder_id for folder in folders if folder.available and folder.folder_id in self._away]
        self._away = {folder.folder_id for folder in folders if not folder.available}
        self._emit(m.FoldersChanged(folders))
        if returned and not self._session.store.read_only:
            self._session.indexer.begin(returned)
