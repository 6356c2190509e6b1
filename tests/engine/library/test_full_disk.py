"""Libraries that have no room to grow."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.library.types import SoundState
from tests.engine.library.library import (
    best,
    everything,
    index_folder,
    index_pending,
    open_library,
    refused,
    scan,
    searchable,
    write,
)
from tests.engine.library.small_disk import fill, remount, tmpfs


def test_a_full_library_undoes_the_step_and_goes_on_when_there_is_room(
    library: Path, dozen: Path, connections: list[sqlite3.Connection]
) -> None:
    store = open_library(library)
    (connection,) = connections
    connection.execute("PRAGMA max_page_count = 1")  # as low as it goes: the present size
    write(dozen / "new.wav", "something new")
    for number in range(600):
        write(dozen / f"more {number}.wav", f"another {number}")
    assert refused(lambda: scan(store, store.catalogue.add_folder(dozen), slice_=5000)) == "disk_full"
    assert store.catalogue.status().counts[SoundState.PENDING] == 0
    assert best(store, "the sound of number 7")[0] == dozen / "07.wav"

    connection.execute("PRAGMA max_page_count = 1000000")
    index_folder(store, dozen)
    assert best(store, "something new")[0] == dozen / "new.wav"
    assert searchable(store) == 613
    store.close()


def test_on_a_full_disk_nothing_saved_is_lost_and_it_goes_on_when_there_is_room(tmp_path: Path, dozen: Path) -> None:
    with tmpfs(tmp_path / "disk", "8m") as disk:
        store = open_library(disk / "library")
        index_folder(store, dozen)
        ballast = disk / "ballast"
        for number in range(300):
            write(dozen / f"more {number}.wav", f"another {number}")
        scan(store, store.catalogue.add_folder(dozen))
        fill(ballast)
        before = searchable(store)
        assert refused(lambda: index_pending(store)) == "disk_full"
        done = searchable(store)
        assert before <= done < 312
        assert len(everything(store)) == done
        assert refused(lambda: store.catalogue.add_folder(tmp_path / "elsewhere" / ("x" * 200_000))) == "disk_full"

        store.close()
        full = open_library(disk / "library")
        assert len(everything(full)) == done, "a full disk is searched all the same"
        full.close()

        ballast.unlink()
        store = open_library(disk / "library")
        assert not store.catalogue.read_only
        store.catalogue.check()
        index_pending(store)
        assert len(everything(store)) == 312
        store.close()


def test_a_new_library_on_a_full_disk(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "64k") as disk:
        fill(disk / "ballast")
        assert refused(lambda: open_library(disk / "library")) == "disk_full"
        (disk / "ballast").unlink()
        assert refused(lambda: open_library(disk / "library")) == "disk_full", "64 KiB do not hold a library"
        remount(disk, "size=4m")
        open_library(disk / "library").close()
