"""Folders that are added, taken over, away and removed, and what a search sees of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.library.protocols import Adopted, FolderGoneError, Library, ScanCounts
from engine.library.types import SoundState
from tests.engine.library.library import (
    FILE_GONE,
    adopt,
    best,
    everything,
    found,
    ids,
    index_folder,
    index_pending,
    indexed_sounds,
    scan,
    searchable,
    segments,
    state,
    vectors_of,
    write,
)


def test_a_folder_inside_another_is_refused(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    with pytest.raises(KnownError) as error:
        store.catalogue.add_folder(root / "doors")
    assert error.value.kind == "folder_already_covered"
    assert str(root) in error.value.detail
    assert store.catalogue.add_folder(root) == folder_id
    assert store.catalogue.add_folder(root / "doors" / "..") == folder_id
    sibling = root.with_name("sounds2")
    sibling.mkdir()
    assert store.catalogue.add_folder(sibling) != folder_id
    assert [folder.path for folder in store.catalogue.folders()] == [root, sibling]
    assert store.catalogue.folder_path(folder_id) == root
    with pytest.raises(FolderGoneError):
        store.catalogue.folder_path(77)


def test_a_folder_takes_over_those_inside_it(store: Library, root: Path, tmp_path: Path) -> None:
    index_folder(store, root)
    other = write(tmp_path / "other/thunder.wav", "thunder").parent
    index_folder(store, other)
    paths = [root / "creak.wav", root / "doors/slam.wav", root / "rain.wav", other / "thunder.wav"]
    before = ids(store, paths)
    parent_id = store.catalogue.add_folder(tmp_path)
    (folder,) = store.catalogue.folders()
    assert (folder.folder_id, folder.path, folder.sounds, folder.indexed) == (parent_id, tmp_path, 4, 4)
    assert scan(store, parent_id) == (ScanCounts(unchanged=4), 0)
    assert ids(store, paths) == before
    assert everything(store) == set(paths)


def test_a_folder_whose_name_is_not_text_is_refused(store: Library, tmp_path: Path) -> None:
    with pytest.raises(KnownError) as error:
        store.catalogue.add_folder(tmp_path / "bad \udcff name")
    assert error.value.kind == "name_not_unicode"
    assert store.catalogue.sound_at(tmp_path / "bad \udcff name" / "x.wav") is None


def test_a_folder_that_is_not_there_is_not_available(store: Library, root: Path, tmp_path: Path) -> None:
    index_folder(store, root)
    root.rename(tmp_path / "unmounted")
    (folder,) = store.catalogue.folders()
    assert not folder.available
    assert folder.indexed == 3


def test_a_removed_folder_is_out_of_sight_and_comes_back_at_once(store: Library, root: Path) -> None:
    names = ["creak.wav", "doors/slam.wav", "rain.wav"]
    folder_id = index_folder(store, root)
    before = ids(store, [root / name for name in names])
    store.catalogue.remove_folder(folder_id)
    assert store.catalogue.folders() == ()
    assert everything(store) == set()
    assert store.catalogue.status().counts == dict.fromkeys(SoundState, 0)
    assert ids(store, [root / name for name in names]) == [None] * 3
    assert vectors_of(store, root / "rain.wav") is None

    assert scan(store, store.catalogue.add_folder(root))[0] == ScanCounts(returned=3)
    assert store.work.count() == 0
    assert ids(store, [root / name for name in names]) == before
    assert everything(store) == {root / name for name in names}


def test_sounds_on_their_way_when_their_folder_goes_stay_out_of_sight(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    first, *others = store.work.claim(9)
    store.catalogue.remove_folder(folder_id)
    store.work.save_indexed(indexed_sounds(others))
    data = others[0].path.read_bytes()
    adopt(store, first, data)
    assert everything(store) == set()
    assert searchable(store) == 0


def test_sounds_that_waited_in_a_removed_folder_are_nobodys_work(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    store.catalogue.remove_folder(folder_id)
    assert (store.work.count(), store.work.claim(9)) == (0, [])


def test_failures_of_a_removed_folder_are_not_listed(store: Library, root: Path) -> None:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    store.work.save_failures([(sound.sound_id, FILE_GONE) for sound in store.work.claim(9)])
    store.catalogue.remove_folder(folder_id)
    assert store.catalogue.failures(9) == ()
    assert store.catalogue.retry_failed() == 0


def test_a_folder_of_many_is_removed_alone(store: Library, root: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other/thunder.wav", "thunder").parent
    index_folder(store, root)
    other_id = index_folder(store, other)
    store.catalogue.remove_folder(other_id)
    assert [folder.path for folder in store.catalogue.folders()] == [root]
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}
    assert store.catalogue.add_folder(other) == other_id
    assert [folder.folder_id for folder in store.catalogue.folders()] == sorted([other_id, 1])


def test_a_sound_is_known_by_its_id_while_its_folder_is_there(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    by_path = store.catalogue.sound_at(root / "doors" / ".." / "rain.wav")
    assert by_path is not None
    assert (by_path.path, by_path.state) == (root / "rain.wav", SoundState.INDEXED)
    assert by_path.content_id is not None
    assert store.catalogue.sound(by_path.sound_id) == by_path
    assert store.catalogue.sound(10_000) is None
    assert store.catalogue.sound_at(root / "unknown.wav") is None
    assert store.catalogue.sound_at(root) is None
    store.catalogue.remove_folder(folder_id)
    assert store.catalogue.sound(by_path.sound_id) is None


# Folders in folders ---------------------------------------------------------------------------------------------


def test_a_folder_added_above_a_removed_one_brings_its_sounds_back(store: Library, root: Path, tmp_path: Path) -> None:
    paths = sorted(root.rglob("*.wav"))
    folder_id = index_folder(store, root)
    before = ids(store, paths)
    store.catalogue.remove_folder(folder_id)
    parent_id = store.catalogue.add_folder(tmp_path)
    assert everything(store) == set(), "not before a scan has met them"
    assert scan(store, parent_id)[0] == ScanCounts(returned=3)
    assert ids(store, paths) == before
    assert everything(store) == set(paths)
    assert store.work.count() == 0


def test_a_folder_added_inside_a_removed_one_brings_its_part_back(store: Library, root: Path) -> None:
    write(root / "doors2/other.wav", "another")
    folder_id = index_folder(store, root)
    slam, rain = ids(store, [root / "doors/slam.wav", root / "rain.wav"])
    store.catalogue.remove_folder(folder_id)
    part_id = store.catalogue.add_folder(root / "doors")
    assert scan(store, part_id)[0] == ScanCounts(returned=1)
    assert ids(store, [root / "doors/slam.wav", root / "rain.wav"]) == [slam, None]
    assert everything(store) == {root / "doors/slam.wav"}

    whole_id = store.catalogue.add_folder(root)
    assert scan(store, whole_id) == (ScanCounts(unchanged=1, returned=3), 0)
    assert ids(store, [root / "doors/slam.wav", root / "rain.wav"]) == [slam, rain]
    assert segments(store) == 4 * 2, "nothing was embedded again"


def test_folders_taken_over_keep_failures_and_what_waits(store: Library, root: Path, tmp_path: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    first, *_ = store.work.claim(1)
    store.work.save_failures([(first.sound_id, FILE_GONE)])
    store.catalogue.add_folder(tmp_path)
    (failure,) = store.catalogue.failures(9)
    assert (failure.sound_id, failure.path) == (first.sound_id, first.path)
    assert store.work.count() == 2
    (folder,) = store.catalogue.folders()
    assert (folder.sounds, folder.indexed, folder.failed, folder.missing) == (3, 0, 1, 0)


def test_a_scan_of_a_folder_that_went_meanwhile_is_told(store: Library, root: Path, tmp_path: Path) -> None:
    removed, taken = (
        store.catalogue.add_folder(root / "doors"),
        store.catalogue.add_folder(write(tmp_path / "a/b", "").parent),
    )
    scans = [store.catalogue.begin_scan(folder_id) for folder_id in (removed, taken)]
    store.catalogue.remove_folder(removed)
    store.catalogue.add_folder(tmp_path)
    for scan_ in scans:
        with pytest.raises(FolderGoneError):
            store.catalogue.record_scan(scan_, [found(root / "doors/slam.wav")])


# Folders that lie elsewhere -------------------------------------------------------------------------------------


def test_a_relinked_folder_keeps_everything(store: Library, root: Path, tmp_path: Path) -> None:
    folder_id = index_folder(store, root)
    write(root / "waits.wav", "this waits")
    write(root / "fails.wav", "this fails")
    scan(store, folder_id)
    for sound in store.work.claim(9):
        if sound.path.name == "fails.wav":
            store.work.save_failures([(sound.sound_id, FILE_GONE)])
    store.work.release()
    names = [path.relative_to(root) for path in sorted(root.rglob("*.wav"))]
    before = ids(store, [root / name for name in names])
    new = tmp_path / "a disk" / "with 'my' sounds"
    new.parent.mkdir()
    root.rename(new)

    store.catalogue.relink_folder(folder_id, new)
    assert store.catalogue.folder_path(folder_id) == new
    (folder,) = store.catalogue.folders()
    assert (folder.folder_id, folder.path, folder.available) == (folder_id, new, True)
    assert (folder.sounds, folder.indexed, folder.failed) == (5, 3, 1)
    assert ids(store, [new / name for name in names]) == before
    assert ids(store, [root / name for name in names]) == [None] * 5
    assert everything(store) == {new / "creak.wav", new / "doors/slam.wav", new / "rain.wav"}
    assert best(store, "the sound of rain.wav")[0] == new / "rain.wav"
    assert [failure.path for failure in store.catalogue.failures(9)] == [new / "fails.wav"]
    assert [sound.path for sound in store.work.claim(9)] == [new / "waits.wav"]
    assert scan(store, folder_id) == (ScanCounts(unchanged=3), 0)


def test_a_folder_may_be_relinked_to_where_it_is_and_to_a_part_of_it(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    store.catalogue.relink_folder(folder_id, root)
    assert ids(store, [root / "rain.wav"]) == before
    store.catalogue.relink_folder(folder_id, root / "doors")
    assert store.catalogue.folder_path(folder_id) == root / "doors"


def test_a_folder_is_not_relinked_to_where_another_one_is(store: Library, root: Path, tmp_path: Path) -> None:
    folder_id = index_folder(store, root)
    other = write(tmp_path / "more/other/thunder.wav", "thunder").parent
    index_folder(store, other)
    for place in (other, other / "inside", other.parent):
        with pytest.raises(KnownError) as error:
            store.catalogue.relink_folder(folder_id, place)
        assert error.value.kind == "folder_already_covered"
        assert str(other) in error.value.detail
        assert error.value.hint
    with pytest.raises(KnownError) as error:
        store.catalogue.relink_folder(folder_id, tmp_path / "bad \udcff name")
    assert error.value.kind == "name_not_unicode"
    with pytest.raises(FolderGoneError):
        store.catalogue.relink_folder(77, tmp_path / "elsewhere")
    assert store.catalogue.folder_path(folder_id) == root
    assert state(store, root / "rain.wav") is SoundState.INDEXED


def test_a_place_that_a_relinked_folder_left_can_be_added_anew(store: Library, root: Path, tmp_path: Path) -> None:
    folder_id = index_folder(store, root)
    new = tmp_path / "new"
    root.rename(new)
    store.catalogue.relink_folder(folder_id, new)
    write(root / "rain.wav", "the sound of rain.wav")
    other_id = store.catalogue.add_folder(root)
    assert other_id != folder_id
    scan(store, other_id)
    assert index_pending(store) == [Adopted.DUPLICATE]
    assert set(best(store, "the sound of rain.wav")[:2]) == {root / "rain.wav", new / "rain.wav"}


@pytest.mark.parametrize("is_removed_first", [False, True])
def test_a_folder_is_relinked_to_where_a_removed_one_was(
    store: Library, root: Path, tmp_path: Path, is_removed_first: bool
) -> None:
    other = write(tmp_path / "other/thunder.wav", "thunder").parent
    removed_id = index_folder(store, other)
    if is_removed_first:
        store.catalogue.remove_folder(removed_id)
    folder_id = index_folder(store, root)
    if not is_removed_first:
        store.catalogue.remove_folder(removed_id)
    (other / "thunder.wav").unlink()
    other.rmdir()
    root.rename(other)
    before = ids(store, [root / "rain.wav"])
    store.catalogue.relink_folder(folder_id, other)
    assert ids(store, [other / "rain.wav"]) == before
    store.catalogue.remove_folder(folder_id)
    again = store.catalogue.add_folder(other)
    scan(store, again)
    index_pending(store)
    assert ids(store, [other / "rain.wav"]) == before
    assert everything(store) == {other / "creak.wav", other / "doors/slam.wav", other / "rain.wav"}
