"""Libraries as released versions left them, and what is in them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.library.sqlite.library import SqliteLibrary
from tests.engine.library.library import FakeVolumes, write

FIXTURES: Final = Path(__file__).parent / "fixtures"
_HOME: Final = PurePosixPath("/home/ann")


@dataclass(frozen=True)
class ReleasedSound:
    """A sound of the library; ``data`` is what its file holds now, ``hash`` of what it held when it was indexed."""

    sound_id: int
    path: Path
    state: str
    is_stale: bool
    hash: str | None
    error: tuple[str, str, str] | None
    data: str
    size: int
    mtime_ns: int
    is_removed: bool

    def write(self) -> None:
        """Make the file as the library knows it."""
        write(self.path, self.data)
        os.utime(self.path, ns=(self.mtime_ns, self.mtime_ns))
        assert self.path.stat().st_size == self.size


class Released010:
    """The library of 0.1.0, copied and with its folders under a home of this test.

    Attributes:
        library: The library file.
        folders: The path of each folder, by id.
        removed: The folder that was removed.
        sounds: All sounds, by id.
    """

    def __init__(self, library: Path, home: Path) -> None:
        described: dict[str, Any] = json.loads((FIXTURES / "library-0.1.0.json").read_text(encoding="utf-8"))
        self.library = library
        self.dim: int = described["dim"]
        self.folders = {row["id"]: _below(home, row["path"]) for row in described["folders"]}
        self.removed = _below(home, described["removed"])
        self.sounds = {row["id"]: _sound(home, row) for row in described["sounds"]}
        self._vectors: list[dict[str, Any]] = described["vectors"]
        shutil.copy(FIXTURES / "library-0.1.0.foundsound", library)
        connection = sqlite3.connect(library)
        connection.executemany(
            "UPDATE folder SET path = ? WHERE id = ?", [(str(path), id_) for id_, path in self.folders.items()]
        )
        connection.executemany(
            "UPDATE sound SET path = ? WHERE id = ?", [(str(sound.path), id_) for id_, sound in self.sounds.items()]
        )
        connection.commit()
        connection.close()

    @property
    def packs(self) -> dict[str, str]:
        """Hash of each pack that has vectors, by its name."""
        return {row["pack_id"]: row["pack_hash"] for row in self._vectors}

    def open(self, pack_id: str) -> SqliteLibrary:
        return SqliteLibrary.open(self.library, pack_id, self.packs[pack_id], self.dim, volumes=FakeVolumes())

    def segments(self, pack_id: str, hash_: str | None) -> list[tuple[float, float, bytes]]:
        """Start, end and vector of each segment of a content."""
        return [
            (row["start_s"], row["end_s"], bytes.fromhex(row["vector"]))
            for row in self._vectors
            if (row["pack_id"], row["hash"]) == (pack_id, hash_)
        ]

    def count_segments(self, pack_id: str) -> int:
        return sum(row["pack_id"] == pack_id for row in self._vectors)

    def visible(self) -> Iterator[ReleasedSound]:
        """The sounds of folders that were not removed."""
        return (sound for sound in self.sounds.values() if not sound.is_removed)

    def named(self, name: str) -> ReleasedSound:
        """The visible sound whose path ends so."""
        (sound,) = (sound for sound in self.visible() if sound.path.as_posix().endswith(f"/{name}"))
        return sound


def as_bytes(vectors: NDArray[np.float32]) -> list[bytes]:
    return [vector.astype("<f4").tobytes() for vector in vectors]


def _below(home: Path, path: str) -> Path:
    return home.joinpath(*PurePosixPath(path).relative_to(_HOME).parts)


def _sound(home: Path, row: dict[str, Any]) -> ReleasedSound:
    return ReleasedSound(
        sound_id=row["id"],
        path=_below(home, row["path"]),
        state=row["state"],
        is_stale=bool(row["stale"]),
        hash=row["hash"] or None,
        error=(row["error_kind"], row["error_detail"], row["error_hint"]) if row["error_kind"] else None,
        data=row["data"],
        size=row["size"],
        mtime_ns=row["mtime_ns"],
        is_removed=row["folder_id"] is None,
    )
