"""Scans in the library's tables: what was met, what changed, what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlite_utils import Database

from engine.errors import ErrorKind
from engine.library.protocols import FolderGoneError, ScanCounts
from engine.library.sqlite.places import under
from engine.library.types import SoundState

if TYPE_CHECKING:
    from engine.media.scan import FoundFile

PASSING_FAILURES = frozenset(
    {
        ErrorKind.SOUND_CHANGED,
        ErrorKind.SOUND_CRASHED,
        ErrorKind.SOUND_IO_ERROR,
        ErrorKind.SOUND_NO_PERMISSION,
        ErrorKind.SOUND_TIMEOUT,
        ErrorKind.SOUND_VANISHED,
    }
)
"""Failures that can pass while size and time of the file stay as they are: a scan makes these sounds pending again."""

_MET = """CREATE TEMP TABLE met (
    folder_id INTEGER, sound_id INTEGER, PRIMARY KEY (folder_id, sound_id)
) WITHOUT ROWID"""
"""The sounds that a scan has met: of no use after it, nor in another process."""


def prepare(db: Database) -> None:
    """Make this process ready to scan."""
    db.execute(_MET)


def begin(db: Database, folder_id: int) -> int:
    """Forget what an earlier scan met, inside the caller's transaction; the newest sound there is."""
    db.execute("DELETE FROM met WHERE folder_id = ?", [folder_id])
    return int(db.execute("SELECT coalesce(max(id), 0) FROM sound").fetchone()[0])


def record(
    db: Database, folder_id: int, files: Mapping[str, FoundFile], has_vectors: Callable[[int], bool]
) -> tuple[ScanCounts, set[int | None]]:
    """Record one slice of the files found, inside the caller's transaction.

    Args:
        db: The library.
        folder_id: The folder that is scanned.
        files: The files of this slice, by their paths in the folder.
        has_vectors: Whether a content can be found with the present pack.

    Returns:
        What was found, and the contents that may be found now, or not any more.

    Raises:
        FolderGoneError: The folder was removed meanwhile, or became part of another.
    """
    paths = json.dumps(list(files), ensure_ascii=False)
    new: list[tuple[object, ...]] = []
    changed: list[tuple[object, ...]] = []
    returned: list[tuple[object, ...]] = []
    unchanged = 0
    touched: set[int | None] = set()
    if not db.execute("SELECT 1 FROM folder WHERE id = ? AND NOT removed", [folder_id]).fetchone():
        raise FolderGoneError(folder_id)
    known = {
        row[0]: row[1:]
        for row in db.execute(
            """SELECT path, id, size, mtime_ns, state, content_id, stale, error_kind FROM sound
               WHERE folder_id = ? AND path IN (SELECT value FROM json_each(?))""",
            [folder_id, paths],
        )
    }
    for path, file in files.items():
        if path not in known:
            new.append((folder_id, path, file.size, file.mtime_ns))
            continue
        sound_id, size, mtime_ns, state, content_id, stale, error_kind = known[path]
        if (size, mtime_ns) != (file.size, file.mtime_ns):
            changed.append((file.size, file.mtime_ns, 1, sound_id))
            touched.add(content_id)
        elif error_kind in PASSING_FAILURES:
            changed.append((size, mtime_ns, stale, sound_id))
        elif state == SoundState.MISSING:
            is_indexed = content_id is not None and not stale and has_vectors(content_id)
            state = SoundState.INDEXED if is_indexed else SoundState.PENDING
            returned.append((state, sound_id))
            touched.add(content_id)
        elif state == SoundState.INDEXED:
            unchanged += 1
    db.conn.executemany(
        "INSERT INTO sound (folder_id, path, size, mtime_ns, state) VALUES (?, ?, ?, ?, 'pending')", new
    )
    db.conn.executemany(
        """UPDATE sound SET size = ?, mtime_ns = ?, stale = ?, state = 'pending',
                  error_kind = NULL, error_detail = NULL, error_hint = NULL
           WHERE id = ?""",
        changed,
    )
    db.conn.executemany("UPDATE sound SET state = ? WHERE id = ?", returned)
    db.execute(
        """INSERT OR IGNORE INTO met SELECT folder_id, id FROM sound
           WHERE folder_id = ? AND path IN (SELECT value FROM json_each(?))""",
        [folder_id, paths],
    )
    return ScanCounts(len(new), len(changed), unchanged, len(returned)), touched


def finish(
    db: Database, folder_id: int, newest_id: int, scope: Sequence[str], unreadable: Sequence[str]
) -> tuple[tuple[int, ...], set[int | None]]:
    """Mark what the scan did not meet as missing, inside the caller's transaction.

    Args:
        db: The library.
        folder_id: The folder that was scanned.
        newest_id: The newest sound at the scan's begin; later ones are another's to miss.
        scope: Paths in the folder that were scanned; none for all of it.
        unreadable: Paths in the folder whose files are not known to be missing; "." for all of it.

    Returns:
        The sounds that are missing, and their contents.
    """
    if "." in unreadable:
        unmet = []
    else:
        scanned, parameters = _within(scope) if scope else ("1", [])
        unread, more = _within(unreadable)
        unmet = db.execute(
            f"""SELECT id, content_id FROM sound
                WHERE folder_id = ? AND state <> 'missing' AND id <= ? AND ({scanned}) AND NOT ({unread})
                  AND NOT EXISTS (SELECT 1 FROM met WHERE folder_id = sound.folder_id AND sound_id = sound.id)""",  # noqa: S608
            [folder_id, newest_id, *parameters, *more],
        ).fetchall()
    db.conn.executemany(
        """UPDATE sound SET state = 'missing', error_kind = NULL, error_detail = NULL, error_hint = NULL
           WHERE id = ?""",
        [row[:1] for row in unmet],
    )
    db.execute("DELETE FROM met WHERE folder_id = ?", [folder_id])
    return tuple(row[0] for row in unmet), {row[1] for row in unmet}


def _within(places: Sequence[str]) -> tuple[str, list[str]]:
    """SQL and its parameters for sounds at or under these paths; a list in JSON, since there may be very many."""
    bounds = json.dumps([[place, *under(place)] for place in places], ensure_ascii=False)
    sql = """EXISTS (SELECT 1 FROM json_each(?) WHERE sound.path = value ->> 0
                     OR sound.path >= value ->> 1 AND sound.path < value ->> 2)"""
    return sql, [bounds]
