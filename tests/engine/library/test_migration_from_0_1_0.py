"""A library that 0.1.0 wrote keeps all that is in it, whatever happens to the process that migrates it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from engine.library.protocols import Adopted, ScanCounts
from engine.library.sqlite.file import LibraryFile
from engine.library.sqlite.library import SqliteLibrary
from tests.engine.library.library import (
    adopt,
    everything,
    fingerprint,
    found,
    ids,
    index_pending,
    indexed_sounds,
    paths_with,
    refused,
    scan,
    state,
)
from tests.engine.library.other_process import line, python
from tests.engine.library.released import Released010, ReleasedSound, as_bytes

LAST_PACK = "second-pack"
PACKS = ["first-pack", LAST_PACK]
KILLS = 40


@pytest.fixture
def released(tmp_path: Path) -> Released010:
    return Released010(tmp_path / "library.foundsound", tmp_path / "home")


@pytest.fixture
def with_files(released: Released010) -> Released010:
    """The library, with the files of all sounds that are not missing."""
    for sound in released.sounds.values():
        if sound.state != "missing" or sound.is_removed:
            sound.write()
    return released


def expected_state(released: Released010, pack_id: str, sound: ReleasedSound) -> str:
    """What a sound is for a pack: 0.1.0 looked for its vectors on opening, too."""
    if sound.state in ("failed", "missing") or sound.is_stale or sound.hash is None:
        return sound.state
    return "indexed" if released.segments(pack_id, sound.hash) else "pending"


def require_all_kept(store: SqliteLibrary, released: Released010, pack_id: str) -> None:
    assert {folder.folder_id: folder.path for folder in store.catalogue.folders()} == released.folders
    assert store.catalogue.status().segments == released.count_segments(pack_id)
    waiting = set()
    for sound in released.visible():
        expected = expected_state(released, pack_id, sound)
        known = store.catalogue.sound_at(sound.path)
        assert known is not None
        assert (known.sound_id, known.path, known.state) == (sound.sound_id, sound.path, expected)
        assert (known.content_id is None) == (sound.hash is None)
        segments = store.vectors.segments(sound.sound_id)
        if expected == "indexed":
            assert segments is not None
            kept = list(zip(segments.starts_s, segments.ends_s, as_bytes(segments.vectors), strict=True))
            assert kept == released.segments(pack_id, sound.hash)
        else:
            assert segments is None
        if expected == "pending":
            waiting.add((sound.sound_id, sound.path, sound.size, sound.mtime_ns))
    failures = {(one.sound_id, one.path, one.kind, one.detail, one.hint) for one in store.catalogue.failures(99)}
    assert failures == {(sound.sound_id, sound.path, *sound.error) for sound in released.visible() if sound.error}
    assert len(failures) == 2
    claimed = store.work.claim(99)
    assert {(one.sound_id, one.path, one.size, one.mtime_ns) for one in claimed} == waiting
    store.work.release()


def pragma(library: Path, name: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(library)
    rows = connection.execute(f"PRAGMA {name}").fetchall()
    connection.close()
    return rows


def dump(library: Path) -> list[str]:
    connection = sqlite3.connect(library)
    lines = list(connection.iterdump())
    connection.close()
    return lines


def test_the_fixture_holds_what_is_to_be_kept(released: Released010) -> None:
    assert pragma(released.library, "user_version") == [(1,)]
    assert pragma(released.library, "integrity_check") == [("ok",)]
    assert list(released.packs) == PACKS
    assert {sound.state for sound in released.sounds.values()} == {"pending", "indexed", "failed", "missing"}
    assert sum(sound.is_removed for sound in released.sounds.values()) == 2
    assert sum(sound.is_stale for sound in released.sounds.values()) == 1


@pytest.mark.parametrize("packs", [["first-pack"], ["second-pack"], [*PACKS, *PACKS]])
def test_folders_sounds_failures_and_vectors_of_all_packs_are_kept(released: Released010, packs: list[str]) -> None:
    for pack_id in packs:
        store = released.open(pack_id)
        require_all_kept(store, released, pack_id)
        store.catalogue.check()
        store.close()
    assert pragma(released.library, "integrity_check") == [("ok",)]
    assert pragma(released.library, "foreign_key_check") == []
    assert pragma(released.library, "user_version") != [(1,)]


def test_nothing_that_is_unchanged_is_indexed_again(with_files: Released010) -> None:
    store = with_files.open(LAST_PACK)
    counts = [scan(store, folder_id) for folder_id in with_files.folders]
    assert counts == [(ScanCounts(changed=1, unchanged=6), 0), (ScanCounts(unchanged=4), 0)], "one failure may pass"
    store.close()


def test_a_removed_folder_comes_back_with_its_ids_and_vectors(with_files: Released010) -> None:
    store = with_files.open(LAST_PACK)
    removed = [sound for sound in with_files.sounds.values() if sound.is_removed]
    paths = [sound.path for sound in removed]
    assert ids(store, paths) == [None] * 2
    waiting = store.work.count()
    assert scan(store, store.catalogue.add_folder(with_files.removed)) == (ScanCounts(returned=2), 0)
    assert ids(store, paths) == [sound.sound_id for sound in removed]
    assert everything(store) >= set(paths)
    assert store.work.count() == waiting
    for sound in removed:
        segments = store.vectors.segments(sound.sound_id)
        assert segments is not None
        assert as_bytes(segments.vectors) == [vector for *_, vector in with_files.segments(LAST_PACK, sound.hash)]
    store.close()


@pytest.mark.parametrize("part", ["above", "inside"])
def test_sounds_of_a_removed_folder_come_back_with_another_folder(with_files: Released010, part: str) -> None:
    removed = [sound for sound in with_files.sounds.values() if sound.is_removed]
    store = with_files.open(LAST_PACK)
    if part == "above":
        home = with_files.removed.parent
        scan(store, store.catalogue.add_folder(home))
        assert [folder.path for folder in store.catalogue.folders()] == [home]
        paths = [sound.path for sound in with_files.sounds.values()]
        assert ids(store, paths) == list(with_files.sounds)
    else:
        new = with_files.removed.rename(with_files.removed.with_name("new drive"))
        before = store.catalogue.status().segments
        scan(store, store.catalogue.add_folder(new))
        for sound in store.work.claim(99):
            if sound.path.is_relative_to(new):
                assert sound.maybe_known
                assert adopt(store, sound, sound.path.read_bytes()) is Adopted.MOVED
        assert sorted(map(str, ids(store, new.iterdir()))) == sorted(str(sound.sound_id) for sound in removed)
        assert store.catalogue.status().segments == before
    store.close()


def test_a_touched_file_is_recognised_and_gets_the_hash_of_its_audio(with_files: Released010) -> None:
    store = with_files.open(LAST_PACK)
    sound = with_files.named("doors/slam.wav")
    audio = fingerprint(sound.data.encode()).audio
    assert paths_with(store, audio) == [], "only the hash of the whole file is known"
    before, size = store.vectors.segments(sound.sound_id), store.catalogue.status().segments
    os.utime(sound.path, ns=(1, 1))
    scan_ = store.catalogue.begin_scan(1, [sound.path])
    assert store.catalogue.record_scan(scan_, [found(sound.path)]) == ScanCounts(changed=1)
    store.catalogue.finish_scan(scan_)
    assert state(store, sound.path) == "pending"
    (claimed,) = (one for one in store.work.claim(99) if one.sound_id == sound.sound_id)
    assert (claimed.maybe_known, claimed.by_file) == (True, True)
    assert adopt(store, claimed, sound.data.encode()) is Adopted.UNCHANGED
    assert paths_with(store, audio) == [sound.path]
    after = store.vectors.segments(sound.sound_id)
    assert before is not None
    assert after is not None
    assert as_bytes(after.vectors) == as_bytes(before.vectors)
    assert store.catalogue.status().segments == size
    store.close()


def test_a_moved_file_is_recognised(with_files: Released010) -> None:
    store = with_files.open(LAST_PACK)
    sound = with_files.named("thunder.wav")
    new = sound.path.rename(sound.path.with_name("lightning.wav"))
    scan(store, 2)
    (claimed,) = (one for one in store.work.claim(99) if one.path == new)
    assert adopt(store, claimed, new.read_bytes()) is Adopted.MOVED
    assert ids(store, [new]) == [sound.sound_id]
    store.close()


def test_looking_at_everything_once_more_gives_every_sound_the_hash_of_its_audio(with_files: Released010) -> None:
    store = with_files.open(LAST_PACK)
    indexed = {sound.path: sound for sound in with_files.visible() if sound.state == "indexed"}
    assert store.catalogue.verify_all() == len(indexed) == 10
    size = store.catalogue.status().segments
    for claimed in store.work.claim(99):
        if claimed.path in indexed:
            assert adopt(store, claimed, claimed.path.read_bytes()) is Adopted.UNCHANGED
    assert store.catalogue.status().segments == size
    for path, sound in indexed.items():
        assert path in paths_with(store, fingerprint(sound.data.encode()).audio)
    rain = fingerprint(b"rain").audio
    assert len(paths_with(store, rain)) == 3
    store.close()


def test_what_waited_is_indexed(with_files: Released010) -> None:
    store = with_files.open(LAST_PACK)
    waiting = store.work.count()
    ways = index_pending(store)
    assert len(ways) == waiting == 3
    changed = with_files.named("changed.wav")
    assert state(store, changed.path) == "indexed"
    assert ids(store, [changed.path]) == [changed.sound_id]
    assert paths_with(store, fingerprint(changed.data.encode()).audio) == [changed.path]
    store.close()


def test_a_file_decoded_anew_shares_what_is_known_of_the_whole_file(with_files: Released010) -> None:
    store = with_files.open(LAST_PACK)
    size = store.catalogue.status().segments
    rain = with_files.named("field recordings/rain.wav")
    copy = rain.path.with_name("copy.wav")
    copy.write_bytes(rain.path.read_bytes())
    scan(store, 2)
    (claimed,) = (one for one in store.work.claim(99) if one.path == copy)
    assert claimed.by_file
    store.work.save_indexed(indexed_sounds([claimed]))
    assert store.catalogue.status().segments == size
    one, other = store.catalogue.sound_at(copy), store.catalogue.sound_at(rain.path)
    assert one is not None
    assert other is not None
    assert one.content_id == other.content_id
    store.close()


def test_a_library_that_cannot_be_written_is_refused_and_left_alone(released: Released010) -> None:
    before = released.library.read_bytes()
    assert refused(lambda: LibraryFile.open(released.library, read_only=True)) == "library_outdated"
    assert released.library.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that copies itself, so that 40 start quickly")
def test_a_process_killed_at_any_moment_of_the_migration_loses_nothing(tmp_path: Path) -> None:
    """The process kills itself at evenly spread steps of SQLite's virtual machine, from opening to closing."""
    copies = [Released010(tmp_path / f"{number}.foundsound", tmp_path / "home") for number in range(KILLS + 1)]
    before = dump(copies[0].library)
    with python(f"""
connect = sqlite3.connect
steps = 0

def open_and_close(number, kill_at):
    def step():
        global steps
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def noting(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_progress_handler(step, 1)
        return connection

    sqlite3.connect = noting
    library = Path({str(tmp_path)!r}, f"{{number}}.foundsound")
    SqliteLibrary.open(library, {LAST_PACK!r}, {copies[0].packs[LAST_PACK]!r}, DIM, volumes=FakeVolumes()).close()

open_and_close({KILLS}, kill_at=-1)
total, killed = steps, 0
for number in range({KILLS}):
    child = os.fork()
    if not child:
        steps = 0
        open_and_close(number, kill_at=1 + number * total // {KILLS})
        os._exit(0)
    killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
print(killed, flush=True)
""") as process:
        assert line(process) == str(KILLS)
    versions = set()
    for released in copies:
        ((version,),) = pragma(released.library, "user_version")
        versions.add(version)
        assert version != 1 or dump(released.library) == before, "the old library is not what it was"
        store = released.open(LAST_PACK)
        require_all_kept(store, released, LAST_PACK)
        store.close()
        assert pragma(released.library, "integrity_check") == [("ok",)]
    assert len(versions) == 2, "no process was killed after the migration, or none before its end"
