"""The library file as a whole: what is new in it, its packs, transactions, and two processes that share it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.library.sqlite.store import SqliteStore
from engine.library.store import Store
from engine.library.types import SoundState
from tests.engine.library.library import (
    DIM,
    FILE_GONE,
    best,
    everything,
    index_folder,
    index_pending,
    indexed_sound,
    open_store,
    scan,
    write,
)

REPOSITORY = Path(__file__).parents[3]


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
from tests.engine.library.library import index_folder, open_store
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
