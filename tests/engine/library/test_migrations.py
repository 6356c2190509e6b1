"""Every schema that was ever released leads to the present one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from engine.errors import KnownError
from engine.library.sqlite.file import LibraryFile
from engine.library.sqlite.migrations import APPLICATION_ID, SCHEMA_VERSION, migrate, migrations

RELEASED = ["0001_catalogue", "0002_places_and_work"]
"""Names of the migrations in the order they came. Add to the end; what is here stays for good."""


def pragma(path: Path, name: str) -> int:
    connection = sqlite3.connect(path)
    value = connection.execute(f"PRAGMA {name}").fetchone()[0]
    connection.close()
    return int(value)


def schema(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return rows


def library_of_version(path: Path, version: int) -> None:
    """A library as the app that knew the first ``version`` migrations left it (0: a file with nothing in it)."""
    connection = sqlite3.connect(path, isolation_level=None)
    db = Database(connection)
    if version:
        migrations.apply(db, stop_before=RELEASED[version] if version < len(RELEASED) else None)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def test_the_list_of_migrations_only_grows() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    db = Database(connection)
    assert [migration.name for migration in migrations.pending(db)] == RELEASED
    assert len(RELEASED) == SCHEMA_VERSION
    migrate(db)
    assert [migration.name for migration in migrations.applied(db)] == RELEASED
    connection.close()


@pytest.mark.parametrize("version", range(SCHEMA_VERSION + 1))
def test_every_version_leads_to_the_same_schema(tmp_path: Path, version: int) -> None:
    library_of_version(tmp_path / "old", version)
    for name in ("old", "blank", "blank"):  # the second time there is nothing to do
        LibraryFile.open(tmp_path / name).close()
        assert pragma(tmp_path / name, "user_version") == SCHEMA_VERSION
        assert pragma(tmp_path / name, "application_id") == APPLICATION_ID
    assert schema(tmp_path / "old") == schema(tmp_path / "blank")


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(db: Database) -> None:
        migrate(db)
        raise ZeroDivisionError

    library_of_version(tmp_path / "library", 0)
    monkeypatch.setattr("engine.library.sqlite.file.migrate", failing)
    with pytest.raises(ZeroDivisionError):
        LibraryFile.open(tmp_path / "library")
    assert schema(tmp_path / "library") == []
    assert pragma(tmp_path / "library", "user_version") == 0
    monkeypatch.undo()
    LibraryFile.open(tmp_path / "library").close()
    assert pragma(tmp_path / "library", "user_version") == SCHEMA_VERSION


def test_a_newer_library_is_refused_by_name_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "library"
    LibraryFile.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 4}")
    connection.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(KnownError) as error:
            LibraryFile.open(path, read_only=read_only)
        assert error.value.kind == "library_newer"
        assert str(path) in error.value.detail
        assert f"{SCHEMA_VERSION + 4}" in error.value.detail
        assert "Update" in error.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize("user_version", [0, 1, 999])
def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, user_version: int) -> None:
    path = tmp_path / "places.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.execute(f"PRAGMA user_version = {user_version}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(KnownError) as error:
        LibraryFile.open(path)
    assert error.value.kind == "library_foreign"
    assert path.read_bytes() == before


def test_an_older_library_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "library"
    LibraryFile.open(path).close()
    monkeypatch.setattr("engine.library.sqlite.file.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(KnownError) as error:
        LibraryFile.open(path, read_only=True)
    assert error.value.kind == "library_outdated"
