"""Everything that crosses between the engine thread and its clients: requests in, replies and events out, all frozen.

Requests are imperatives, events past tense. Each request gets exactly one ``Reply``; events tell every client what
changed, whoever asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import KnownError
from engine.library.query import Query
from engine.library.types import Failure, Folder, Hit, IndexProgress, IndexSummary, LibraryStatus

# Requests ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Find:
    """Rank the library by a query: answered by ``Found``. A newer one of the same client supersedes it."""

    query: Query


@dataclass(frozen=True)
class AddFolder:
    """Add a folder to the library, scan it and index what is new: answered by ``FolderAdded``."""

    path: Path


@dataclass(frozen=True)
class RemoveFolder:
    """Take a folder and its sounds out of sight. Files are not touched; what is known of them stays."""

    folder_id: int


@dataclass(frozen=True)
class RelinkFolder:
    """Say that a folder now lies elsewhere, with all that is in it."""

    folder_id: int
    path: Path


@dataclass(frozen=True)
class Rescan:
    """Look for new, changed, moved and missing sounds: in every folder, or only at these places in them."""

    places: tuple[Path, ...] = ()


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
class RetryFailed:
    """Try every failed sound again, changed or not."""


@dataclass(frozen=True)
class ListFolders:
    """Ask for the folders and their counts: answered by ``FoldersListed``."""


@dataclass(frozen=True)
class ListFailures:
    """Ask for the sounds that could not be indexed: answered by ``FailuresListed``."""

    limit: int = 1000


Request = (
    Find
    | AddFolder
    | RemoveFolder
    | RelinkFolder
    | Rescan
    | Pause
    | Resume
    | Cancel
    | RetryFailed
    | ListFolders
    | ListFailures
)


# Replies ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """The request was carried out, or is under way; there is nothing to hand back."""


@dataclass(frozen=True)
class Found:
    """Answer to ``Find``. ``searched`` is the number of sounds that could have been found."""

    hits: tuple[Hit, ...]
    searched: int
    elapsed_s: float


@dataclass(frozen=True)
class FolderAdded:
    """Answer to ``AddFolder``: the folder, or the one of the library that holds it."""

    folder_id: int


@dataclass(frozen=True)
class FoldersListed:
    """Answer to ``ListFolders``."""

    folders: tuple[Folder, ...]


@dataclass(frozen=True)
class FailuresListed:
    """Answer to ``ListFailures``."""

    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class Refused:
    """The request could not be carried out, for a reason that the user can act on."""

    error: KnownError


@dataclass(frozen=True)
class Superseded:
    """The same client has asked anew, so this question was not answered."""


Outcome = Done | Found | FolderAdded | FoldersListed | FailuresListed | Refused | Superseded


@dataclass(frozen=True)
class Reply:
    """The one reply to a request, by the number that its client gave it."""

    request_id: int
    outcome: Outcome


# Events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LibraryOpened:
    """The library file is open; folders and counts are known. The encoder may still be loading.

    ``notice`` is what the user should know of where the library lies, such as ``library_on_network``.
    """

    status: LibraryStatus
    folders: tuple[Folder, ...]
    read_only: bool
    notice: KnownError | None = None


@dataclass(frozen=True)
class EncoderReady:
    """The encoder is loaded: captions are answered from now on. ``device`` is such as "cpu", "cuda", "mps"."""

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
class ProblemOccurred:
    """Scanning or indexing met a problem that the user can act on; the engine goes on."""

    error: KnownError


@dataclass(frozen=True)
class EngineStopped:
    """The engine thread ended. ``error`` is None after close(); a KnownError such as a locked library; or a bug."""

    error: Exception | None


Event = LibraryOpened | EncoderReady | FoldersChanged | Indexed | IndexFinished | ProblemOccurred | EngineStopped
