"""What the library knows of folders, files and their contents, told from real files on disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import KnownError
from engine.messages import SoundState
from engine.store.scanning import PASSING_FAILURES
from engine.store.sqlite import SqliteStore
from engine.store.store import Adopted, FolderGoneError, ScanCounts, Store
from tests.engine.store.library import (
    DIM,
    best,
    content_hash,
    everything,
    found,
    ids,
    index_folder,
    index_pending,
    indexed_sound,
    open_store,
    scan,
    state,
    vectors_for,
    write,
)

REPOSITORY = Path(__file__).parents[3]
FILE_GONE = KnownError("sound_unreadable", "It cannot be read.", "Replace it.")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = open_store(tmp_path / "library.foundsound")
    yield store
    store.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with three different sounds."""
    for name in ("creak.wav", "doors/slam.wav", "rain.wav"):
        write(tmp_path / "sounds" / name, f"the sound of {name}")
    return tmp_path / "sounds"


# A new library ----------------------------------------------------------------------------------------------------


def test_a_new_library_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "there" / "library.foundsound"
    store: Store = open_store(path)
    status = store.status()
    assert (status.library, status.pack_id, status.pack_hash) == (path, "test-pack", "a" * 64)
    assert status.counts == dict.fromkeys(SoundState, 0)
    assert (status.segments, store.searchable, store.count_pending()) == (0, 0, 0)
    assert status.size_bytes > 0
    assert not store.read_only
    assert store.folders() == ()
    assert store.search(np.ones((1, DIM), np.float32), 10) == [[]]
    assert store.hits([], 10) == ()
    store.close()


def test_names_in_any_script_and_with_special_characters(tmp_path: Path) -> None:
    path = tmp_path / "Bücher & 効果音 🔊 100%20#1" / "Bibliothek 'é' \u0301.foundsound"
    store = open_store(path)
    sound = write(tmp_path / "效果 🌧️ e\u0301" / "Tür 'knarrt' 100%_[x].wav", "creak")
    index_folder(store, sound.parent)
    store.close()
    assert path.exists()
    store = open_store(path)
    assert best(store, "creak") == [sound]
    store.close()


# Scanning ---------------------------------------------------------------------------------------------------------


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


# Failures ---------------------------------------------------------------------------------------------------------


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
    store: SqliteStore, root: Path, kind: str
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


# Equal and moved files --------------------------------------------------------------------------------------------


def test_equal_files_share_their_vectors_and_are_both_found(store: SqliteStore, root: Path) -> None:
    copy = write(root / "copies/rain again.wav", "the sound of rain.wav")
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    assert sorted(map(str, index_pending(store))) == ["Adopted.DUPLICATE", "None", "None", "None"]
    assert len(store.vectors) == 3 * 2
    hits = store.hits(store.search(vectors_for(b"the sound of rain.wav")[1:], 1)[0], 10)
    assert [hit.path for hit in hits] == [copy, root / "rain.wav"]
    assert [hit.rank for hit in hits] == [1, 2]
    assert hits[0].score == hits[1].score == pytest.approx(1.0, abs=1e-6)
    assert (hits[0].start_s, hits[0].end_s, hits[0].duration_s) == (5.0, 15.0, 20.0)
    assert (hits[0].sample_rate_hz, hits[0].channels, hits[0].peaks) == (48000, 2, b"the soun")
    assert hits[0].sound_id != hits[1].sound_id

    (root / "rain.wav").unlink()
    scan(store, folder_id)
    assert best(store, "the sound of rain.wav")[0] == copy
    copy.unlink()
    scan(store, folder_id)
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav"}


def test_equal_files_embedded_side_by_side_share_one_content(store: SqliteStore, root: Path) -> None:
    copy = write(root / "z.wav", "the sound of rain.wav")
    scan(store, store.add_folder(root))
    store.save_indexed([indexed_sound(sound.sound_id, sound.path) for sound in store.next_pending(9)])
    assert len(store.vectors) == 3 * 2
    assert set(best(store, "the sound of rain.wav")[:2]) == {root / "rain.wav", copy}


def test_a_file_of_unknown_bytes_is_not_adopted(store: SqliteStore, root: Path) -> None:
    index_folder(store, root)
    twin = write(root / "other.wav", "THE SOUND OF RAIN.WAV")
    scan(store, store.add_folder(root))
    (sound,) = store.next_pending(9)
    assert (sound.path, sound.maybe_known) == (twin, True), "it has the size of a known file"
    assert store.adopt_content(sound.sound_id, content_hash(twin.read_bytes()), sound.size, sound.mtime_ns) is None
    assert store.count_pending() == 1


def test_a_size_not_seen_before_needs_no_hashing_first(store: SqliteStore, root: Path) -> None:
    index_folder(store, root)
    write(root / "other.wav", "of a length of its own, which no other sound has")
    scan(store, store.add_folder(root))
    assert [sound.maybe_known for sound in store.next_pending(9)] == [False]


def test_pending_sounds_come_in_pages(store: SqliteStore, root: Path) -> None:
    scan(store, store.add_folder(root))
    first = store.next_pending(2)
    rest = store.next_pending(2, after_id=first[-1].sound_id)
    assert [len(first), len(rest)] == [2, 1]
    assert {sound.path for sound in first + rest} == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}
    stat = first[0].path.stat()
    assert (first[0].size, first[0].mtime_ns) == (stat.st_size, stat.st_mtime_ns)


def test_a_renamed_file_keeps_its_id(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    (root / "rain.wav").rename(root / "weather.wav")
    assert scan(store, folder_id) == (ScanCounts(new=1, unchanged=2), 1)
    assert index_pending(store) == [Adopted.MOVED]
    assert ids(store, [root / "weather.wav", root / "rain.wav"]) == [*before, None]
    assert store.status().counts[SoundState.MISSING] == 0
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "weather.wav"}


def test_a_moved_folder_keeps_the_ids_of_its_sounds_also_of_equal_ones(store: SqliteStore, tmp_path: Path) -> None:
    root, old, new = tmp_path / "sounds", tmp_path / "sounds/old", tmp_path / "sounds/new/deeper"
    names = ["a/kick.wav", "b/kick.wav", "c/kick.wav", "c/snare.wav"]
    for name in names:
        write(old / name, "kick" if "kick" in name else "snare")
    folder_id = index_folder(store, root)
    before = ids(store, [old / name for name in names])
    new.parent.mkdir()
    old.rename(new)
    scan(store, folder_id)
    assert index_pending(store) == [Adopted.MOVED] * 4
    assert ids(store, [new / name for name in names]) == before
    assert len(store.vectors) == 2 * 2


@pytest.mark.parametrize("order", ["add, remove", "remove, add", "add parent"])
def test_a_whole_folder_that_moved_keeps_its_ids(store: SqliteStore, root: Path, tmp_path: Path, order: str) -> None:
    names = ["creak.wav", "doors/slam.wav", "rain.wav"]
    old_id = index_folder(store, root)
    before = ids(store, [root / name for name in names])
    new = tmp_path / "disk" / "my sounds"
    new.parent.mkdir()
    root.rename(new)
    if order == "remove, add":
        store.remove_folder(old_id)
        assert everything(store) == set()
    new_id = index_folder(store, new if order != "add parent" else tmp_path / "disk")
    if order == "add, remove":
        store.remove_folder(old_id)
    assert ids(store, [new / name for name in names]) == before
    assert everything(store) == {new / name for name in names}
    assert len(store.vectors) == 3 * 2, "nothing was embedded again"
    assert store.folders()[-1].folder_id == new_id


def test_of_equal_missing_sounds_the_one_with_the_likest_path_has_moved(store: SqliteStore, tmp_path: Path) -> None:
    old, new = tmp_path / "sounds/old", tmp_path / "sounds/new"
    for name in ("a", "b", "c"):
        write(old / name / "kick.wav", "kick")
    folder_id = index_folder(store, tmp_path / "sounds")
    before = ids(store, [old / "b/kick.wav", old / "c/kick.wav"])
    shutil.rmtree(old / "a")
    old.rename(new)
    scan(store, folder_id)
    assert index_pending(store) == [Adopted.MOVED] * 2
    assert ids(store, [new / "b/kick.wav", new / "c/kick.wav"]) == before


def test_a_copy_is_not_a_move(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    shutil.copy2(root / "rain.wav", root / "copy.wav")
    scan(store, folder_id)
    assert index_pending(store) == [Adopted.DUPLICATE]
    assert ids(store, [root / "rain.wav"]) == before
    assert None not in ids(store, [root / "copy.wav"])


def test_a_sound_with_an_identity_of_its_own_is_not_swallowed_by_a_missing_one(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    creak, rain = ids(store, [root / "creak.wav", root / "rain.wav"])
    (root / "rain.wav").replace(root / "creak.wav")
    scan(store, folder_id)
    assert index_pending(store) == [Adopted.DUPLICATE]
    assert ids(store, [root / "creak.wav", root / "rain.wav"]) == [creak, rain]
    assert state(store, root / "rain.wav") is SoundState.MISSING


def test_a_move_found_before_the_scan_ends_is_not_marked_missing_by_it(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    (root / "rain.wav").rename(root / "weather.wav")
    scan_ = store.begin_scan(folder_id)
    store.record_scan(scan_, [found(path) for path in sorted(root.rglob("*.wav"))])
    assert index_pending(store) == [Adopted.MOVED]
    assert store.finish_scan(scan_) == ()
    assert ids(store, [root / "weather.wav"]) == before


def test_a_moved_sound_that_a_new_pack_embeds_keeps_its_id(store: SqliteStore, root: Path, tmp_path: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    (root / "rain.wav").rename(root / "weather.wav")
    other = open_store(tmp_path / "library.foundsound", pack_hash="b" * 64)
    scan(other, folder_id)
    assert None in index_pending(other)
    assert ids(other, [root / "weather.wav"]) == before
    other.close()


# Folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_inside_another_is_refused(store: SqliteStore, root: Path) -> None:
    folder_id = store.add_folder(root)
    with pytest.raises(KnownError) as error:
        store.add_folder(root / "doors")
    assert error.value.kind == "folder_already_covered"
    assert str(root) in error.value.detail
    assert store.add_folder(root) == folder_id
    assert store.add_folder(root / "doors" / "..") == folder_id
    sibling = root.with_name("sounds2")
    sibling.mkdir()
    assert store.add_folder(sibling) != folder_id
    assert [folder.path for folder in store.folders()] == [root, sibling]
    assert store.folder_path(folder_id) == root
    with pytest.raises(FolderGoneError):
        store.folder_path(77)


def test_a_folder_takes_over_those_inside_it(store: SqliteStore, root: Path, tmp_path: Path) -> None:
    index_folder(store, root)
    other = write(tmp_path / "other/thunder.wav", "thunder").parent
    index_folder(store, other)
    paths = [root / "creak.wav", root / "doors/slam.wav", root / "rain.wav", other / "thunder.wav"]
    before = ids(store, paths)
    parent_id = store.add_folder(tmp_path)
    (folder,) = store.folders()
    assert (folder.folder_id, folder.path, folder.sounds, folder.indexed) == (parent_id, tmp_path, 4, 4)
    assert scan(store, parent_id) == (ScanCounts(unchanged=4), 0)
    assert ids(store, paths) == before
    assert everything(store) == set(paths)


def test_a_folder_whose_name_is_not_text_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(KnownError) as error:
        store.add_folder(tmp_path / "bad \udcff name")
    assert error.value.kind == "name_not_unicode"
    assert store.sound_by_path(tmp_path / "bad \udcff name" / "x.wav") is None


def test_a_folder_that_is_not_there_is_not_available(store: SqliteStore, root: Path, tmp_path: Path) -> None:
    index_folder(store, root)
    root.rename(tmp_path / "unmounted")
    (folder,) = store.folders()
    assert not folder.available
    assert folder.indexed == 3


def test_a_removed_folder_is_out_of_sight_and_comes_back_at_once(store: SqliteStore, root: Path) -> None:
    names = ["creak.wav", "doors/slam.wav", "rain.wav"]
    folder_id = index_folder(store, root)
    before = ids(store, [root / name for name in names])
    store.remove_folder(folder_id)
    assert store.folders() == ()
    assert everything(store) == set()
    assert store.status().counts == dict.fromkeys(SoundState, 0)
    assert store.status().segments == 0
    assert ids(store, [root / name for name in names]) == [None] * 3
    assert store.sound_vectors(root / "rain.wav") is None

    assert scan(store, store.add_folder(root))[0] == ScanCounts(returned=3)
    assert store.count_pending() == 0
    assert ids(store, [root / name for name in names]) == before
    assert everything(store) == {root / name for name in names}


def test_sounds_on_their_way_when_their_folder_goes_stay_out_of_sight(store: SqliteStore, root: Path) -> None:
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    first, *others = store.next_pending(9)
    store.remove_folder(folder_id)
    store.save_indexed([indexed_sound(sound.sound_id, sound.path) for sound in others])
    data = others[0].path.read_bytes()
    store.adopt_content(first.sound_id, content_hash(data), first.size, first.mtime_ns)
    assert everything(store) == set()
    assert store.searchable == 0


def test_the_vectors_of_a_sound(store: SqliteStore, root: Path) -> None:
    folder_id = index_folder(store, root)
    vectors = store.sound_vectors(root / "rain.wav")
    assert vectors is not None
    np.testing.assert_array_equal(vectors, vectors_for(b"the sound of rain.wav"))
    assert store.sound_vectors(root / "unknown.wav") is None
    (root / "rain.wav").unlink()
    scan(store, folder_id)
    assert store.sound_vectors(root / "rain.wav") is None


def test_hits_are_limited_to_the_sounds_asked_for(store: SqliteStore, root: Path) -> None:
    index_folder(store, root)
    ranked = store.search(vectors_for(b"x")[:1], 10)[0]
    assert len(ranked) == 3
    assert [hit.rank for hit in store.hits(ranked, 2)] == [1, 2]
    assert store.hits(ranked, 0) == ()


# Packs ------------------------------------------------------------------------------------------------------------


def test_a_new_pack_indexes_again_and_the_old_one_finds_its_vectors_again(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "library.foundsound"
    old = open_store(path)
    folder_id = index_folder(old, root)
    before = everything(old)
    old.close()

    new = open_store(path, pack_hash="b" * 64)
    assert (new.count_pending(), new.searchable, len(new.vectors)) == (3, 0, 0)
    assert [sound.maybe_known for sound in new.next_pending(9)] == [False] * 3, "hashing would be in vain"
    first = new.next_pending(1)[0]
    new.save_indexed([indexed_sound(first.sound_id, first.path, segments=1)])
    write(root / "rain.wav", "other rain")
    scan(new, folder_id)
    assert everything(new) == {first.path}
    new.close()

    back = open_store(path)
    assert everything(back) == before - {root / "rain.wav"}
    assert [sound.path for sound in back.next_pending(9)] == [root / "rain.wav"], "only what changed on disk"
    assert len(back.vectors) == 3 * 2
    back.close()


def test_a_pack_whose_vectors_have_another_length_is_a_bug(tmp_path: Path) -> None:
    open_store(tmp_path / "library").close()
    with pytest.raises(ValueError, match="length 8"):
        SqliteStore.open(tmp_path / "library", "test-pack", "a" * 64, DIM + 1)


# Transactions -----------------------------------------------------------------------------------------------------


def test_a_bug_in_the_middle_of_a_step_undoes_all_of_it(store: SqliteStore, root: Path) -> None:
    scan(store, store.add_folder(root))
    items = [indexed_sound(sound.sound_id, sound.path) for sound in store.next_pending(9)]
    items[2].vectors[1, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        store.save_indexed(items)
    assert (store.searchable, len(store.vectors)) == (0, 0)
    assert index_pending(store) == [None] * 3


@pytest.mark.parametrize(("starts", "shape"), [(2, (3, DIM)), (3, (3, DIM - 1)), (0, (0, DIM))])
def test_vectors_of_the_wrong_shape_are_a_bug(
    store: SqliteStore, root: Path, starts: int, shape: tuple[int, int]
) -> None:
    scan(store, store.add_folder(root))
    sound = store.next_pending(1)[0]
    item = indexed_sound(sound.sound_id, sound.path, segments=starts)
    object.__setattr__(item, "vectors", np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="vectors"):
        store.save_indexed([item])
    assert store.count_pending() == 3


def test_what_happens_a_million_times_is_found_through_an_index(store: SqliteStore, root: Path) -> None:
    index_folder(store, root)
    (root / "rain.wav").rename(root / "weather.wav")
    seen: list[str] = []
    with store._db.tracer(lambda sql, parameters: seen.append(sql)):
        scan(store, store.add_folder(root))
        index_pending(store)
        store.save_failures([(1, FILE_GONE)])
        store.failures(10)
        store.status()
        store.folders()
        best(store, "x")
        store.sound_vectors(root / "weather.wav")
    plans = {}
    for sql in set(seen):
        if sql.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
            parameters = [None] * sql.count("?")
            plans[sql] = [row[3] for row in store._db.execute("EXPLAIN QUERY PLAN " + sql, parameters)]
    assert len(plans) > 15
    scans = {step for plan in plans.values() for step in plan if step.startswith("SCAN")}
    bounded = ("SCAN folder", "SCAN tally", "SCAN json_each", "SCAN sound USING INDEX sound_failed")
    assert not {step for step in scans if not step.startswith(bounded)}


# Two processes ----------------------------------------------------------------------------------------------------


def test_what_another_process_indexes_is_found(store: SqliteStore, root: Path, tmp_path: Path) -> None:
    assert not store.refresh()
    code = f"""
from pathlib import Path
from tests.engine.store.library import index_folder, open_store
store = open_store(Path({str(tmp_path / "library.foundsound")!r}))
index_folder(store, Path({str(root)!r}))
store.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
    assert store.searchable == 3
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}
    assert not store.refresh(), "it was taken in"


def test_two_writers_that_take_turns_find_the_same(store: SqliteStore, root: Path, tmp_path: Path) -> None:
    for number in range(20):
        write(root / f"{number}.wav", f"sound number {number}")
    folder_id = store.add_folder(root)
    scan(store, folder_id)
    other = open_store(tmp_path / "library.foundsound")
    for turn, sound in enumerate(store.next_pending(99)):
        writer = (store, other)[turn % 2]
        writer.save_indexed([indexed_sound(sound.sound_id, sound.path)])
        assert sound.path in everything(store)
    assert everything(store) == everything(other)
    assert len(store.vectors) == len(other.vectors) == 23 * 2
    assert len(everything(other)) == 23

    other.remove_folder(folder_id)
    assert everything(store) == set()
    other.close()


# Anything, in any order -------------------------------------------------------------------------------------------

step = st.tuples(
    st.sampled_from(["write", "delete", "rename", "scan", "index", "fail", "remove", "pack", "reopen"]),
    st.integers(0, 4),
    st.integers(0, 4),
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(step, max_size=30))
def test_after_any_history_the_library_agrees_with_the_disk_and_with_itself(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int, int]]
) -> None:
    base = tmp_path_factory.mktemp("history")
    root = base / "sounds"
    root.mkdir()
    pack = "a"
    store = open_store(base / "library", pack * 64)
    for clock, (action, one, two) in enumerate(history):
        path = root / f"{one}.wav"
        if action == "write":
            os.utime(write(path, f"sound {two}"), ns=(0, clock * 10**9))
        elif action == "delete":
            path.unlink(missing_ok=True)
        elif action == "rename" and path.exists():
            path.replace(root / f"{two}.wav")
        elif action == "scan":
            scan(store, store.add_folder(root))
        elif action == "index" and (pending := store.next_pending(two + 1)):
            there = [sound for sound in pending if sound.path.exists()]
            store.save_indexed([indexed_sound(sound.sound_id, sound.path) for sound in there])
        elif action == "fail":
            store.save_failures([(sound.sound_id, FILE_GONE) for sound in store.next_pending(1)])
        elif action == "remove":
            store.remove_folder(store.add_folder(root))
        elif action in ("pack", "reopen"):
            store.close()
            pack = {"a": "b", "b": "a"}[pack] if action == "pack" else pack
            store = open_store(base / "library", pack * 64)
        agree(store)
    folder_id = store.add_folder(root)
    store.retry_failed()
    scan(store, folder_id)
    index_pending(store)
    agree(store)
    on_disk = set(root.iterdir())
    assert everything(store) == on_disk
    for path in on_disk:
        assert path in best(store, path.read_text())
        vectors = store.sound_vectors(path)
        assert vectors is not None
        np.testing.assert_array_equal(vectors, vectors_for(path.read_bytes()))
    store.close()


def agree(store: SqliteStore) -> None:
    """Counts and index are what the tables say."""
    db = store._db
    tally = db.execute("SELECT folder_id, state, sounds FROM tally WHERE sounds <> 0 ORDER BY 1, 2").fetchall()
    counted = db.execute(
        "SELECT folder_id, state, count(*) FROM sound WHERE folder_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    assert tally == counted
    indexed = {row[0] for row in db.execute("SELECT content_id FROM sound WHERE state = 'indexed'")}
    ranked = store.search(np.ones((1, DIM), np.float32), 1000)[0]
    assert {match.content_id for match in ranked} == indexed
    segments = db.execute("SELECT count(*) FROM segment WHERE pack_id = ?", [store._pack]).fetchone()[0]
    assert len(store.vectors) == segments
