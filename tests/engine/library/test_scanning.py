"""What scans of real files find, and what becomes of those that cannot be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.errors import ErrorKind, KnownError
from engine.library.sqlite.scanning import PASSING_FAILURES
from engine.library.sqlite.store import SqliteStore
from engine.library.store import Adopted, ScanCounts
from engine.library.types import SoundState
from tests.engine.library.library import (
    FILE_GONE,
    best,
    everything,
    found,
    ids,
    index_folder,
    index_pending,
    scan,
    state,
    vectors_for,
    write,
)


def test_a_scan_tells_new_unchanged_changed_and_missing(store: SqliteStore, root: Path) -> None:
    folder_id = store.add_folder(root)
    assert scan(store, folder_id) == (ScanCounts(new=3), 0)
    assert scan(store, folder_id) == (ScanCounts(), 0)
    assert store.count_pending() == 3
    assert index_pending(store) == [None] * 3
    assert store.searchable == 3
    assert scan(store, folder_id) == (ScanCounts(unchanged=3), 0)

    write(root / "rain.wav", "heavier rain, and longer")
    (root / "creak.wav").unlink()
    assert scan(store, folder_id) == (ScanCounts(changed=1, unchanged=1), 1)
    assert state(store, root / "rain.wav") is SoundState.PENDING
    assert state(store, root / "creak.wav") is SoundState.MISSING
    assert everything(store) == {root / "doors/slam.wav"}
    (folder,) = store.folders()
    assert (folder.sounds, folder.indexed, folder.failed, folder.missing) == (3, 1, 0, 1)
    assert folder.available


def test_a_change_of_time_alone_is_a_change_that_needs_no_vectors(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    stat = (root / "rain.wav").stat()
    os.utime(root / "rain.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns + 2_000_000_000))
    assert scan(store, folder_id)[0] == ScanCounts(changed=1, unchanged=2)
    assert index_pending(store) == [Adopted.UNCHANGED]
    assert ids(store, [root / "rain.wav"]) == before
    assert scan(store, folder_id)[0] == ScanCounts(unchanged=3)


def test_a_changed_sound_is_found_by_what_it_now_holds(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    write(root / "rain.wav", "a dog barks")
    scan(store, folder_id)
    index_pending(store)
    assert best(store, "a dog barks")[0] == root / "rain.wav"
    assert ids(store, [root / "rain.wav"]) == before
    scores = store.search(vectors_for(b"the sound of rain.wav")[:1], 1)[0]
    assert scores[0].score < 0.999, "the old content is still found"


def test_a_missing_sound_that_returns_unchanged_needs_nothing(store: SqliteStore, root: Path, tmp_path: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    shutil.move(root / "rain.wav", tmp_path / "elsewhere.wav")
    assert scan(store, folder_id)[1] == 1
    shutil.move(tmp_path / "elsewhere.wav", root / "rain.wav")
    assert scan(store, folder_id) == (ScanCounts(unchanged=2, returned=1), 0)
    assert store.count_pending() == 0
    assert root / "rain.wav" in everything(store)
    assert ids(store, [root / "rain.wav"]) == before


def test_a_missing_sound_that_was_never_indexed_returns_as_pending(store: SqliteStore, root: Path) -> None:
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    data = (root / "rain.wav").read_text()
    stat = (root / "rain.wav").stat()
    (root / "rain.wav").unlink()
    scan(store, folder_id)
    write(root / "rain.wav", data)
    os.utime(root / "rain.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert scan(store, folder_id)[0].returned == 1
    assert state(store, root / "rain.wav") is SoundState.PENDING


def test_a_changed_sound_that_went_missing_before_it_was_indexed_returns_as_pending(
    store: SqliteStore, root: Path, tmp_path: Path
) -> None:
    folder_id = index_folder(store, root)
    write(root / "rain.wav", "a dog barks")
    scan(store, folder_id)
    shutil.move(root / "rain.wav", tmp_path / "elsewhere.wav")
    scan(store, folder_id)
    shutil.move(tmp_path / "elsewhere.wav", root / "rain.wav")
    assert scan(store, folder_id)[0] == ScanCounts(unchanged=2, returned=1)
    assert state(store, root / "rain.wav") is SoundState.PENDING


def test_sounds_under_an_unreadable_folder_do_not_go_missing(store: SqliteStore, root: Path) -> None:
    write(root / "doors2/other.wav", "another")
    folder_id = index_folder(store, root)
    scan_ = store.begin_scan(folder_id)
    assert len(store.finish_scan(scan_, [root / "doors", root / "rain.wav"])) == 2
    assert state(store, root / "doors/slam.wav") is SoundState.INDEXED
    assert state(store, root / "rain.wav") is SoundState.INDEXED
    assert state(store, root / "doors2/other.wav") is SoundState.MISSING
    assert store.finish_scan(store.begin_scan(folder_id), [root]) == ()


def test_a_scan_that_was_cut_off_marks_nothing_and_leaves_nothing_behind(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    store.record_scan(store.begin_scan(folder_id), [found(root / "rain.wav")])
    assert store.searchable == 3
    (root / "rain.wav").unlink()
    assert scan(store, folder_id)[1] == 1, "the scan before the last one counted"


def test_scans_of_two_folders_may_take_turns(store: SqliteStore, root: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other/thunder.wav", "thunder").parent
    one, two = (store.begin_scan(store.add_folder(path)) for path in (root, other))
    store.record_scan(one, [found(root / "rain.wav")])
    store.record_scan(two, [found(other / "thunder.wav")])
    store.record_scan(one, [found(root / "creak.wav")])
    assert store.finish_scan(one) == ()
    assert store.finish_scan(two) == ()


def test_a_failure_keeps_its_reason_until_the_file_changes(store: SqliteStore, root: Path) -> None:
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    (bad,) = ids(store, [root / "rain.wav"])
    assert bad is not None
    store.save_failures([(bad, FILE_GONE)])
    (failure,) = store.failures(10)
    assert (failure.sound_id, failure.path) == (bad, root / "rain.wav")
    assert (failure.kind, failure.detail, failure.hint) == FILE_GONE.args
    assert index_pending(store) == [None, None]
    assert store.folders()[0].failed == 1

    assert scan(store, folder_id)[0] == ScanCounts(unchanged=2)
    assert store.count_pending() == 0
    write(root / "rain.wav", "rain that can be read")
    assert scan(store, folder_id)[0] == ScanCounts(changed=1, unchanged=2)
    assert index_pending(store) == [None]
    assert store.failures(10) == ()


@pytest.mark.parametrize("kind", sorted(PASSING_FAILURES))
def test_a_failure_that_may_have_passed_is_tried_again_by_the_next_scan(
    store: SqliteStore, root: Path, kind: ErrorKind
) -> None:
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    store.save_failures([(sound.sound_id, KnownError(kind, "no")) for sound in store.next_pending(9)])
    assert scan(store, folder_id)[0] == ScanCounts(changed=3)
    assert store.count_pending() == 3


def test_failed_sounds_can_be_tried_again(store: SqliteStore, root: Path) -> None:
    scan(store, store.add_folder(root))
    store.save_failures([(sound.sound_id, FILE_GONE) for sound in store.next_pending(2)])
    assert store.retry_failed() == 2
    assert store.retry_failed() == 0
    assert store.count_pending() == 3


def test_a_failure_of_a_sound_that_went_missing_meanwhile_is_no_news(store: SqliteStore, root: Path) -> None:
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    on_its_way = store.next_pending(9)
    store.remove_folder(folder_id)
    store.save_failures([(sound.sound_id, FILE_GONE) for sound in on_its_way])
    assert store.failures(9) == ()


def test_failures_are_limited(store: SqliteStore, root: Path) -> None:
    scan(store, store.add_folder(root))
    pending = store.next_pending(9)
    store.save_failures([(sound.sound_id, FILE_GONE) for sound in pending])
    assert [failure.sound_id for failure in store.failures(2)] == [sound.sound_id for sound in pending[:2]]
