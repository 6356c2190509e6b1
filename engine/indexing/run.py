"""Everything that belongs to one run of scanning and indexing, and what it tells of itself."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from engine.indexing.decode_pool import DecodePool
from engine.indexing.embedder import Embedder
from engine.indexing.folder_scan import FolderScan
from engine.library.protocols import PendingSound
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.media.scan import ScanProblem

_FEW = 10
_SHORT_S = 2.0


@dataclass
class Run:
    """One run: what it has still to scan, what is in flight, and counts of sounds.

    ``elsewhere`` are sounds that other processes were still at when it ended; ``held`` those that it claimed and then
    left alone, as their folder went away.
    """

    phase: IndexPhase = IndexPhase.IDLE
    scans: deque[FolderScan] = field(default_factory=deque)
    problems: list[ScanProblem] = field(default_factory=list)
    pool: DecodePool | None = None
    embedder: Embedder | None = None
    queue: deque[PendingSound] = field(default_factory=deque)
    flying: dict[int, PendingSound] = field(default_factory=dict)
    exhausted: bool = False
    found: int = 0
    done: int = 0
    total: int = 0
    indexed: int = 0
    unchanged: int = 0
    moved: int = 0
    failed: int = 0
    missing: int = 0
    held: int = 0
    elsewhere: int = 0
    gone: list[int] = field(default_factory=list)  # sounds that a scan of this run did not meet
    roots: tuple[Path, ...] | None = None
    offline: set[Path] = field(default_factory=set)  # folders that went away
    audio_s: float = 0.0
    embedding_s: float = 0.0
    started_s: float = field(default_factory=time.monotonic)
    current: Path | None = None

    def note(self, problem: ScanProblem) -> None:
        """Report a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def is_offline(self, path: Path) -> bool:
        """Whether a path lies in a folder that went away during this run."""
        return any(path.is_relative_to(folder) for folder in self.offline)

    @property
    def remaining_s(self) -> float | None:
        """An estimate of the time that the rest will take, by the time that each sound took so far."""
        if self.done < _FEW or self.phase is not IndexPhase.INDEXING or self.embedding_s < _SHORT_S:
            return None
        return (self.total - self.done) * self.embedding_s / self.done

    @property
    def progress(self) -> IndexProgress:
        return IndexProgress(
            phase=self.phase,
            found=self.found,
            done=self.done,
            total=self.total,
            failed=self.failed,
            speed_x=self.audio_s / max(self.embedding_s, 1e-6) if self.audio_s else 0.0,
            remaining_s=self.remaining_s,
            current=self.current,
        )

    @property
    def summary(self) -> IndexSummary:
        return IndexSummary(
            indexed=self.indexed,
            unchanged=self.unchanged,
            moved=self.moved,
            failed=self.failed,
            missing=self.missing,
            audio_s=self.audio_s,
            elapsed_s=time.monotonic() - self.started_s,
            elsewhere=self.elsewhere,
        )
