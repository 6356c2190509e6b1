"""Equal files share what they hold, and a moved file keeps what it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.library.sqlite.store import SqliteStore
from engine.library.store import Adopted, ScanCounts
from engine.library.types import SoundState
from tests.engine.library.library import (
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
