"""What a library holds, as plain frozen data: the currency between all rooms. Times are seconds, paths absolute."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class SoundState(StrEnum):
    """Life of a sound in the library."""

    PENDING = "pending"
    INDEXED = "indexed"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True)
class Hit:
    """One sound that answers a search, with the segment that matched.

    ``peaks`` holds the waveform for display: pairs of int8 (lowest, highest) for equal stretches of the whole sound,
    127 being its loudest sample.
    """

    rank: int
    sound_id: int
    path: Path
    score: float
    start_s: float
    end_s: float
    duration_s: float
    sample_rate_hz: int
    channels: int
    peaks: bytes = field(repr=False)


@dataclass(frozen=True)
class Folder:
    """A folder the user added, with its counts. ``available`` is False while its volume is not mounted."""

    folder_id: int
    path: Path
    sounds: int
    indexed: int
    failed: int
    missing: int
    available: bool


@dataclass(frozen=True)
class Failure:
    """A sound that could not be indexed, and why. It is retried when the file changes."""

    sound_id: int
    path: Path
    kind: str
    detail: str
    hint: str


@dataclass(frozen=True)
class LibraryStatus:
    """Counts of a library for the current pack. ``size_bytes`` is the library file's."""

    library: Path
    pack_id: str
    pack_hash: str
    counts: dict[SoundState, int]
    segments: int
    size_bytes: int


class IndexPhase(StrEnum):
    """What indexing is doing."""

    IDLE = "idle"
    SCANNING = "scanning"
    INDEXING = "indexing"
    PAUSED = "paused"


@dataclass(frozen=True)
class IndexProgress:
    """Where indexing stands.

    While scanning, ``found`` grows and ``total`` is not final. ``speed_x`` is seconds of audio indexed per second,
    ``remaining_s`` an estimate or None while there is none.
    """

    phase: IndexPhase
    found: int = 0
    done: int = 0
    total: int = 0
    failed: int = 0
    speed_x: float = 0.0
    remaining_s: float | None = None
    current: Path | None = None


@dataclass(frozen=True)
class IndexSummary:
    """What one run of scanning and indexing did, counted in sounds.

    ``elsewhere`` are sounds that other processes were indexing when it ended.
    """

    indexed: int = 0
    unchanged: int = 0
    moved: int = 0
    failed: int = 0
    missing: int = 0
    audio_s: float = 0.0
    elapsed_s: float = 0.0
    elsewhere: int = 0
