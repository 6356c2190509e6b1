"""What the engine thread does: takes a request if there is one, else does one small step of indexing."""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.errors import KnownError
from engine.library.types import IndexPhase, SoundState
from engine.service import messages as m
from engine.service.client import Inbox, Sent

if TYPE_CHECKING:
    from engine.service.session import Session

log = logging.getLogger(__name__)

PROGRESS_INTERVAL_S = 0.2
FOLDERS_INTERVAL_S = 2.0
LOADING_INTERVAL_S = 0.02
"""How often to look whether the encoder is loaded, where there is nothing else to do."""


class Loop:
    """Serves one library until it is asked to end. Every request gets one reply, also when a bug ends the loop.

    Args:
        session: The open library.
        inbox: What clients send.
        reply: Sends the reply to a request.
        emit: Sends an event to all clients.
    """

    def __init__(
        self,
        session: Session,
        inbox: Inbox,
        reply: Callable[[Sent, m.Outcome], None],
        emit: Callable[[m.Event], None],
    ) -> None:
        self._session = session
        self._catalogue = session.library.catalogue
        self._inbox = inbox
        self._reply = reply
        self._emit = emit
        self._taken: deque[Sent | None] = deque()  # what is being answered now
        self._waiting: list[Sent] = []  # searches that cannot be answered before the encoder is loaded
        self._loading = True
        self._paused = False
        self._away: set[int] = set()  # folders that were not there when last looked for
        self._last_progress = self._last_folders = 0.0

    def run(self) -> None:
        """Serve until None is taken from the inbox; then all that waits goes back there, to be refused."""
        catalogue = self._catalogue
        folders = catalogue.folders()
        self._emit(m.LibraryOpened(catalogue.status(), folders, catalogue.read_only, catalogue.notice))
        self._session.encoders.start()
        available = [folder.folder_id for folder in folders if folder.available]
        self._away = {folder.folder_id for folder in folders} - set(available)
        if not catalogue.read_only and (available or catalogue.status().counts[SoundState.PENDING]):
            self._session.indexer.begin(available)  # what changed meanwhile, and what an earlier run left
        try:
            self._serve()
        finally:
            for sent in (*self._taken, *self._waiting):
                self._inbox.put(sent)

    def _serve(self) -> None:
        while True:
            self._taken.extend(self._take(self._idle_s()))
            if self._loading:
                self._look_at_encoder()
            while self._taken:
                sent = self._taken[0]
                if sent is None:
                    return
                self._answer(sent)
                self._taken.popleft()
            if self._working:
                self._step()
            elif self._away and time.monotonic() - self._last_folders >= FOLDERS_INTERVAL_S:
                self._guard(self._report_folders)

    @property
    def _working(self) -> bool:
        return self._session.indexer.running and not self._paused

    def _idle_s(self) -> float | None:
        """How long to wait for a request: not at all, until something is to be looked at again, or for ever."""
        if self._working:
            return 0.0
        if self._loading:
            return LOADING_INTERVAL_S
        return FOLDERS_INTERVAL_S if self._away else None

    def _take(self, wait_s: float | None) -> list[Sent | None]:
        """All that waits in the inbox; of each client's searches the newest stays, the older are superseded."""
        taken: list[Sent | None] = []
        try:
            taken.append(self._inbox.get(block=wait_s != 0.0, timeout=wait_s))
            while True:
                taken.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        searches = [sent for sent in taken if sent is not None and isinstance(sent.request, m.Find)]
        newest = {sent.client: sent for sent in searches}
        for sent in [*self._waiting, *searches]:
            if sent.client in newest and newest[sent.client] is not sent:
                self._reply(sent, m.Superseded())
        self._waiting = [sent for sent in self._waiting if sent.client not in newest]
        stale = {id(sent) for sent in searches} - {id(sent) for sent in newest.values()}
        return [sent for sent in taken if id(sent) not in stale]

    def _answer(self, sent: Sent) -> None:
        try:
            outcome = self._handle(sent)
        except KnownError as error:
            log.warning("%s", error)
            outcome = m.Refused(error)
        if outcome is not None:
            self._reply(sent, outcome)

    def _handle(self, sent: Sent) -> m.Outcome | None:
        """Carry out a request; None where its reply has to wait for the encoder."""
        session = self._session
        match sent.request:
            case m.Find(query):
                if self._loading and session.needs_encoder(query):
                    self._waiting.append(sent)
                    return None
                return self._found(sent.request)
            case m.ListFolders():
                return m.FoldersListed(self._catalogue.folders())
            case m.ListFailures(limit):
                return m.FailuresListed(self._catalogue.failures(limit))
            case m.AddFolder(path):
                folder_id = session.add_folder(path)
                session.indexer.begin([folder_id])
                self._report_now()
                return m.FolderAdded(folder_id)
            case m.RemoveFolder(folder_id):
                session.remove_folder(folder_id)
            case m.RelinkFolder(folder_id, path):
                session.relink_folder(folder_id, path)
            case m.Rescan(places):
                session.rescan(places)
            case m.Pause():
                self._paused = True
            case m.Resume():
                self._paused = False
                if not session.indexer.running:
                    session.indexer.begin([])
            case m.Cancel():
                self._paused = False
                if session.indexer.running:
                    session.indexer.cancel()
                    self._finished(cancelled=True)
                return m.Done()
            case m.RetryFailed():
                session.retry_failed()
        self._report_now()
        return m.Done()

    def _found(self, request: m.Find) -> m.Found:
        started = time.perf_counter()
        hits = self._session.find(request.query)
        searched = self._catalogue.count_searchable()
        return m.Found(hits, searched, time.perf_counter() - started)

    def _look_at_encoder(self) -> None:
        """Once it is loaded, or cannot be, answer what waited for it."""
        try:
            encoder = self._session.encoders.ready()
        except KnownError as error:
            log.warning("%s", error)
            self._loading = False
        else:
            if encoder is None:
                return
            self._loading = False
            self._emit(m.EncoderReady(self._session.pack.pack_id, encoder.device))
        self._taken.extendleft(reversed(self._waiting))
        self._waiting.clear()

    def _step(self) -> None:
        try:
            going_on = self._session.indexer.step()
        except KnownError as error:  # the run has ended, and can be taken up again
            log.warning("%s", error)
            self._emit(m.ProblemOccurred(error))
            self._finished(cancelled=True)
            return
        if going_on:
            self._guard(self._report)
        else:
            self._finished(cancelled=False)

    def _guard(self, act: Callable[[], None]) -> None:
        """Known errors become events and the loop goes on; bugs end the engine."""
        try:
            act()
        except KnownError as error:
            log.warning("%s", error)
            self._emit(m.ProblemOccurred(error))

    def _finished(self, cancelled: bool) -> None:
        """Tell of the end of a run, whatever else cannot be told."""
        self._report_now()
        for problem in self._session.problems:
            self._emit(m.ProblemOccurred(KnownError(problem.kind, problem.detail, problem.hint)))
        self._emit(m.IndexFinished(self._session.indexer.summary, cancelled))

    def _report_now(self) -> None:
        """Report in any case; what was done stays done, also where it cannot be reported."""
        self._guard(lambda: self._report(force=True))

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
        folders = self._catalogue.folders()
        returned = [folder.folder_id for folder in folders if folder.available and folder.folder_id in self._away]
        self._away = {folder.folder_id for folder in folders if not folder.available}
        self._emit(m.FoldersChanged(folders))
        if returned and not self._catalogue.read_only:
            self._session.indexer.begin(returned)
