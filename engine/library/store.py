"""What the rest of the engine asks of the library: the Store, and the plain rows that go in and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.library.types import Failure, Folder, Hit, LibraryStatus, SoundState

if TYPE_CHECKING:
    from engine.errors import KnownError
    from engine.library.vectors import Floats, Ranked, VectorIndex
    from engine.media.decode import SoundInfo
    from engine.media.scan import FoundFile


class FolderGoneError(LookupError):
    """The folder is not part of the library any more: it was removed, or became part of one that holds it."""


@dataclass(frozen=True)
class Scan:
    """One scan of a folder, from ``begin_scan`` to ``finish_scan``."""

    folder_id: int


@dataclass(frozen=True)
class ScanCounts:
    """What one slice of a scan found.

    ``new`` and ``changed`` are now pending (``changed`` also counts failures that may have passed, such as a missing
    permission); ``returned`` were missing, or in a folder that had been removed.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    returned: int = 0


@dataclass(frozen=True)
class PendingSound:
    """A sound to index. ``maybe_known``: the library has vectors for a file of this size, so hash it first."""

    sound_id: int
    path: Path
    size: int
    mtime_ns: int
    maybe_known: bool


class Adopted(Enum):
    """How a sound came to be indexed by its hash alone."""

    UNCHANGED = auto()  # it holds what it held before: its time was touched, or an older pack's vectors serve again
    DUPLICATE = auto()  # it now shares the content of another sound
    MOVED = auto()  # it is a known sound in a new place; the older row, with its id, took the new path


@dataclass(frozen=True)
class IndexedSound:
    """A sound as it comes out of the encoder: n segments, ``vectors`` of shape (n, dim)."""

    sound_id: int
    info: SoundInfo
    starts_s: Sequence[float]
    ends_s: Sequence[float]
    vectors: Floats


@dataclass(frozen=True)
class StoredSound:
    """A sound of the library; ``content_id`` is None until it is indexed for the first time."""

    sound_id: int
    path: Path
    state: SoundState
    content_id: int | None


class Store(Protocol):
    """A library opened for one pack; belongs to one thread. Writes are one transaction each: all of it or nothing.

    A sound keeps its id for good: while it changes, fails or goes missing, when its folder is removed and added again,
    and when its file moves (as told by its bytes). Paths are compared as the operating system reports them; on a volume
    that ignores case, a file renamed only in case is a moved file.

    Any method may raise a KnownError: ``library_locked``, ``library_corrupt``, ``library_io_error``; writes also
    ``disk_full``, ``library_read_only`` and ``library_vanished`` (the file was deleted or replaced under us).
    """

    @property
    def read_only(self) -> bool:
        """Whether writes are refused, with ``library_read_only``."""
        ...

    @property
    def vectors(self) -> VectorIndex:
        """Segments of this pack. Reading it first takes in what other processes wrote."""
        ...

    @property
    def searchable(self) -> int:
        """Number of indexed sounds."""
        ...

    def refresh(self) -> bool:
        """Take in what other processes wrote since the last look; whether there was something."""
        ...

    def status(self) -> LibraryStatus: ...

    def count_pending(self) -> int: ...

    def folders(self) -> tuple[Folder, ...]:
        """The folders with their counts, in the order they were added."""
        ...

    def folder_path(self, folder_id: int) -> Path:
        """Raises FolderGoneError."""
        ...

    def add_folder(self, path: Path) -> int:
        """Add a folder and return its id; also that of the same folder added before. Folders inside it become part of
        it, with their sounds. Raises ``folder_already_covered`` when it lies inside one, ``name_not_unicode``."""
        ...

    def remove_folder(self, folder_id: int) -> None:
        """Take a folder and its sounds out of sight. What is known of them stays, so adding it again is instant."""
        ...

    def begin_scan(self, folder_id: int) -> Scan: ...

    def record_scan(self, scan: Scan, files: Sequence[FoundFile]) -> ScanCounts:
        """Record one slice of the files found. Raises FolderGoneError."""
        ...

    def finish_scan(self, scan: Scan, unreadable: Sequence[Path] = ()) -> tuple[int, ...]:
        """Mark as missing the folder's sounds that the scan did not meet, but for those under ``unreadable`` paths;
        returns their ids. Not to be called when the scan was cancelled or the folder was not there."""
        ...

    def count_missing(self, sound_ids: Sequence[int]) -> int:
        """How many of these sounds are missing now: some may have turned up elsewhere, as moved."""
        ...

    def next_pending(self, limit: int, after_id: int = 0) -> list[PendingSound]:
        """Sounds to index, by ascending id."""
        ...

    def adopt_content(self, sound_id: int, content_hash: bytes, size: int, mtime_ns: int) -> Adopted | None:
        """Index a sound by its hash, where the library has its vectors; None where it has not. A sound that is new to
        the library and has the bytes of one that is missing, or whose file is gone, is that sound, moved."""
        ...

    def save_indexed(self, items: Sequence[IndexedSound]) -> None: ...

    def save_failures(self, items: Sequence[tuple[int, KnownError]]) -> None:
        """Record, by sound id, why sounds could not be indexed; those gone missing meanwhile stay missing."""
        ...

    def failures(self, limit: int) -> tuple[Failure, ...]: ...

    def retry_failed(self) -> int:
        """Make every failed sound pending; returns how many."""
        ...

    def search(self, queries: Floats, limit: int) -> list[list[Ranked]]:
        """For each query (q, dim) the best contents that an indexed sound has."""
        ...

    def hits(self, ranked: Sequence[Ranked], limit: int) -> tuple[Hit, ...]:
        """The indexed sounds of ranked contents; equal files stand side by side, by path."""
        ...

    def sound_by_path(self, path: Path) -> StoredSound | None: ...

    def sound_vectors(self, path: Path) -> Floats | None:
        """The vectors (n, dim) of an indexed sound; None for any other path."""
        ...

    def paths_of(self, content_hash: bytes) -> list[Path]:
        """Indexed sounds that hold these bytes."""
        ...

    def check(self) -> None:
        """Read the whole file and raise ``library_corrupt`` if its structure is damaged."""
        ...

    def close(self) -> None: ...
