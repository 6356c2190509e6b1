"""Scans in the library's tables: what was met, what changed, what is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from engine.errors import ErrorKind
from engine.library.store import FolderGoneError, Scan, ScanCounts
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


def begin(db: Database, folder_id: int) -> None:
    """Forget what an earlier scan met, inside the caller's transaction."""
    db.execute("DELETE FROM met WHERE folder_id = ?", [folder_id])


def record(
    db: Database, scan: Scan, files: Sequence[FoundFile], has_vectors: Callable[[int], bool]
) -> tuple[ScanCounts, set[int | None]]:
    """Record one slice of the files found, inside the caller's transaction.

    Args:
        db: The library.
        scan: The scan, begun before.
        files: The files of this slice.
        has_vectors: Whether a content can be found with the present pack.

    Returns:
        What was found, and the contents that may be found now, or not any more.

    Raises:
        FolderGoneError: The folder was removed meanwhile, or became part of another.
    """
    found = {str(file.path): file for file in files}
    paths = json.dumps(list(found), ensure_ascii=False)
    new: list[tuple[object, ...]] = []
    changed: list[tuple[object, ...]] = []
    returned: list[tuple[object, ...]] = []
    unchanged = 0
    touched: set[int | None] = set()
    if not db.execute("SELECT 1 FROM folder WHERE id = ?", [scan.folder_id]).fetchone():
        raise FolderGoneError(scan.folder_id)
    known = {
        row[0]: row[1:]
        for row in db.execute(
            """SELECT path, id, size, mtime_ns, state, content_id, stale, error_kind FROM sound
               WHERE path IN (SELECT value FROM json_each(?))""",
            [paths],
        )
    }
    for path, file in found.items():
        if path not in known:
            new.append((scan.folder_id, path, file.size, file.mtime_ns))
            continue
        sound_id, size, mtime_ns, state, content_id, stale, error_kind = known[path]
        if (size, mtime_ns) != (file.size, file.mtime_ns):
            changed.append((scan.folder_id, file.size, file.mtime_ns, 1, sound_id))
            touched.add(content_id)
        elif error_kind in PASSING_FAILURES:
            changed.append((scan.folder_id, size, mtime_ns, stale, sound_id))
        elif state == SoundState.MISSING:
            is_indexed = content_id is not None and not stale and has_vectors(content_id)
            state = SoundState.INDEXED if is_indexed else SoundState.PENDING
            returned.append((scan.folder_id, state, sound_id))
            touched.add(content_id)
        elif state == SoundState.INDEXED:
            unchanged += 1
    db.conn.executemany(
        "INSERT INTO sound (folder_id, path, size, mtime_ns, state) VALUES (?, ?, ?, ?, 'pending')", new
    )
    db.conn.executemany(
        """UPDATE sound SET folder_id = ?, size = ?, mtime_ns = ?, stale = ?, state = 'pending',
                  error_kind = NULL, error_detail = NULL, error_hint = NULL
           WHERE id = ?""",
        changed,
    )
    db.conn.executemany("UPDATE sound SET folder_id = ?, state = ? WHERE id = ?", returned)
    db.execute(
        """INSERT OR IGNORE INTO met SELECT ?, id FROM sound
           WHERE path IN (SELECT value FROM json_each(?))""",
        [scan.folder_id, paths],
    )
    return ScanCounts(len(new), len(changed), unchanged, len(returned)), touched


def finish(db: Database, scan: Scan, unreadable: Sequence[Path]) -> tuple[tuple[int, ...], set[int | None]]:
    """Mark what the scan did not meet as missing, inside the caller's transaction: which sounds, and their contents."""
    unread = {str(path) for path in unreadable}
    under = tuple(path.rstrip(os.sep) + os.sep for path in unread)
    unmet = db.execute(
        """SELECT id, path, content_id FROM sound
           WHERE folder_id = ? AND state <> 'missing'
             AND NOT EXISTS (SELECT 1 FROM met WHERE folder_id = sound.folder_id AND sound_id = sound.id)""",
        [scan.folder_id],
    ).fetchall()
    unmet = [row for row in unmet if row[1] not in unread and not row[1].startswith(under)]
    db.conn.executemany(
        """UPDATE sound SET state = 'missing', error_kind = NULL, error_detail = NULL, error_hint = NULL
           WHERE id = ?""",
        [row[:1] for row in unmet],
    )
    db.execute("DELETE FROM met WHERE folder_id = ?", [scan.folder_id])
    return tuple(row[0] for row in unmet), {row[2] for row in unmet}
