"""A library as a whole: what is new in it, its packs, its transactions, and two who have it open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.library.protocols import Library
from engine.library.types import SoundState
from tests.engine.library.contract.conftest import Open
from tests.engine.library.library import (
    DIM,
    FILE_GONE,
    OTHER_PACK,
    PACK,
    best,
    everything,
    ids,
    index_folder,
    index_pending,
    indexed_sound,
    indexed_sounds,
    refused,
    scan,
    searchable,
    segments,
    vectors_of,
    write,
)


def test_a_new_library_is_empty(open_store: Open, tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "there" / "library.foundsound"
    store = open_store(path)
    status = store.catalogue.status()
    assert (status.library, status.pack_id, status.pack_hash) == (path, "test-pack", PACK)
    assert status.counts == dict.fromkeys(SoundState, 0)
    assert (status.segments, store.work.count(), store.work.claim(9)) == (0, 0, [])
    assert status.size_bytes > 0
    assert not store.catalogue.read_only
    assert store.catalogue.notice is None
    assert store.catalogue.folders() == ()
    assert store.catalogue.failures(9) == ()
    assert store.catalogue.verify_all() == 0
    assert store.vectors.rank(np.ones((1, DIM), np.float32), 10) == [()]
    assert store.vectors.segments(1) is None
    store.catalogue.check()
    store.close()


def test_what_a_library_holds_is_there_when_it_is_opened_again(
    store: Library, open_store: Open, path: Path, root: Path
) -> None:
    folder_id = index_folder(store, root)
    write(root / "new.wav", "new")
    scan(store, folder_id)
    store.close()
    again = open_store(path)
    assert everything(again) == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}
    assert [sound.path for sound in again.work.claim(9)] == [root / "new.wav"]
    assert again.catalogue.folder_path(folder_id) == root
    again.close()


def test_a_path_in_any_script_and_with_special_characters(open_store: Open, tmp_path: Path) -> None:
    path = tmp_path / "Bücher & 効果音 🔊 100%20#1" / "Bibliothek 'é' \u0301.foundsound"
    store = open_store(path)
    sound = write(tmp_path / "效果 🌧️ e\u0301" / "Tür 'knarrt' 100%_[x].wav", "creak")
    index_folder(store, sound.parent)
    store.close()
    assert path.exists()
    store = open_store(path)
    assert best(store, "creak") == [sound]
    store.close()


# Packs ------------------------------------------------------------------------------------------------------------


def test_a_new_pack_indexes_again_and_the_old_one_finds_its_vectors_again(
    open_store: Open, path: Path, root: Path
) -> None:
    old = open_store(path)
    folder_id = index_folder(old, root)
    before = everything(old)
    old.close()

    new = open_store(path, pack_hash=OTHER_PACK)
    assert (new.work.count(), searchable(new), segments(new)) == (3, 0, 0)
    claimed = new.work.claim(9)
    assert [sound.maybe_known for sound in claimed] == [False] * 3, "hashing would be in vain"
    first = claimed[0]
    new.work.save_indexed([indexed_sound(first.sound_id, first.path, segments=1)])
    write(root / "rain.wav", "other rain")
    scan(new, folder_id)
    assert everything(new) == {first.path}
    new.close()

    back = open_store(path)
    assert everything(back) == before - {root / "rain.wav"}
    assert [sound.path for sound in back.work.claim(9)] == [root / "rain.wav"], "only what changed on disk"
    assert segments(back) == 3 * 2
    back.close()


def test_a_pack_whose_vectors_are_there_already_needs_no_work(open_store: Open, path: Path, root: Path) -> None:
    for pack_hash in (PACK, OTHER_PACK):
        store = open_store(path, pack_hash=pack_hash)
        index_folder(store, root)
        store.close()
    for pack_hash in (PACK, OTHER_PACK):
        store = open_store(path, pack_hash=pack_hash)
        assert (store.work.count(), searchable(store), segments(store)) == (0, 3, 6)
        assert len(everything(store)) == 3
        store.close()


def test_a_pack_that_comes_back_does_not_take_a_changed_file_for_indexed(
    open_store: Open, path: Path, root: Path
) -> None:
    store = open_store(path)
    folder_id = index_folder(store, root)
    write(root / "rain.wav", "a dog barks")
    scan(store, folder_id)
    store.close()
    open_store(path, pack_hash=OTHER_PACK).close()
    store = open_store(path)
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav"}
    assert [sound.path for sound in store.work.claim(9)] == [root / "rain.wav"]
    store.close()


def test_a_failure_stays_one_for_another_pack(open_store: Open, path: Path, root: Path) -> None:
    store = open_store(path)
    scan(store, store.catalogue.add_folder(root))
    store.work.save_failures([(sound.sound_id, FILE_GONE) for sound in store.work.claim(1)])
    store.close()
    store = open_store(path, pack_hash=OTHER_PACK)
    assert len(store.catalogue.failures(9)) == 1
    assert store.work.count() == 2
    store.close()


# Transactions -----------------------------------------------------------------------------------------------------


def test_a_bug_in_the_middle_of_a_step_undoes_all_of_it(store: Library, root: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    items = indexed_sounds(store.work.claim(9))
    items[2].vectors[1, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        store.work.save_indexed(items)
    assert (searchable(store), segments(store), everything(store)) == (0, 0, set())
    store.work.release()
    assert index_pending(store) == [None] * 3


@pytest.mark.parametrize(("starts", "shape"), [(2, (3, DIM)), (3, (3, DIM - 1)), (0, (0, DIM))])
def test_vectors_of_the_wrong_shape_are_a_bug(store: Library, root: Path, starts: int, shape: tuple[int, int]) -> None:
    scan(store, store.catalogue.add_folder(root))
    (sound,) = store.work.claim(1)
    item = indexed_sound(sound.sound_id, sound.path, segments=starts)
    object.__setattr__(item, "vectors", np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="vectors"):
        store.work.save_indexed([item])
    assert store.work.count() == 3


# Two who have it open ---------------------------------------------------------------------------------------------


def test_what_another_indexes_is_found(store: Library, other: Library, root: Path) -> None:
    assert everything(store) == set()
    index_folder(other, root)
    assert searchable(store) == 3
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}
    vectors = vectors_of(store, root / "rain.wav")
    assert vectors is not None


def test_two_writers_that_take_turns_find_the_same(store: Library, other: Library, root: Path) -> None:
    for number in range(20):
        write(root / f"{number}.wav", f"sound number {number}")
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    for turn, sound in enumerate(store.work.claim(99)):
        writer = (store, other)[turn % 2]
        writer.work.save_indexed(indexed_sounds([sound]))
        assert sound.path in everything(store)
    assert everything(store) == everything(other)
    assert segments(store) == segments(other) == 23 * 2
    assert len(everything(other)) == 23

    other.catalogue.remove_folder(folder_id)
    assert everything(store) == set()


def test_folders_that_another_adds_moves_or_removes_are_seen(
    store: Library, other: Library, root: Path, tmp_path: Path
) -> None:
    folder_id = index_folder(other, root)
    before = ids(store, [root / "rain.wav"])
    assert None not in before
    new = root.rename(tmp_path / "new")
    other.catalogue.relink_folder(folder_id, new)
    assert store.catalogue.folder_path(folder_id) == new
    assert ids(store, [new / "rain.wav"]) == before
    assert everything(store) == set(new.rglob("*.wav"))
    other.catalogue.remove_folder(folder_id)
    assert store.catalogue.folders() == ()


def test_one_who_only_reads_sees_all_and_changes_nothing(
    store: Library, open_store: Open, path: Path, root: Path
) -> None:
    folder_id = index_folder(store, root)
    reader = open_store(path, read_only=True)
    assert reader.catalogue.read_only
    write(root / "new.wav", "something new")
    scan(store, folder_id)
    index_pending(store)
    assert best(reader, "something new")[0] == root / "new.wav"
    sound = reader.catalogue.sound_at(root / "new.wav")
    assert sound is not None
    writes = [
        lambda: reader.catalogue.add_folder(root.parent),
        lambda: reader.catalogue.remove_folder(folder_id),
        lambda: reader.catalogue.relink_folder(folder_id, root.parent),
        lambda: reader.catalogue.begin_scan(folder_id),
        lambda: reader.catalogue.retry_failed(),
        lambda: reader.catalogue.verify_all(),
        lambda: reader.work.claim(1),
        lambda: reader.work.save_failures([(sound.sound_id, FILE_GONE)]),
        lambda: reader.work.save_indexed([indexed_sound(sound.sound_id, sound.path)]),
    ]
    assert [refused(write_) for write_ in writes] == ["library_read_only"] * len(writes)
    reader.close()
    assert len(everything(store)) == 4
