"""An open library with its encoder: what the engine thread and the command line both drive. One thread only."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ErrorKind, KnownError
from engine.indexing.indexer import Indexer
from engine.library.sqlite.store import SqliteStore
from engine.library.types import Hit, SoundState
from engine.media.drives import Drives
from engine.media.scan import ScanProblem, scan_folder
from engine.models.packs import Pack
from engine.paths import absolute
from engine.service import search

if TYPE_CHECKING:
    from engine.models.encoder import Encoder

log = logging.getLogger(__name__)


class Session:
    """A library opened for a pack. The encoder loads at its first use.

    Args:
        library: The library file; made when it does not exist.
        pack: The model pack.
        workers: Number of decode processes; None as in ``DecodePool``.
        read_only: Do not write, also not to make the file.

    Raises:
        KnownError: The library cannot be opened (locked, corrupt, newer, ...).
    """

    def __init__(self, library: Path, pack: Pack, workers: int | None = None, read_only: bool = False) -> None:
        self.pack = pack
        drives = Drives()
        self.store = SqliteStore.open(
            absolute(library), pack.pack_id, pack.pack_hash, pack.dim, read_only=read_only, drives=drives
        )
        self._encoder: Encoder | None = None
        self.indexer = Indexer(self.store, pack, self.encoder, workers, drives)

    def encoder(self) -> Encoder:
        """The encoder, loaded at the first call (this imports torch and takes seconds)."""
        if self._encoder is None:
            from engine.models.encoder import Encoder

            self._encoder = Encoder.load(self.pack)
            log.info("encoder %s ready on %s", self.pack.pack_id, self._encoder.device)
        return self._encoder

    def add_folder(self, path: Path) -> int:
        """Add a folder, or find the one that it is or lies in; returns its id.

        Raises:
            KnownError: As :func:`readable_folder`, or that the library cannot be written.
        """
        folder = readable_folder(path)
        for known in self.store.folders():
            if folder.is_relative_to(known.path):
                return known.folder_id
        return self.store.add_folder(folder)

    def require_this_pack(self) -> None:
        """Refuse a library that is open for reading and that another pack has indexed, which this one cannot search.

        Raises:
            KnownError: ``indexed_with_other_pack``.
        """
        status = self.store.status()
        if status.counts[SoundState.INDEXED] and not status.segments:
            raise KnownError(
                ErrorKind.INDEXED_WITH_OTHER_PACK,
                f"The sounds in {status.library} were indexed with another model than {status.pack_id}.",
                "Run “foundsound index” with the same options to index them with this one.",
            )

    def search(self, captions: Sequence[str], limit: int) -> Iterator[tuple[Hit, ...]]:
        """Rank the library by each caption, one after the other.

        Raises:
            KnownError: At once: ``indexed_with_other_pack``, or as :func:`engine.service.search.by_captions`.
        """
        self.require_this_pack()
        return search.by_captions(self.store, self.encoder, captions, limit)

    def similar(self, sound: Path, limit: int) -> tuple[Hit, ...]:
        """Rank the library by likeness to a sound.

        Raises:
            KnownError: ``indexed_with_other_pack``, or as :func:`engine.service.search.by_sound`.
        """
        self.require_this_pack()
        return search.by_sound(self.store, self.pack, self.encoder, absolute(sound), limit)

    @property
    def problems(self) -> tuple[ScanProblem, ...]:
        """What the present or last indexing run could not scan."""
        return self.indexer.problems

    def close(self) -> None:
        """End indexing and close the library."""
        self.indexer.cancel()
        self.store.close()


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
