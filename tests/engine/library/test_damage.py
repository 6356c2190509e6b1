"""Files that are no library, and libraries that are damaged."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from tests.engine.library.library import everything, open_library, refused, write
from tests.engine.library.other_process import kill_with_work_in_the_log, line, python


@pytest.mark.parametrize("size", [2, 15, 100, 5000, 100_000])
def test_a_file_that_is_not_a_library_is_refused_and_left_alone(tmp_path: Path, size: int) -> None:
    path = tmp_path / "library.foundsound"
    garbage = random.Random(size).randbytes(size)
    path.write_bytes(garbage)
    assert refused(lambda: open_library(path)) == "library_corrupt"
    assert refused(lambda: open_library(path, read_only=True)) == "library_corrupt"
    assert path.read_bytes() == garbage
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_damaged_page_of_vectors_is_noticed_by_the_first_search(library: Path) -> None:
    overwrite_page(library, root_page(library, "segment"))
    before = library.read_bytes()
    assert refused(lambda: search(library)) == "library_corrupt"
    assert library.read_bytes() == before, "it was to be left as it is"


def test_a_library_cut_short_is_noticed(library: Path) -> None:
    library.write_bytes(library.read_bytes()[:-20_000])
    assert refused(lambda: open_library(library)) == "library_corrupt"


def test_a_vector_of_bits_that_are_no_numbers_is_noticed(library: Path) -> None:
    connection = sqlite3.connect(library)
    connection.execute("UPDATE segment SET vector = ? WHERE id = 5", [b"\xff" * 32])
    connection.commit()
    connection.close()
    assert refused(lambda: search(library)) == "library_corrupt"


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE segment",
        "DROP TABLE tally",
        "PRAGMA ignore_check_constraints = ON; UPDATE tally SET state = 'dreaming' WHERE state = 'indexed'",
    ],
)
def test_a_library_that_has_lost_a_part_is_noticed(library: Path, damage: str) -> None:
    connection = sqlite3.connect(library)
    connection.executescript(damage)
    connection.close()
    assert refused(lambda: search(library)) == "library_corrupt"


def test_damage_that_opening_does_not_meet_is_found_by_a_check(library: Path) -> None:
    overwrite_page(library, root_page(library, "content_size"))
    store = open_library(library)
    assert refused(store.catalogue.check) == "library_corrupt"
    store.close()


def test_after_an_unclean_exit_the_file_is_checked(library: Path) -> None:
    kill_with_work_in_the_log(library)
    overwrite_page(library, root_page(library, "content_size"))
    assert refused(lambda: open_library(library)) == "library_corrupt"


def test_no_check_is_made_while_another_process_has_the_library_open(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Path] = []
    monkeypatch.setattr("engine.library.sqlite.file.LibraryFile.check", lambda self: checked.append(self.path))
    with python(f"""
store = open_library(Path({str(library)!r}))
connection = sqlite3.connect({str(library)!r}, isolation_level=None)
connection.execute("UPDATE content SET peaks = x'00'")
print("open", flush=True)
sys.stdin.read()
""") as process:
        assert line(process) == "open"
        assert library.with_name(library.name + "-wal").stat().st_size > 0
        open_library(library).close()
        assert checked == []
        process.kill()
        process.wait()
        open_library(library).close()
        assert checked == [library]
        open_library(library).close()
        assert checked == [library], "the exit before was clean"


def test_a_sound_library_passes_the_check_and_leaves_one_file(library: Path, tmp_path: Path) -> None:
    store = open_library(library)
    store.catalogue.check()
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["library.foundsound", "sounds"]


def search(library: Path) -> None:
    """Open a library, count its sounds and search it."""
    store = open_library(library)
    try:
        store.catalogue.status()
        everything(store)
    finally:
        store.close()


def overwrite_page(library: Path, number: int) -> None:
    with library.open("r+b") as file:
        file.seek(16)
        size = int.from_bytes(file.read(2), "big")
        file.seek((number - 1) * size)
        file.write(b"\xa5" * size)


def root_page(library: Path, name: str) -> int:
    connection = sqlite3.connect(f"{library.as_uri()}?immutable=1", uri=True)
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [name]).fetchone()[0]
    connection.close()
    return int(page)


def test_a_folder_is_not_a_library(tmp_path: Path) -> None:
    assert refused(lambda: open_library(tmp_path)) == "library_is_folder"
    assert refused(lambda: open_library(tmp_path, read_only=True)) == "library_is_folder"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("read_only", [False, True])
def test_neither_a_pipe_nor_a_device_is_touched(tmp_path: Path, read_only: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    assert refused(lambda: open_library(tmp_path / "pipe", read_only=read_only)) == "library_not_a_file"
    assert refused(lambda: open_library(tmp_path / "null", read_only=read_only)) == "library_not_a_file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null", "pipe"]


def test_a_library_inside_a_file_cannot_be_made(tmp_path: Path) -> None:
    file = write(tmp_path / "file", "text")
    assert refused(lambda: open_library(file / "library")) == "library_unwritable"
    assert refused(lambda: open_library(file / "folder" / "library")) == "library_unwritable"


def test_reading_only_makes_nothing(tmp_path: Path) -> None:
    assert refused(lambda: open_library(tmp_path / "no" / "library", read_only=True)) == "library_missing"
    assert list(tmp_path.iterdir()) == []
