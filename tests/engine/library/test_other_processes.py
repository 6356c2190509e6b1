"""Libraries that other processes lock, make or delete."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tests.engine.library.library import best, index_folder, open_library, refused, scan, segments, write
from tests.engine.library.other_process import line, python


def test_a_library_that_another_process_is_writing_is_read_but_not_written(library: Path, dozen: Path) -> None:
    write(dozen / "new.wav", "something new")
    with python(f"""
connection = sqlite3.connect({str(library)!r}, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
print("released", flush=True)
sys.stdin.readline()
""") as process:
        assert line(process) == "locked"
        store = open_library(library, busy_timeout_s=0.05)
        assert not store.catalogue.read_only
        assert best(store, "the sound of number 7")[0] == dozen / "07.wav"
        assert refused(lambda: scan(store, 1)) == "library_locked"
        assert refused(lambda: open_library(library, pack_hash="b" * 64)) == "library_locked"
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert line(process) == "released"
        index_folder(store, dozen)
        assert best(store, "something new")[0] == dozen / "new.wav"
        store.close()


def test_a_library_that_another_process_keeps_to_itself_cannot_be_opened(library: Path) -> None:
    with python(f"""
connection = sqlite3.connect({str(library)!r}, isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("UPDATE content SET peaks = x'00'")
connection.execute("COMMIT")
print("locked", flush=True)
sys.stdin.read()
""") as process:
        assert line(process) == "locked"
        assert refused(lambda: open_library(library, busy_timeout_s=0.05)) == "library_locked"
        assert refused(lambda: open_library(library, read_only=True, busy_timeout_s=0.05)) == "library_locked"


def test_processes_that_make_the_same_library_at_once_all_open_it(tmp_path: Path, dozen: Path) -> None:
    library = tmp_path / "library.foundsound"
    code = f"""
print("ready", flush=True)
sys.stdin.readline()
store = open_library(Path({str(library)!r}), busy_timeout_s=30)
index_folder(store, Path({str(dozen)!r}))
print("done", flush=True)
sys.stdin.readline()
print(len(everything(store)), flush=True)
store.close()
"""
    with python(code) as one, python(code) as two, python(code) as three:
        processes = (one, two, three)
        assert [line(process) for process in processes] == ["ready"] * 3
        for answer in ("done", "12"):
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            assert [line(process) for process in processes] == [answer] * 3
    store = open_library(library)
    store.catalogue.check()
    assert segments(store) == 12 * 2
    store.close()


def test_a_library_that_another_process_is_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(tmp_path / "library", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if other.in_transaction:
            other.execute("ROLLBACK")

    monkeypatch.setattr("engine.library.sqlite.file.time.sleep", wait)
    open_library(tmp_path / "library", busy_timeout_s=30).close()
    assert waits
    other.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not delete files that are open")
def test_a_library_deleted_while_it_is_open_is_not_written_into_the_void(library: Path, dozen: Path) -> None:
    store = open_library(library)
    library.rename(library.with_name("elsewhere"))
    assert refused(store.catalogue.retry_failed) == "library_vanished"
    assert best(store, "the sound of number 7")[0] == dozen / "07.wav"
    library.with_name("elsewhere").rename(library)
    assert store.catalogue.retry_failed() == 0, "it was put back"
    library.unlink()
    assert refused(lambda: store.catalogue.add_folder(dozen.parent)) == "library_vanished"
    library.write_bytes(b"")
    assert refused(store.catalogue.retry_failed) == "library_vanished", "another file in its place is not it"
    store.close()
    assert library.read_bytes() == b""
