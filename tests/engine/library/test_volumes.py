"""Drives that are mounted elsewhere today, and libraries on shares of a network."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.library.protocols import ScanCounts
from engine.media.volumes import Volume
from tests.engine.library.library import (
    FakeVolumes,
    best,
    everything,
    ids,
    index_folder,
    open_library,
    scan,
    segments,
    write,
)

NAMES = ["creak.wav", "doors/slam.wav", "rain.wav"]


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A drive with three sounds in a folder, where it is mounted first."""
    for name in NAMES:
        write(tmp_path / "media/E/my sounds" / name, f"the sound of {name}")
    return tmp_path / "media/E"


def mounted(place: Path, identity: str | None = "uuid:1") -> FakeVolumes:
    return FakeVolumes(Volume(None, Path(place.anchor), False), Volume(identity, place, False))


def rows(library: Path) -> dict[str, set[tuple[object, ...]]]:
    """Every row of a closed library, by table."""
    connection = sqlite3.connect(library)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {table: set(connection.execute(f"SELECT * FROM [{table}]")) for table in tables}
    connection.close()
    return found


def test_a_drive_that_is_mounted_elsewhere_changes_one_row(tmp_path: Path, drive: Path) -> None:
    library = tmp_path / "library"
    store = open_library(library, volumes=mounted(drive))
    folder_id = index_folder(store, drive / "my sounds")
    before = ids(store, [drive / "my sounds" / name for name in NAMES])
    store.close()
    known = rows(library)
    elsewhere = drive.rename(tmp_path / "F")

    store = open_library(library, volumes=mounted(elsewhere))
    (folder,) = store.catalogue.folders()
    assert (folder.folder_id, folder.path, folder.available) == (folder_id, elsewhere / "my sounds", True)
    assert ids(store, [elsewhere / "my sounds" / name for name in NAMES]) == before
    assert everything(store) == {elsewhere / "my sounds" / name for name in NAMES}
    store.close()
    changed = {table: now - known[table] for table, now in rows(library).items() if now != known[table]}
    assert changed == {"volume": {(1, "uuid:1", str(elsewhere))}}

    store = open_library(library, volumes=mounted(elsewhere))
    assert scan(store, folder_id) == (ScanCounts(unchanged=3), 0)
    assert segments(store) == 3 * 2
    assert store.catalogue.add_folder(elsewhere / "my sounds") == folder_id
    store.close()


def test_a_drive_that_moves_while_the_library_is_open_is_followed(tmp_path: Path, drive: Path) -> None:
    volumes = mounted(drive)
    store = open_library(tmp_path / "library", volumes=volumes)
    folder_id = index_folder(store, drive / "my sounds")
    elsewhere = drive.rename(tmp_path / "F")
    volumes.mounted = mounted(elsewhere).mounted
    (folder,) = store.catalogue.folders()
    assert folder.path == elsewhere / "my sounds"
    assert scan(store, folder_id) == (ScanCounts(unchanged=3), 0)
    store.close()


def test_a_drive_that_is_not_mounted_leaves_everything_as_it_was(tmp_path: Path, drive: Path) -> None:
    store = open_library(tmp_path / "library", volumes=mounted(drive))
    index_folder(store, drive / "my sounds")
    store.close()
    drive.rename(tmp_path / "in a drawer")
    store = open_library(tmp_path / "library", volumes=FakeVolumes())
    (folder,) = store.catalogue.folders()
    assert (folder.path, folder.available, folder.indexed) == (drive / "my sounds", False, 3)
    assert best(store, "the sound of rain.wav")[0] == drive / "my sounds/rain.wav"
    store.close()


def test_two_drives_that_swap_their_letters_are_told_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "E", tmp_path / "F"
    write(one / "sounds/rain.wav", "rain")
    write(two / "sounds/rain.wav", "heavier rain")
    store = open_library(
        tmp_path / "library", volumes=FakeVolumes(Volume("uuid:1", one, False), Volume("uuid:2", two, False))
    )
    index_folder(store, one / "sounds")
    index_folder(store, two / "sounds")
    before = ids(store, [one / "sounds/rain.wav", two / "sounds/rain.wav"])
    store.close()
    one.rename(tmp_path / "G")
    two.rename(one)
    (tmp_path / "G").rename(two)
    store = open_library(
        tmp_path / "library", volumes=FakeVolumes(Volume("uuid:1", two, False), Volume("uuid:2", one, False))
    )
    assert ids(store, [two / "sounds/rain.wav", one / "sounds/rain.wav"]) == before
    assert best(store, "rain")[0] == two / "sounds/rain.wav"
    assert [scan(store, folder.folder_id) for folder in store.catalogue.folders()] == [(ScanCounts(unchanged=1), 0)] * 2
    store.close()


def test_of_two_places_of_a_drive_the_one_with_the_folder_is_taken(tmp_path: Path, drive: Path) -> None:
    store = open_library(tmp_path / "library", volumes=mounted(drive))
    index_folder(store, drive / "my sounds")
    store.close()
    elsewhere = drive.rename(tmp_path / "F")
    empty = tmp_path / "empty"
    empty.mkdir()
    both = FakeVolumes(Volume("uuid:1", empty, False), Volume("uuid:1", elsewhere, False))
    store = open_library(tmp_path / "library", volumes=both)
    assert store.catalogue.folders()[0].path == elsewhere / "my sounds"
    store.close()


def test_a_library_that_is_only_read_follows_drives_too(tmp_path: Path, drive: Path) -> None:
    library = tmp_path / "library"
    store = open_library(library, volumes=mounted(drive))
    index_folder(store, drive / "my sounds")
    store.close()
    before = library.read_bytes()
    elsewhere = drive.rename(tmp_path / "F")
    store = open_library(library, read_only=True, volumes=mounted(elsewhere))
    assert everything(store) == {elsewhere / "my sounds" / name for name in NAMES}
    store.close()
    assert library.read_bytes() == before


def test_folders_added_when_no_volume_was_known_get_one_later(tmp_path: Path, drive: Path) -> None:
    store = open_library(tmp_path / "library", volumes=FakeVolumes())
    folder_id = index_folder(store, drive / "my sounds")
    before = ids(store, [drive / "my sounds/rain.wav"])
    store.close()
    open_library(tmp_path / "library", volumes=mounted(drive)).close()
    elsewhere = drive.rename(tmp_path / "F")
    store = open_library(tmp_path / "library", volumes=mounted(elsewhere))
    assert store.catalogue.folder_path(folder_id) == elsewhere / "my sounds"
    assert ids(store, [elsewhere / "my sounds/rain.wav"]) == before
    store.close()


def test_a_folder_relinked_to_another_drive_follows_that_one(tmp_path: Path, drive: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    both = FakeVolumes(Volume("uuid:1", drive, False), Volume("uuid:2", other, False))
    store = open_library(tmp_path / "library", volumes=both)
    folder_id = index_folder(store, drive / "my sounds")
    (drive / "my sounds").rename(other / "sounds")
    store.catalogue.relink_folder(folder_id, other / "sounds")
    store.close()
    elsewhere = other.rename(tmp_path / "F")
    moved = FakeVolumes(Volume("uuid:1", drive, False), Volume("uuid:2", elsewhere, False))
    store = open_library(tmp_path / "library", volumes=moved)
    assert everything(store) == {elsewhere / "sounds" / name for name in NAMES}
    store.close()


# Libraries on a network -----------------------------------------------------------------------------------------


def test_a_library_on_a_network_share_says_so_and_keeps_no_write_ahead_log(tmp_path: Path, root: Path) -> None:
    share = tmp_path / "share"
    volumes = FakeVolumes(Volume(None, tmp_path, False), Volume("net:server", share, True))
    library = share / "library.foundsound"
    store = open_library(library, volumes=volumes)
    notice = store.catalogue.notice
    assert notice is not None
    assert notice.kind == "library_on_network"
    assert str(library) in notice.detail
    assert notice.hint
    assert not store.catalogue.read_only
    index_folder(store, root)
    assert [path.name for path in share.iterdir()] == [library.name], "nothing that two computers cannot share"
    other = open_library(library, volumes=volumes)
    assert len(everything(other)) == 3
    other.close()
    store.close()
    assert journal_mode(library) == "delete"


def test_a_library_that_comes_from_a_network_share_changes_its_journal(tmp_path: Path, root: Path) -> None:
    library = tmp_path / "library"
    far, near = FakeVolumes(Volume("net:server", tmp_path, True)), FakeVolumes(Volume("uuid:1", tmp_path, False))
    for volumes, mode in ((near, "wal"), (far, "delete"), (near, "wal")):
        store = open_library(library, volumes=volumes)
        assert (store.catalogue.notice is None) == (volumes is near)
        index_folder(store, root)
        store.close()
        assert journal_mode(library) == mode


def journal_mode(library: Path) -> str:
    connection = sqlite3.connect(library)
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    connection.close()
    return str(mode)
