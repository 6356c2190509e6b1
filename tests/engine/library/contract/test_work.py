"""What there is still to do, shared by all who have the library open."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine.library.protocols import Library
from engine.library.types import SoundState
from tests.engine.library.contract.conftest import Open
from tests.engine.library.library import (
    FILE_GONE,
    everything,
    ids,
    index_folder,
    index_pending,
    indexed_sounds,
    scan,
    searchable,
    segments,
    state,
    write,
)


def wait_until_claimed(store: Library, limit: int) -> list[int]:
    """Claims of a store, once it can have some."""
    give_up = time.monotonic() + 30
    while not (claimed := store.work.claim(limit)):
        assert time.monotonic() < give_up, "the claims of the other one never ended"
    return [sound.sound_id for sound in claimed]


def test_work_is_claimed_by_ascending_id_and_told_with_its_file(store: Library, root: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    claimed = store.work.claim(2)
    rest = store.work.claim(2)
    assert [len(claimed), len(rest)] == [2, 1], "what is claimed is not handed out again"
    assert store.work.claim(2) == []
    sounds = [*claimed, *rest]
    assert [sound.sound_id for sound in sounds] == sorted(sound.sound_id for sound in sounds)
    assert {sound.path for sound in sounds} == set(root.rglob("*.wav"))
    for sound in sounds:
        stat = sound.path.stat()
        assert (sound.size, sound.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        assert not sound.maybe_known
        assert not sound.by_file


def test_two_who_claim_in_turns_get_different_sounds(store: Library, other: Library, dozen: Path) -> None:
    scan(store, store.catalogue.add_folder(dozen))
    mine, theirs = list[int](), list[int]()
    for _ in range(4):
        mine += [sound.sound_id for sound in store.work.claim(2)]
        theirs += [sound.sound_id for sound in other.work.claim(2)]
    assert [len(mine), len(theirs)] == [6, 6]
    assert len({*mine, *theirs}) == 12
    assert store.work.count() == other.work.count() == 12, "claimed, but not done"


def test_two_who_index_together_embed_each_sound_once(store: Library, other: Library, dozen: Path) -> None:
    scan(store, store.catalogue.add_folder(dozen))
    done = list[int]()
    while claims := [(library, library.work.claim(2)) for library in (store, other)]:
        if not any(claimed for _, claimed in claims):
            break
        for library, claimed in claims:
            library.work.save_indexed(indexed_sounds(claimed))
            done += [sound.sound_id for sound in claimed]
    assert len(done) == len(set(done)) == 12
    assert (store.work.count(), searchable(other), segments(other)) == (0, 12, 24)
    assert everything(store) == everything(other) == set(dozen.iterdir())


def test_what_is_given_back_can_be_claimed_by_another(store: Library, other: Library, root: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    claimed = store.work.claim(9)
    store.work.save_indexed(indexed_sounds(claimed[:1]))
    assert other.work.claim(9) == []
    store.work.release()
    assert other.work.claim(9) == claimed[1:], "what is done stays done"
    store.work.release()
    assert store.work.claim(9) == [], "another's claims are not given back"


def test_a_library_that_is_closed_gives_its_claims_back(
    store: Library, open_store: Open, path: Path, root: Path
) -> None:
    scan(store, store.catalogue.add_folder(root))
    other = open_store(path)
    assert len(other.work.claim(2)) == 2
    other.close()
    assert len(store.work.claim(9)) == 3


def test_claims_end_when_their_lease_has_run_out(open_store: Open, path: Path, root: Path) -> None:
    late, other = open_store(path, lease_s=0.01), open_store(path)
    scan(late, late.catalogue.add_folder(root))
    claimed = late.work.claim(3)
    assert wait_until_claimed(other, 9) == [sound.sound_id for sound in claimed]
    late.work.save_indexed(indexed_sounds(claimed[:1]))
    assert state(late, claimed[0].path) is SoundState.INDEXED, "what came late is good all the same"
    late.work.release()
    assert late.work.claim(9) == [], "they are another's by now"
    other.work.release()
    assert wait_until_claimed(late, 9) == [sound.sound_id for sound in claimed[1:]]
    late.close()
    other.close()


def test_renewing_and_giving_back_without_claims_do_nothing(store: Library, root: Path) -> None:
    store.work.renew()
    store.work.release()
    scan(store, store.catalogue.add_folder(root))
    store.work.renew()
    assert index_pending(store) == [None] * 3
    store.work.renew()
    store.work.release()
    assert store.work.count() == 0


def test_a_sound_that_changes_while_it_is_claimed_stays_claimed(store: Library, other: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    write(root / "rain.wav", "heavier rain, and longer")
    scan(store, folder_id)
    assert len(store.work.claim(9)) == 1
    write(root / "rain.wav", "rain that is heavier still, and longer")
    scan(other, folder_id)
    assert other.work.claim(9) == []
    assert other.work.count() == 1


@pytest.mark.parametrize("how", ["missing", "removed"])
def test_what_went_is_no_work_any_more(store: Library, other: Library, root: Path, how: str) -> None:
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id)
    claimed = store.work.claim(1)
    if how == "missing":
        store.catalogue.finish_scan(store.catalogue.begin_scan(folder_id))
    else:
        store.catalogue.remove_folder(folder_id)
    assert other.work.count() == 0
    assert other.work.claim(9) == []
    store.work.save_failures([(claimed[0].sound_id, FILE_GONE)])
    assert store.catalogue.failures(9) == ()


def test_what_came_in_by_another_way_meanwhile_may_be_saved_again(store: Library, other: Library, root: Path) -> None:
    scan(store, store.catalogue.add_folder(root))
    items = indexed_sounds(store.work.claim(9))
    other.work.save_indexed(items)
    store.work.save_indexed(items)
    assert (searchable(store), segments(store), store.work.count()) == (3, 6, 0)
    assert None not in ids(store, root.rglob("*.wav"))


def test_only_one_who_may_know_a_file_is_told_so(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    write(root / "changed.wav", "this changes")
    scan(store, folder_id)
    store.work.save_failures([(sound.sound_id, FILE_GONE) for sound in store.work.claim(9)])
    write(root / "changed.wav", "this never had any vectors, and a length of its own")
    write(root / "rain.wav", "this had some, and a length that no other sound ever had")
    write(root / "same.wav", "THE SOUND OF RAIN.WAV")
    scan(store, folder_id)
    told = {sound.path.name: sound.maybe_known for sound in store.work.claim(9)}
    assert told == {"changed.wav": False, "rain.wav": True, "same.wav": True}
