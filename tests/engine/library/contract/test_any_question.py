"""Any question to any library: answered as arithmetic does, and filtered as ``engine.library.query`` says."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.library.protocols import IndexedSound, Library
from engine.library.query import AllOf, AnyOf, Condition, Field, Filter, Not, Operator, matches
from engine.library.types import Hit
from engine.media.decode import SoundInfo
from engine.media.scan import FoundFile
from tests.engine.library.contract.conftest import Open
from tests.engine.library.library import DIM, fingerprint, write

FOLDERS = ["", "doors", "doors/old", "doors2", "a 'b'", "Türen"]
NAMES = ["Straße.WAV", "knall.wav", "caf\u00e9.flac", "cafe\u0301.flac", "100%_[x].ogg", ".x.mp3", "no suffix", "İ.wav"]


@dataclass(frozen=True)
class Audio:
    """What a sound holds: the whole numbers of its vectors, so that products are exact and ties are real ties."""

    vectors: tuple[tuple[int, ...], ...]
    duration_s: float
    sample_rate_hz: int
    channels: int


@dataclass(frozen=True)
class Sound:
    """A sound of the library, and its place there."""

    path: Path
    number: int
    audio: Audio

    @property
    def facts(self) -> Mapping[Field, Any]:
        return {
            Field.FOLDER: str(self.path.parent),
            Field.NAME: self.path.name,
            Field.SUFFIX: self.path.suffix.lower(),
            Field.DURATION_S: self.audio.duration_s,
            Field.SAMPLE_RATE_HZ: self.audio.sample_rate_hz,
            Field.CHANNELS: self.audio.channels,
        }


def key_on_any_volume(place: tuple[str, str, int]) -> str:
    """The same for two names that some volume takes for one."""
    return unicodedata.normalize("NFC", "/".join(place[:2])).casefold()


vector = st.tuples(*[st.integers(-2, 2)] * DIM)
audios = st.lists(
    st.builds(
        Audio,
        st.lists(vector, min_size=1, max_size=3).map(tuple),
        st.sampled_from([0.5, 1.0, 2.25, 60.0]),
        st.sampled_from([44_100, 48_000]),
        st.sampled_from([1, 2, 6]),
    ),
    min_size=1,
    max_size=6,
)
places = st.lists(
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.integers(0, 5)),
    max_size=12,
    unique_by=key_on_any_volume,
)

number = st.sampled_from([0, 1, 2, 2.25, 6, 44_100, 48_000, 60.0, 1e9])
text = st.sampled_from([*NAMES, ".wav", ".WAV", ".flac", "", "ss", "SS", "ß", "É", "\u0301", "%", "_", "x"])
place_name = st.sampled_from([*FOLDERS, "..", "nowhere", "door", "doors/old/er", "knall.wav", "doors/knall.wav"])
condition: st.SearchStrategy[Filter] = st.one_of(
    st.builds(
        Condition,
        st.sampled_from([Field.DURATION_S, Field.SAMPLE_RATE_HZ, Field.CHANNELS]),
        number,
        st.sampled_from([by for by in Operator if by is not Operator.CONTAINS]),
    ),
    st.builds(Condition, st.sampled_from([Field.NAME, Field.SUFFIX]), text, st.sampled_from(Operator)),
    st.builds(Condition, st.just(Field.FOLDER), place_name),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    condition,
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(part, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        part.map(Not),
    ),
    max_leaves=6,
)


def seen_from(root: Path, where: Filter) -> Filter:
    """A filter whose folders are named from the root on."""
    match where:
        case AllOf(parts):
            return AllOf(tuple(seen_from(root, part) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(seen_from(root, part) for part in parts))
        case Not(part):
            return Not(seen_from(root, part))
        case Condition(Field.FOLDER, value):
            return Condition(Field.FOLDER, str(root.parent if value == ".." else root / str(value)))
        case _:
            return where


def fill(store: Library, sounds: Sequence[Sound]) -> dict[Path, int]:
    """Index these sounds; their ids."""
    claimed = {sound.path: sound for sound in store.work.claim(1000)}
    items = []
    for sound in sounds:
        pending, n = claimed[sound.path], len(sound.audio.vectors)
        found = fingerprint(f"audio {sound.number}".encode())
        audio = sound.audio
        info = SoundInfo(found, audio.duration_s, audio.sample_rate_hz, audio.channels, b"", pending.size, 1)
        starts_s = [float(position) for position in range(n)]
        vectors = np.array(audio.vectors, np.float32)
        items.append(IndexedSound(pending.sound_id, info, starts_s, [at + 1 for at in starts_s], vectors))
    store.work.save_indexed(items)
    return {path: pending.sound_id for path, pending in claimed.items()}


def scan(store: Library, folder_id: int, sounds: Sequence[Sound]) -> None:
    scan_ = store.catalogue.begin_scan(folder_id)
    store.catalogue.record_scan(scan_, [FoundFile(sound.path, 7, 1) for sound in sounds])
    store.catalogue.finish_scan(scan_)


def require_exact(hits: Sequence[Hit], query: NDArray[np.float32], expected: Mapping[Path, Sound]) -> None:
    """Every sound expected is there once, by its best segment; equal files side by side, by path."""
    assert {hit.path for hit in hits} == set(expected)
    assert [hit.rank for hit in hits] == list(range(1, len(expected) + 1))
    for hit in hits:
        audio = expected[hit.path].audio
        scores = np.array(audio.vectors, np.float32) @ query
        assert hit.score == scores.max() == scores[int(hit.start_s)]
        assert hit.end_s == hit.start_s + 1
        facts = (hit.duration_s, hit.sample_rate_hz, hit.channels)
        assert facts == (audio.duration_s, audio.sample_rate_hz, audio.channels)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    equal = [
        (number, [hit.path for hit in group]) for number, group in groupby(hits, lambda hit: expected[hit.path].number)
    ]
    assert len({number for number, _ in equal}) == len(equal), "equal files stand apart"
    assert all(paths == sorted(paths) for _, paths in equal)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    audios, places, st.lists(vector, max_size=3), st.none() | filters, st.integers(1, 14), st.integers(0, 14), st.data()
)
def test_any_search_is_exact(
    open_store: Open,
    tmp_path_factory: pytest.TempPathFactory,
    contents: list[Audio],
    at: list[tuple[str, str, int]],
    queries: list[tuple[int, ...]],
    where: Filter | None,
    limit: int,
    offset: int,
    data: st.DataObject,
) -> None:
    base = tmp_path_factory.mktemp("question")
    root = base / "sounds"
    root.mkdir()
    sounds = [
        Sound(write(root / folder / name, ""), number % len(contents), contents[number % len(contents)])
        for folder, name, number in at
    ]
    store = open_store(base / "library")
    folder_id = store.catalogue.add_folder(root)
    scan(store, folder_id, sounds)
    ids = fill(store, sounds)
    chosen = st.lists(st.sampled_from(sounds), max_size=4) if sounds else st.just(list[Sound]())
    gone, without = set(data.draw(chosen)), set(data.draw(chosen))
    scan(store, folder_id, [sound for sound in sounds if sound not in gone])

    where = None if where is None else seen_from(root, where)
    expected = {
        sound.path: sound
        for sound in sounds
        if sound not in gone | without and (where is None or matches(where, sound.facts))
    }
    left_out = [ids[sound.path] for sound in without]
    matrix = np.array(queries, np.float32).reshape(-1, DIM)
    whole = store.vectors.rank(matrix, 1000, 0, where, left_out)
    parts = store.vectors.rank(matrix, limit, offset, where, left_out)
    assert len(whole) == len(parts) == len(queries)
    for query, hits, part in zip(matrix, whole, parts, strict=True):
        require_exact(hits, query, expected)
        assert [hit.path for hit in part] == [hit.path for hit in hits[offset : offset + limit]]
    store.close()
