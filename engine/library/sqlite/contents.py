"""Contents in the library's tables: what files hold, its segments, and which sounds hold it now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np
from sqlite_utils import Database

from engine.library.protocols import IndexedSound
from engine.library.types import SoundState

if TYPE_CHECKING:
    from engine.media.decode import SoundInfo
    from engine.media.fingerprint import Fingerprint

VECTOR_TYPE: Final = "<f4"
_MOVES_CHECKED: Final = 32  # older places looked at on disk for one new file

IsGone = Callable[[int, str], bool]
"""Whether there is certainly no file at a path in a folder."""


def find(db: Database, fingerprint: Fingerprint) -> int | None:
    """Id of the content with this audio; one that is known by its whole file alone is from now on known by its audio.

    Inside the caller's transaction.
    """
    known = db.execute("SELECT id FROM content WHERE hash = ? AND NOT of_file", [fingerprint.audio]).fetchone()
    if known is None and fingerprint.file is not None:
        known = db.execute("SELECT id FROM content WHERE hash = ? AND of_file", [fingerprint.file]).fetchone()
        if known is not None:
            db.execute("UPDATE content SET hash = ?, of_file = 0 WHERE id = ?", [fingerprint.audio, known[0]])
    return None if known is None else int(known[0])


def find_or_add(db: Database, info: SoundInfo) -> int:
    """Id of the content with this audio, made where it is new."""
    known = find(db, info.fingerprint)
    if known is not None:
        return known
    added = db.execute(
        """INSERT INTO content (hash, size, duration_s, sample_rate_hz, channels, peaks)
           VALUES (?, ?, ?, ?, ?, ?)""",
        [info.fingerprint.audio, info.size, info.duration_s, info.sample_rate_hz, info.channels, info.peaks],
    ).lastrowid
    assert added is not None
    return added


def add_segments(db: Database, content_id: int, pack: int, item: IndexedSound) -> None:
    """Write a content's vectors for this pack, unless an equal file brought them before."""
    if db.execute("SELECT 1 FROM segment WHERE content_id = ? AND pack_id = ?", [content_id, pack]).fetchone():
        return
    vectors = np.asarray(item.vectors, VECTOR_TYPE)
    db.conn.executemany(
        "INSERT INTO segment (content_id, pack_id, position, start_s, end_s, vector) VALUES (?, ?, ?, ?, ?, ?)",
        (
            (content_id, pack, position, float(start_s), float(end_s), vector.tobytes())
            for position, (start_s, end_s, vector) in enumerate(zip(item.starts_s, item.ends_s, vectors, strict=True))
        ),
    )
    db.execute("UPDATE pack SET segments = segments + ? WHERE id = ?", [len(vectors), pack])


def settle(
    db: Database, sound_id: int, content_id: int, rest_hash: bytes, size: int, mtime_ns: int, is_gone: IsGone
) -> bool:
    """A sound was found to hold this content: make it indexed, and tell whether it is an older sound, moved.

    Only a sound that never had a content can turn out to be an older one: others have an identity of their own. One
    whose folder was removed while it was on its way keeps the content, and stays out of sight.
    """
    row = db.execute(
        """SELECT folder_id, sound.path, content_id, removed
           FROM sound JOIN folder ON folder.id = folder_id WHERE sound.id = ?""",
        [sound_id],
    ).fetchone()
    if row is None:  # it turned out to be another one, moved
        return False
    folder_id, path, known_content, removed = row
    is_new = known_content is None and not removed
    older = _moved_from(db, sound_id, content_id, path, is_gone) if is_new else None
    if older is not None:
        db.execute("DELETE FROM sound WHERE id = ?", [sound_id])
        db.execute("UPDATE sound SET folder_id = ?, path = ? WHERE id = ?", [folder_id, path, older])
        db.execute(  # a scan that met the new row has met the older one that takes its place
            "INSERT OR IGNORE INTO met SELECT folder_id, ? FROM met WHERE folder_id = ? AND sound_id = ?",
            [older, folder_id, sound_id],
        )
    db.execute(
        """UPDATE sound SET content_id = ?, rest_hash = ?, size = ?, mtime_ns = ?, stale = 0, state = ?,
                  error_kind = NULL, error_detail = NULL, error_hint = NULL
           WHERE id = ?""",
        [
            content_id,
            rest_hash,
            size,
            mtime_ns,
            SoundState.MISSING if removed else SoundState.INDEXED,
            sound_id if older is None else older,
        ],
    )
    return older is not None


def _moved_from(db: Database, sound_id: int, content_id: int, path: str, is_gone: IsGone) -> int | None:
    """The sound that a new file with this content was before it moved: one that is missing, or whose file is no
    longer there (its folder may have moved as a whole, and not been scanned since). The likest path comes first."""
    rows = db.execute(
        "SELECT id, folder_id, path, state FROM sound WHERE content_id = ? AND id <> ?", [content_id, sound_id]
    ).fetchall()
    rows.sort(key=lambda row: (-_equal_tail(path, row[2]), row[3] != SoundState.MISSING, row[0]))
    for older, folder_id, old_path, state in rows[:_MOVES_CHECKED]:
        if state == SoundState.MISSING or is_gone(folder_id, old_path):
            return int(older)
    return None


def _equal_tail(one: str, other: str) -> int:
    """How many parts two paths have in common, from the file name backwards."""
    count = 0
    for a, b in zip(reversed(PurePosixPath(one).parts), reversed(PurePosixPath(other).parts), strict=False):
        if a != b:
            break
        count += 1
    return count
