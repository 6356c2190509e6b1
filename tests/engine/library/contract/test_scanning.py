"""What scans of real files find, and what becomes of those that cannot be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from engine.errors import ErrorKind, KnownError
from engine.library.protocols import Adopted, Library, Scan, ScanCounts
from engine.library.types import SoundState
from tests.engine.library.library import (
    FILE_GONE,
    best,
    everything,
    found,
    ids,
    index_folder,
    index_pending,
    rank,
    scan,
    searchable,
    state,
    write,
)


def test_a_scan_tells_new_unchanged_changed_and_missing(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    assert scan(store, folder_id) == (ScanCounts(new=3), 0)
    assert scan(store, folder_id) == (ScanCounts(), 0)
    assert store.work.count() == 3
    assert index_pending(store) == [None] * 3
    assert searchable(store) == 3
    assert scan(store, folder_id) == (ScanCounts(unchanged=3), 0)

    write(root / "rain.wav", "heavier rain, and longer")
    (root / "creak.wav").unlink()
    assert scan(store, folder_id) == (ScanCounts(changed=1, unchanged=1), 1)
    assert state(store, root / "rain.wav") is SoundState.PENDING
    assert state(store, root / "creak.wav") is SoundState.MISSING
    assert everything(store) == {root / "doors/slam.wav"}
    (folder,) = store.catalogue.folders()
    assert (folder.sounds, folder.indexed, folder.failed, folder.missing) == (3, 1, 0, 1)
    assert folder.available


def test_a_change_of_time_alone_is_a_change_that_needs_no_vectors(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    stat = (root / "rain.wav").stat()
    os.utime(root / "rain.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns + 2_000_000_000))
    assert scan(store, folder_id)[0] == ScanCounts(changed=1, unchanged=2)
    assert index_pending(store) == [Adopted.UNCHANGED]
    assert ids(store, [root / "rain.wav"]) == before
    assert scan(store, folder_id)[0] == ScanCounts(unchanged=3)


def test_a_changed_sound_is_found_by_what_it_now_holds(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    write(root / "rain.wav", "a dog barks")
    scan(store, folder_id)
    index_pending(store)
    assert best(store, "a dog barks")[0] == root / "rain.wav"
    assert ids(store, [root / "rain.wav"]) == before
    assert rank(store, "the sound of rain.wav")[0].score < 0.999, "the old content is still found"


def test_a_missing_sound_that_returns_unchanged_needs_nothing(store: Library, root: Path, tmp_path: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    shutil.move(root / "rain.wav", tmp_path / "elsewhere.wav")
    assert scan(store, folder_id)[1] == 1
    shutil.move(tmp_path / "elsewhere.wav", root / "rain.wav")
    assert scan(store, folder_id) == (ScanCounts(unchanged=2, returned=1), 0)
    assert store.work.count() == 0
    assert root / "rain.wav" in everything(store)
    assert ids(store, [root / "rain.wav"]) == before


def test_a_missing_sound_that_was_never_indexed_returns_as_pending(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
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
    store: Library, root: Path, tmp_path: Path
) -> None:
    folder_id = index_folder(store, root)
    write(root / "rain.wav", "a dog barks")
    scan(store, folder_id)
    shutil.move(root / "rain.wav", tmp_path / "elsewhere.wav")
    scan(store, folder_id)
    shutil.move(tmp_path / "elsewhere.wav", root / "rain.wav")
    assert scan(store, folder_id)[0] == ScanCounts(unchanged=2, returned=1)
    assert state(store, root / "rain.wav") is SoundState.PENDING


def test_sounds_under_an_unreadable_folder_do_not_go_missing(store: Library, root: Path) -> None:
    write(root / "doors2/other.wav", "another")
    folder_id = index_folder(store, root)
    scan_ = store.catalogue.begin_scan(folder_id)
    assert len(store.catalogue.finish_scan(scan_, [root / "doors", root / "rain.wav"])) == 2
    assert state(store, root / "doors/slam.wav") is SoundState.INDEXED
    assert state(store, root / "rain.wav") is SoundState.INDEXED
    assert state(store, root / "doors2/other.wav") is SoundState.MISSING
    assert store.catalogue.finish_scan(store.catalogue.begin_scan(folder_id), [root]) == ()


def test_a_scan_that_was_cut_off_marks_nothing_and_leaves_nothing_behind(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    store.catalogue.record_scan(store.catalogue.begin_scan(folder_id), [found(root / "rain.wav")])
    assert searchable(store) == 3
    (root / "rain.wav").unlink()
    assert scan(store, folder_id)[1] == 1, "the scan before the last one counted"


def test_scans_of_two_folders_may_take_turns(store: Library, root: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other/thunder.wav", "thunder").parent
    one, two = (store.catalogue.begin_scan(store.catalogue.add_folder(path)) for path in (root, other))
    store.catalogue.record_scan(one, [found(root / "rain.wav")])
    store.catalogue.record_scan(two, [found(other / "thunder.wav")])
    store.catalogue.record_scan(one, [found(root / "creak.wav")])
    assert store.catalogue.finish_scan(one) == ()
    assert store.catalogue.finish_scan(two) == ()


def test_a_failure_keeps_its_reason_until_the_file_changes(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    (bad,) = ids(store, [root / "rain.wav"])
    assert bad is not None
    store.work.save_failures([(bad, FILE_GONE)])
    (failure,) = store.catalogue.failures(10)
    assert (failure.sound_id, failure.path) == (bad, root / "rain.wav")
    assert (failure.kind, failure.detail, failure.hint) == FILE_GONE.args
    assert index_pending(store) == [None, None]
    assert store.catalogue.folders()[0].failed == 1

    assert scan(store, folder_id)[0] == ScanCounts(unchanged=2)
    assert store.work.count() == 0
    write(root / "rain.wav", "rain that can be read")
    assert scan(store, folder_id)[0] == ScanCounts(changed=1, unchanged=2)
    assert index_pending(store) == [None]
    assert store.catalogue.failures(10) == ()


PASSING_FAILURES = [
    ErrorKind.SOUND_CHANGED,
    ErrorKind.SOUND_CRASHED,
    ErrorKind.SOUND_IO_ERROR,
    ErrorKind.SOUND_NO_PERMISSION,
    ErrorKind.SOUND_TIMEOUT,
    ErrorKind.SOUND_VANISHED,
]


@pytest.mark.parametrize("kind", PASSING_FAILURES)
def test_a_failure_that_may_have_passed_is_tried_again_by_the_next_scan(
    store: Library, root: Path, kind: ErrorKind
) -> None:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    store.work.save_failures([(sound.sound_id, KnownError(kind, "no")) for sound in store.work.claim(9)])
    assert scan(store, folder_id)[0] == ScanCounts(changed=3)
    assert store.work.count() == 3


def test_failed_sounds_can_be_tried_again(store: Library, root: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    store.work.save_failures([(sound.sound_id, FILE_GONE) for sound in store.work.claim(2)])
    assert store.catalogue.retry_failed() == 2
    assert store.catalogue.retry_failed() == 0
    assert store.work.count() == 3


def test_a_failure_of_a_sound_that_went_missing_meanwhile_is_no_news(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    on_its_way = store.work.claim(9)
    store.catalogue.remove_folder(folder_id)
    store.work.save_failures([(sound.sound_id, FILE_GONE) for sound in on_its_way])
    assert store.catalogue.failures(9) == ()


def test_failures_are_limited(store: Library, root: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    pending = store.work.claim(9)
    store.work.save_failures([(sound.sound_id, FILE_GONE) for sound in pending])
    assert [failure.sound_id for failure in store.catalogue.failures(2)] == [sound.sound_id for sound in pending[:2]]


# Scans of a part ------------------------------------------------------------------------------------------------


def test_a_scan_of_a_part_marks_nothing_outside_it_missing(store: Library, root: Path) -> None:
    for name in ("doors/gate.wav", "doors2/other.wav", "doors.wav", "Doors/upper.wav"):
        write(root / name, f"the sound of {name}")
    folder_id = index_folder(store, root)
    before = everything(store)
    scan_ = store.catalogue.begin_scan(folder_id, [root / "doors"])
    assert store.catalogue.record_scan(scan_, [found(root / "doors/gate.wav")]) == ScanCounts(unchanged=1)
    missing = store.catalogue.finish_scan(scan_)
    assert everything(store) == before - {root / "doors/slam.wav"}
    assert list(missing) == ids(store, [root / "doors/slam.wav"])
    assert state(store, root / "doors/slam.wav") is SoundState.MISSING


def test_a_scan_of_single_files_is_about_these_alone(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    write(root / "rain.wav", "heavier rain, and longer")
    scope = [root / "rain.wav", root / "creak.wav", root / "never there.wav"]
    scan_ = store.catalogue.begin_scan(folder_id, scope)
    assert store.catalogue.record_scan(scan_, [found(root / "rain.wav")]) == ScanCounts(changed=1)
    assert list(store.catalogue.finish_scan(scan_)) == ids(store, [root / "creak.wav"])
    assert everything(store) == {root / "doors/slam.wav"}


def test_a_scope_that_names_the_folder_itself_is_all_of_it(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    scan_ = store.catalogue.begin_scan(folder_id, [root / "doors", root])
    assert len(store.catalogue.finish_scan(scan_)) == 3


def test_what_cannot_be_read_within_a_part_is_not_missing(store: Library, root: Path) -> None:
    write(root / "doors/old/gate.wav", "a gate")
    folder_id = index_folder(store, root)
    scan_ = store.catalogue.begin_scan(folder_id, [root / "doors"])
    assert list(store.catalogue.finish_scan(scan_, [root / "doors/old"])) == ids(store, [root / "doors/slam.wav"])
    assert state(store, root / "doors/old/gate.wav") is SoundState.INDEXED


def test_what_another_process_adds_during_a_scan_is_not_its_to_miss(store: Library, other: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    scan_ = store.catalogue.begin_scan(folder_id)
    files = [found(path) for path in root.rglob("*.wav")]
    late = write(root / "late.wav", "it came late")
    scan(other, folder_id)
    store.catalogue.record_scan(scan_, files)
    assert store.catalogue.finish_scan(scan_) == ()
    assert state(store, late) is SoundState.PENDING


def test_a_scan_knows_the_newest_sound_at_its_begin(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    assert store.catalogue.begin_scan(folder_id) == Scan(folder_id, (), 0)
    scan(store, folder_id)
    newest = max(id_ for id_ in ids(store, root.rglob("*.wav")) if id_ is not None)
    assert store.catalogue.begin_scan(folder_id, [root / "doors"]) == Scan(folder_id, (root / "doors",), newest)


def test_the_missing_among_some_sounds_are_counted(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    (root / "rain.wav").rename(root / "weather.wav")
    (root / "creak.wav").unlink()
    scan_ = store.catalogue.begin_scan(folder_id)
    store.catalogue.record_scan(scan_, [found(path) for path in root.rglob("*.wav")])
    missing = store.catalogue.finish_scan(scan_)
    assert store.catalogue.count_missing(missing) == 2
    assert index_pending(store) == [Adopted.MOVED]
    assert store.catalogue.count_missing(missing) == 1
    assert store.catalogue.count_missing([]) == 0


# Names ----------------------------------------------------------------------------------------------------------


def test_names_that_differ_in_normalisation_are_told_apart_as_the_volume_does(store: Library, tmp_path: Path) -> None:
    root = tmp_path / "sounds"
    one, two = write(root / "caf\u00e9.wav", "one character"), write(root / "cafe\u0301.wav", "two characters")
    are_one_file = one.samefile(two)
    index_folder(store, root)
    assert len(everything(store)) == (1 if are_one_file else 2)
    assert len(set(ids(store, [one, two]))) == (1 if are_one_file else 2)
    assert best(store, "two characters")[0].samefile(two)
    assert are_one_file or best(store, "one character")[0] == one


def test_names_that_differ_in_case_are_told_apart_as_the_volume_does(store: Library, tmp_path: Path) -> None:
    root = tmp_path / "sounds"
    one, two = write(root / "door.wav", "a door"), write(root / "Door.wav", "the other door")
    are_one_file = one.samefile(two)
    index_folder(store, root)
    assert len(set(ids(store, [one, two]))) == len(everything(store)) == (1 if are_one_file else 2)
    assert best(store, "the other door")[0].samefile(two)


@pytest.mark.parametrize("name", ["Rain.wav", "RAIN.WAV"])
def test_a_file_renamed_in_case_alone_keeps_its_id(store: Library, root: Path, name: str) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    (root / "rain.wav").rename(root / name)
    assert scan(store, folder_id) == (ScanCounts(new=1, unchanged=2), 1)
    assert index_pending(store) == [Adopted.MOVED]
    assert ids(store, [root / name]) == before
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / name}


def test_a_file_renamed_in_normalisation_alone_keeps_its_id(store: Library, tmp_path: Path) -> None:
    root = tmp_path / "sounds"
    old, new = root / "caf\u00e9.wav", root / "cafe\u0301.wav"
    write(old, "a café")
    folder_id = index_folder(store, root)
    before = ids(store, [old])
    old.rename(new)
    scan(store, folder_id)
    index_pending(store)
    assert ids(store, [new]) == before
    assert len(everything(store)) == 1


def test_sounds_of_names_in_any_script_are_indexed_and_found(store: Library, tmp_path: Path) -> None:
    names = ["Tür 'knarrt' 100%_[x].wav", "效果 🌧️ e\u0301.wav", "a; DROP TABLE sound --.wav", "new line?.wav"]
    root = tmp_path / "Bücher & 効果音 🔊 100%20#1"
    paths = {write(root / name, name) for name in names if os.name != "nt" or "?" not in name}
    index_folder(store, root)
    assert everything(store) == paths
    assert all(best(store, path.name)[0] == path for path in paths)
