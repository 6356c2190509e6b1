"""The library's schema as a list of small, named migrations. Append only: one that has been released never changes.

sqlite-utils records each applied migration by name in the file; ``user_version`` is how many there are, so that an
older app knows a newer file when it sees one, and ``application_id`` tells a library from any other SQLite file.
"""

from __future__ import annotations

import os

from sqlite_utils import Database, Migrations

APPLICATION_ID = 0x464E4453  # "FNDS"
SCHEMA_VERSION = 2  # the number of migrations below

TABLES = frozenset({"content", "folder", "pack", "segment", "setting", "sound", "tally", "volume", "work", "worker"})

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


@migrations(name="0002_places_and_work")
def _places_and_work(db: Database) -> None:
    """A sound lies at a path in a folder, a folder at a path on a volume; what is to be done stands in a queue.

    ``folder.path`` counts from ``volume.mount`` where the folder has a volume, so a drive that is mounted elsewhere
    changes one row. ``folder.removed`` keeps a folder that the user took out, with its sounds, all of them missing;
    the one with an empty path holds those of folders removed before this migration. ``sound.path`` has "/" between
    its parts on every system. Ids of sounds are never used twice. ``sound.rest_hash`` is of what stands around the
    audio in the file, NULL where that is not known yet. ``content.of_file`` is 1 where ``hash`` is of a whole file, as
    0.1.0 took it, and 0 where it is of the audio alone. ``pack.segments`` counts the rows of ``segment``.

    ``work`` holds what is to be done, by kind; a row goes when it is done. ``worker`` holds the processes that have
    claimed some of it: a claim ends with its worker. A sound becomes pending and stops being so in ``sound.state``
    alone: triggers keep the queue in step.
    """
    on_windows = os.name == "nt"
    db.executescript(f"""
        CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

        CREATE TABLE volume (
            id INTEGER PRIMARY KEY,
            identity TEXT NOT NULL UNIQUE,
            mount TEXT NOT NULL
        ) STRICT;

        CREATE TABLE new_folder (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            volume_id INTEGER REFERENCES volume (id),
            path TEXT NOT NULL,
            removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1))
        ) STRICT;
        INSERT INTO new_folder (id, path) SELECT id, path FROM folder;
        INSERT INTO new_folder (path, removed)
            SELECT '', 1 WHERE EXISTS (SELECT 1 FROM sound WHERE folder_id IS NULL);

        CREATE TABLE new_sound (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            folder_id INTEGER NOT NULL REFERENCES new_folder (id),
            path TEXT NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('pending', 'indexed', 'failed', 'missing')),
            content_id INTEGER REFERENCES content (id),
            stale INTEGER NOT NULL DEFAULT 0 CHECK (stale IN (0, 1)),
            rest_hash BLOB CHECK (length(rest_hash) = 16),
            error_kind TEXT,
            error_detail TEXT,
            error_hint TEXT,
            UNIQUE (folder_id, path),
            CHECK (content_id IS NOT NULL OR state <> 'indexed'),
            CHECK ((error_kind IS NOT NULL) = (state = 'failed'))
        ) STRICT;
        INSERT INTO new_sound (id, folder_id, path, size, mtime_ns, state, content_id, stale,
                               error_kind, error_detail, error_hint)
            SELECT sound.id, folder.id, ltrim({
        "replace(substr(sound.path, length(folder.path) + 1), char(92), '/')"
        if on_windows
        else "substr(sound.path, length(folder.path) + 1)"
    }, '/'), size, mtime_ns, state, content_id, stale, error_kind, error_detail, error_hint
            FROM sound JOIN folder ON folder.id = sound.folder_id;
        INSERT INTO new_sound (id, folder_id, path, size, mtime_ns, state, content_id, stale)
            SELECT sound.id, new_folder.id, {
        "replace(sound.path, char(92), '/')" if on_windows else "sound.path"
    }, size, mtime_ns, state, content_id, stale
            FROM sound JOIN new_folder ON removed WHERE sound.folder_id IS NULL;

        DROP TABLE tally;
        DROP TABLE sound;
        DROP TABLE folder;
        ALTER TABLE new_folder RENAME TO folder;
        ALTER TABLE new_sound RENAME TO sound;
        CREATE INDEX sound_content_state ON sound (content_id, state);
        CREATE INDEX sound_failed ON sound (id) WHERE state = 'failed';

        CREATE TABLE tally (
            folder_id INTEGER NOT NULL REFERENCES folder (id) ON DELETE CASCADE,
            state TEXT NOT NULL,
            sounds INTEGER NOT NULL,
            PRIMARY KEY (folder_id, state)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO tally SELECT folder_id, state, count(*) FROM sound GROUP BY folder_id, state;
        CREATE TRIGGER sound_inserted AFTER INSERT ON sound BEGIN
            INSERT INTO tally VALUES (new.folder_id, new.state, 1) ON CONFLICT DO UPDATE SET sounds = sounds + 1;
        END;
        CREATE TRIGGER sound_deleted AFTER DELETE ON sound BEGIN
            UPDATE tally SET sounds = sounds - 1 WHERE folder_id = old.folder_id AND state = old.state;
        END;
        CREATE TRIGGER sound_updated AFTER UPDATE OF folder_id, state ON sound
        WHEN old.folder_id <> new.folder_id OR old.state <> new.state BEGIN
            UPDATE tally SET sounds = sounds - 1 WHERE folder_id = old.folder_id AND state = old.state;
            INSERT INTO tally VALUES (new.folder_id, new.state, 1) ON CONFLICT DO UPDATE SET sounds = sounds + 1;
        END;

        CREATE TABLE worker (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            host TEXT NOT NULL,
            pid INTEGER NOT NULL,
            started_s REAL NOT NULL,
            lease_until_s REAL NOT NULL
        ) STRICT;

        CREATE TABLE work (
            kind TEXT NOT NULL,
            sound_id INTEGER NOT NULL REFERENCES sound (id) ON DELETE CASCADE,
            worker_id INTEGER REFERENCES worker (id) ON DELETE SET NULL,
            PRIMARY KEY (kind, sound_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX work_sound ON work (sound_id);
        CREATE INDEX work_worker ON work (worker_id) WHERE worker_id IS NOT NULL;
        CREATE INDEX work_free ON work (kind, sound_id) WHERE worker_id IS NULL;
        INSERT INTO work (kind, sound_id) SELECT 'embed', id FROM sound WHERE state = 'pending';
        CREATE TRIGGER sound_came AFTER INSERT ON sound WHEN new.state = 'pending' BEGIN
            INSERT OR IGNORE INTO work (kind, sound_id) VALUES ('embed', new.id);
        END;
        CREATE TRIGGER sound_waits AFTER UPDATE OF state ON sound
        WHEN new.state = 'pending' AND old.state <> 'pending' BEGIN
            INSERT OR IGNORE INTO work (kind, sound_id) VALUES ('embed', new.id);
        END;
        CREATE TRIGGER sound_waits_no_more AFTER UPDATE OF state ON sound
        WHEN new.state <> 'pending' AND old.state <> new.state BEGIN
            DELETE FROM work WHERE kind = 'embed' AND sound_id = new.id;
        END;

        ALTER TABLE content ADD COLUMN of_file INTEGER NOT NULL DEFAULT 0 CHECK (of_file IN (0, 1));
        UPDATE content SET of_file = 1;
        CREATE INDEX content_of_file ON content (id) WHERE of_file;
        ALTER TABLE pack ADD COLUMN segments INTEGER NOT NULL DEFAULT 0;
        UPDATE pack SET segments = (SELECT count(*) FROM segment WHERE segment.pack_id = pack.id);
    """)  # noqa: S608 - no text of a user's


def migrate(db: Database) -> None:
    """Bring a blank or older library to this version, inside the caller's transaction: all of it or nothing."""
    migrations.apply(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
