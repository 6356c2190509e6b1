"""Search by vector: segments, limits, and which sounds are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.library.protocols import Library
from engine.library.query import Condition, Field, Not, Operator
from tests.engine.library.library import (
    DIM,
    everything,
    ids,
    index_folder,
    rank,
    scan,
    vectors_for,
    vectors_of,
    write,
)

# One sound ------------------------------------------------------------------------------------------------------


def test_the_segments_of_a_sound(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    (rain,) = ids(store, [root / "rain.wav"])
    assert rain is not None
    segments = store.vectors.segments(rain)
    assert segments is not None
    np.testing.assert_array_equal(segments.vectors, vectors_for(b"the sound of rain.wav"))
    assert (list(segments.starts_s), list(segments.ends_s)) == ([0.0, 5.0], [10.0, 15.0])
    assert store.vectors.segments(10_000) is None
    assert vectors_of(store, root / "unknown.wav") is None
    (root / "rain.wav").unlink()
    scan(store, folder_id)
    assert store.vectors.segments(rain) is None


def test_the_segments_of_a_sound_that_waits(store: Library, root: Path) -> None:
    folder_id = index_folder(store, root)
    (rain,) = ids(store, [root / "rain.wav"])
    assert rain is not None
    write(root / "rain.wav", "other rain")
    scan(store, folder_id)
    assert store.vectors.segments(rain) is None


# Limits ---------------------------------------------------------------------------------------------------------


def test_hits_are_limited_to_the_sounds_asked_for(store: Library, root: Path) -> None:
    index_folder(store, root)
    whole = rank(store, "x")
    assert [hit.rank for hit in whole] == [1, 2, 3]
    assert rank(store, "x", limit=2) == whole[:2]
    assert rank(store, "x", limit=0) == ()
    assert rank(store, "x", limit=1, offset=1) == whole[1:2]
    assert rank(store, "x", limit=9, offset=2) == whole[2:]
    assert rank(store, "x", limit=9, offset=3) == ()


def test_equal_files_are_cut_in_the_middle_by_a_limit(store: Library, root: Path) -> None:
    copies = [write(root / f"rain {number}.wav", "the sound of rain.wav") for number in range(4)]
    index_folder(store, root)
    whole = rank(store, "the sound of rain.wav")
    assert [hit.path for hit in whole[:5]] == [*copies, root / "rain.wav"]
    for limit in range(8):
        for offset in range(8):
            assert rank(store, "the sound of rain.wav", limit, offset) == whole[offset : offset + limit]


def test_sounds_left_out_do_not_cost_others_their_place(store: Library, root: Path) -> None:
    copies = [write(root / f"rain {number}.wav", "the sound of rain.wav") for number in range(4)]
    index_folder(store, root)
    whole = rank(store, "the sound of rain.wav")
    without = [hit.sound_id for hit in whole[:3]]
    assert [hit.path for hit in rank(store, "the sound of rain.wav", 2, without=without)] == [
        copies[3],
        root / "rain.wav",
    ]
    assert rank(store, "x", without=[hit.sound_id for hit in whole]) == ()
    best, second, *_ = rank(store, "x", limit=9)
    assert [hit.sound_id for hit in rank(store, "x", 1, without=[best.sound_id])] == [second.sound_id]


def test_each_query_of_many_is_answered_as_if_alone(store: Library, root: Path) -> None:
    index_folder(store, root)
    queries = np.concatenate([vectors_for(data) for data in (b"x", b"y", b"z")])
    answers = store.vectors.rank(queries, 2, 1)
    assert len(answers) == 6
    for query, answer in zip(queries, answers, strict=True):
        (alone,) = store.vectors.rank(query[np.newaxis], 2, 1)
        assert [hit.sound_id for hit in answer] == [hit.sound_id for hit in alone]
        assert [hit.score for hit in answer] == pytest.approx([hit.score for hit in alone])
    assert store.vectors.rank(np.empty((0, DIM), np.float32), 2) == []


@pytest.mark.parametrize("queries", [np.ones((1, DIM + 1)), np.ones(DIM), np.full((1, DIM), np.nan)])
def test_queries_of_the_wrong_shape_are_a_bug(store: Library, root: Path, queries: NDArray[np.float64]) -> None:
    index_folder(store, root)
    with pytest.raises(ValueError, match=f"length {DIM}"):
        store.vectors.rank(queries.astype(np.float32), 1)


# Visibility is per sound ----------------------------------------------------------------------------------------


def test_of_equal_files_only_those_that_are_there_are_found(store: Library, root: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "other/rain.wav", "the sound of rain.wav")
    index_folder(store, root)
    other_id = index_folder(store, copy.parent)
    assert {hit.path for hit in rank(store, "the sound of rain.wav", 2)} == {copy, root / "rain.wav"}
    store.catalogue.remove_folder(other_id)
    assert [hit.path for hit in rank(store, "the sound of rain.wav", 1)] == [root / "rain.wav"]
    assert everything(store) == set(root.rglob("*.wav"))


def test_a_filter_that_passes_one_of_two_equal_files_finds_that_one(store: Library, root: Path) -> None:
    copy = write(root / "doors/rain.wav", "the sound of rain.wav")
    index_folder(store, root)
    where = Condition(Field.FOLDER, str(root / "doors"))
    assert [hit.path for hit in rank(store, "the sound of rain.wav", where=where)] == [copy, root / "doors/slam.wav"]
    without = Not(where)
    found = rank(store, "the sound of rain.wav", where=without)
    assert {hit.path for hit in found} == {root / "rain.wav", root / "creak.wav"}
    assert [hit.rank for hit in found] == [1, 2]


def test_a_file_is_no_folder_that_it_lies_in(store: Library, root: Path) -> None:
    index_folder(store, root)
    assert rank(store, "x", where=Condition(Field.FOLDER, str(root / "rain.wav"))) == ()


@pytest.mark.parametrize(
    ("field", "part", "is_found"),
    [
        (Field.NAME, "STRASSE", True),
        (Field.NAME, "ße.w", True),
        (Field.NAME, "%", False),
        (Field.NAME, "_", False),
        (Field.NAME, "sounds", False),
        (Field.SUFFIX, "WA", True),
        (Field.SUFFIX, "straße", False),
    ],
)
def test_a_text_that_contains_another_in_any_case(
    store: Library, tmp_path: Path, field: Field, part: str, is_found: bool
) -> None:
    sound = write(tmp_path / "sounds" / "Straße.WAV", "a street")
    index_folder(store, sound.parent)
    assert len(rank(store, "x", where=Condition(field, part, Operator.CONTAINS))) == is_found
