"""An open library with its encoder: the use-cases that engine thread and command line share. One thread only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import ErrorKind, KnownError
from engine.indexing.indexer import Indexer
from engine.library.protocols import FolderGoneError, Library
from engine.library.query import Query
from engine.library.types import Folder, Hit, SoundState
from engine.media.scan import ScanProblem, scan_folder
from engine.models.packs import Pack
from engine.models.source import EncoderSource
from engine.paths import absolute
from engine.service.search import Searcher


class Session:
    """What can be done with a library.

    Args:
        library: The library, open for the pack.
        pack: The model pack.
        encoders: Loads its encoder, when it is first needed.
        indexer: Indexes the library's folders.
    """

    def __init__(self, library: Library, pack: Pack, encoders: EncoderSource, indexer: Indexer) -> None:
        self.library = library
        self.pack = pack
        self.encoders = encoders
        self.indexer = indexer
        self._searcher = Searcher(library, pack, encoders)

    def add_folder(self, path: Path) -> int:
        """Add a folder, or find the one that it is or lies in; returns its id.

        Raises:
            KnownError: As :func:`readable_folder`, or that the library cannot be written.
        """
        folder = readable_folder(path)
        for known in self.library.catalogue.folders():
            if folder.is_relative_to(known.path):
                return known.folder_id
        return self.library.catalogue.add_folder(folder)

    def remove_folder(self, folder_id: int) -> None:
        """Take a folder and its sounds out of sight; a run that is scanning the others goes on."""
        self.library.catalogue.remove_folder(folder_id)
        if self.indexer.running:  # what it holds of that folder's sounds goes with the run
            unscanned = self.indexer.cancel()
            self.indexer.begin([other for other in unscanned if other != folder_id])

    def relink_folder(self, folder_id: int, path: Path) -> None:
        """Say that a folder now lies elsewhere, and look there for changes.

        Raises:
            KnownError: As :func:`readable_folder`, or ``folder_already_covered``.
        """
        try:
            self.library.catalogue.relink_folder(folder_id, readable_folder(path))
        except FolderGoneError as error:
            raise KnownError(
                ErrorKind.FOLDER_UNKNOWN, "This folder is not part of the library any more.", "Add it again."
            ) from error
        self.indexer.begin([folder_id])

    def folder(self, path: Path) -> Folder:
        """The folder of the library at a path.

        Raises:
            KnownError: ``folder_unknown``.
        """
        wanted = absolute(path)
        for folder in self.library.catalogue.folders():
            if folder.path == wanted:
                return folder
        raise KnownError(
            ErrorKind.FOLDER_UNKNOWN,
            f"{wanted} is not a folder of the library.",
            "“foundsound status” lists them; a folder inside one of them goes only with it.",
        )

    def rescan(self, places: Sequence[Path] = ()) -> None:
        """Begin to look for changes: in every folder, or only at these places in them."""
        if places:
            self.indexer.begin([], [absolute(place) for place in places])
        else:
            self.indexer.begin([folder.folder_id for folder in self.library.catalogue.folders()])

    def retry_failed(self) -> None:
        """Begin to try every failed sound again."""
        self.library.catalogue.retry_failed()
        self.indexer.begin([])

    def require_this_pack(self) -> None:
        """Refuse a library that is open for reading and that another pack has indexed, which this one cannot search.

        Raises:
            KnownError: ``indexed_with_other_pack``.
        """
        if not self.library.catalogue.read_only:  # else its sounds became pending when it was opened
            return
        status = self.library.catalogue.status()
        if status.counts[SoundState.INDEXED] and not status.segments:
            raise KnownError(
                ErrorKind.INDEXED_WITH_OTHER_PACK,
                f"The sounds in {status.library} were indexed with another model than {status.pack_id}.",
                "Run “foundsound index” with the same options to index them with this one.",
            )

    def needs_encoder(self, query: Query) -> bool:
        """Whether a query can only be answered with the encoder."""
        return self._searcher.needs_encoder(query)

    def find(self, query: Query) -> tuple[Hit, ...]:
        """The hits of a query; raises as :meth:`find_all`."""
        return next(self.find_all([query]))

    def find_all(self, queries: Sequence[Query]) -> Iterator[tuple[Hit, ...]]:
        """The hits of each query, one after the other.

        Raises:
            KnownError: At once: ``indexed_with_other_pack``, or as :meth:`engine.service.search.Searcher.find_all`.
        """
        self.require_this_pack()
        return self._searcher.find_all(queries)

    @property
    def problems(self) -> tuple[ScanProblem, ...]:
        """What the present or last indexing run could not scan."""
        return self.indexer.problems

    def close(self) -> None:
        """End indexing and close the library."""
        self.indexer.cancel()
        self.library.close()


def readable_folder(path: Path) -> Path:
    """The absolute path of a folder that can be scanned.

    Raises:
        KnownError: ``folder_missing``, ``not_a_folder``, ``folder_no_permission``, ``folder_unreadable``,
            ``name_not_unicode``, or as :func:`engine.paths.absolute`.
    """
    folder = absolute(path)
    try:
        scan_folder(folder)  # looks at the folder itself, and is lazy about what it holds
    except KnownError as error:
        if error.kind != ErrorKind.FOLDER_MISSING:
            raise
        hint = "Check the name, or mount its volume."
        raise KnownError(ErrorKind.FOLDER_MISSING, f"There is no folder {folder}.", hint) from error
    return folder
