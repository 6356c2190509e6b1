"""The pack that a library is open for, in its tables."""

from __future__ import annotations

from typing import Self

from engine.library.sqlite.file import LibraryFile

_FIND = "SELECT id, dim FROM pack WHERE pack_id = ? AND pack_hash = ?"


class PackRow:
    """A pack's row.

    Attributes:
        pack_id: Its name.
        pack_hash: Which edition of it: vectors of another are kept, but not used.
        dim: Length of its vectors.
        row: Its row; 0, which no row has, where the library does not know it and cannot be written.
    """

    def __init__(self, file: LibraryFile, pack_id: str, pack_hash: str, dim: int, row: int) -> None:
        self._file = file
        self.pack_id = pack_id
        self.pack_hash = pack_hash
        self.dim = dim
        self.row = row

    @classmethod
    def open(cls, file: LibraryFile, pack_id: str, pack_hash: str, dim: int) -> Self:
        """Find a pack's row, making it where it is new.

        Raises:
            ValueError: The library has it with vectors of another length.
        """
        with file.reading():
            found = file.db.execute(_FIND, [pack_id, pack_hash]).fetchone()
        if found is None and not file.read_only:
            with file.writing():
                file.db.execute(
                    "INSERT INTO pack (pack_id, pack_hash, dim) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    [pack_id, pack_hash, dim],
                )
                found = file.db.execute(_FIND, [pack_id, pack_hash]).fetchone()
        row, known_dim = found or (0, dim)
        if known_dim != dim:
            raise ValueError(f"pack {pack_id} has vectors of length {known_dim} in the library, not {dim}")
        return cls(file, pack_id, pack_hash, dim, int(row))

    def has_segments(self, content_id: int) -> bool:
        """Whether a content has vectors of this pack."""
        return bool(
            self._file.db.execute(
                "SELECT EXISTS (SELECT 1 FROM segment WHERE content_id = ? AND pack_id = ?)", [content_id, self.row]
            ).fetchone()[0]
        )

    def count_segments(self) -> int:
        """How many vectors of this pack the library holds."""
        row = self._file.db.execute("SELECT segments FROM pack WHERE id = ?", [self.row]).fetchone()
        return int(row[0]) if row else 0

    def take_over(self) -> None:
        """Make this pack the one by which sounds count as indexed, where that was another.

        Sounds without vectors of this one become pending; those that are pending for want of another pack's, but have
        this one's, are indexed.
        """
        db = self._file.db
        with self._file.reading():
            present = db.execute("SELECT value FROM setting WHERE name = 'pack'").fetchone()
        if present == (str(self.row),):
            return
        has_segments = "EXISTS (SELECT 1 FROM segment WHERE content_id = sound.content_id AND pack_id = ?)"
        with self._file.writing():
            db.execute(
                f"UPDATE sound SET state = 'pending' WHERE state = 'indexed' AND NOT {has_segments}",  # noqa: S608
                [self.row],
            )
            db.execute(
                f"""UPDATE sound SET state = 'indexed'
                    WHERE state = 'pending' AND NOT stale AND content_id IS NOT NULL AND {has_segments}""",  # noqa: S608
                [self.row],
            )
            db.execute("INSERT OR REPLACE INTO setting VALUES ('pack', ?)", [str(self.row)])
