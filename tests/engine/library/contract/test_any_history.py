"""Whatever happens to files and folders, in any order."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.library.protocols import IndexedSound, Library
from engine.library.types import SoundState
from tests.engine.library.contract.conftest import Open
from tests.engine.library.library import (
    FILE_GONE,
    OTHER_PACK,
    PACK,
    best,
    everything,
    index_pending,
    indexed_sounds,
    scan,
    segments,
    vectors_for,
    vectors_of,
    write,
)

ACTIONS = ["write", "delete", "rename", "scan", "index", "fail", "verify", "relink", "remove", "pack", "reopen"]
step = st.tuples(st.sampled_from(ACTIONS), st.integers(0, 4), st.integers(0, 4))


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.lists(step, max_size=30))
def test_after_any_history_the_library_agrees_with_the_disk_and_with_itself(
    open_store: Open, tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int, int]]
) -> None:
    base = tmp_path_factory.mktemp("history")
    root = base / "sounds"
    root.mkdir()
    pack = PACK
    embedded: dict[str, set[bytes]] = {PACK: set(), OTHER_PACK: set()}
    store = open_store(base / "library", pack)

    def save(items: list[IndexedSound]) -> None:
        store.work.save_indexed(items)
        embedded[pack].update(item.info.fingerprint.audio for item in items)

    for clock, (action, one, two) in enumerate(history):
        path = root / f"{one}.wav"
        if action == "write":
            os.utime(write(path, f"sound {two}"), ns=(0, clock * 10**9))
        elif action == "delete":
            path.unlink(missing_ok=True)
        elif action == "rename" and path.exists():
            path.replace(root / f"{two}.wav")
        elif action == "scan":
            scan(store, store.catalogue.add_folder(root))
        elif action == "index":
            save(indexed_sounds(sound for sound in store.work.claim(two + 1) if sound.path.exists()))
            store.work.release()
        elif action == "fail":
            store.work.save_failures([(sound.sound_id, FILE_GONE) for sound in store.work.claim(1)])
        elif action == "verify":
            store.catalogue.verify_all()
        elif action == "relink":
            folder_id = store.catalogue.add_folder(root)
            root = root.rename(base / f"sounds {clock}")
            store.catalogue.relink_folder(folder_id, root)
        elif action == "remove":
            store.catalogue.remove_folder(store.catalogue.add_folder(root))
        elif action in ("pack", "reopen"):
            store.close()
            pack = {PACK: OTHER_PACK, OTHER_PACK: PACK}[pack] if action == "pack" else pack
            store = open_store(base / "library", pack)
        agree(store, root)
        assert segments(store) == 2 * len(embedded[pack])
    folder_id = store.catalogue.add_folder(root)
    store.catalogue.retry_failed()
    scan(store, folder_id)
    index_pending(store)
    agree(store, root)
    on_disk = set(root.iterdir())
    assert everything(store) == on_disk
    for path in on_disk:
        assert path in best(store, path.read_text())
        vectors = vectors_of(store, path)
        assert vectors is not None
        np.testing.assert_array_equal(vectors, vectors_for(path.read_bytes()))
    store.close()


def agree(store: Library, root: Path) -> None:
    """Counts and what a search finds are what is known of each sound."""
    known = [sound for number in range(5) if (sound := store.catalogue.sound_at(root / f"{number}.wav"))]
    states = Counter(sound.state for sound in known)
    assert store.catalogue.status().counts == {state: states[state] for state in SoundState}
    for folder in store.catalogue.folders():
        assert folder.path == root
        assert (folder.sounds, folder.indexed) == (len(known), states[SoundState.INDEXED])
        assert (folder.failed, folder.missing) == (states[SoundState.FAILED], states[SoundState.MISSING])
    assert everything(store) == {sound.path for sound in known if sound.state is SoundState.INDEXED}
    assert all(store.catalogue.sound(sound.sound_id) == sound for sound in known)
    assert len(store.catalogue.failures(9)) == states[SoundState.FAILED]
    assert store.work.count() >= states[SoundState.PENDING]
