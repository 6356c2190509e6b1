"""The library file as a whole: what is new in it, its packs, transactions, and two processes that share it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.library.sqlite.library import SqliteLibrary
from engine.library.protocols import Store
from engine.library.types import SoundState
from tests.engine.library.library import (
    DIM,
    FILE_GONE,
    best,
    everything,
    index_folder,
    index_pending,
    indexed_sound,
    open_library,
    scan,
    write,
)

REPOSITORY = Path(__file__).parents[3]


def test_a_new_library_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "there" / "library.foundsound"
    store: Store = open_library(path)
    status = store.catalogue.status()
    assert (status.library, status.pack_id, status.pack_hash) == (path, "test-pack", "a" * 64)
    assert status.counts == dict.fromkeys(SoundState, 0)
    assert (status.segments, searchable(store), store.work.count()) == (0, 0, 0)
    assert status.size_bytes > 0
    assert not store.catalogue.read_only
    assert store.catalogue.folders() == ()
    assert store.search(np.ones((1, DIM), np.float32), 10) == [[]]
    assert store.hits([], 10) == ()
    store.close()


def test_names_in_any_script_and_with_special_characters(tmp_path: Path) -> None:
    path = tmp_path / "Bücher & 効果音 🔊 100%20#1" / "Bibliothek 'é' \u0301.foundsound"
    store = open_library(path)
    sound = write(tmp_path / "效果 🌧️ e\u0301" / "Tür 'knarrt' 100%_[x].wav", "creak")
    index_folder(store, sound.parent)
    store.close()
    assert path.exists()
    store = open_library(path)
    assert best(store, "creak") == [sound]
    store.close()


# Packs ------------------------------------------------------------------------------------------------------------


def test_a_new_pack_indexes_again_and_the_old_one_finds_its_vectors_again(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "library.foundsound"
    old = open_library(path)
    folder_id = index_folder(old, root)
    before = everything(old)
    old.close()

    new = open_library(path, pack_hash="b" * 64)
    assert (new.work.count(), searchable(new), segments(new)) == (3, 0, 0)
    assert [sound.maybe_known for sound in new.work.claim(9)] == [False] * 3, "hashing would be in vain"
    first = new.work.claim(1)[0]
    new.work.save_indexed([indexed_sound(first.sound_id, first.path, segments=1)])
    write(root / "rain.wav", "other rain")
    scan(new, folder_id)
    assert everything(new) == {first.path}
    new.close()

    back = open_library(path)
    assert everything(back) == before - {root / "rain.wav"}
    assert [sound.path for sound in back.work.claim(9)] == [root / "rain.wav"], "only what changed on disk"
    assert segments(back) == 3 * 2
    back.close()


def test_a_pack_whose_vectors_have_another_length_is_a_bug(tmp_path: Path) -> None:
    open_library(tmp_path / "library").close()
    with pytest.raises(ValueError, match="length 8"):
        SqliteLibrary.open(tmp_path / "library", "test-pack", "a" * 64, DIM + 1)


# Transactions -----------------------------------------------------------------------------------------------------


def test_a_bug_in_the_middle_of_a_step_undoes_all_of_it(store: SqliteLibrary, root: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    items = [indexed_sound(sound.sound_id, sound.path) for sound in store.work.claim(9)]
    items[2].vectors[1, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        store.work.save_indexed(items)
    assert (searchable(store), segments(store)) == (0, 0)
    assert index_pending(store) == [None] * 3


@pytest.mark.parametrize(("starts", "shape"), [(2, (3, DIM)), (3, (3, DIM - 1)), (0, (0, DIM))])
def test_vectors_of_the_wrong_shape_are_a_bug(
    store: SqliteLibrary, root: Path, starts: int, shape: tuple[int, int]
) -> None:
    scan(store, store.catalogue.add_folder(root))
    sound = store.work.claim(1)[0]
    item = indexed_sound(sound.sound_id, sound.path, segments=starts)
    object.__setattr__(item, "vectors", np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="vectors"):
        store.work.save_indexed([item])
    assert store.work.count() == 3


def test_what_happens_a_million_times_is_found_through_an_index(store: SqliteLibrary, root: Path) -> None:
    index_folder(store, root)
    (root / "rain.wav").rename(root / "weather.wav")
    seen: list[str] = []
    with store._db.tracer(lambda sql, parameters: seen.append(sql)):
        scan(store, store.catalogue.add_folder(root))
        index_pending(store)
        store.work.save_failures([(1, FILE_GONE)])
        store.catalogue.failures(10)
        store.catalogue.status()
        store.catalogue.folders()
        best(store, "x")
        vectors_of(store, root / "weather.wav")
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


def test_what_another_process_indexes_is_found(store: SqliteLibrary, root: Path, tmp_path: Path) -> None:
    assert not store.refresh()
    code = f"""
from pathlib import Path
from tests.engine.library.library import index_folder, open_library
store = open_library(Path({str(tmp_path / "library.foundsound")!r}))
index_folder(store, Path({str(root)!r}))
store.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
    assert searchable(store) == 3
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}
    assert not store.refresh(), "it was taken in"


def test_two_writers_that_take_turns_find_the_same(store: SqliteLibrary, root: Path, tmp_path: Path) -> None:
    for number in range(20):
        write(root / f"{number}.wav", f"sound number {number}")
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    other = open_library(tmp_path / "library.foundsound")
    for turn, sound in enumerate(store.work.claim(99)):
        writer = (store, other)[turn % 2]
        writer.work.save_indexed([indexed_sound(sound.sound_id, sound.path)])
        assert sound.path in everything(store)
    assert everything(store) == everything(other)
    assert segments(store) == segments(other) == 23 * 2
    assert len(everything(other)) == 23

    other.catalogue.remove_folder(folder_id)
    assert everything(store) == set()
    other.close()
