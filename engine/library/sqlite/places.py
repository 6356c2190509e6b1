"""Where the library's folders are now: a folder's path counts from its volume, wherever that is mounted today."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from engine.library.sqlite.file import LibraryFile
    from engine.media.volumes import Volume


class Mounts(Protocol):
    """What :class:`engine.media.volumes.Volumes` tells."""

    def of(self, path: Path) -> Volume | None: ...

    def mounts(self, identity: str) -> tuple[Path, ...]: ...


@dataclass(frozen=True)
class Place:
    """A folder of the library, or one that was removed from it, and where it is."""

    folder_id: int
    path: Path
    removed: bool


class Places:
    """Reads and writes where folders are. Follows volumes that were mounted elsewhere meanwhile."""

    def __init__(self, file: LibraryFile, volumes: Mounts) -> None:
        self._file = file
        self._volumes = volumes
        self._moved: dict[int, str] = {}  # volume -> where it is mounted, in a library that cannot be written

    def all(self) -> list[Place]:
        """Every folder, the removed ones too, by id."""
        rows = self._file.db.execute(
            """SELECT folder.id, volume.id, volume.mount, path, removed
               FROM folder LEFT JOIN volume ON volume.id = volume_id ORDER BY folder.id"""
        ).fetchall()
        return [
            Place(folder_id, Path(self._moved.get(volume, mount) or "", path), bool(removed))
            for folder_id, volume, mount, path, removed in rows
        ]

    def roots(self) -> dict[int, Path]:
        """Where each folder is, by its id."""
        return {place.folder_id: place.path for place in self.all()}

    def holding(self, path: Path) -> Iterator[tuple[Place, str]]:
        """The folders that a path lies in, the innermost first, with the path from there on."""
        found = [place for place in self.all() if not place.removed and path.is_relative_to(place.path)]
        for place in sorted(found, key=lambda place: len(place.path.parts), reverse=True):
            yield place, path.relative_to(place.path).as_posix()

    def follow_volumes(self) -> None:
        """Take note of volumes that are mounted elsewhere than they were."""
        for volume, identity, mount in self._file.db.execute("SELECT id, identity, mount FROM volume").fetchall():
            mounts = [str(path) for path in self._volumes.mounts(identity)]
            if mounts and self._moved.get(volume, mount) not in mounts:
                self._move(volume, next((path for path in mounts if self._has_folder(volume, path)), mounts[0]))

    def locate(self, path: Path) -> tuple[int | None, str]:
        """The row of the volume that a folder lies on and its path there; None and the whole path where the system
        does not tell. Inside the caller's transaction."""
        volume = self._volumes.of(path)
        if volume is None or volume.identity is None or not path.is_relative_to(volume.mount):
            return None, str(path)
        self._file.db.execute(
            "INSERT INTO volume (identity, mount) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [volume.identity, str(volume.mount)],
        )
        row, mount = self._file.db.execute(
            "SELECT id, mount FROM volume WHERE identity = ?", [volume.identity]
        ).fetchone()
        if mount != str(volume.mount):  # it is mounted at two places, of which the user named the other
            return None, str(path)
        return int(row), path.relative_to(volume.mount).as_posix()

    def learn_volumes(self) -> None:
        """Find the volumes of folders that were added when none was known."""
        with self._file.reading():
            rows = self._file.db.execute(
                "SELECT id, path FROM folder WHERE volume_id IS NULL AND NOT removed"
            ).fetchall()
        known = [(folder_id, path) for folder_id, path in rows if self._identity(Path(path)) is not None]
        if not known:  # the usual case, for which no other process is to be waited for
            return
        with self._file.writing():
            for folder_id, path in known:
                volume, inside = self.locate(Path(path))
                self._file.db.execute(
                    "UPDATE folder SET volume_id = ?, path = ? WHERE id = ?", [volume, inside, folder_id]
                )

    def _identity(self, path: Path) -> str | None:
        volume = self._volumes.of(path)
        return None if volume is None else volume.identity

    def _move(self, volume: int, mount: str) -> None:
        if self._file.read_only:
            self._moved[volume] = mount
            return
        with self._file.writing():
            self._file.db.execute("UPDATE volume SET mount = ? WHERE id = ?", [mount, volume])

    def _has_folder(self, volume: int, mount: str) -> bool:
        rows = self._file.db.execute("SELECT path FROM folder WHERE volume_id = ?", [volume]).fetchall()
        return any(os.path.isdir(Path(mount, path)) for (path,) in rows)  # noqa: PTH112 - pathlib's may raise


def same_place(path: Path, other: Path) -> bool:
    """Whether two paths name one folder: equal, or spelled alike on a volume that takes them for equal."""
    if path == other:
        return True
    if _key(path) != _key(other):
        return False
    try:
        return path.samefile(other)
    except OSError:
        return False


def _key(path: Path) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def under(path: str) -> tuple[str, str]:
    """Bounds of the paths inside a folder, in SQLite's order of texts: from the first up to but without the second."""
    return path + "/", path + "0"  # "0" follows "/"
