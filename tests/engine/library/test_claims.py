"""Claims of processes that live, die, or are not heard of any more."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.engine.library.library import index_folder, open_library, scan, segments, write
from tests.engine.library.other_process import line, python

LEASE_S = 60.0


@pytest.fixture
def clock_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day in one item, which a test moves on."""
    now_s = [1_800_000_000.0]
    monkeypatch.setattr("engine.library.sqlite.work.time.time", lambda: now_s[0])
    return now_s


def test_the_claims_of_a_killed_process_come_free_at_once(tmp_path: Path, dozen: Path) -> None:
    library = tmp_path / "library.foundsound"
    store = open_library(library)
    scan(store, store.catalogue.add_folder(dozen))
    with python(f"""
store = open_library(Path({str(library)!r}))
print([sound.sound_id for sound in store.work.claim(5)], flush=True)
sys.stdin.read()
""") as process:
        theirs = line(process)
        assert [sound.sound_id for sound in store.work.claim(99)] == [6, 7, 8, 9, 10, 11, 12]
        store.work.release()
        process.kill()
        process.wait()
    assert str([sound.sound_id for sound in store.work.claim(5)]) == theirs
    store.close()


def test_a_process_that_renews_in_time_keeps_its_claims(tmp_path: Path, dozen: Path, clock_s: list[float]) -> None:
    one, other = (open_library(tmp_path / "library", lease_s=LEASE_S) for _ in range(2))
    scan(one, one.catalogue.add_folder(dozen))
    one.work.claim(9)
    for _ in range(10):
        clock_s[0] += LEASE_S / 2
        one.work.renew()
        assert [sound.sound_id for sound in other.work.claim(9)] in ([10, 11, 12], [])
    clock_s[0] += LEASE_S + 1
    assert [sound.sound_id for sound in other.work.claim(9)] == list(range(1, 10))
    one.close()
    other.close()


def test_to_claim_renews_too(tmp_path: Path, dozen: Path, clock_s: list[float]) -> None:
    one, other = (open_library(tmp_path / "library", lease_s=LEASE_S) for _ in range(2))
    scan(one, one.catalogue.add_folder(dozen))
    one.work.claim(6)
    for _ in range(3):
        clock_s[0] += 0.9 * LEASE_S
        one.work.claim(2)
    assert other.work.claim(9) == []
    one.close()
    other.close()


def test_to_renew_often_writes_seldom(
    tmp_path: Path, dozen: Path, clock_s: list[float], connections: list[sqlite3.Connection]
) -> None:
    store = open_library(tmp_path / "library", lease_s=LEASE_S)
    scan(store, store.catalogue.add_folder(dozen))
    store.work.claim(9)
    before = connections[0].total_changes
    for _ in range(1000):
        clock_s[0] += LEASE_S / 1000
        store.work.renew()
    assert 1 <= connections[0].total_changes - before <= 5
    store.close()


def test_a_process_that_was_taken_for_dead_claims_anew(tmp_path: Path, dozen: Path, clock_s: list[float]) -> None:
    one, other = (open_library(tmp_path / "library", lease_s=LEASE_S) for _ in range(2))
    scan(one, one.catalogue.add_folder(dozen))
    one.work.claim(9)
    clock_s[0] += LEASE_S + 1
    other.work.claim(2)
    one.work.renew()
    assert [sound.sound_id for sound in one.work.claim(99)] == list(range(3, 13)), "its claims were lost with its lease"
    one.close()
    assert [sound.sound_id for sound in other.work.claim(99)] == list(range(3, 13))
    other.close()


def test_two_processes_on_one_library_embed_each_sound_once(tmp_path: Path, dozen: Path) -> None:
    for number in range(100):
        write(dozen / f"more {number}.wav", f"another {number}")
    library = tmp_path / "library.foundsound"
    store = open_library(library)
    scan(store, store.catalogue.add_folder(dozen), slice_=1000)
    code = f"""
store = open_library(Path({str(library)!r}), busy_timeout_s=60)
print("ready", flush=True)
sys.stdin.readline()
done = []
while claimed := store.work.claim(3):
    store.work.save_indexed(indexed_sounds(claimed))
    done += [sound.sound_id for sound in claimed]
print(*done, flush=True)
store.close()
"""
    with python(code) as one, python(code) as two:
        assert [line(process) for process in (one, two)] == ["ready"] * 2
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        embedded = [int(id_) for process in (one, two) for id_ in line(process).split()]
    assert sorted(embedded) == list(range(1, 113))
    assert (store.work.count(), segments(store)) == (0, 112 * 2)
    index_folder(store, dozen)
    store.close()
