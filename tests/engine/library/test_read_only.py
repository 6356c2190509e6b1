"""Libraries that may be read but not written, or not even read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.library.sqlite.library import SqliteLibrary
from tests.engine.library.library import (
    best,
    everything,
    index_folder,
    open_library,
    refused,
    searchable,
    vectors_of,
    write,
)
from tests.engine.library.other_process import kill_with_work_in_the_log
from tests.engine.library.small_disk import remount, tmpfs

NOBODY = 65534


def test_asked_for_reading_only_it_searches_and_writes_nothing(library: Path, dozen: Path) -> None:
    before = library.read_bytes()
    store = open_library(library, read_only=True)
    require_searchable_and_refusing(store, dozen, "library_read_only")
    store.close()
    assert library.read_bytes() == before


def test_reading_only_sees_what_another_process_writes(library: Path, dozen: Path) -> None:
    reader, writer = open_library(library, read_only=True), open_library(library)
    write(dozen / "new.wav", "something new")
    index_folder(writer, dozen)
    assert best(reader, "something new")[0] == dozen / "new.wav"
    writer.close()
    reader.close()


def test_reading_only_with_a_pack_it_has_not_seen_finds_nothing(library: Path) -> None:
    store = open_library(library, pack_hash="b" * 64, read_only=True)
    assert everything(store) == set()
    assert store.catalogue.status().segments == 0
    store.close()


@pytest.mark.parametrize("closed", ["file", "folder", "file and folder"])
def test_without_permission_to_write_it_is_still_searched(closed: str) -> None:
    with without_privileges() as base:
        for number in range(12):
            write(base / "sounds" / f"{number:02d}.wav", f"the sound of number {number}")
        library = base / "home" / "library.foundsound"
        store = open_library(library)
        index_folder(store, base / "sounds")
        store.close()
        if "file" in closed:
            library.chmod(0o444)
        if "folder" in closed:
            library.parent.chmod(0o555)
        try:
            store = open_library(library)
            require_searchable_and_refusing(store, base / "sounds", "library_read_only")
            store.close()
        finally:
            library.parent.chmod(0o755)


def test_without_permission_to_write_what_a_killed_process_left_in_the_log_is_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        base, library = Path(name), Path(name) / "home" / "library"
        store = open_library(library)
        write(base / "sounds" / "a.wav", "the sound of number 7")
        index_folder(store, base / "sounds")
        store.close()
        kill_with_work_in_the_log(library)
        base.chmod(0o755)
        for path in library.parent.iterdir():
            path.chmod(0o444)
        library.parent.chmod(0o555)
        with unprivileged():
            store = open_library(library)
            assert store.catalogue.read_only
            assert everything(store)
            store.close()
        library.parent.chmod(0o755)


def test_without_permission_to_read_or_to_make_it() -> None:
    with without_privileges() as base:
        library = base / "library.foundsound"
        open_library(library).close()
        library.chmod(0)
        assert refused(lambda: open_library(library)) == "library_unreadable"
        (base / "closed").mkdir()
        (base / "closed").chmod(0o555)
        assert refused(lambda: open_library(base / "closed" / "library")) == "library_unwritable"
        assert refused(lambda: open_library(base / "closed" / "folder" / "library")) == "library_unwritable"
        (base / "closed").chmod(0)
        try:
            assert refused(lambda: open_library(base / "closed" / "library")) == "library_unreadable"
        finally:
            (base / "closed").chmod(0o755)


def test_on_a_read_only_disk_it_is_still_searched(tmp_path: Path, dozen: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        store = open_library(disk / "library")
        index_folder(store, dozen)
        store.close()
        remount(disk, "ro")
        store = open_library(disk / "library")
        require_searchable_and_refusing(store, dozen, "library_read_only")
        store.close()


def test_on_a_read_only_disk_changes_that_never_came_in_are_not_passed_over(tmp_path: Path, dozen: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        library = disk / "library"
        store = open_library(library)
        index_folder(store, dozen)
        store.close()
        kill_with_work_in_the_log(library)
        (disk / "library-shm").unlink()
        remount(disk, "ro")
        assert refused(lambda: open_library(library)) == "library_unreadable"
        remount(disk, "rw")
        store = open_library(library)
        assert len(everything(store)) == 12
        store.close()


def require_searchable_and_refusing(store: SqliteLibrary, dozen: Path, kind: str) -> None:
    assert store.catalogue.read_only
    assert best(store, "the sound of number 7")[0] == dozen / "07.wav"
    assert searchable(store) == 12
    assert store.catalogue.folders()[0].sounds == 12
    assert vectors_of(store, dozen / "03.wav") is not None
    assert refused(lambda: store.catalogue.add_folder(dozen.parent)) == kind
    assert refused(lambda: store.catalogue.begin_scan(1)) == kind
    assert refused(store.catalogue.retry_failed) == kind


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder to work in as a user whom permissions bind, also where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        if os.name != "nt" and os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        with unprivileged():
            yield Path(name)


@contextmanager
def unprivileged() -> Iterator[None]:
    if os.name == "nt":
        pytest.skip("Windows has no such permissions on folders")
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
