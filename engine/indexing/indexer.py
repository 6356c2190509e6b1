"""One run of scanning and indexing, in small steps, so that searches are answered between them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ErrorKind, KnownError
from engine.indexing.decode_pool import DecodePool, Job, Message
from engine.indexing.embedder import BATCH_S, Assembly, Embedder, decode_options
from engine.library.store import Adopted, FolderGoneError, IndexedSound, PendingSound, Store
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.media.drives import Drives
from engine.media.scan import FoundFile, ScanProblem, missing_folder, scan_folder, silent_folder
from engine.models.packs import Pack

if TYPE_CHECKING:
    from engine.models.encoder import Encoder

SCAN_SLICE = 500
POLL_S = 0.05
DRIVE_PATIENCE_S = 20.0  # time that a sleeping disk takes to answer
OFFLINE_SIGNS = frozenset({ErrorKind.SOUND_VANISHED, ErrorKind.SOUND_TIMEOUT})


class Indexer:
    """Scans folders, then embeds everything pending. State lives in the store, so a run may end at any point.

    Args:
        store: The library.
        pack: The pack that sounds are embedded with.
        get_encoder: Loads its encoder; called only when there is something to embed.
        workers: Number of decode processes; None as in ``DecodePool``.
        drives: Tells which folders are there.
    """

    def __init__(
        self,
        store: Store,
        pack: Pack,
        get_encoder: Callable[[], Encoder],
        workers: int | None = None,
        drives: Drives | None = None,
    ) -> None:
        self._store = store
        self._pack = pack
        self._get_encoder = get_encoder
        self._workers = workers
        self._drives = drives or Drives()
        self._run = _Run()

    @property
    def progress(self) -> IndexProgress:
        run = self._run
        return IndexProgress(
            phase=run.phase,
            found=run.found,
            done=run.done,
            total=run.total,
            failed=run.failed,
            speed_x=run.audio_s / max(run.embedding_s, 1e-6) if run.audio_s else 0.0,
            remaining_s=run.remaining_s,
            current=run.current,
        )

    @property
    def summary(self) -> IndexSummary:
        """What the run has done so far."""
        run = self._run
        return IndexSummary(
            indexed=run.indexed,
            unchanged=run.unchanged,
            moved=run.moved,
            failed=run.failed,
            missing=run.missing,
            audio_s=run.audio_s,
            elapsed_s=time.monotonic() - run.started,
        )

    @property
    def problems(self) -> tuple[ScanProblem, ...]:
        """Folders and names that the run could not take in."""
        return tuple(self._run.problems)

    @property
    def running(self) -> bool:
        return self._run.phase is not IndexPhase.IDLE

    def begin(self, folder_ids: Sequence[int]) -> None:
        """Scan these folders (in addition to those a run is scanning), then index what is pending."""
        if not self.running:
            self._run = _Run(phase=IndexPhase.SCANNING)
        run = self._run
        run.folders = deque(dict.fromkeys([*run.folders, *folder_ids]))
        if run.folders:
            run.phase = IndexPhase.SCANNING

    def step(self) -> bool:
        """Do one small piece of work; False when the run is over.

        Raises:
            KnownError: The library cannot be written (disk full, locked); the run is cancelled, nothing is lost.
        """
        try:
            if self._run.phase is IndexPhase.SCANNING:
                self._scan_step()
            elif self._run.phase is IndexPhase.INDEXING:
                self._index_step()
        except BaseException:
            self.cancel()
            raise
        return self.running

    def cancel(self) -> list[int]:
        """End the run; what is written stays. Returns the folders it had not finished scanning."""
        unscanned = list(self._run.folders)
        self._finish()
        return unscanned

    # Scanning -----------------------------------------------------------------------------------------------------

    def _scan_step(self) -> None:
        run = self._run
        if not run.folders:
            self._begin_indexing()
            return
        try:
            if run.scan is None:
                run.scan = _FolderScan(run.folders[0], self._store, self._drives)
                return
            if run.scan.step(run):
                return
        except FolderGoneError:  # into one that holds it, which scans it, or out of the library
            pass
        run.folders.popleft()
        run.scan = None

    def _begin_indexing(self) -> None:
        self._run.total = self._run.done + self._store.count_pending()
        if self._run.total == self._run.done:
            self._complete()
            return
        self._run.phase = IndexPhase.INDEXING
        self._run.queue.clear()
        self._run.last_id, self._run.exhausted = 0, False

    # Indexing -----------------------------------------------------------------------------------------------------

    def _index_step(self) -> None:
        run = self._run
        if run.pool is None or run.embedder is None:
            run.embedder = Embedder(self._pack, self._get_encoder)
            run.pool = DecodePool(decode_options(self._pack), self._workers)
        self._submit(run, run.pool)
        self._get_encoder()  # where it has yet to load, the first files are decoded meanwhile
        started = time.monotonic()
        # What is ready comes first: taking in more than is embedded would pile up a whole long sound here.
        messages = [] if run.embedder.ready_s >= BATCH_S else run.pool.poll(POLL_S)
        failures: list[tuple[int, KnownError]] = []
        for message in messages:
            self._receive(run, run.embedder, message, failures)
        if run.embedder.ready_s >= BATCH_S or (run.embedder.ready_s and not messages):
            run.audio_s += run.embedder.embed()
        self._save(run, list(run.embedder.collect()), failures)
        run.embedding_s += time.monotonic() - started
        if not run.flying and run.exhausted and not run.queue:
            self._complete()

    def _submit(self, run: _Run, pool: DecodePool) -> None:
        while pool.capacity > 0:
            if not run.queue and not run.exhausted:
                pending = self._store.next_pending(200, run.last_id)
                run.queue.extend(sound for sound in pending if sound.sound_id not in run.flying)
                run.exhausted = not pending
                run.last_id = pending[-1].sound_id if pending else run.last_id
            if not run.queue:
                if run.exhausted:
                    return
                continue
            sound = run.queue.popleft()
            if any(sound.path.is_relative_to(folder) for folder in run.offline):
                run.done += 1
                continue
            run.flying[sound.sound_id] = sound
            self._start(run, pool, sound, hash_only=sound.maybe_known)

    def _start(self, run: _Run, pool: DecodePool, sound: PendingSound, hash_only: bool) -> None:
        if not hash_only:
            assert run.embedder is not None
            run.embedder.open(sound.sound_id)
        pool.submit(Job(sound.sound_id, sound.path, hash_only))

    def _receive(self, run: _Run, embedder: Embedder, message: Message, failures: list[tuple[int, KnownError]]) -> None:
        job_id, part = message
        sound = run.flying[job_id]
        run.current = sound.path
        if isinstance(part, bytes):
            adopted = self._store.adopt_content(job_id, part, sound.size, sound.mtime_ns)
            if adopted is None:
                assert run.pool is not None
                self._start(run, run.pool, sound, hash_only=False)
                return
            run.moved += adopted is Adopted.MOVED
            run.indexed += adopted is Adopted.DUPLICATE
            run.unchanged += adopted is Adopted.UNCHANGED
            self._done(run, job_id)
        elif isinstance(part, KnownError):
            embedder.drop(job_id)
            if part.kind in OFFLINE_SIGNS and self._is_offline(run, sound.path):
                self._done(run, job_id)  # it stays pending until its drive is back
            else:
                failures.append((job_id, part))
        else:
            embedder.add(job_id, part)

    def _save(self, run: _Run, complete: list[tuple[int, Assembly]], failures: list[tuple[int, KnownError]]) -> None:
        items = []
        for job_id, assembly in complete:
            assert assembly.info is not None
            starts, ends = zip(*assembly.segments, strict=True)
            items.append(IndexedSound(job_id, assembly.info, starts, ends, np.stack(assembly.vectors)))
        if items:
            self._store.save_indexed(items)
            run.indexed += len(items)
        if failures:
            self._store.save_failures(failures)
            run.failed += len(failures)
        for job_id, _ in [*complete, *failures]:
            self._done(run, job_id)

    def _is_offline(self, run: _Run, path: Path) -> bool:
        """Whether the folder that holds this sound is not there now, as when its drive was unplugged."""
        if run.roots is None:
            run.roots = tuple(folder.path for folder in self._store.folders())
        root = next((root for root in run.roots if path.is_relative_to(root)), None)
        if root is None or self._drives.have([str(root)]) == [True]:
            return False
        run.offline.add(root)
        run.note(missing_folder(root))
        return True

    def _complete(self) -> None:
        self._run.missing = self._store.count_missing(self._run.gone)
        self._finish()

    def _done(self, run: _Run, job_id: int) -> None:
        del run.flying[job_id]
        run.done += 1

    def _finish(self) -> None:
        if self._run.pool is not None:
            self._run.pool.close()
        self._run.pool = self._run.embedder = self._run.scan = None
        self._run.folders.clear()
        self._run.phase = IndexPhase.IDLE


@dataclass
class _Run:
    """Everything that belongs to one run."""

    phase: IndexPhase = IndexPhase.IDLE
    folders: deque[int] = field(default_factory=deque)
    scan: _FolderScan | None = None
    problems: list[ScanProblem] = field(default_factory=list)
    pool: DecodePool | None = None
    embedder: Embedder | None = None
    queue: deque[PendingSound] = field(default_factory=deque)
    flying: dict[int, PendingSound] = field(default_factory=dict)
    last_id: int = 0
    exhausted: bool = False
    found: int = 0
    done: int = 0
    total: int = 0
    indexed: int = 0
    unchanged: int = 0
    moved: int = 0
    failed: int = 0
    missing: int = 0
    gone: list[int] = field(default_factory=list)  # sounds that a scan of this run did not meet
    roots: tuple[Path, ...] | None = None
    offline: set[Path] = field(default_factory=set)  # folders that went away
    audio_s: float = 0.0
    embedding_s: float = 0.0
    started: float = field(default_factory=time.monotonic)
    current: Path | None = None

    def note(self, problem: ScanProblem) -> None:
        """Report a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    @property
    def remaining_s(self) -> float | None:
        if self.done < 10 or self.phase is not IndexPhase.INDEXING or self.embedding_s < 2.0:
            return None
        return (self.total - self.done) * self.embedding_s / self.done


class _FolderScan:
    """A scan of one folder, taken in slices."""

    def __init__(self, folder_id: int, store: Store, drives: Drives) -> None:
        self._store = store
        self._root = store.folder_path(folder_id)
        self._token = store.begin_scan(folder_id)
        self._entries: Iterator[FoundFile | ScanProblem] | None = None
        self._problems: list[ScanProblem] = []
        self._drives = drives
        self._give_up_s = time.monotonic() + DRIVE_PATIENCE_S

    def step(self, run: _Run) -> bool:
        """Record one slice; False when the folder is done."""
        try:
            if self._entries is None:
                if self._drives.have([str(self._root)]) == [None]:
                    return self._wait(run)
                self._entries = scan_folder(self._root)
            entries = list(islice(self._entries, SCAN_SLICE))
        except KnownError as error:  # the folder is gone or unreadable: its sounds keep their state
            run.note(ScanProblem(self._root, error.kind, error.detail, error.hint))
            return False
        files = [entry for entry in entries if isinstance(entry, FoundFile)]
        problems = [entry for entry in entries if isinstance(entry, ScanProblem)]
        self._problems += problems
        run.problems += problems
        run.found += len(files)
        counts = self._store.record_scan(self._token, files)
        run.unchanged += counts.unchanged + counts.returned
        if entries:
            return True
        run.gone += self._store.finish_scan(self._token, [problem.path for problem in self._problems])
        return False

    def _wait(self, run: _Run) -> bool:
        """Let the drive wake up, while searches are answered; False when it takes too long."""
        if time.monotonic() < self._give_up_s:
            time.sleep(POLL_S)
            return True
        run.note(silent_folder(self._root))
        return False
