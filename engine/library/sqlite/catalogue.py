"""The catalogue in SQLite: folders, their sounds, and what each holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine.errors import ErrorKind, KnownError
from engine.library.protocols import FolderGoneError, Scan, ScanCounts, StoredSound
from engine.library.sqlite import scanning
from engine.library.sqlite.changes import Changes
from engine.library.sqlite.file import LibraryFile
from engine.library.sqlite.numbers import as_json
from engine.library.sqlite.packs import PackRow
from engine.library.sqlite.places import Place, Places, same_place, under
from engine.library.types import Failure, Folder, LibraryStatus, SoundState
from engine.media.drives import Drives
from engine.media.scan import FoundFile
from engine.media.spelling import spelled

_NO_FAILURE = "error_kind = NULL, error_detail = NULL, error_hint = NULL"


class SqliteCatalogue:
    """See :class:`engine.library.protocols.Catalogue` for what the methods promise."""

    def __init__(
        self,
        file: LibraryFile,
        changes: Changes,
        places: Places,
        pack: PackRow,
        drives: Drives,
        notice: KnownError | None,
    ) -> None:
        self._file = file
        self._db = file.db
        self._changes = changes
        self._places = places
        self._pack = pack
        self._drives = drives
        self.notice = notice

    @property
    def read_only(self) -> bool:
        return self._file.read_only

    def check(self) -> None:
        self._file.check()

    def status(self) -> LibraryStatus:
        with self._file.reading():
            size_bytes, segments = self._file.size_bytes(), self._pack.count_segments()
            rows = self._db.execute(
                """SELECT state, sum(sounds) FROM tally JOIN folder ON folder.id = folder_id
                   WHERE NOT removed GROUP BY state"""
            ).fetchall()
        counts = dict.fromkeys(SoundState, 0) | {self._state(state): sounds for state, sounds in rows}
        return LibraryStatus(self._file.path, self._pack.pack_id, self._pack.pack_hash, counts, segments, size_bytes)

    def count_searchable(self) -> int:
        with self._file.reading():
            row = self._db.execute("SELECT coalesce(sum(sounds), 0) FROM tally WHERE state = 'indexed'").fetchone()
        return int(row[0])

    def _state(self, text: str) -> SoundState:
        try:
            return SoundState(text)
        except ValueError as error:
            raise self._file.corrupt(str(error)) from error

    # Folders ------------------------------------------------------------------------------------------------------

    def folders(self) -> tuple[Folder, ...]:
        with self._file.reading():
            self._places.follow_volumes()
            places = [place for place in self._places.all() if not place.removed]
            counts = {
                row[0]: row[1:]
                for row in self._db.execute("""
                    SELECT folder_id, coalesce(sum(sounds), 0),
                           coalesce(sum(sounds) FILTER (WHERE state = 'indexed'), 0),
                           coalesce(sum(sounds) FILTER (WHERE state = 'failed'), 0),
                           coalesce(sum(sounds) FILTER (WHERE state = 'missing'), 0)
                    FROM tally GROUP BY folder_id
                """)
            }
        there = self._drives.have([str(place.path) for place in places])
        folders = []
        for place, answer in zip(places, there, strict=True):
            sounds, indexed, failed, missing = counts.get(place.folder_id, (0, 0, 0, 0))
            folders.append(Folder(place.folder_id, place.path, sounds, indexed, failed, missing, bool(answer)))
        return tuple(folders)

    def folder_path(self, folder_id: int) -> Path:
        with self._file.reading():
            return self._place(folder_id).path

    def add_folder(self, path: Path) -> int:
        path = spelled(_named(path))
        with self._changes.writing_all():
            places = self._places.all()
            for place in places:
                if not place.removed and same_place(path, place.path):
                    return place.folder_id
            self._require_uncovered(path, places)
            volume, inside = self._places.locate(path)
            folder_id = next((place.folder_id for place in places if place.path == path), None)
            if folder_id is None:
                folder_id = self._db.execute(
                    "INSERT INTO folder (volume_id, path) VALUES (?, ?)", [volume, inside]
                ).lastrowid
            else:
                self._db.execute(
                    "UPDATE folder SET removed = 0, volume_id = ?, path = ? WHERE id = ?", [volume, inside, folder_id]
                )
            assert folder_id is not None
            for place in places:
                if place.folder_id != folder_id:
                    self._take_in(place, folder_id, path)
        return folder_id

    def remove_folder(self, folder_id: int) -> None:
        with self._changes.writing_all():
            self._db.execute(
                f"UPDATE sound SET state = 'missing', {_NO_FAILURE} WHERE folder_id = ?",  # noqa: S608
                [folder_id],
            )
            self._db.execute("UPDATE folder SET removed = 1 WHERE id = ?", [folder_id])

    def relink_folder(self, folder_id: int, path: Path) -> None:
        path = spelled(_named(path))
        with self._file.writing():
            self._place(folder_id)
            others = [place for place in self._places.all() if place.folder_id != folder_id]
            self._require_uncovered(path, others)
            for other in others:
                if not other.removed and other.path.is_relative_to(path):
                    raise _covered(path, other.path)
            volume, inside = self._places.locate(path)
            self._db.execute("UPDATE folder SET volume_id = ?, path = ? WHERE id = ?", [volume, inside, folder_id])

    def _place(self, folder_id: int) -> Place:
        for place in self._places.all():
            if place.folder_id == folder_id and not place.removed:
                return place
        raise FolderGoneError(folder_id)

    def _require_uncovered(self, path: Path, places: Sequence[Place]) -> None:
        for place in places:
            if not place.removed and path.is_relative_to(place.path):
                raise _covered(path, place.path)

    def _take_in(self, other: Place, folder_id: int, path: Path) -> None:
        """Give a folder the sounds of another one that lie in it: all of one inside it, those that a removed one knows.

        What a place is known as already stays: the other folder keeps its own sound of that name, out of sight.
        """
        if other.path.is_relative_to(path) and other.path.parts:
            before = other.path.relative_to(path).as_posix()
            before = "" if before == "." else f"{before}/"
            self._db.execute(
                "UPDATE OR IGNORE sound SET folder_id = ?, path = ? || path WHERE folder_id = ?",
                [folder_id, before, other.folder_id],
            )
            self._db.execute(
                f"UPDATE sound SET state = 'missing', {_NO_FAILURE} WHERE folder_id = ?",  # noqa: S608
                [other.folder_id],
            )
            if self._db.execute("SELECT 1 FROM sound WHERE folder_id = ?", [other.folder_id]).fetchone():
                self._db.execute("UPDATE folder SET removed = 1 WHERE id = ?", [other.folder_id])
            else:
                self._db.execute("DELETE FROM folder WHERE id = ?", [other.folder_id])
        elif other.removed and (not other.path.parts or path.is_relative_to(other.path)):
            inside = path.relative_to(other.path).as_posix() if other.path.parts else path.as_posix()
            first, end = under(inside.rstrip("/"))
            self._db.execute(
                """UPDATE OR IGNORE sound SET folder_id = ?, path = substr(path, ?)
                   WHERE folder_id = ? AND path >= ? AND path < ?""",
                [folder_id, len(first) + 1, other.folder_id, first, end],
            )

    # Scanning -----------------------------------------------------------------------------------------------------

    def begin_scan(self, folder_id: int, scope: Sequence[Path] = ()) -> Scan:
        with self._file.writing():
            newest_id = scanning.begin(self._db, folder_id)
        return Scan(folder_id, tuple(scope), newest_id)

    def record_scan(self, scan: Scan, files: Sequence[FoundFile]) -> ScanCounts:
        with self._changes.writing() as touched:
            root = self._place(scan.folder_id).path
            found = {_inside(root, file.path): file for file in files}
            counts, changed = scanning.record(self._db, scan.folder_id, found, self._pack.has_segments)
            touched |= changed
        return counts

    def finish_scan(self, scan: Scan, unreadable: Sequence[Path] = ()) -> tuple[int, ...]:
        with self._changes.writing() as touched:
            root = self._place(scan.folder_id).path
            scope = [_inside(root, path) for path in scan.scope if path != root]
            unread = [_inside(root, path) for path in unreadable if path.is_relative_to(root)]
            missing, lost = scanning.finish(
                self._db, scan.folder_id, scan.newest_id, [] if root in scan.scope else scope, unread
            )
            touched |= lost
        return missing

    def count_missing(self, sound_ids: Sequence[int]) -> int:
        with self._file.reading():
            row = self._db.execute(
                "SELECT count(*) FROM sound WHERE state = 'missing' AND id IN (SELECT value FROM json_each(?))",
                [as_json(sound_ids)],
            ).fetchone()
        return int(row[0])

    # Sounds -------------------------------------------------------------------------------------------------------

    def failures(self, limit: int) -> tuple[Failure, ...]:
        with self._file.reading():
            rows = self._db.execute(
                """SELECT id, folder_id, path, error_kind, error_detail, error_hint FROM sound
                   WHERE state = 'failed' ORDER BY id LIMIT ?""",
                [limit],
            ).fetchall()
            roots = self._places.roots()
        return tuple(Failure(row[0], roots[row[1]] / row[2], *row[3:]) for row in rows)

    def retry_failed(self) -> int:
        with self._file.writing():
            return self._db.execute(
                f"UPDATE sound SET state = 'pending', {_NO_FAILURE} WHERE state = 'failed'"  # noqa: S608
            ).rowcount

    def verify_all(self) -> int:
        with self._file.writing():
            return self._db.execute(
                "INSERT OR IGNORE INTO work (kind, sound_id) SELECT 'embed', id FROM sound WHERE state = 'indexed'"
            ).rowcount

    def sound_at(self, path: Path) -> StoredSound | None:
        path = absolute(path)
        if not _is_unicode(path):
            return None
        with self._file.reading():
            return self._sound_named(path) or self._sound_named(spelled(path))

    def _sound_named(self, path: Path) -> StoredSound | None:
        for place, inside in self._places.holding(path):
            row = self._db.execute(
                "SELECT id, state, content_id FROM sound WHERE folder_id = ? AND path = ?", [place.folder_id, inside]
            ).fetchone()
            if row is not None:
                return StoredSound(row[0], path, self._state(row[1]), row[2])
        return None

    def sound(self, sound_id: int) -> StoredSound | None:
        with self._file.reading():
            row = self._db.execute(
                """SELECT folder_id, sound.path, state, content_id FROM sound JOIN folder ON folder.id = folder_id
                   WHERE sound.id = ? AND NOT removed""",
                [sound_id],
            ).fetchone()
            roots = self._places.roots()
        return StoredSound(sound_id, roots[row[0]] / row[1], self._state(row[2]), row[3]) if row else None

    def sounds_with(self, audio_hash: bytes) -> list[StoredSound]:
        with self._file.reading():
            rows = self._db.execute(
                """SELECT sound.id, folder_id, path, content_id FROM sound JOIN content ON content.id = content_id
                   WHERE hash = ? AND NOT of_file AND state = 'indexed'""",
                [audio_hash],
            ).fetchall()
            roots = self._places.roots()
        return [StoredSound(row[0], roots[row[1]] / row[2], SoundState.INDEXED, row[3]) for row in rows]


def absolute(path: Path) -> Path:
    """Without ``..``, but not resolved: links and mapped drives stay as the user named them."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _named(path: Path) -> Path:
    """The absolute path of a folder; KnownError ``name_not_unicode`` where that cannot be stored."""
    path = absolute(path)
    if not _is_unicode(path):
        raise KnownError(
            ErrorKind.NAME_NOT_UNICODE, f"The name of {str(path)!r} is not valid text.", "Rename the folder."
        )
    return path


def _inside(root: Path, path: Path) -> str:
    """A path in a folder, with "/" between its parts."""
    return path.relative_to(root).as_posix()


def _covered(path: Path, other: Path) -> KnownError:
    return KnownError(
        ErrorKind.FOLDER_ALREADY_COVERED,
        f"{path} is already part of the library, as it lies in {other}."
        if path.is_relative_to(other)
        else f"{path} is already part of the library, as it holds {other}.",
        "There is nothing to do: its sounds are indexed with that folder.",
    )


def _is_unicode(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
