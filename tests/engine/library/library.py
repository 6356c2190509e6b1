"""Small libraries of real files for the store's tests. The bytes of a file stand for its sound."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.library.sqlite.store import SqliteStore
from engine.library.store import Adopted, IndexedSound, ScanCounts
from engine.library.types import SoundState
from engine.media.decode import SoundInfo
from engine.media.scan import FoundFile, ScanProblem, scan_folder

DIM = 8
FILE_GONE = KnownError(ErrorKind.SOUND_UNREADABLE, "It cannot be read.", "Replace it.")


def open_store(
    path: Path, pack_hash: str = "a" * 64, read_only: bool = False, busy_timeout_s: float = 0.1
) -> SqliteStore:
    return SqliteStore.open(path, "test-pack", pack_hash, DIM, read_only=read_only, busy_timeout_s=busy_timeout_s)


def write(path: Path, data: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode())
    return path


def content_hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def vectors_for(data: bytes, segments: int = 2) -> NDArray[np.float32]:
    """Unit vectors (segments, DIM) that depend on the bytes alone."""
    rng = np.random.default_rng(list(content_hash(data)))
    vectors: NDArray[np.float32] = rng.standard_normal((segments, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def indexed_sound(sound_id: int, path: Path, segments: int = 2) -> IndexedSound:
    """What decoding and embedding would give for a file."""
    data, stat = path.read_bytes(), path.stat()
    info = SoundInfo(content_hash(data), 10.0 * segments, 48000, 2, data[:8], stat.st_size, stat.st_mtime_ns)
    starts_s = [5.0 * position for position in range(segments)]
    return IndexedSound(sound_id, info, starts_s, [start_s + 10 for start_s in starts_s], vectors_for(data, segments))


def found(path: Path) -> FoundFile:
    stat = path.stat()
    return FoundFile(path, stat.st_size, stat.st_mtime_ns)


def scan(store: SqliteStore, folder_id: int, slice_: int = 3) -> tuple[ScanCounts, int]:
    """Scan a folder from its files on disk; the counts, and how many went missing."""
    scan_ = store.begin_scan(folder_id)
    entries = list(scan_folder(store.folder_path(folder_id)))
    files = [entry for entry in entries if isinstance(entry, FoundFile)]
    slices = [store.record_scan(scan_, files[at : at + slice_]) for at in range(0, len(files), slice_)]
    counts = ScanCounts(
        sum(part.new for part in slices),
        sum(part.changed for part in slices),
        sum(part.unchanged for part in slices),
        sum(part.returned for part in slices),
    )
    unreadable = [entry.path for entry in entries if isinstance(entry, ScanProblem)]
    return counts, len(store.finish_scan(scan_, unreadable))


def index_pending(store: SqliteStore) -> list[Adopted | None]:
    """Index what is pending, by hash where that may do; how each sound came in (None: by its vectors)."""
    ways: list[Adopted | None] = []
    while pending := store.next_pending(1):
        sound = pending[0]
        way = None
        if sound.maybe_known:
            way = store.adopt_content(sound.sound_id, content_hash(sound.path.read_bytes()), sound.size, sound.mtime_ns)
        if way is None:
            store.save_indexed([indexed_sound(sound.sound_id, sound.path)])
        ways.append(way)
    return ways


def index_folder(store: SqliteStore, root: Path) -> int:
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    index_pending(store)
    return folder_id


def ids(store: SqliteStore, paths: Iterable[Path]) -> list[int | None]:
    sounds = [store.sound_by_path(path) for path in paths]
    return [sound.sound_id if sound else None for sound in sounds]


def state(store: SqliteStore, path: Path) -> SoundState | None:
    sound = store.sound_by_path(path)
    return sound.state if sound else None


def best(store: SqliteStore, data: str, limit: int = 10) -> list[Path]:
    """Paths found by the first vector of these bytes, best first; every content that is ranked has a sound."""
    ranked = store.search(vectors_for(data.encode())[:1], limit)[0]
    hits = store.hits(ranked, limit)
    assert len(hits) >= len(ranked)
    return [hit.path for hit in hits]


def everything(store: SqliteStore) -> set[Path]:
    """Every path that a search can return."""
    return set(best(store, "anything", limit=10_000))


def refused(action: Callable[[], object]) -> str:
    """The kind of KnownError that an action ends in; every one of them must say what to do."""
    with pytest.raises(KnownError) as error:
        action()
    assert error.value.detail
    assert error.value.hint
    return error.value.kind
