"""Libraries that are damaged, locked, read-only, deleted, on a full disk, or whose writer was killed."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.messages import SoundState
from engine.store.sqlite import SqliteStore
from tests.engine.store.library import (
    best,
    everything,
    found,
    index_folder,
    index_pending,
    open_store,
    scan,
    write,
)

REPOSITORY = Path(__file__).parents[3]
NOBODY = 65534
NEEDS_MOUNT = "needs Linux and the right to mount file systems"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(12):
        write(tmp_path / "sounds" / f"{number:02d}.wav", f"the sound of number {number}")
    return tmp_path / "sounds"


@pytest.fixture
def library(tmp_path: Path, root: Path) -> Path:
    """A library with twelve sounds, closed."""
    path = tmp_path / "library.foundsound"
    store = open_store(path)
    index_folder(store, root)
    store.close()
    return path


def refused(action: Callable[[], object]) -> str:
    """The kind of KnownError that an action ends in; every one of them must say what to do."""
    with pytest.raises(KnownError) as error:
        action()
    assert error.value.detail
    assert error.value.hint
    return error.value.kind


@contextmanager
def python(code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs code with ``path``-like names already imported; killed at the end if still there."""
    header = "import os, signal, sqlite3, sys\nfrom pathlib import Path\nfrom tests.engine.store.library import *\n"
    process = subprocess.Popen(
        [sys.executable, "-c", header + code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = process.stdout.readline().strip()
    assert text, "the other process ended early"
    return text


def kill_with_work_in_the_log(library: Path) -> None:
    """Leave the library as a killed process does."""
    with python(f"""
store = open_store(Path({str(library)!r}))
store.retry_failed()
store.begin_scan(1)
store._db.execute("UPDATE content SET peaks = x'00'")
print("written", flush=True)
sys.stdin.read()
""") as process:
        assert line(process) == "written"
        process.kill()
        process.wait()
    assert library.with_name(library.name + "-wal").stat().st_size > 0


# Damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 15, 100, 5000, 100_000])
def test_a_file_that_is_not_a_library_is_refused_and_left_alone(tmp_path: Path, size: int) -> None:
    path = tmp_path / "library.foundsound"
    garbage = random.Random(size).randbytes(size)
    path.write_bytes(garbage)
    assert refused(lambda: open_store(path)) == "library_corrupt"
    assert refused(lambda: open_store(path, read_only=True)) == "library_corrupt"
    assert path.read_bytes() == garbage
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_damaged_page_of_vectors_is_noticed_on_opening(library: Path) -> None:
    overwrite_page(library, root_page(library, "segment"))
    before = library.read_bytes()
    assert refused(lambda: open_store(library)) == "library_corrupt"
    assert library.read_bytes() == before, "it was to be left as it is"


def test_a_library_cut_short_is_noticed(library: Path) -> None:
    library.write_bytes(library.read_bytes()[:-20_000])
    assert refused(lambda: open_store(library)) == "library_corrupt"


def test_a_vector_of_bits_that_are_no_numbers_is_noticed(library: Path) -> None:
    connection = sqlite3.connect(library)
    connection.execute("UPDATE segment SET vector = ? WHERE id = 5", [b"\xff" * 32])
    connection.commit()
    connection.close()
    assert refused(lambda: open_store(library)) == "library_corrupt"


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

    def use() -> None:
        store = open_store(library)
        try:
            store.status()
        finally:
            store.close()

    assert refused(use) == "library_corrupt"


def test_damage_that_opening_does_not_meet_is_found_by_a_check(library: Path) -> None:
    overwrite_page(library, root_page(library, "content_size"))
    store = open_store(library)
    assert refused(store.check) == "library_corrupt"
    store.close()


def test_after_an_unclean_exit_the_file_is_checked(library: Path) -> None:
    kill_with_work_in_the_log(library)
    overwrite_page(library, root_page(library, "content_size"))
    assert refused(lambda: open_store(library)) == "library_corrupt"


def test_no_check_is_made_while_another_process_has_the_library_open(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Path] = []
    monkeypatch.setattr("engine.store.library_file.LibraryFile.check", lambda self: checked.append(self.path))
    with python(f"""
store = open_store(Path({str(library)!r}))
store.retry_failed()
store._db.execute("UPDATE content SET peaks = x'00'")
print("open", flush=True)
sys.stdin.read()
store.close()
""") as process:
        assert line(process) == "open"
        assert library.with_name(library.name + "-wal").stat().st_size > 0
        open_store(library).close()
        assert checked == []
        process.kill()
        process.wait()
        open_store(library).close()
        assert checked == [library]
        open_store(library).close()
        assert checked == [library], "the exit before was clean"


def test_a_sound_library_passes_the_check_and_leaves_one_file(library: Path, tmp_path: Path) -> None:
    store = open_store(library)
    store.check()
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["library.foundsound", "sounds"]


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


# Paths that are no library ----------------------------------------------------------------------------------------


def test_a_folder_is_not_a_library(tmp_path: Path) -> None:
    assert refused(lambda: open_store(tmp_path)) == "library_is_folder"
    assert refused(lambda: open_store(tmp_path, read_only=True)) == "library_is_folder"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("read_only", [False, True])
def test_neither_a_pipe_nor_a_device_is_touched(tmp_path: Path, read_only: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    assert refused(lambda: open_store(tmp_path / "pipe", read_only=read_only)) == "library_not_a_file"
    assert refused(lambda: open_store(tmp_path / "null", read_only=read_only)) == "library_not_a_file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null", "pipe"]


def test_a_library_inside_a_file_cannot_be_made(tmp_path: Path) -> None:
    file = write(tmp_path / "file", "text")
    assert refused(lambda: open_store(file / "library")) == "library_unwritable"
    assert refused(lambda: open_store(file / "folder" / "library")) == "library_unwritable"


def test_reading_only_makes_nothing(tmp_path: Path) -> None:
    assert refused(lambda: open_store(tmp_path / "no" / "library", read_only=True)) == "library_missing"
    assert list(tmp_path.iterdir()) == []


# Read-only --------------------------------------------------------------------------------------------------------


def test_asked_for_reading_only_it_searches_and_writes_nothing(library: Path, root: Path) -> None:
    before = library.read_bytes()
    store = open_store(library, read_only=True)
    require_searchable_and_refusing(store, root, "library_read_only")
    store.close()
    assert library.read_bytes() == before


def test_reading_only_sees_what_another_process_writes(library: Path, root: Path) -> None:
    reader, writer = open_store(library, read_only=True), open_store(library)
    write(root / "new.wav", "something new")
    index_folder(writer, root)
    assert best(reader, "something new")[0] == root / "new.wav"
    writer.close()
    reader.close()


def test_reading_only_with_a_pack_it_has_not_seen_finds_nothing(library: Path) -> None:
    store = open_store(library, pack_hash="b" * 64, read_only=True)
    assert everything(store) == set()
    assert store.status().segments == 0
    store.close()


@pytest.mark.parametrize("closed", ["file", "folder", "file and folder"])
def test_without_permission_to_write_it_is_still_searched(closed: str) -> None:
    with without_privileges() as base:
        for number in range(12):
            write(base / "sounds" / f"{number:02d}.wav", f"the sound of number {number}")
        library = base / "home" / "library.foundsound"
        store = open_store(library)
        index_folder(store, base / "sounds")
        store.close()
        if "file" in closed:
            library.chmod(0o444)
        if "folder" in closed:
            library.parent.chmod(0o555)
        try:
            store = open_store(library)
            require_searchable_and_refusing(store, base / "sounds", "library_read_only")
            store.close()
        finally:
            library.parent.chmod(0o755)


def test_without_permission_to_write_what_a_killed_process_left_in_the_log_is_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        base, library = Path(name), Path(name) / "home" / "library"
        store = open_store(library)
        write(base / "sounds" / "a.wav", "the sound of number 7")
        index_folder(store, base / "sounds")
        store.close()
        kill_with_work_in_the_log(library)
        base.chmod(0o755)
        for path in library.parent.iterdir():
            path.chmod(0o444)
        library.parent.chmod(0o555)
        with unprivileged():
            store = open_store(library)
            assert store.read_only
            assert everything(store)
            store.close()
        library.parent.chmod(0o755)


def test_without_permission_to_read_or_to_make_it() -> None:
    with without_privileges() as base:
        library = base / "library.foundsound"
        open_store(library).close()
        library.chmod(0)
        assert refused(lambda: open_store(library)) == "library_unreadable"
        (base / "closed").mkdir()
        (base / "closed").chmod(0o555)
        assert refused(lambda: open_store(base / "closed" / "library")) == "library_unwritable"
        assert refused(lambda: open_store(base / "closed" / "folder" / "library")) == "library_unwritable"
        (base / "closed").chmod(0)
        try:
            assert refused(lambda: open_store(base / "closed" / "library")) == "library_unreadable"
        finally:
            (base / "closed").chmod(0o755)


def test_on_a_read_only_disk_it_is_still_searched(tmp_path: Path, root: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        store = open_store(disk / "library")
        index_folder(store, root)
        store.close()
        remount(disk, "ro")
        store = open_store(disk / "library")
        require_searchable_and_refusing(store, root, "library_read_only")
        store.close()


def test_on_a_read_only_disk_changes_that_never_came_in_are_not_passed_over(tmp_path: Path, root: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        library = disk / "library"
        store = open_store(library)
        index_folder(store, root)
        store.close()
        kill_with_work_in_the_log(library)
        (disk / "library-shm").unlink()
        remount(disk, "ro")
        assert refused(lambda: open_store(library)) == "library_unreadable"
        remount(disk, "rw")
        store = open_store(library)
        assert len(everything(store)) == 12
        store.close()


def require_searchable_and_refusing(store: SqliteStore, root: Path, kind: str) -> None:
    assert store.read_only
    assert best(store, "the sound of number 7")[0] == root / "07.wav"
    assert store.searchable == 12
    assert store.folders()[0].sounds == 12
    assert store.sound_vectors(root / "03.wav") is not None
    assert refused(lambda: store.add_folder(root.parent)) == kind
    assert refused(lambda: store.begin_scan(1)) == kind
    assert refused(store.retry_failed) == kind


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


@contextmanager
def tmpfs(path: Path, size: str) -> Iterator[Path]:
    """A small disk of its own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip(NEEDS_MOUNT)
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True).returncode:
        pytest.skip(NEEDS_MOUNT)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def remount(path: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", path], check=True)


# A full disk ------------------------------------------------------------------------------------------------------


def test_a_full_library_undoes_the_step_and_goes_on_when_there_is_room(library: Path, root: Path) -> None:
    store = open_store(library)
    store._db.execute("PRAGMA max_page_count = 1")  # as low as it goes: the present size
    write(root / "new.wav", "something new")
    for number in range(600):
        write(root / f"more {number}.wav", f"another {number}")
    assert refused(lambda: scan(store, store.add_folder(root), slice_=5000)) == "disk_full"
    assert store.status().counts[SoundState.PENDING] == 0
    assert best(store, "the sound of number 7")[0] == root / "07.wav"

    store._db.execute("PRAGMA max_page_count = 1000000")
    index_folder(store, root)
    assert best(store, "something new")[0] == root / "new.wav"
    assert store.searchable == 613
    store.close()


def test_on_a_full_disk_nothing_saved_is_lost_and_it_goes_on_when_there_is_room(tmp_path: Path, root: Path) -> None:
    with tmpfs(tmp_path / "disk", "8m") as disk:
        store = open_store(disk / "library")
        index_folder(store, root)
        ballast = disk / "ballast"
        for number in range(300):
            write(root / f"more {number}.wav", f"another {number}")
        scan(store, store.add_folder(root))
        fill(ballast)
        before = store.searchable
        assert refused(lambda: index_pending(store)) == "disk_full"
        done = store.searchable
        assert before <= done < 312
        assert len(everything(store)) == done
        assert refused(lambda: store.add_folder(tmp_path / "elsewhere" / ("x" * 200_000))) == "disk_full"

        store.close()
        full = open_store(disk / "library")
        assert len(everything(full)) == done, "a full disk is searched all the same"
        full.close()

        ballast.unlink()
        store = open_store(disk / "library")
        assert not store.read_only
        store.check()
        index_pending(store)
        assert len(everything(store)) == 312
        store.close()


def test_a_new_library_on_a_full_disk(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "64k") as disk:
        fill(disk / "ballast")
        assert refused(lambda: open_store(disk / "library")) == "disk_full"
        (disk / "ballast").unlink()
        assert refused(lambda: open_store(disk / "library")) == "disk_full", "64 KiB do not hold a library"
        remount(disk, "size=4m")
        open_store(disk / "library").close()


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


# Other processes --------------------------------------------------------------------------------------------------


def test_a_library_that_another_process_is_writing_is_read_but_not_written(library: Path, root: Path) -> None:
    write(root / "new.wav", "something new")
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
        store = open_store(library, busy_timeout_s=0.05)
        assert not store.read_only
        assert best(store, "the sound of number 7")[0] == root / "07.wav"
        assert refused(lambda: scan(store, 1)) == "library_locked"
        assert refused(lambda: open_store(library, pack_hash="b" * 64)) == "library_locked"
        assert process.stdin is not None
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert line(process) == "released"
        index_folder(store, root)
        assert best(store, "something new")[0] == root / "new.wav"
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
        assert refused(lambda: open_store(library, busy_timeout_s=0.05)) == "library_locked"
        assert refused(lambda: open_store(library, read_only=True, busy_timeout_s=0.05)) == "library_locked"


def test_processes_that_make_the_same_library_at_once_all_open_it(tmp_path: Path, root: Path) -> None:
    library = tmp_path / "library.foundsound"
    code = f"""
print("ready", flush=True)
sys.stdin.readline()
store = open_store(Path({str(library)!r}), busy_timeout_s=30)
index_folder(store, Path({str(root)!r}))
print(len(everything(store)), flush=True)
store.close()
"""
    with python(code) as one, python(code) as two, python(code) as three:
        processes = (one, two, three)
        assert [line(process) for process in processes] == ["ready"] * 3
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [line(process) for process in processes] == ["12"] * 3
    store = open_store(library)
    store.check()
    assert len(store.vectors) == 12 * 2
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

    monkeypatch.setattr("engine.store.library_file.time.sleep", wait)
    open_store(tmp_path / "library", busy_timeout_s=30).close()
    assert waits
    other.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not delete files that are open")
def test_a_library_deleted_while_it_is_open_is_not_written_into_the_void(library: Path, root: Path) -> None:
    store = open_store(library)
    library.rename(library.with_name("elsewhere"))
    assert refused(store.retry_failed) == "library_vanished"
    assert best(store, "the sound of number 7")[0] == root / "07.wav"
    library.with_name("elsewhere").rename(library)
    assert store.retry_failed() == 0, "it was put back"
    library.unlink()
    assert refused(lambda: store.add_folder(root.parent)) == "library_vanished"
    library.write_bytes(b"")
    assert refused(store.retry_failed) == "library_vanished", "another file in its place is not it"
    store.close()
    assert library.read_bytes() == b""


# kill -9 ----------------------------------------------------------------------------------------------------------

PER_STEP = 4


def test_a_process_killed_in_the_middle_of_a_step_loses_that_step_only(library: Path, root: Path) -> None:
    for number in range(PER_STEP):
        write(root / f"more {number}.wav", f"another {number}")
    with python(f"""
class Fatal(list):
    def __iter__(self):
        for number, item in enumerate(super().__iter__()):
            if number == {PER_STEP - 1}:
                print("in the middle", flush=True)
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
            yield item

store = open_store(Path({str(library)!r}))
scan(store, store.add_folder(Path({str(root)!r})))
store.save_indexed(Fatal(indexed_sound(sound.sound_id, sound.path) for sound in store.next_pending(99)))
""") as process:
        assert line(process) == "in the middle"
        process.wait()
        assert process.returncode != 0
    store = open_store(library)
    store.check()
    assert (store.searchable, store.count_pending(), len(store.vectors)) == (12, PER_STEP, 24)
    assert index_pending(store) == [None] * PER_STEP
    assert len(everything(store)) == 12 + PER_STEP
    store.close()


def test_a_process_killed_at_any_moment_leaves_every_step_it_finished(tmp_path: Path, root: Path) -> None:
    for number in range(400):
        write(root / f"more {number}.wav", f"another {number}")
    library = tmp_path / "library.foundsound"
    store = open_store(library)
    scan(store, store.add_folder(root), slice_=1000)
    store.close()
    done = 0
    for round_ in range(5):
        with python(f"""
store = open_store(Path({str(library)!r}))
while pending := store.next_pending({PER_STEP}):
    store.save_indexed([indexed_sound(sound.sound_id, sound.path) for sound in pending])
    print(store.searchable, flush=True)
sys.stdin.read()
""") as process:
            for _ in range(5 + 3 * round_):
                reported = int(line(process))
            process.kill()
            assert process.stdout is not None
            reported = max([reported, *map(int, process.stdout.read().split())])
        assert reported > done
        store = open_store(library)
        store.check()
        done = store.searchable
        assert done >= reported, "a step that was finished is lost"
        assert done - reported <= PER_STEP
        assert done % PER_STEP == 0, "half a step was saved"
        assert len(store.vectors) == 2 * done
        assert len(everything(store)) == done
        store.close()
    store = open_store(library)
    index_pending(store)
    assert len(everything(store)) == 412
    assert store.record_scan(store.begin_scan(1), [found(root / "00.wav")]).unchanged == 1
    store.close()
