"""An open library with its encoder: what the engine thread and the command line both drive. One thread only."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from engine import search
from engine.errors import KnownError
from engine.indexer import Indexer
from engine.messages import Hit
from engine.packs import Pack
from engine.scan import ScanProblem
from engine.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from engine.encoders.encoder import Encoder

log = logging.getLogger(__name__)


class Session:
    """A library opened for a pack. The encoder loads at its first use.

    Args:
        library: The library file; made when it does not exist.
        pack: The model pack.
        workers: Decode processes; by default one per core, at most eight.
        read_only: Do not write, also not to make the file.

    Raises:
        KnownError: The library cannot be opened (locked, corrupt, newer, ...).
    """

    def __init__(self, library: Path, pack: Pack, workers: int | None = None, read_only: bool = False) -> None:
        self.pack = pack
        self.store = SqliteStore.open(library, pack.pack_id, pack.pack_hash, pack.dim, read_only=read_only)
        self._encoder: Encoder | None = None
        count = workers or min(8, os.cpu_count() or 2)
        self.indexer = Indexer(self.store, pack, self.encoder, count)

    def encoder(self) -> Encoder:
        """The encoder, loaded at the first call (this imports torch and takes seconds)."""
        if self._encoder is None:
            from engine.encoders.encoder import Encoder

            self._encoder = Encoder.load(self.pack)
            log.info("encoder %s ready on %s", self.pack.pack_id, self._encoder.device)
        return self._encoder

    def add_folder(self, path: Path) -> int:
        """Add a folder, or find the one that it is or lies in; returns its id.

        Raises:
            KnownError: ``folder_missing``, ``not_a_folder``, ``name_not_unicode``, ``library_read_only``, ...
        """
        folder = _absolute(path)
        for known in self.store.folders():
            if folder.is_relative_to(known.path):
                return known.folder_id
        if not os.path.lexists(folder):
            raise KnownError("folder_missing", f"There is no folder {folder}.", "Check the name, or mount its volume.")
        if not os.path.isdir(folder):  # noqa: PTH112 - unlike pathlib's it never raises
            raise KnownError("not_a_folder", f"{folder} is not a folder.", "Choose the folder that holds it.")
        return self.store.add_folder(folder)

    def search(self, caption: str, limit: int) -> tuple[Hit, ...]:
        """Rank the library by a caption; raises as :func:`engine.search.by_captions`."""
        return search.by_captions(self.store, self.encoder(), [caption], limit)[0]

    def similar(self, sound: Path, limit: int) -> tuple[Hit, ...]:
        """Rank the library by likeness to a sound; raises as :func:`engine.search.by_sound`."""
        return search.by_sound(self.store, self.encoder(), _absolute(sound), limit)

    @property
    def problems(self) -> tuple[ScanProblem, ...]:
        """What the present or last indexing run could not scan."""
        return self.indexer.problems

    def close(self) -> None:
        """End indexing and close the library."""
        self.indexer.cancel()
        self.store.close()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow the user's links
