"""What is to be done, shared by all processes that have the library open: claims that end with their process."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from engine.errors import KnownError
from engine.library.protocols import Adopted, IndexedSound, PendingSound, WorkKind
from engine.library.sqlite import contents
from engine.library.sqlite.changes import Changes
from engine.library.sqlite.file import LibraryFile
from engine.library.sqlite.packs import PackRow
from engine.library.sqlite.places import Places
from engine.media.drives import Drives
from engine.media.fingerprint import Fingerprint

LEASE_S: Final = 120.0
"""How long claims outlive the last sign of life of a process on another computer."""
_START_TOLERANCE_S: Final = 2.0


class SqliteWorkQueue:
    """See :class:`engine.library.protocols.WorkQueue`. A process has a row of its own while it holds claims."""

    def __init__(
        self, file: LibraryFile, changes: Changes, places: Places, pack: PackRow, drives: Drives, lease_s: float
    ) -> None:
        self._file = file
        self._db = file.db
        self._changes = changes
        self._places = places
        self._pack = pack
        self._drives = drives
        self._lease_s = lease_s
        self._worker: int | None = None
        self._renewed_s = 0.0

    def count(self, kind: WorkKind = WorkKind.EMBED) -> int:
        with self._file.reading():
            return int(self._db.execute("SELECT count(*) FROM work WHERE kind = ?", [kind]).fetchone()[0])

    def claim(self, limit: int, kind: WorkKind = WorkKind.EMBED) -> list[PendingSound]:
        with self._file.writing():
            worker = self._sign_in()
            self._free_claims_of_the_dead(worker)
            claimed = self._db.execute(
                """UPDATE work SET worker_id = ? WHERE kind = ? AND sound_id IN (
                       SELECT sound_id FROM work WHERE kind = ? AND worker_id IS NULL ORDER BY sound_id LIMIT ?)
                   RETURNING sound_id""",
                [worker, kind, kind, limit],
            ).fetchall()
            by_file = bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM content WHERE of_file)").fetchone()[0])
            rows = [
                self._db.execute(
                    """SELECT id, folder_id, path, size, mtime_ns,
                              EXISTS (SELECT 1 FROM segment WHERE content_id = sound.content_id AND pack_id = ?)
                           OR EXISTS (SELECT 1 FROM content JOIN segment ON content_id = content.id AND pack_id = ?
                                      WHERE content.size = sound.size)
                       FROM sound WHERE id = ?""",
                    [self._pack.row, self._pack.row, sound_id],
                ).fetchone()
                for (sound_id,) in sorted(claimed)
            ]
        roots = self._places.roots()
        return [
            PendingSound(sound_id, roots[folder_id] / path, size, mtime_ns, bool(known), by_file)
            for sound_id, folder_id, path, size, mtime_ns, known in rows
        ]

    def renew(self) -> None:
        if self._worker is not None and time.time() - self._renewed_s > self._lease_s / 4:
            with self._file.writing():
                self._sign_in()

    def release(self) -> None:
        if self._worker is not None:
            with self._file.writing():
                self._db.execute("DELETE FROM worker WHERE id = ?", [self._worker])
            self._worker = None

    def adopt(self, sound_id: int, found: Fingerprint, size: int, mtime_ns: int) -> Adopted | None:
        with self._changes.writing() as touched:
            content_id = contents.find(self._db, found)
            if content_id is None or not self._pack.has_segments(content_id):
                return None
            touched.add(content_id)
            before = self._db.execute("SELECT content_id FROM sound WHERE id = ?", [sound_id]).fetchone()
            touched.update(before or ())
            moved = contents.settle(self._db, sound_id, content_id, found.rest, size, mtime_ns, self._is_gone)
            self._finish(sound_id)
        if moved:
            return Adopted.MOVED
        return Adopted.UNCHANGED if before == (content_id,) else Adopted.DUPLICATE

    def save_indexed(self, items: Sequence[IndexedSound]) -> None:
        with self._changes.writing() as touched:
            for item in items:
                info = item.info
                content_id = contents.find_or_add(self._db, info)
                contents.add_segments(self._db, content_id, self._pack.row, self._checked(item))
                touched.add(content_id)
                touched.update(self._content_of(item.sound_id))
                contents.settle(
                    self._db,
                    item.sound_id,
                    content_id,
                    info.fingerprint.rest,
                    info.size,
                    info.mtime_ns,
                    self._is_gone,
                )
                self._finish(item.sound_id)

    def save_failures(self, items: Sequence[tuple[int, KnownError]]) -> None:
        with self._changes.writing() as touched:
            for sound_id, error in items:
                touched.update(self._content_of(sound_id))
                self._db.execute(
                    """UPDATE sound SET state = 'failed', error_kind = ?, error_detail = ?, error_hint = ?
                       WHERE id = ? AND state <> 'missing'""",
                    [error.kind, error.detail, error.hint, sound_id],
                )
                self._finish(sound_id)

    def _finish(self, sound_id: int) -> None:
        """Take a sound off the list, also one that was to be looked at again and so never stopped being indexed."""
        self._db.execute("DELETE FROM work WHERE kind = 'embed' AND sound_id = ?", [sound_id])

    def _content_of(self, sound_id: int) -> tuple[int | None, ...]:
        row = self._db.execute("SELECT content_id FROM sound WHERE id = ?", [sound_id]).fetchone()
        return row or ()

    def _checked(self, item: IndexedSound) -> IndexedSound:
        n = len(item.vectors)
        if n == 0 or item.vectors.shape != (n, self._pack.dim) or not len(item.starts_s) == len(item.ends_s) == n:
            raise ValueError(f"vectors {item.vectors.shape}, {len(item.starts_s)} starts and {len(item.ends_s)} ends")
        if not np.isfinite(item.vectors).all():
            raise ValueError(f"vectors of sound {item.sound_id} are not finite")
        return item

    def _is_gone(self, folder_id: int, path: str) -> bool:
        """Whether there is certainly no such file: one that cannot be reached may well be there."""
        place = self._places.roots()[folder_id] / Path(path)
        if self._drives.have([str(place.parent)]) == [None]:
            return False
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    # This process and the others -----------------------------------------------------------------------------------

    def _sign_in(self) -> int:
        """This process's row, made where it has none or was taken for dead, with its lease renewed."""
        until_s = time.time() + self._lease_s
        if self._worker is not None:
            known = self._db.execute(
                "UPDATE worker SET lease_until_s = ? WHERE id = ? RETURNING id", [until_s, self._worker]
            ).fetchall()
            if not known:
                self._worker = None
        if self._worker is None:
            self._worker = self._db.execute(
                "INSERT INTO worker (host, pid, started_s, lease_until_s) VALUES (?, ?, ?, ?)",
                [socket.gethostname(), os.getpid(), psutil.Process().create_time(), until_s],
            ).lastrowid
        assert self._worker is not None
        self._renewed_s = time.time()
        return self._worker

    def _free_claims_of_the_dead(self, worker: int) -> None:
        for other, host, pid, started_s, lease_until_s in self._db.execute(
            "SELECT id, host, pid, started_s, lease_until_s FROM worker WHERE id <> ?", [worker]
        ).fetchall():
            gone = host == socket.gethostname() and not _is_running(pid, started_s)
            if gone or lease_until_s < time.time():
                self._db.execute("DELETE FROM worker WHERE id = ?", [other])


def _is_running(pid: int, started_s: float) -> bool:
    """Whether the process that had this number when it started at that time still runs."""
    try:
        process = psutil.Process(pid)
        is_the_same: bool = abs(process.create_time() - started_s) < _START_TOLERANCE_S
        return is_the_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
