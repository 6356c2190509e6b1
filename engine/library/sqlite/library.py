"""A library in a SQLite file: its four faces over one connection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from engine.errors import ErrorKind, KnownError
from engine.library.sqlite import filters, scanning
from engine.library.sqlite.catalogue import SqliteCatalogue
from engine.library.sqlite.changes import Changes
from engine.library.sqlite.file import LibraryFile
from engine.library.sqlite.packs import PackRow
from engine.library.sqlite.places import Mounts, Places
from engine.library.sqlite.search import SqliteVectorSearch
from engine.library.sqlite.user_data import SqliteUserData
from engine.library.sqlite.work import LEASE_S, SqliteWorkQueue
from engine.media.drives import Drives
from engine.media.volumes import Volumes


class SqliteLibrary:
    """See :class:`engine.library.protocols.Library`.

    Attributes:
        catalogue: Folders, their sounds, and what each holds.
        work: What there is still to do.
        vectors: Search by vector.
        user_data: What the user has said of sounds.
    """

    def __init__(
        self,
        file: LibraryFile,
        pack: PackRow,
        drives: Drives,
        places: Places,
        lease_s: float,
        notice: KnownError | None,
    ) -> None:
        self._file = file
        changes = Changes(file)
        self.catalogue = SqliteCatalogue(file, changes, places, pack, drives, notice)
        self.work = SqliteWorkQueue(file, changes, places, pack, drives, lease_s)
        self.vectors = SqliteVectorSearch(file, changes, places, pack)
        self.user_data = SqliteUserData()

    @classmethod
    def open(
        cls,
        path: Path,
        pack_id: str,
        pack_hash: str,
        dim: int,
        read_only: bool = False,
        busy_timeout_s: float = 5.0,
        drives: Drives | None = None,
        volumes: Mounts | None = None,
        lease_s: float = LEASE_S,
    ) -> Self:
        """Open a library for a pack; sounds that this pack has not indexed become pending.

        Args:
            path: The library file, made where it does not exist.
            pack_id: The pack, and
            pack_hash: which edition of it: vectors of another are kept, but not used.
            dim: Length of its vectors.
            read_only: Do not write, whatever happens. Implied where the file or its folder cannot be written.
            busy_timeout_s: How long any step waits for another process that is writing.
            drives: Tells which folders are there.
            volumes: Tells where volumes are mounted.
            lease_s: How long claims outlive the last sign of life of a process on another computer.

        Raises:
            KnownError: As :meth:`engine.library.sqlite.file.LibraryFile.open`.
        """
        volumes = volumes or Volumes()
        holder = volumes.of(Path(os.path.abspath(path)).parent)  # noqa: PTH100 - links stay as the user named them
        on_network = holder is not None and holder.is_network
        file = LibraryFile.open(path, read_only, busy_timeout_s, on_network)
        try:
            filters.prepare(file.db.conn)
            pack = PackRow.open(file, pack_id, pack_hash, dim)
            places = Places(file, volumes)
            if not file.read_only:
                scanning.prepare(file.db)
                pack.take_over()
                places.learn_volumes()
            with file.reading():
                places.follow_volumes()
            return cls(file, pack, drives or Drives(), places, lease_s, _network_notice(path) if on_network else None)
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        """Give back claims and close the file."""
        try:
            self.work.release()
        finally:
            self._file.close()


def _network_notice(path: Path) -> KnownError:
    return KnownError(
        ErrorKind.LIBRARY_ON_NETWORK,
        f"{path} lies on a network share, where writing is slower and other computers are waited for.",
        "Keep the library on a disk of this computer if you can; the sounds may stay on the share.",
    )
