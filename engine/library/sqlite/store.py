"""The Store in a SQLite file, with its vectors in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from engine.errors import ErrorKind, KnownError
from engine.library.sqlite import contents, scanning
from engine.library.sqlite.file import LibraryFile
from engine.library.store import Adopted, FolderGoneError, IndexedSound, PendingSound, Scan, ScanCounts, StoredSound
from engine.library.types import Failure, Folder, Hit, LibraryStatus, SoundState
from engine.library.vectors import Floats, Ids, Ranked, VectorIndex
from engine.media.drives import Drives

if TYPE_CHECKING:
    from engine.media.scan import FoundFile

_LOADED_AT_ONCE = 4096  # segments


class SqliteStore:
    """See :class:`engine.library.store.Store` for what the methods promise.

    The vector index is only ever filled from the table, by ascending segment id: what this process has just written and
    what another one wrote meanwhile come in the same way. Segments are never deleted.
    """

    def __init__(self, file: LibraryFile, pack_id: str, pack_hash: str, dim: int, drives: Drives) -> None:
        self._file = file
        self._db = file.db
        self._pack_id = pack_id
        self._pack_hash = pack_hash
        self._index = VectorIndex(dim)
        self._last_segment = 0
        self._data_version = 0
        self._pack = self._pack_row()
        self._drives = drives

    @classmethod
    def open(
        cls,
        path: Path,
        pack_id: str,
        pack_hash: str,
        dim: int,
        read_only: bool = False,
        busy_timeout_s: float = 5.0,
        drives: Drives | None = None,
    ) -> Self:
        """Open a library for a pack and load its vectors; sounds that this pack has not indexed become pending.

        Args:
            path: The library file, made where it does not exist.
            pack_id: The pack, and
            pack_hash: which edition of it: vectors of another are kept, but not used.
            dim: Length of its vectors.
            read_only: Do not write, whatever happens. Implied where the file or its folder cannot be written.
            busy_timeout_s: How long any step waits for another process that is writing.
            drives: Tells which folders are there.

        Raises:
            KnownError: As :meth:`engine.library.sqlite.file.LibraryFile.open`.
        """
        file = LibraryFile.open(path, read_only, busy_timeout_s)
        try:
            store = cls(file, pack_id, pack_hash, dim, drives or Drives())
            with file.reading():
                indexed = store._load()
            if not file.read_only:
                scanning.prepare(store._db)
                store._requeue(indexed)
        except BaseException:
            file.close()
            raise
        return store

    def close(self) -> None:
        self._file.close()

    @property
    def read_only(self) -> bool:
        return self._file.read_only

    def check(self) -> None:
        self._file.check()

    # Counts -------------------------------------------------------------------------------------------------------

    @property
    def searchable(self) -> int:
        return self._counts()[SoundState.INDEXED]

    def count_pending(self) -> int:
        return self._counts()[SoundState.PENDING]

    def status(self) -> LibraryStatus:
        segments = self.vectors.searchable
        with self._file.reading():
            size_bytes = self._file.size_bytes()
        return LibraryStatus(self._file.path, self._pack_id, self._pack_hash, self._counts(), segments, size_bytes)

    def _counts(self) -> dict[SoundState, int]:
        with self._file.reading():
            rows = self._db.execute("SELECT state, sum(sounds) FROM tally GROUP BY state").fetchall()
        try:
            return dict.fromkeys(SoundState, 0) | {SoundState(state): sounds for state, sounds in rows}
        except ValueError as error:
            raise self._file.corrupt(str(error)) from error

    # Folders ------------------------------------------------------------------------------------------------------

    def folders(self) -> tuple[Folder, ...]:
        with self._file.reading():
            rows = self._db.execute("""
                SELECT id, path, coalesce(sum(sounds), 0),
                       coalesce(sum(sounds) FILTER (WHERE state = 'indexed'), 0),
                       coalesce(sum(sounds) FILTER (WHERE state = 'failed'), 0),
                       coalesce(sum(sounds) FILTER (WHERE state = 'missing'), 0)
                FROM folder LEFT JOIN tally ON folder_id = id GROUP BY id ORDER BY id
            """).fetchall()
        there = self._drives.have([row[1] for row in rows])
        return tuple(
            Folder(folder_id, Path(path), sounds, indexed, failed, missing, bool(answer))
            for (folder_id, path, sounds, indexed, failed, missing), answer in zip(rows, there, strict=True)
        )

    def folder_path(self, folder_id: int) -> Path:
        with self._file.reading():
            row = self._db.execute("SELECT path FROM folder WHERE id = ?", [folder_id]).fetchone()
        if row is None:
            raise FolderGoneError(folder_id)
        return Path(row[0])

    def add_folder(self, path: Path) -> int:
        path = _absolute(path)
        if not _is_unicode(path):
            raise KnownError(
                ErrorKind.NAME_NOT_UNICODE, f"The name of {str(path)!r} is not valid text.", "Rename the folder."
            )
        with self._file.writing():
            inside = []
            for folder_id, other in self._db.execute("SELECT id, path FROM folder").fetchall():
                if path == Path(other):
                    return int(folder_id)
                if path.is_relative_to(other):
                    raise KnownError(
                        ErrorKind.FOLDER_ALREADY_COVERED,
                        f"{path} is already part of the library, as it lies in {other}.",
                        "There is nothing to do: its sounds are indexed with that folder.",
                    )
                if Path(other).is_relative_to(path):
                    inside.append(folder_id)
            added = self._db.execute("INSERT INTO folder (path) VALUES (?)", [str(path)]).lastrowid
            assert added is not None
            for folder_id in inside:
                self._db.execute("UPDATE sound SET folder_id = ? WHERE folder_id = ?", [added, folder_id])
                self._db.execute("DELETE FROM folder WHERE id = ?", [folder_id])
        return added

    def remove_folder(self, folder_id: int) -> None:
        with self._file.writing():
            self._db.execute(
                """UPDATE sound SET folder_id = NULL, state = 'missing',
                          error_kind = NULL, error_detail = NULL, error_hint = NULL
                   WHERE folder_id = ?""",
                [folder_id],
            )
            self._db.execute("DELETE FROM folder WHERE id = ?", [folder_id])
            visible = self._indexed_contents()
        self._index.show_only(visible)

    # Scanning -----------------------------------------------------------------------------------------------------

    def begin_scan(self, folder_id: int) -> Scan:
        with self._file.writing():
            scanning.begin(self._db, folder_id)
        return Scan(folder_id)

    def record_scan(self, scan: Scan, files: Sequence[FoundFile]) -> ScanCounts:
        with self._changing() as touched:
            counts, changed = scanning.record(self._db, scan, files, self._has_vectors)
            touched |= changed
        return counts

    def finish_scan(self, scan: Scan, unreadable: Sequence[Path] = ()) -> tuple[int, ...]:
        with self._changing() as touched:
            missing, lost = scanning.finish(self._db, scan, unreadable)
            touched |= lost
        return missing

    def count_missing(self, sound_ids: Sequence[int]) -> int:
        with self._file.reading():
            row = self._db.execute(
                "SELECT count(*) FROM sound WHERE state = 'missing' AND id IN (SELECT value FROM json_each(?))",
                [json.dumps(sound_ids)],
            ).fetchone()
        return int(row[0])

    def _has_vectors(self, content_id: int) -> bool:
        return bool(self._index.has(np.array([content_id]))[0])

    # Indexing -----------------------------------------------------------------------------------------------------

    def next_pending(self, limit: int, after_id: int = 0) -> list[PendingSound]:
        with self._file.reading():
            rows = self._db.execute(
                """SELECT id, path, size, mtime_ns, EXISTS (
                       SELECT 1 FROM content JOIN segment ON content_id = content.id AND pack_id = ?
                       WHERE content.size = sound.size)
                   FROM sound WHERE state = 'pending' AND id > ? ORDER BY id LIMIT ?""",
                [self._pack, after_id, limit],
            ).fetchall()
        return [PendingSound(row[0], Path(row[1]), row[2], row[3], bool(row[4])) for row in rows]

    def adopt_content(self, sound_id: int, content_hash: bytes, size: int, mtime_ns: int) -> Adopted | None:
        with self._changing() as touched:
            known = self._db.execute(
                """SELECT id FROM content WHERE hash = ?
                   AND EXISTS (SELECT 1 FROM segment WHERE content_id = content.id AND pack_id = ?)""",
                [content_hash, self._pack],
            ).fetchone()
            if known is None:
                return None
            content_id = int(known[0])
            touched.add(content_id)
            before = self._db.execute("SELECT content_id FROM sound WHERE id = ?", [sound_id]).fetchone()
            moved = contents.settle(self._db, sound_id, content_id, size, mtime_ns, self._is_gone)
        if moved:
            return Adopted.MOVED
        return Adopted.UNCHANGED if before == (content_id,) else Adopted.DUPLICATE

    def save_indexed(self, items: Sequence[IndexedSound]) -> None:
        with self._changing() as touched:
            for item in items:
                content_id = contents.find_or_add(self._db, item.info)
                touched.add(content_id)
                contents.add_segments(self._db, content_id, self._pack, self._checked(item))
                touched.update(
                    row[0] for row in self._db.execute("SELECT content_id FROM sound WHERE id = ?", [item.sound_id])
                )
                contents.settle(self._db, item.sound_id, content_id, item.info.size, item.info.mtime_ns, self._is_gone)

    def save_failures(self, items: Sequence[tuple[int, KnownError]]) -> None:
        with self._changing() as touched:
            for sound_id, error in items:
                touched.update(
                    row[0] for row in self._db.execute("SELECT content_id FROM sound WHERE id = ?", [sound_id])
                )
                self._db.execute(
                    """UPDATE sound SET state = 'failed', error_kind = ?, error_detail = ?, error_hint = ?
                       WHERE id = ? AND state <> 'missing'""",
                    [error.kind, error.detail, error.hint, sound_id],
                )

    def failures(self, limit: int) -> tuple[Failure, ...]:
        with self._file.reading():
            rows = self._db.execute(
                """SELECT id, path, error_kind, error_detail, error_hint FROM sound
                   WHERE state = 'failed' ORDER BY id LIMIT ?""",
                [limit],
            ).fetchall()
        return tuple(Failure(row[0], Path(row[1]), *row[2:]) for row in rows)

    def retry_failed(self) -> int:
        with self._file.writing():
            return self._db.execute(
                """UPDATE sound SET state = 'pending', error_kind = NULL, error_detail = NULL, error_hint = NULL
                   WHERE state = 'failed'"""
            ).rowcount

    def _is_gone(self, path: Path) -> bool:
        """Whether there is certainly no such file: one that cannot be reached may well be there."""
        if self._drives.have([str(path.parent)]) == [None]:
            return False
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def _checked(self, item: IndexedSound) -> IndexedSound:
        n = len(item.vectors)
        if n == 0 or item.vectors.shape != (n, self._index.dim) or not len(item.starts_s) == len(item.ends_s) == n:
            raise ValueError(f"vectors {item.vectors.shape}, {len(item.starts_s)} starts and {len(item.ends_s)} ends")
        if not np.isfinite(item.vectors).all():
            raise ValueError(f"vectors of sound {item.sound_id} are not finite")
        return item

    # Searching ----------------------------------------------------------------------------------------------------

    @property
    def vectors(self) -> VectorIndex:
        self.refresh()
        return self._index

    def search(self, queries: Floats, limit: int) -> list[list[Ranked]]:
        return self.vectors.search_many(queries, limit)

    def hits(self, ranked: Sequence[Ranked], limit: int) -> tuple[Hit, ...]:
        with self._file.reading():
            rows = self._db.execute(
                """SELECT content_id, sound.id, path, duration_s, sample_rate_hz, channels, peaks
                   FROM sound JOIN content ON content.id = content_id
                   WHERE content_id IN (SELECT value FROM json_each(?)) AND state = 'indexed' ORDER BY path""",
                [json.dumps([match.content_id for match in ranked])],
            ).fetchall()
        sounds: dict[int, list[tuple[int, str, float, int, int, bytes]]] = {}
        for content_id, *sound in rows:
            sounds.setdefault(content_id, []).append((*sound,))
        found = [(match, sound) for match in ranked for sound in sounds.get(match.content_id, ())][: max(limit, 0)]
        return tuple(
            Hit(
                rank=rank,
                sound_id=sound_id,
                path=Path(path),
                score=match.score,
                start_s=match.start_s,
                end_s=match.end_s,
                duration_s=duration_s,
                sample_rate_hz=sample_rate_hz,
                channels=channels,
                peaks=peaks,
            )
            for rank, (match, (sound_id, path, duration_s, sample_rate_hz, channels, peaks)) in enumerate(
                found, start=1
            )
        )

    def sound_by_path(self, path: Path) -> StoredSound | None:
        path = _absolute(path)
        if not _is_unicode(path):
            return None
        with self._file.reading():
            row = self._db.execute(
                "SELECT id, state, content_id FROM sound WHERE path = ? AND folder_id IS NOT NULL", [str(path)]
            ).fetchone()
        return StoredSound(row[0], path, SoundState(row[1]), row[2]) if row else None

    def paths_of(self, content_hash: bytes) -> list[Path]:
        with self._file.reading():
            rows = self._db.execute(
                """SELECT path FROM sound JOIN content ON content.id = content_id
                   WHERE hash = ? AND state = 'indexed'""",
                [content_hash],
            ).fetchall()
        return [Path(path) for (path,) in rows]

    def sound_vectors(self, path: Path) -> Floats | None:
        sound = self.sound_by_path(path)
        if sound is None or sound.state is not SoundState.INDEXED or sound.content_id is None:
            return None
        vectors = self.vectors.vectors_of(sound.content_id)
        return vectors if len(vectors) else None

    # The index in step with the table ------------------------------------------------------------------------------

    def refresh(self) -> bool:
        with self._file.reading():
            if self._file.data_version() == self._data_version:
                return False
            self._load()
        return True

    def _load(self) -> Ids:
        """Take in new segments, and which contents may be found (n,)."""
        self._data_version = self._file.data_version()  # first: a change in between is then looked at twice
        self._load_segments()
        indexed = self._indexed_contents()
        self._index.show_only(indexed)
        return indexed

    def _load_segments(self) -> None:
        """Append the segments that the index has not yet, straight into its memory in slices."""
        if not len(self._index):
            count = self._db.execute("SELECT count(*) FROM segment WHERE pack_id = ?", [self._pack]).fetchone()[0]
            self._index.reserve(count)
        rows = self._db.execute(  # NOT INDEXED: in the order of the file, not of the index on contents
            """SELECT id, content_id, start_s, end_s, vector FROM segment NOT INDEXED
               WHERE pack_id = ? AND id > ? ORDER BY id""",
            [self._pack, self._last_segment],
        )
        while batch := rows.fetchmany(_LOADED_AT_ONCE):
            ids, content_ids, starts_s, ends_s, vectors = zip(*batch, strict=True)
            try:
                self._index.append(
                    np.array(content_ids, np.int64),
                    np.array(starts_s),
                    np.array(ends_s),
                    np.frombuffer(b"".join(vectors), contents.VECTOR_TYPE)
                    .reshape(len(batch), -1)
                    .astype(np.float32, copy=False),
                )
            except ValueError as error:
                raise self._file.corrupt(f"segments {ids[0]} to {ids[-1]}: {error}") from error
            self._last_segment = ids[-1]

    def _indexed_contents(self) -> Ids:
        return self._contents("state = 'indexed' AND content_id IS NOT NULL")

    def _contents(self, where: str, parameters: Sequence[object] = ()) -> Ids:
        """Contents (n,) of certain sounds; fetched as one text, which takes a third of the time that rows take."""
        sql = f"SELECT group_concat(content_id) FROM sound WHERE {where}"  # noqa: S608
        return np.fromstring(self._db.execute(sql, parameters).fetchone()[0] or "", np.int64, sep=",")

    @contextmanager
    def _changing(self) -> Iterator[set[int | None]]:
        """A transaction that gathers the contents it touches; once it is committed, the index follows."""
        touched: set[int | None] = set()
        with self._file.writing():
            yield touched
            ids = sorted(id_ for id_ in touched if id_ is not None)
            visible = self._contents(
                "content_id IN (SELECT value FROM json_each(?)) AND state = 'indexed'", [json.dumps(ids)]
            )
        if ids:
            with self._file.reading():
                self._load_segments()
            self._index.show(np.array(ids, np.int64), False)
            self._index.show(visible)

    # The pack -----------------------------------------------------------------------------------------------------

    def _pack_row(self) -> int:
        """Row of the pack, made where it is new; 0, which no row has, where it cannot be made."""
        with self._file.reading():
            find = "SELECT id, dim FROM pack WHERE pack_id = ? AND pack_hash = ?"
            row = self._db.execute(find, [self._pack_id, self._pack_hash]).fetchone()
        if row is None and not self._file.read_only:
            with self._file.writing():
                self._db.execute(
                    "INSERT INTO pack (pack_id, pack_hash, dim) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    [self._pack_id, self._pack_hash, self._index.dim],
                )
                row = self._db.execute(find, [self._pack_id, self._pack_hash]).fetchone()
        if row is None:
            return 0
        if row[1] != self._index.dim:
            raise ValueError(
                f"pack {self._pack_id} has vectors of length {row[1]} in the library, not {self._index.dim}"
            )
        return int(row[0])

    def _requeue(self, indexed: Ids) -> None:
        """After a change of pack: sounds without vectors of this one become pending; those that are pending for want of
        another pack's, but have this one's, are indexed.

        Args:
            indexed: Contents of the sounds that are now indexed.
        """
        with self._file.reading():
            lacking = not self._index.has(indexed).all()
            waiting = self._contents("state = 'pending' AND NOT stale AND content_id IS NOT NULL")
            ready = self._index.has(waiting).any()
        if not lacking and not ready:
            return
        has_segments = "EXISTS (SELECT 1 FROM segment WHERE content_id = sound.content_id AND pack_id = ?)"
        with self._file.writing():
            self._db.execute(
                f"UPDATE sound SET state = 'pending' WHERE state = 'indexed' AND NOT {has_segments}",  # noqa: S608
                [self._pack],
            )
            self._db.execute(
                f"""UPDATE sound SET state = 'indexed'
                    WHERE state = 'pending' AND NOT stale AND content_id IS NOT NULL AND {has_segments}""",  # noqa: S608
                [self._pack],
            )
            visible = self._indexed_contents()
        self._index.show_only(visible)


def _absolute(path: Path) -> Path:
    """Without ``..``, but not resolved: links and mapped drives stay as the user named them."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _is_unicode(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
