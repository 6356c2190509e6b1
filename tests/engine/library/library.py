"""Small libraries of real files for the store's tests. The bytes of a file stand for its sound.

What follows a "|" in them stands for its tags: it is no part of the audio.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.library.protocols import Adopted, IndexedSound, Library, PendingSound, ScanCounts
from engine.library.query import Filter
from engine.library.sqlite.library import SqliteLibrary
from engine.library.types import Hit, SoundState
from engine.media.decode import SoundInfo
from engine.media.fingerprint import Fingerprint
from engine.media.scan import FoundFile, ScanProblem, scan_folder
from engine.media.volumes import Volume

DIM = 8
PACK = "a" * 64
OTHER_PACK = "b" * 64
FILE_GONE = KnownError(ErrorKind.SOUND_UNREADABLE, "It cannot be read.", "Replace it.")


class FakeVolumes:
    """Volumes of our own: which are mounted where, and on which of them a path lies."""

    def __init__(self, *mounted: Volume) -> None:
        self.mounted = mounted

    def of(self, path: Path) -> Volume | None:
        holders = [volume for volume in self.mounted if path.is_relative_to(volume.mount)]
        return max(holders, key=lambda volume: len(volume.mount.parts), default=None)

    def mounts(self, identity: str) -> tuple[Path, ...]:
        return tuple(volume.mount for volume in self.mounted if volume.identity == identity)


def open_library(
    path: Path,
    pack_hash: str = PACK,
    read_only: bool = False,
    busy_timeout_s: float = 0.1,
    volumes: FakeVolumes | None = None,
    lease_s: float = 120.0,
) -> SqliteLibrary:
    return SqliteLibrary.open(
        path,
        "test-pack",
        pack_hash,
        DIM,
        read_only=read_only,
        busy_timeout_s=busy_timeout_s,
        volumes=volumes or FakeVolumes(),
        lease_s=lease_s,
    )


def write(path: Path, data: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode())
    return path


def rewrite_in_place(path: Path, data: str) -> None:
    """Change what a file holds, but neither its size nor its time."""
    stat = path.stat()
    write(path, data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size


def digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def fingerprint(data: bytes, by_file: bool = False) -> Fingerprint:
    audio, _, tags = data.partition(b"|")
    return Fingerprint(digest(audio), digest(tags), digest(data) if by_file else None)


def vectors_for(data: bytes, segments: int = 2) -> NDArray[np.float32]:
    """Unit vectors (segments, DIM) that depend on the audio alone."""
    rng = np.random.default_rng(list(fingerprint(data).audio))
    vectors: NDArray[np.float32] = rng.standard_normal((segments, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def indexed_sound(sound_id: int, path: Path, segments: int = 2, by_file: bool = False) -> IndexedSound:
    """What decoding and embedding would give for a file."""
    data, stat = path.read_bytes(), path.stat()
    found = fingerprint(data, by_file)
    info = SoundInfo(found, 10.0 * segments, 48000, 2, data[:8], stat.st_size, stat.st_mtime_ns)
    starts_s = [5.0 * position for position in range(segments)]
    return IndexedSound(sound_id, info, starts_s, [start_s + 10 for start_s in starts_s], vectors_for(data, segments))


def indexed_sounds(claimed: Iterable[PendingSound]) -> list[IndexedSound]:
    return [indexed_sound(sound.sound_id, sound.path, by_file=sound.by_file) for sound in claimed]


def paths_with(store: Library, audio_hash: bytes) -> list[Path]:
    """Where the indexed sounds are that hold this audio."""
    return [sound.path for sound in store.catalogue.sounds_with(audio_hash)]


def found(path: Path) -> FoundFile:
    stat = path.stat()
    return FoundFile(path, stat.st_size, stat.st_mtime_ns)


def scan(store: Library, folder_id: int, slice_: int = 3) -> tuple[ScanCounts, int]:
    """Scan a folder from its files on disk; the counts, and how many went missing."""
    scan_ = store.catalogue.begin_scan(folder_id)
    entries = list(scan_folder(store.catalogue.folder_path(folder_id)))
    files = [entry for entry in entries if isinstance(entry, FoundFile)]
    slices = [store.catalogue.record_scan(scan_, files[at : at + slice_]) for at in range(0, len(files), slice_)]
    counts = ScanCounts(
        sum(part.new for part in slices),
        sum(part.changed for part in slices),
        sum(part.unchanged for part in slices),
        sum(part.returned for part in slices),
    )
    unreadable = [entry.path for entry in entries if isinstance(entry, ScanProblem)]
    return counts, len(store.catalogue.finish_scan(scan_, unreadable))


def adopt(store: Library, sound: PendingSound, data: bytes) -> Adopted | None:
    return store.work.adopt(sound.sound_id, fingerprint(data, sound.by_file), sound.size, sound.mtime_ns)


def index_pending(store: Library) -> list[Adopted | None]:
    """Index what is pending, by fingerprint where that may do; how each sound came in (None: by its vectors)."""
    ways: list[Adopted | None] = []
    while claimed := store.work.claim(1):
        (sound,) = claimed
        way = adopt(store, sound, sound.path.read_bytes()) if sound.maybe_known else None
        if way is None:
            store.work.save_indexed(indexed_sounds(claimed))
        ways.append(way)
    return ways


def index_folder(store: Library, root: Path) -> int:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    index_pending(store)
    return folder_id


def ids(store: Library, paths: Iterable[Path]) -> list[int | None]:
    sounds = [store.catalogue.sound_at(path) for path in paths]
    return [sound.sound_id if sound else None for sound in sounds]


def state(store: Library, path: Path) -> SoundState | None:
    sound = store.catalogue.sound_at(path)
    return sound.state if sound else None


def searchable(store: Library) -> int:
    """How many sounds a search can find, by the library's counts."""
    return store.catalogue.status().counts[SoundState.INDEXED]


def segments(store: Library) -> int:
    """How many vectors of the present pack the library holds."""
    return store.catalogue.status().segments


def vectors_of(store: Library, path: Path) -> NDArray[np.float32] | None:
    """The vectors (n, DIM) of the sound at a path."""
    sound = store.catalogue.sound_at(path)
    found_ = store.vectors.segments(sound.sound_id) if sound else None
    return found_.vectors if found_ else None


def rank(
    store: Library,
    data: str,
    limit: int = 10,
    offset: int = 0,
    where: Filter | None = None,
    without: Sequence[int] = (),
) -> tuple[Hit, ...]:
    """Hits for the first vector of these bytes."""
    (hits,) = store.vectors.rank(vectors_for(data.encode())[:1], limit, offset, where, without)
    return hits


def best(store: Library, data: str, limit: int = 10) -> list[Path]:
    """Paths found by the first vector of these bytes, best first."""
    return [hit.path for hit in rank(store, data, limit)]


def everything(store: Library) -> set[Path]:
    """Every path that a search can return."""
    return set(best(store, "anything", limit=10_000))


def refused(action: Callable[[], object]) -> str:
    """The kind of KnownError that an action ends in; every one of them must say what to do."""
    with pytest.raises(KnownError) as error:
        action()
    assert error.value.detail
    assert error.value.hint
    return error.value.kind
