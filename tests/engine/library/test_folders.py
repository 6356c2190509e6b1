"""Folders that are added, taken over, away and removed, and what a search sees of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import KnownError
from engine.library.sqlite.store import SqliteStore
from engine.library.store import FolderGoneError, ScanCounts
from engine.library.types import SoundState
from tests.engine.library.library import (
    content_hash,
    everything,
    ids,
    index_folder,
    indexed_sound,
    scan,
    vectors_for,
    write,
)


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
