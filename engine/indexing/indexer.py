"""One run of scanning and indexing, in small steps, so that searches are answered between them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.errors import ErrorKind, KnownError
from engine.indexing.decode_pool import DecodePool, Job, Message
from engine.indexing.embedder import BATCH_S, Assembly, Embedder, decode_options
from engine.indexing.folder_scan import POLL_S, FolderScan, Outcome
from engine.indexing.run import Run
from engine.library.protocols import Adopted, Catalogue, IndexedSound, PendingSound, WorkQueue
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.media.drives import Drives
from engine.media.fingerprint import Fingerprint
from engine.media.scan import ScanProblem, missing_folder
from engine.models.packs import Pack
from engine.models.source import EncoderSource

log = logging.getLogger(__name__)

CLAIMED_AT_ONCE = 32  # few, so that processes that share the work end it together
OFFLINE_SIGNS = frozenset({ErrorKind.SOUND_VANISHED, ErrorKind.SOUND_TIMEOUT})


class Indexer:
    """Scans folders, then embeds everything pending. State lives in the library, so a run may end at any point.

    What needs no vector (scanning, and recognising files by their fingerprint) needs no encoder: it is loaded when the
    first file must be embedded, while decoding goes on.

    Args:
        catalogue: The library's folders and sounds.
        work: What is to be done in it.
        pack: The pack that sounds are embedded with.
        encoders: Loads its encoder.
        workers: Number of decode processes; None as in ``DecodePool``.
        drives: Tells which folders are there.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        work: WorkQueue,
        pack: Pack,
        encoders: EncoderSource,
        workers: int | None = None,
        drives: Drives | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._work = work
        self._pack = pack
        self._encoders = encoders
        self._workers = workers
        self._drives = drives or Drives()
        self._run = Run()

    @property
    def progress(self) -> IndexProgress:
        """Where the present or last run stands."""
        return self._run.progress

    @property
    def summary(self) -> IndexSummary:
        """What the present or last run has done so far."""
        return self._run.summary

    @property
    def problems(self) -> tuple[ScanProblem, ...]:
        """Folders and names that the run could not take in."""
        return tuple(self._run.problems)

    @property
    def running(self) -> bool:
        """Whether there is a run."""
        return self._run.phase is not IndexPhase.IDLE

    def begin(self, folder_ids: Sequence[int], places: Sequence[Path] = ()) -> None:
        """Scan these folders and places in folders (in addition to what a run is scanning), then index what is pending.

        Args:
            folder_ids: Folders to scan whole.
            places: Absolute paths of folders or files inside the library's folders; others are passed over.
        """
        if not self.running:
            self._run = Run(phase=IndexPhase.SCANNING)
        run = self._run
        whole = {scan.folder_id for scan in run.scans if not scan.scope}
        for folder_id in dict.fromkeys(folder_ids):
            if folder_id not in whole:
                run.scans.append(FolderScan(folder_id, (), self._catalogue, self._drives))
        for folder in self._catalogue.folders() if places else ():
            scope = [place for place in places if place.is_relative_to(folder.path)]
            if scope:
                run.scans.append(FolderScan(folder.folder_id, scope, self._catalogue, self._drives))
        if run.scans:
            run.phase = IndexPhase.SCANNING

    def step(self) -> bool:
        """Do one small piece of work; False when the run is over.

        Raises:
            KnownError: The library cannot be written (disk full, locked), or the encoder cannot be loaded; the run is
                cancelled, nothing is lost.
        """
        try:
            if self._run.phase is IndexPhase.SCANNING:
                self._scan_step(self._run)
            elif self._run.phase is IndexPhase.INDEXING:
                self._index_step(self._run)
        except BaseException:
            self.cancel()
            raise
        return self.running

    def cancel(self) -> list[int]:
        """End the run; what is written stays. Returns the folders it had not finished scanning."""
        unscanned = list(dict.fromkeys(scan.folder_id for scan in self._run.scans))
        self._finish()
        return unscanned

    # Scanning -----------------------------------------------------------------------------------------------------

    def _scan_step(self, run: Run) -> None:
        if not run.scans:
            self._begin_indexing(run)
            return
        scan = run.scans[0]
        slice_ = scan.step()
        run.found += slice_.found
        run.unchanged += slice_.known
        run.gone += slice_.gone
        for problem in slice_.problems:
            run.note(problem)
        if slice_.outcome is Outcome.DONE:
            run.scans.remove(scan)

    def _begin_indexing(self, run: Run) -> None:
        run.total = run.done + self._work.count() - run.held
        if run.total == run.done:
            self._complete(run)
            return
        run.phase = IndexPhase.INDEXING
        run.exhausted = False

    # Indexing -----------------------------------------------------------------------------------------------------

    def _index_step(self, run: Run) -> None:
        if run.pool is None or run.embedder is None:
            run.embedder = Embedder(self._pack, self._encoders.get)
            run.pool = DecodePool(decode_options(self._pack), self._workers)
        self._work.renew()
        self._submit(run, run.pool, run.embedder)
        started_s = time.monotonic()
        # What is ready comes first: taking in more than is embedded would pile up a whole long sound here.
        messages = [] if run.embedder.ready_s >= BATCH_S else run.pool.poll(POLL_S)
        failures: list[tuple[int, KnownError]] = []
        for message in messages:
            self._receive(run, run.pool, run.embedder, message, failures)
        if run.embedder.ready_s >= BATCH_S or (run.embedder.ready_s and not messages):
            if self._encoders.ready() is not None:
                run.audio_s += run.embedder.embed()
            else:
                self._encoders.wait(POLL_S)
                started_s = time.monotonic()  # loading is no part of what a sound takes
        self._save(run, list(run.embedder.collect()), failures)
        run.embedding_s += time.monotonic() - started_s
        if not run.flying and run.exhausted and not run.queue:
            self._complete(run)

    def _submit(self, run: Run, pool: DecodePool, embedder: Embedder) -> None:
        while pool.capacity > 0:
            if not run.queue and not run.exhausted:
                run.queue.extend(self._work.claim(CLAIMED_AT_ONCE))
                run.exhausted = not run.queue
            if not run.queue:
                return
            sound = run.queue.popleft()
            if run.is_offline(sound.path):
                self._hold(run)
                continue
            run.flying[sound.sound_id] = sound
            self._start(pool, embedder, sound, fingerprint_only=sound.maybe_known)

    def _start(self, pool: DecodePool, embedder: Embedder, sound: PendingSound, fingerprint_only: bool) -> None:
        if not fingerprint_only:
            self._encoders.start()
            embedder.open(sound.sound_id)
        pool.submit(Job(sound.sound_id, sound.path, fingerprint_only, sound.by_file))

    def _receive(
        self,
        run: Run,
        pool: DecodePool,
        embedder: Embedder,
        message: Message,
        failures: list[tuple[int, KnownError]],
    ) -> None:
        job_id, part = message
        sound = run.flying[job_id]
        run.current = sound.path
        if isinstance(part, Fingerprint):
            adopted = self._work.adopt(job_id, part, sound.size, sound.mtime_ns)
            if adopted is None:
                self._start(pool, embedder, sound, fingerprint_only=False)
                return
            run.moved += adopted is Adopted.MOVED
            run.indexed += adopted is Adopted.DUPLICATE
            run.unchanged += adopted is Adopted.UNCHANGED
            self._done(run, job_id)
        elif isinstance(part, KnownError):
            embedder.drop(job_id)
            if part.kind in OFFLINE_SIGNS and self._is_offline(run, sound.path):
                del run.flying[job_id]
                self._hold(run)
            else:
                failures.append((job_id, part))
        else:
            embedder.add(job_id, part)

    def _save(self, run: Run, complete: list[tuple[int, Assembly]], failures: list[tuple[int, KnownError]]) -> None:
        items = []
        for job_id, assembly in complete:
            assert assembly.info is not None
            starts, ends = zip(*assembly.segments, strict=True)
            items.append(IndexedSound(job_id, assembly.info, starts, ends, np.stack(assembly.vectors)))
        if items:
            self._work.save_indexed(items)
            run.indexed += len(items)
        if failures:
            self._work.save_failures(failures)
            run.failed += len(failures)
        for job_id, _ in [*complete, *failures]:
            self._done(run, job_id)

    def _is_offline(self, run: Run, path: Path) -> bool:
        """Whether the folder that holds this sound is not there now, as when its drive was unplugged."""
        if run.roots is None:
            run.roots = tuple(folder.path for folder in self._catalogue.folders())
        root = next((root for root in run.roots if path.is_relative_to(root)), None)
        if root is None or self._drives.have([str(root)]) == [True]:
            return False
        run.offline.add(root)
        run.note(missing_folder(root))
        return True

    def _hold(self, run: Run) -> None:
        """Leave a sound pending until its drive is back; it stays claimed, so that this run does not meet it again."""
        run.held += 1
        run.done += 1

    def _done(self, run: Run, job_id: int) -> None:
        del run.flying[job_id]
        run.done += 1

    def _complete(self, run: Run) -> None:
        run.missing = self._catalogue.count_missing(run.gone)
        run.elsewhere = self._work.count() - run.held
        run.total = run.done
        self._finish()

    def _finish(self) -> None:
        run = self._run
        if run.pool is not None:
            run.pool.close()
        run.pool = run.embedder = None
        run.scans.clear()
        run.queue.clear()
        run.flying.clear()
        run.phase = IndexPhase.IDLE
        try:
            self._work.release()
        except KnownError as error:  # the library is out of reach: the claims end with their lease
            log.warning("claims were not given back: %s", error)
