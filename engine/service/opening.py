"""Opens a library with all that works on it: the one place that chooses the parts."""

from __future__ import annotations

from pathlib import Path

from engine.indexing.indexer import Indexer
from engine.library.sqlite.library import SqliteLibrary
from engine.media.drives import Drives
from engine.models.packs import Pack
from engine.models.source import EncoderSource
from engine.paths import absolute
from engine.service.session import Session


def open_session(
    path: Path,
    pack: Pack,
    workers: int | None = None,
    read_only: bool = False,
    drives: Drives | None = None,
    encoders: EncoderSource | None = None,
) -> Session:
    """Open a library for a pack.

    Args:
        path: The library file; made when it does not exist.
        pack: The model pack.
        workers: Number of decode processes; None as in ``DecodePool``.
        read_only: Do not write, also not to make the file.
        drives: Tells which folders are there.
        encoders: Loads the pack's encoder.

    Raises:
        KnownError: The library cannot be opened (locked, corrupt, newer, ...).
    """
    drives = drives or Drives()
    library = SqliteLibrary.open(
        absolute(path), pack.pack_id, pack.pack_hash, pack.dim, read_only=read_only, drives=drives
    )
    encoders = encoders or EncoderSource(pack)
    indexer = Indexer(library.catalogue, library.work, pack, encoders, workers, drives)
    return Session(library, pack, encoders, indexer)
