"""Everything that crosses between the engine thread and its clients: requests in, events out, all frozen.

Requests are imperatives, events past tense. Times are seconds, paths absolute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from engine.errors import KnownError


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
    """What one run of scanning and indexing did, counted in sounds."""

    indexed: int = 0
    unchanged: int = 0
    moved: int = 0
    failed: int = 0
    missing: int = 0
    audio_s: float = 0.0
    elapsed_s: float = 0.0


# Requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AddFolder:
    """Add a folder to the library, scan it and index what is new."""

    path: Path


@dataclass(frozen=True)
class RemoveFolder:
    """Forget a folder and its sounds. Files are not touched; vectors stay, so adding it again is quick."""

    folder_id: int


@dataclass(frozen=True)
class Rescan:
    """Look for new, changed, moved and missing sounds in every folder."""


@dataclass(frozen=True)
class Pause:
    """Stop indexing until Resume; searches go on being answered."""


@dataclass(frozen=True)
class Resume:
    """Go on indexing after Pause or Cancel."""


@dataclass(frozen=True)
class Cancel:
    """End the present scan or indexing run. What is indexed stays; Rescan or Resume takes up the rest."""


@dataclass(frozen=True)
class Search:
    """Rank the library by a caption. A newer Search or FindSimilar supersedes one not yet answered."""

    request_id: int
    caption: str
    limit: int = 100


@dataclass(frozen=True)
class FindSimilar:
    """Rank the library by likeness to a sound: one of the library, or any sound file."""

    request_id: int
    sound: Path
    limit: int = 100


@dataclass(frozen=True)
class ListFailures:
    """Ask for the sounds that could not be indexed, answered by FailuresListed."""

    limit: int = 1000


@dataclass(frozen=True)
class RetryFailed:
    """Try every failed sound again, changed or not."""


Request = (
    AddFolder | RemoveFolder | Rescan | Pause | Resume | Cancel | Search | FindSimilar | ListFailures | RetryFailed
)


# Events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LibraryOpened:
    """The library file is open; folders and counts are known. The encoder may still be loading."""

    status: LibraryStatus
    folders: tuple[Folder, ...]
    read_only: bool


@dataclass(frozen=True)
class EncoderReady:
    """The encoder is loaded: searches are answered from now on. ``device`` is such as "cpu", "cuda", "mps"."""

    pack_id: str
    device: str


@dataclass(frozen=True)
class FoldersChanged:
    """Folders or their counts changed."""

    folders: tuple[Folder, ...]


@dataclass(frozen=True)
class Indexed:
    """Indexing moved on or changed its phase."""

    progress: IndexProgress


@dataclass(frozen=True)
class IndexFinished:
    """A run of scanning and indexing came to its end (or was cancelled)."""

    summary: IndexSummary
    cancelled: bool = False


@dataclass(frozen=True)
class SearchDone:
    """Answer to Search or FindSimilar. ``searched`` is the number of sounds that were ranked."""

    request_id: int
    hits: tuple[Hit, ...]
    searched: int
    elapsed_s: float


@dataclass(frozen=True)
class SearchFailed:
    """A Search or FindSimilar could not be answered."""

    request_id: int
    error: KnownError


@dataclass(frozen=True)
class FailuresListed:
    """Answer to ListFailures."""

    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class ProblemOccurred:
    """A request failed for a known reason (folder gone, disk full, ...); the engine goes on."""

    error: KnownError


@dataclass(frozen=True)
class EngineStopped:
    """The engine thread ended. ``error`` is None after close(); a KnownError such as a locked library; or a bug."""

    error: Exception | None


Event = (
    LibraryOpened
    | EncoderReady
    | FoldersChanged
    | Indexed
    | IndexFinished
    | SearchDone
    | SearchFailed
    | FailuresListed
    | ProblemOccurred
    | EngineStopped
)
