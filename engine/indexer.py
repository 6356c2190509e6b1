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
from numpy.typing import NDArray

from engine.decode import Block, DecodeOptions, SoundInfo
from engine.errors import KnownError
from engine.messages import IndexPhase, IndexProgress, IndexSummary
from engine.packs import Pack
from engine.scan import FoundFile, ScanProblem, scan_folder
from engine.segments import Segment, Windows
from engine.store.store import Adopted, IndexedSound, PendingSound, Store
from engine.workers import DecodePool, Job, Message

if TYPE_CHECKING:
    from engine.encoders.encoder import Encoder

SCAN_SLICE = 500
BATCH_S = 80.0
"""Audio embedded in one step: about 250 ms of work on two cores."""
POLL_S = 0.05


def decode_options(pack: Pack) -> DecodeOptions:
    """What the pack's encoder wants of decoding."""
    return DecodeOptions(pack.sample_rate_hz, pack.block_samples)


@dataclass
class Assembly:
    """A sound on its way from decoded blocks to segment vectors."""

    windows: Windows
    waiting: int = 0
    info: SoundInfo | None = None
    segments: list[tuple[float, float]] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return self.info is not None and self.waiting == 0


class Embedder:
    """Runs decoded blocks through the encoder in batches and assembles each sound's segments.

    Args:
        pack: The pack.
        get_encoder: Its encoder, not asked for before there is something to encode.
    """

    def __init__(self, pack: Pack, get_encoder: Callable[[], Encoder]) -> None:
        self._pack = pack
        self._get_encoder = get_encoder
        self._ready: deque[tuple[int, Block]] = deque()
        self._assemblies: dict[int, Assembly] = {}
        self.ready_s = 0.0

    def open(self, job_id: int) -> None:
        """Expect blocks of a sound."""
        pack = self._pack
        self._assemblies[job_id] = Assembly(Windows(pack.segment_s, pack.hop_s, pack.frame_s))

    def drop(self, job_id: int) -> None:
        """Forget a sound whose decoding failed, also the blocks that came before."""
        if self._assemblies.pop(job_id, None) is None:
            return
        self._ready = deque(item for item in self._ready if item[0] != job_id)
        self.ready_s = sum(self._seconds(block) for _, block in self._ready)

    def add(self, job_id: int, part: Block | SoundInfo) -> None:
        """Take a decoded block, or the information that ends a sound."""
        if isinstance(part, SoundInfo):
            self._assemblies[job_id].info = part
            return
        self._assemblies[job_id].waiting += 1
        self._ready.append((job_id, part))
        self.ready_s += self._seconds(part)

    def embed(self, most_s: float = BATCH_S) -> float:
        """Encode up to ``most_s`` seconds of what is ready; returns the seconds encoded."""
        batch: list[tuple[int, Block]] = []
        seconds = 0.0
        while self._ready and (not batch or seconds + self._seconds(self._ready[0][1]) <= most_s):
            batch.append(self._ready.popleft())
            seconds += self._seconds(batch[-1][1])
        self.ready_s = max(0.0, self.ready_s - seconds)
        cut: list[tuple[Assembly, Segment]] = []
        for (job_id, _), frames in zip(
            batch, self._get_encoder().frames([block.waveform for _, block in batch]), strict=True
        ):
            assembly = self._assemblies[job_id]
            assembly.waiting -= 1
            cut += [(assembly, segment) for segment in assembly.windows.push(frames)]
        self._encode_segments(cut)
        return seconds

    def collect(self) -> Iterator[tuple[int, Assembly]]:
        """Sounds whose every segment now has a vector; each is handed out once."""
        done = {job_id: assembly for job_id, assembly in self._assemblies.items() if assembly.complete}
        last: list[tuple[Assembly, Segment]] = []
        for assembly in done.values():
            assert assembly.info is not None
            last += [(assembly, segment) for segment in assembly.windows.finish(assembly.info.duration_s)]
        self._encode_segments(last)
        for job_id in done:
            yield job_id, self._assemblies.pop(job_id)

    def _encode_segments(self, cut: Sequence[tuple[Assembly, Segment]]) -> None:
        if not cut:
            return
        vectors = self._get_encoder().audio_vectors([segment.frames for _, segment in cut])
        for (assembly, segment), vector in zip(cut, vectors, strict=True):
            assembly.segments.append((segment.start_s, segment.end_s))
            assembly.vectors.append(vector)

    def _seconds(self, block: Block) -> float:
        return len(block.waveform) / self._pack.sample_rate_hz


class Indexer:
    """Scans folders, then embeds everything pending. State lives in the store, so a run may end at any point.

    Args:
        store: The library.
        pack: The pack that sounds are embedded with.
        get_encoder: Loads its encoder; called only when there is something to embed.
        workers: Number of decode processes.
    """

    def __init__(self, store: Store, pack: Pack, get_encoder: Callable[[], Encoder], workers: int) -> None:
        self._store = store
        self._pack = pack
        self._get_encoder = get_encoder
        self._workers = workers
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
        self._run.folders.extend(id_ for id_ in folder_ids if id_ not in self._run.folders)
        if self._run.folders:
            self._run.phase = IndexPhase.SCANNING

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
        if run.scan is None:
            if not run.folders:
                self._begin_indexing()
                return
            run.scan = _FolderScan(run.folders[0], self._store)
            return
        if not run.scan.step(run):
            run.folders.popleft()
            run.scan = None

    def _begin_indexing(self) -> None:
        self._run.total = self._run.done + self._store.count_pending()
        if self._run.total == self._run.done:
            self._finish()
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
        messages = run.pool.poll(0.0 if run.embedder.ready_s >= BATCH_S else POLL_S)
        failures: list[tuple[int, KnownError]] = []
        for message in messages:
            self._receive(run, run.embedder, message, failures)
        if run.embedder.ready_s >= BATCH_S or (run.embedder.ready_s and not messages):
            run.audio_s += run.embedder.embed()
        self._save(run, list(run.embedder.collect()), failures)
        run.embedding_s += time.monotonic() - started
        if not run.flying and run.exhausted and not run.queue:
            self._finish()

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
    audio_s: float = 0.0
    embedding_s: float = 0.0
    started: float = field(default_factory=time.monotonic)
    current: Path | None = None

    @property
    def remaining_s(self) -> float | None:
        if self.done < 10 or self.phase is not IndexPhase.INDEXING or self.embedding_s < 2.0:
            return None
        return (self.total - self.done) * self.embedding_s / self.done


class _FolderScan:
    """A scan of one folder, taken in slices."""

    def __init__(self, folder_id: int, store: Store) -> None:
        self._folder_id = folder_id
        self._store = store
        self._root = store.folder_path(folder_id)
        self._token = store.begin_scan(folder_id)
        self._entries = scan_folder(self._root)
        self._problems: list[ScanProblem] = []

    def step(self, run: _Run) -> bool:
        """Record one slice; False when the folder is done."""
        try:
            entries = list(islice(self._entries, SCAN_SLICE))
        except KnownError as error:  # the folder is gone or unreadable: its sounds keep their state
            run.problems.append(ScanProblem(self._root, error.kind, error.detail, error.hint))
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
        run.missing += self._store.finish_scan(self._token, [problem.path for problem in self._problems])
        return False
