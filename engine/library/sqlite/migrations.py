"""The library's schema as a list of small, named migrations. Append only: one that has been released never changes.

sqlite-utils records each applied migration by name in the file; ``user_version`` is how many there are, so that an
older app knows a newer file when it sees one, and ``application_id`` tells a library from any other SQLite file.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

APPLICATION_ID = 0x464E4453  # "FNDS"
SCHEMA_VERSION = 1  # the number of migrations below

TABLES = frozenset({"content", "folder", "pack", "segment", "sound", "tally"})

migrations = Migrations("foundsound")


@migrations(name="0001_catalogue")
def _catalogue(db: Database) -> None:
    """Folders hold sounds (files); equal files share one content; a content has segments, one set for each pack.

    ``sound.folder_id`` is null for sounds of a removed folder: they are kept, out of sight, so that adding the folder
    again (or the place it was moved to) brings back the same sound ids. ``sound.stale`` is 1 while ``content_id`` is
    what the file held before it changed. ``tally`` counts sounds by folder and state, kept by triggers, so that counts
    cost the same however large the library. ``segment.vector`` is little-endian float32.
    """
    db.executescript("""
        CREATE TABLE folder (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            path TEXT NOT NULL UNIQUE
        ) STRICT;

        CREATE TABLE content (
            id INTEGER PRIMARY KEY,
            hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 16),
            size INTEGER NOT NULL,
            duration_s REAL NOT NULL,
            sample_rate_hz INTEGER NOT NULL,
            channels INTEGER NOT NULL,
            peaks BLOB NOT NULL
        ) STRICT;
        CREATE INDEX content_size ON content (size);

        CREATE TABLE sound (
            id INTEGER PRIMARY KEY,
            folder_id INTEGER REFERENCES folder (id),
            path TEXT NOT NULL UNIQUE,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('pending', 'indexed', 'failed', 'missing')),
            content_id INTEGER REFERENCES content (id),
            stale INTEGER NOT NULL DEFAULT 0 CHECK (stale IN (0, 1)),
            error_kind TEXT,
            error_detail TEXT,
            error_hint TEXT,
            CHECK (folder_id IS NOT NULL OR state = 'missing'),
            CHECK (content_id IS NOT NULL OR state <> 'indexed'),
            CHECK ((error_kind IS NOT NULL) = (state = 'failed'))
        ) STRICT;
        CREATE INDEX sound_folder ON sound (folder_id);
        CREATE INDEX sound_content_state ON sound (content_id, state);
        CREATE INDEX sound_pending ON sound (id) WHERE state = 'pending';
        CREATE INDEX sound_failed ON sound (id) WHERE state = 'failed';

        CREATE TABLE tally (
            folder_id INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
            state TEXT NOT NULL,
            sounds INTEGER NOT NULL,
            PRIMARY KEY (folder_id, state)
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER sound_inserted AFTER INSERT ON sound WHEN new.folder_id IS NOT NULL BEGIN
            INSERT INTO tally VALUES (new.folder_id, new.state, 1) ON CONFLICT DO UPDATE SET sounds = sounds + 1;
        END;
        CREATE TRIGGER sound_deleted AFTER DELETE ON sound WHEN old.folder_id IS NOT NULL BEGIN
            UPDATE tally SET sounds = sounds - 1 WHERE folder_id = old.folder_id AND state = old.state;
        END;
        CREATE TRIGGER sound_updated AFTER UPDATE OF folder_id, state ON sound
        WHEN old.folder_id IS NOT new.folder_id OR old.state <> new.state BEGIN
            UPDATE tally SET sounds = sounds - 1 WHERE folder_id = old.folder_id AND state = old.state;
            INSERT INTO tally SELECT new.folder_id, new.state, 1 WHERE new.folder_id IS NOT NULL
                ON CONFLICT DO UPDATE SET sounds = sounds + 1;
        END;

        CREATE TABLE pack (
            id INTEGER PRIMARY KEY,
            pack_id TEXT NOT NULL,
            pack_hash TEXT NOT NULL,
            dim INTEGER NOT NULL,
            UNIQUE (pack_id, pack_hash)
        ) STRICT;

        CREATE TABLE segment (
            id INTEGER PRIMARY KEY,
            content_id INTEGER NOT NULL REFERENCES content (id),
            pack_id INTEGER NOT NULL REFERENCES pack (id),
            position INTEGER NOT NULL,
            start_s REAL NOT NULL,
            end_s REAL NOT NULL,
            vector BLOB NOT NULL,
            UNIQUE (content_id, pack_id, position)
        ) STRICT;
    """)


def migrate(db: Database) -> None:
    """Bring a blank or older library to this version, inside the caller's transaction: all of it or nothing."""
    migrations.apply(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
