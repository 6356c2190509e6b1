"""Equal files share what they hold, and a moved file keeps what it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.library.protocols import Adopted, Library, ScanCounts
from engine.library.types import SoundState
from tests.engine.library.contract.conftest import Open
from tests.engine.library.library import (
    FILE_GONE,
    OTHER_PACK,
    adopt,
    best,
    everything,
    fingerprint,
    found,
    ids,
    index_folder,
    index_pending,
    indexed_sounds,
    paths_with,
    rank,
    rewrite_in_place,
    scan,
    segments,
    state,
    vectors_for,
    vectors_of,
    write,
)


def test_equal_files_share_their_vectors_and_are_both_found(store: Library, root: Path) -> None:
    copy = write(root / "copies/rain again.wav", "the sound of rain.wav")
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    assert sorted(map(str, index_pending(store))) == ["Adopted.DUPLICATE", "None", "None", "None"]
    assert segments(store) == 3 * 2
    (hits,) = store.vectors.rank(vectors_for(b"the sound of rain.wav")[1:], 2)
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


def test_equal_files_embedded_side_by_side_share_one_content(store: Library, root: Path) -> None:
    copy = write(root / "z.wav", "the sound of rain.wav")
    scan(store, store.catalogue.add_folder(root))
    store.work.save_indexed(indexed_sounds(store.work.claim(9)))
    assert segments(store) == 3 * 2
    assert set(best(store, "the sound of rain.wav")[:2]) == {root / "rain.wav", copy}


def test_a_file_of_unknown_bytes_is_not_adopted(store: Library, root: Path) -> None:
    index_folder(store, root)
    twin = write(root / "other.wav", "THE SOUND OF RAIN.WAV")
    scan(store, store.catalogue.add_folder(root))
    (sound,) = store.work.claim(9)
    assert (sound.path, sound.maybe_known) == (twin, True), "it has the size of a known file"
    assert adopt(store, sound, twin.read_bytes()) is None
    assert store.work.count() == 1


def test_a_size_not_seen_before_needs_no_hashing_first(store: Library, root: Path) -> None:
    index_folder(store, root)
    write(root / "other.wav", "of a length of its own, which no other sound has")
    scan(store, store.catalogue.add_folder(root))
    assert [sound.maybe_known for sound in store.work.claim(9)] == [False]


def test_a_renamed_file_keeps_its_id(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    (root / "rain.wav").rename(root / "weather.wav")
    assert scan(store, folder_id) == (ScanCounts(new=1, unchanged=2), 1)
    assert index_pending(store) == [Adopted.MOVED]
    assert ids(store, [root / "weather.wav", root / "rain.wav"]) == [*before, None]
    assert store.catalogue.status().counts[SoundState.MISSING] == 0
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "weather.wav"}


def test_a_moved_folder_keeps_the_ids_of_its_sounds_also_of_equal_ones(store: Library, tmp_path: Path) -> None:
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
    assert segments(store) == 2 * 2


@pytest.mark.parametrize("order", ["add, remove", "remove, add", "add parent"])
def test_a_whole_folder_that_moved_keeps_its_ids(store: Library, root: Path, tmp_path: Path, order: str) -> None:
    names = ["creak.wav", "doors/slam.wav", "rain.wav"]
    old_id = index_folder(store, root)
    before = ids(store, [root / name for name in names])
    new = tmp_path / "disk" / "my sounds"
    new.parent.mkdir()
    root.rename(new)
    if order == "remove, add":
        store.catalogue.remove_folder(old_id)
        assert everything(store) == set()
    new_id = index_folder(store, new if order != "add parent" else tmp_path / "disk")
    if order == "add, remove":
        store.catalogue.remove_folder(old_id)
    assert ids(store, [new / name for name in names]) == before
    assert everything(store) == {new / name for name in names}
    assert segments(store) == 3 * 2, "nothing was embedded again"
    assert store.catalogue.folders()[-1].folder_id == new_id


def test_of_equal_missing_sounds_the_one_with_the_likest_path_has_moved(store: Library, tmp_path: Path) -> None:
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


def test_a_copy_is_not_a_move(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    shutil.copy2(root / "rain.wav", root / "copy.wav")
    scan(store, folder_id)
    assert index_pending(store) == [Adopted.DUPLICATE]
    assert ids(store, [root / "rain.wav"]) == before
    assert None not in ids(store, [root / "copy.wav"])


def test_a_sound_with_an_identity_of_its_own_is_not_swallowed_by_a_missing_one(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    creak, rain = ids(store, [root / "creak.wav", root / "rain.wav"])
    (root / "rain.wav").replace(root / "creak.wav")
    scan(store, folder_id)
    assert index_pending(store) == [Adopted.DUPLICATE]
    assert ids(store, [root / "creak.wav", root / "rain.wav"]) == [creak, rain]
    assert state(store, root / "rain.wav") is SoundState.MISSING


def test_a_move_found_before_the_scan_ends_is_not_marked_missing_by_it(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    (root / "rain.wav").rename(root / "weather.wav")
    scan_ = store.catalogue.begin_scan(folder_id)
    store.catalogue.record_scan(scan_, [found(path) for path in sorted(root.rglob("*.wav"))])
    assert index_pending(store) == [Adopted.MOVED]
    assert store.catalogue.finish_scan(scan_) == ()
    assert ids(store, [root / "weather.wav"]) == before


def test_a_moved_sound_that_a_new_pack_embeds_keeps_its_id(
    store: Library, open_store: Open, path: Path, root: Path
) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    (root / "rain.wav").rename(root / "weather.wav")
    other = open_store(path, pack_hash=OTHER_PACK)
    scan(other, folder_id)
    assert None in index_pending(other)
    assert ids(other, [root / "weather.wav"]) == before
    other.close()


# Changes that leave the audio as it was -------------------------------------------------------------------------


def test_a_file_whose_tags_were_edited_keeps_its_vectors(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    write(root / "rain.wav", "the sound of rain.wav|artist: the sky")
    assert scan(store, folder_id)[0] == ScanCounts(changed=1, unchanged=2)
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav"}
    (sound,) = store.work.claim(9)
    assert sound.maybe_known, "it had vectors before it changed"
    assert adopt(store, sound, sound.path.read_bytes()) is Adopted.UNCHANGED
    assert ids(store, [root / "rain.wav"]) == before
    assert segments(store) == 3 * 2, "nothing was embedded again"
    assert scan(store, folder_id)[0] == ScanCounts(unchanged=3)


def test_files_that_differ_in_their_tags_alone_share_their_vectors(store: Library, root: Path) -> None:
    copy = write(root / "z.wav", "the sound of rain.wav|a tag")
    scan(store, store.catalogue.add_folder(root))
    store.work.save_indexed(indexed_sounds(store.work.claim(9)))
    assert segments(store) == 3 * 2
    assert best(store, "the sound of rain.wav")[:2] == [root / "rain.wav", copy]


def test_the_sounds_that_hold_some_audio(store: Library, root: Path) -> None:
    copy = write(root / "z.wav", "the sound of rain.wav|a tag")
    gone = write(root / "gone.wav", "the sound of rain.wav")
    folder_id = index_folder(store, root)
    gone.unlink()
    scan(store, folder_id)
    audio = fingerprint(b"the sound of rain.wav").audio
    assert sorted(paths_with(store, audio)) == [root / "rain.wav", copy]
    assert paths_with(store, fingerprint(b"never heard").audio) == []
    store.catalogue.remove_folder(folder_id)
    assert paths_with(store, audio) == []


# Looking at everything once more --------------------------------------------------------------------------------


def test_a_file_replaced_with_size_and_time_kept_is_found_by_looking_once_more(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    before = ids(store, [root / "rain.wav"])
    rewrite_in_place(root / "rain.wav", "the sound of HAIL.wav")
    assert scan(store, folder_id) == (ScanCounts(unchanged=3), 0)
    assert index_pending(store) == []

    assert store.catalogue.verify_all() == 3
    assert store.work.count() == 3
    assert everything(store) == {root / "creak.wav", root / "doors/slam.wav", root / "rain.wav"}, "searched meanwhile"
    assert sorted(map(str, index_pending(store))) == ["Adopted.UNCHANGED", "Adopted.UNCHANGED", "None"]
    assert store.work.count() == 0
    assert ids(store, [root / "rain.wav"]) == before
    assert best(store, "the sound of HAIL.wav")[0] == root / "rain.wav"
    vectors = vectors_of(store, root / "rain.wav")
    assert vectors is not None
    np.testing.assert_array_equal(vectors, vectors_for(b"the sound of HAIL.wav"))
    assert rank(store, "the sound of rain.wav")[0].score < 0.999, "what it held before is still found"


def test_a_file_with_the_audio_of_another_is_its_duplicate_when_looked_at_once_more(store: Library, root: Path) -> None:
    write(root / "hail.wav", "the sound of hail.wav")
    index_folder(store, root)
    rewrite_in_place(root / "hail.wav", "the sound of rain.wav")
    store.catalogue.verify_all()
    assert sorted(map(str, index_pending(store))) == ["Adopted.DUPLICATE", *["Adopted.UNCHANGED"] * 3]
    assert best(store, "the sound of rain.wav")[:2] == [root / "hail.wav", root / "rain.wav"]
    assert rank(store, "the sound of hail.wav")[0].score < 0.999


def test_only_sounds_that_are_indexed_are_looked_at_once_more(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    (root / "rain.wav").unlink()
    write(root / "new.wav", "new")
    scan(store, folder_id)
    assert store.catalogue.verify_all() == 2
    assert store.catalogue.verify_all() == 0, "they wait already"
    assert store.work.count() == 3
    store.catalogue.remove_folder(folder_id)
    assert store.work.count() == 0, "nobody is to look at a removed folder's files"
    assert store.work.claim(9) == []


def test_a_file_that_cannot_be_read_when_looked_at_once_more_has_failed(store: Library, root: Path) -> None:
    index_folder(store, root)
    store.catalogue.verify_all()
    (sound,) = store.work.claim(1)
    store.work.save_failures([(sound.sound_id, FILE_GONE)])
    assert [failure.path for failure in store.catalogue.failures(9)] == [sound.path]
    assert sound.path not in everything(store)
    assert index_pending(store) == [Adopted.UNCHANGED] * 2
    assert store.work.count() == 0
