"""What the rest of the engine asks of a library, in four small faces, and the plain rows that go in and out of them.

Every store passes ``tests/engine/library/contract``. A library belongs to one thread; each write is one transaction,
all of it or nothing. A sound keeps its id for good: while it changes, fails or goes missing, when its folder is
removed and added again, relinked or mounted elsewhere, and when its file moves (as told by its audio).

Any method may raise a KnownError: ``library_locked``, ``library_corrupt``, ``library_io_error``; writes also
``disk_full``, ``library_read_only`` and ``library_vanished`` (the file was deleted or replaced under us).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.library.types import Failure, Folder, Hit, LibraryStatus, SoundState

if TYPE_CHECKING:
    from engine.errors import KnownError
    from engine.library.query import Filter
    from engine.library.vectors import Floats
    from engine.media.decode import SoundInfo
    from engine.media.fingerprint import Fingerprint
    from engine.media.scan import FoundFile


class FolderGoneError(LookupError):
    """The folder is not part of the library any more: it was removed, or became part of one that holds it."""


@dataclass(frozen=True)
class Scan:
    """One scan, from ``begin_scan`` to ``finish_scan``: of a folder, or of some places in it.

    ``scope`` holds absolute paths of folders or files inside the folder; without any, the scan covers all of it.
    ``newest_id`` is the newest sound at its begin: what another process adds meanwhile is not this scan's to miss.
    """

    folder_id: int
    scope: tuple[Path, ...] = ()
    newest_id: int = 0


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


class WorkKind(StrEnum):
    """What there is to do for a sound."""

    EMBED = "embed"


@dataclass(frozen=True)
class PendingSound:
    """A sound that this process has claimed.

    ``maybe_known``: the library has vectors for a file of this size, or had this sound's before its file changed, so
    take its fingerprint first. ``by_file``: the library also knows contents by the hash of the whole file (as version
    0.1.0 did), so take that too.
    """

    sound_id: int
    path: Path
    size: int
    mtime_ns: int
    maybe_known: bool
    by_file: bool = False


class Adopted(Enum):
    """How a sound came to be indexed by its fingerprint alone."""

    UNCHANGED = auto()  # it holds the audio it held before: touched, re-tagged, or an older pack's vectors serve again
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


@dataclass(frozen=True)
class Segments:
    """The vectors (n, dim) of an indexed sound with the seconds they stand for."""

    starts_s: Sequence[float]
    ends_s: Sequence[float]
    vectors: Floats


class Catalogue(Protocol):
    """Folders, their sounds, and what each holds."""

    @property
    def read_only(self) -> bool:
        """Whether writes are refused, with ``library_read_only``."""
        ...

    @property
    def notice(self) -> KnownError | None:
        """What the user should know of where the library lies, such as ``library_on_network``."""
        ...

    def status(self) -> LibraryStatus: ...

    def count_searchable(self) -> int:
        """How many sounds are indexed: what a search could find."""
        ...

    def folders(self) -> tuple[Folder, ...]:
        """The folders with their counts, in the order they were added."""
        ...

    def folder_path(self, folder_id: int) -> Path:
        """Where a folder is now. Raises FolderGoneError."""
        ...

    def add_folder(self, path: Path) -> int:
        """Add a folder and return its id; also that of the same folder added before, by whatever spelling. Folders
        inside it become part of it, with their sounds. Raises ``folder_already_covered`` when it lies inside one,
        ``name_not_unicode``."""
        ...

    def remove_folder(self, folder_id: int) -> None:
        """Take a folder and its sounds out of sight. What is known of them stays, so adding it again is instant."""
        ...

    def relink_folder(self, folder_id: int, path: Path) -> None:
        """Say that a folder now lies elsewhere, with all that is in it. Raises FolderGoneError,
        ``folder_already_covered`` when another folder of the library is there, ``name_not_unicode``."""
        ...

    def begin_scan(self, folder_id: int, scope: Sequence[Path] = ()) -> Scan: ...

    def record_scan(self, scan: Scan, files: Sequence[FoundFile]) -> ScanCounts:
        """Record one slice of the files found. Raises FolderGoneError."""
        ...

    def finish_scan(self, scan: Scan, unreadable: Sequence[Path] = ()) -> tuple[int, ...]:
        """Mark as missing the sounds in the scan's scope that it did not meet, but for those under ``unreadable``
        paths; returns their ids. Not to be called when the scan was cancelled or the folder was not there."""
        ...

    def count_missing(self, sound_ids: Sequence[int]) -> int:
        """How many of these sounds are missing now: some may have turned up elsewhere, as moved."""
        ...

    def failures(self, limit: int) -> tuple[Failure, ...]: ...

    def retry_failed(self) -> int:
        """Make every failed sound pending; returns how many."""
        ...

    def verify_all(self) -> int:
        """Make every indexed sound of the folders pending once more, so that its fingerprint is taken again; it stays
        searchable meanwhile. Returns how many."""
        ...

    def sound_at(self, path: Path) -> StoredSound | None:
        """The sound of the library's folders at a path, as the volume tells names apart."""
        ...

    def sound(self, sound_id: int) -> StoredSound | None: ...

    def sounds_with(self, audio_hash: bytes) -> list[StoredSound]:
        """Indexed sounds that hold this audio."""
        ...

    def check(self) -> None:
        """Read the whole file and raise ``library_corrupt`` if its structure is damaged."""
        ...


class WorkQueue(Protocol):
    """What there is still to do, shared by all processes that have the library open.

    What one process has claimed no other gets, until it is done, given back, or the process has died: its claims end
    with it, at the latest when its lease has run out.
    """

    def count(self, kind: WorkKind = WorkKind.EMBED) -> int:
        """Sounds that wait, those that other processes have claimed included."""
        ...

    def claim(self, limit: int, kind: WorkKind = WorkKind.EMBED) -> list[PendingSound]:
        """Claim sounds that nobody else has claimed, by ascending id; renews this process's lease."""
        ...

    def renew(self) -> None:
        """Keep this process's claims; to be called more often than its lease lasts. Cheap when called too often."""
        ...

    def release(self) -> None:
        """Give back whatever this process has claimed and not done."""
        ...

    def adopt(self, sound_id: int, found: Fingerprint, size: int, mtime_ns: int) -> Adopted | None:
        """Index a sound by its fingerprint, where the library has its vectors; None where it has not. A sound that is
        new to the library and has the audio of one that is missing, or whose file is gone, is that sound, moved."""
        ...

    def save_indexed(self, items: Sequence[IndexedSound]) -> None: ...

    def save_failures(self, items: Sequence[tuple[int, KnownError]]) -> None:
        """Record, by sound id, why sounds could not be indexed; those gone missing meanwhile stay missing."""
        ...


class VectorSearch(Protocol):
    """Exact search over the vectors of one pack. Loads them at the first use; each call first takes in what was
    written since, by whichever process."""

    def rank(
        self, queries: Floats, limit: int, offset: int = 0, where: Filter | None = None, without: Sequence[int] = ()
    ) -> list[tuple[Hit, ...]]:
        """For each query vector (q, dim) the indexed sounds that pass the filter, but for those of the ids
        ``without``, by their best segment: exactly, as if every other sound were not there. Equal files stand side by
        side, by path."""
        ...

    def segments(self, sound_id: int) -> Segments | None:
        """The vectors of an indexed sound; None for any other."""
        ...


class UserData(Protocol):
    """What the user has said of sounds, which no indexing ever touches. Nothing yet."""


class Library(Protocol):
    """A library, open for one pack."""

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def work(self) -> WorkQueue: ...

    @property
    def vectors(self) -> VectorSearch: ...

    @property
    def user_data(self) -> UserData: ...

    def close(self) -> None:
        """Give back claims and close the file."""
        ...
