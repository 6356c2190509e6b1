"""Whatever happens to files and folders, in any order."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.library.sqlite.store import SqliteStore
from tests.engine.library.library import (
    DIM,
    FILE_GONE,
    best,
    everything,
    index_pending,
    indexed_sound,
    open_store,
    scan,
    vectors_for,
    write,
)

step = st.tuples(
    st.sampled_from(["write", "delete", "rename", "scan", "index", "fail", "remove", "pack", "reopen"]),
    st.integers(0, 4),
    st.integers(0, 4),
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(step, max_size=30))
def test_after_any_history_the_library_agrees_with_the_disk_and_with_itself(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int, int]]
) -> None:
    base = tmp_path_factory.mktemp("history")
    root = base / "sounds"
    root.mkdir()
    pack = "a"
    store = open_store(base / "library", pack * 64)
    for clock, (action, one, two) in enumerate(history):
        path = root / f"{one}.wav"
        if action == "write":
            os.utime(write(path, f"sound {two}"), ns=(0, clock * 10**9))
        elif action == "delete":
            path.unlink(missing_ok=True)
        elif action == "rename" and path.exists():
            path.replace(root / f"{two}.wav")
        elif action == "scan":
            scan(store, store.add_folder(root))
        elif action == "index" and (pending := store.next_pending(two + 1)):
            there = [sound for sound in pending if sound.path.exists()]
            store.save_indexed([indexed_sound(sound.sound_id, sound.path) for sound in there])
        elif action == "fail":
            store.save_failures([(sound.sound_id, FILE_GONE) for sound in store.next_pending(1)])
        elif action == "remove":
            store.remove_folder(store.add_folder(root))
        elif action in ("pack", "reopen"):
            store.close()
            pack = {"a": "b", "b": "a"}[pack] if action == "pack" else pack
            store = open_store(base / "library", pack * 64)
        agree(store)
    folder_id = store.add_folder(root)
    store.retry_failed()
    scan(store, folder_id)
    index_pending(store)
    agree(store)
    on_disk = set(root.iterdir())
    assert everything(store) == on_disk
    for path in on_disk:
        assert path in best(store, path.read_text())
        vectors = store.sound_vectors(path)
        assert vectors is not None
        np.testing.assert_array_equal(vectors, vectors_for(path.read_bytes()))
    store.close()


def agree(store: SqliteStore) -> None:
    """Counts and index are what the tables say."""
    db = store._db
    tally = db.execute("SELECT folder_id, state, sounds FROM tally WHERE sounds <> 0 ORDER BY 1, 2").fetchall()
    counted = db.execute(
        "SELECT folder_id, state, count(*) FROM sound WHERE folder_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    assert tally == counted
    indexed = {row[0] for row in db.execute("SELECT content_id FROM sound WHERE state = 'indexed'")}
    ranked = store.search(np.ones((1, DIM), np.float32), 1000)[0]
    assert {match.content_id for match in ranked} == indexed
    segments = db.execute("SELECT count(*) FROM segment WHERE pack_id = ?", [store._pack]).fetchone()[0]
    assert len(store.vectors) == segments
