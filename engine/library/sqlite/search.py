"""Search over the vectors of one pack: the tables say what may be found, the matrix in memory what is near."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from engine.library.protocols import Segments
from engine.library.query import Filter
from engine.library.sqlite import filters
from engine.library.sqlite.changes import Changes
from engine.library.sqlite.contents import VECTOR_TYPE
from engine.library.sqlite.file import LibraryFile
from engine.library.sqlite.numbers import as_json
from engine.library.sqlite.packs import PackRow
from engine.library.sqlite.places import Places
from engine.library.types import Hit
from engine.library.vectors import Floats, Ids, Ranked, VectorIndex

_LOADED_AT_ONCE: Final = 4096  # segments
_INDEXED: Final = "state = 'indexed' AND content_id IS NOT NULL"


class SqliteVectorSearch:
    """See :class:`engine.library.protocols.VectorSearch`.

    The index is only ever filled from the table, by ascending segment id: what this process has just written and what
    another one wrote meanwhile come in the same way. Segments are never deleted.
    """

    def __init__(self, file: LibraryFile, changes: Changes, places: Places, pack: PackRow) -> None:
        self._file = file
        self._db = file.db
        self._changes = changes
        self._places = places
        self._pack = pack
        self._index = VectorIndex(pack.dim)
        self._last_segment = 0
        self._data_version: int | None = None

    def rank(
        self, queries: Floats, limit: int, offset: int = 0, where: Filter | None = None, without: Sequence[int] = ()
    ) -> list[tuple[Hit, ...]]:
        with self._file.reading():
            self._refresh()
            allowed, parameters = filters.clause(where, self._places.all())
            contents = None if where is None else self._contents(f"{_INDEXED} AND ({allowed})", parameters)
            wanted = max(0, limit + offset)
            ranked = self._index.search_many(queries, wanted + len(without), contents)
            return [
                self._hits(matches, allowed, parameters, without)[offset:wanted] if wanted else () for matches in ranked
            ]

    def segments(self, sound_id: int) -> Segments | None:
        with self._file.reading():
            self._refresh()
            rows = self._db.execute(
                """SELECT segment.start_s, segment.end_s, vector
                   FROM sound JOIN segment ON segment.content_id = sound.content_id AND pack_id = ?
                   WHERE sound.id = ? AND state = 'indexed' ORDER BY position""",
                [self._pack.row, sound_id],
            ).fetchall()
        if not rows:
            return None
        starts_s, ends_s, vectors = zip(*rows, strict=True)
        matrix = np.frombuffer(b"".join(vectors), VECTOR_TYPE).reshape(len(rows), self._pack.dim)
        return Segments(starts_s, ends_s, matrix.astype(np.float32))

    def _hits(
        self, ranked: Sequence[Ranked], allowed: str, parameters: Sequence[object], without: Sequence[int]
    ) -> tuple[Hit, ...]:
        """The allowed sounds of ranked contents; equal files stand side by side, by path."""
        rows = self._db.execute(
            f"""SELECT content_id, sound.id, folder_id, path, duration_s, sample_rate_hz, channels, peaks
                FROM sound JOIN content ON content.id = content_id
                WHERE content_id IN (SELECT value FROM json_each(?)) AND {_INDEXED} AND ({allowed})
                  AND sound.id NOT IN (SELECT value FROM json_each(?))""",  # noqa: S608 - of our own making
            [as_json(match.content_id for match in ranked), *parameters, as_json(without)],
        ).fetchall()
        roots = self._places.roots()
        sounds: dict[int, list[tuple[Path, int, float, int, int, bytes]]] = {}
        for content_id, sound_id, folder_id, path, *facts in rows:
            sounds.setdefault(content_id, []).append((roots[folder_id] / path, sound_id, *facts))
        found = [(match, sound) for match in ranked for sound in sorted(sounds.get(match.content_id, ()))]
        return tuple(
            Hit(
                rank=rank,
                sound_id=sound_id,
                path=path,
                score=match.score,
                start_s=match.start_s,
                end_s=match.end_s,
                duration_s=duration_s,
                sample_rate_hz=sample_rate_hz,
                channels=channels,
                peaks=peaks,
            )
            for rank, (match, (path, sound_id, duration_s, sample_rate_hz, channels, peaks)) in enumerate(
                found, start=1
            )
        )

    # The index in step with the table ------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Take in what was written since the last look, by this process or another."""
        version = self._file.data_version()  # first: a change in between is then looked at twice
        changes = self._changes
        if version != self._data_version or changes.all:
            self._load_segments()
            self._index.show_only(self._contents(_INDEXED))
        elif changes.contents:
            self._load_segments()
            ids = sorted(changes.contents)
            self._index.show(np.array(ids, np.int64), False)
            among = f"content_id IN (SELECT value FROM json_each(?)) AND {_INDEXED}"  # noqa: S608
            self._index.show(self._contents(among, [as_json(ids)]))
        self._data_version = version
        changes.clear()

    def _load_segments(self) -> None:
        """Append the segments that the index has not yet, straight into its memory in slices."""
        if not len(self._index):
            self._index.reserve(self._pack.count_segments())
        rows = self._db.execute(  # NOT INDEXED: in the order of the file, not of the index on contents
            """SELECT id, content_id, start_s, end_s, vector FROM segment NOT INDEXED
               WHERE pack_id = ? AND id > ? ORDER BY id""",
            [self._pack.row, self._last_segment],
        )
        while batch := rows.fetchmany(_LOADED_AT_ONCE):
            ids, content_ids, starts_s, ends_s, vectors = zip(*batch, strict=True)
            try:
                self._index.append(
                    np.array(content_ids, np.int64),
                    np.array(starts_s),
                    np.array(ends_s),
                    np.frombuffer(b"".join(vectors), VECTOR_TYPE)
                    .reshape(len(batch), -1)
                    .astype(np.float32, copy=False),
                )
            except ValueError as error:
                raise self._file.corrupt(f"segments {ids[0]} to {ids[-1]}: {error}") from error
            self._last_segment = ids[-1]

    def _contents(self, where: str, parameters: Sequence[object] = ()) -> Ids:
        """Contents (n,) of certain sounds; fetched as one text, which takes a third of the time that rows take."""
        tables = "sound JOIN content ON content.id = content_id" if "content." in where else "sound"
        sql = f"SELECT group_concat(content_id) FROM {tables} WHERE {where}"  # noqa: S608 - of our own making
        return np.fromstring(self._db.execute(sql, parameters).fetchone()[0] or "", np.int64, sep=",")
