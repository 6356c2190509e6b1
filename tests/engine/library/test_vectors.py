"""The in-memory index answers as a plain reference does, however it was filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.library import vectors as module
from engine.library.vectors import Ranked, VectorIndex

DIM = 3
Content = tuple[int, list[list[int]]]  # content id and its segments' vectors


def fill(index: VectorIndex, contents: list[Content], slice_: int = 1_000) -> None:
    """Append segments in slices of any length; starts count up from 0, ends are one later."""
    ids = np.array([id_ for id_, segments in contents for _ in segments], np.int64)
    starts_s = np.array([float(at) for _, segments in contents for at in range(len(segments))])
    vectors = np.array([vector for _, segments in contents for vector in segments], np.float32).reshape(-1, index.dim)
    for at in range(0, len(ids), slice_):
        part = slice(at, at + slice_)
        index.append(ids[part], starts_s[part], starts_s[part] + 1, vectors[part])


def reference(contents: list[Content], visible: set[int], query: list[int], limit: int) -> list[Ranked]:
    best = []
    for id_, segments in contents:
        if id_ in visible:
            scores = [float(np.dot(vector, query)) for vector in segments]
            at = scores.index(max(scores))
            best.append(Ranked(id_, max(scores), at, at + 1))
    return sorted(best, key=lambda match: (-match.score, match.content_id))[:limit]


# Whole numbers, so that float32 products are exact and ties are real ties.
vector = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM)
libraries = st.dictionaries(st.integers(0, 60), st.lists(vector, min_size=1, max_size=5), max_size=25).map(
    lambda library: list(library.items())
)


@settings(deadline=None)
@given(libraries, vector, st.integers(-1, 30), st.integers(1, 7), st.integers(1, 9), st.integers(0, 9), st.data())
def test_search_equals_the_reference(
    contents: list[Content],
    query: list[int],
    limit: int,
    slice_: int,
    first_block: int,
    reserved: int,
    data: st.DataObject,
) -> None:
    index = VectorIndex(DIM, first_block)
    index.reserve(reserved)
    fill(index, contents, slice_)
    everything = [id_ for id_, _ in contents]
    hidden = set(data.draw(st.lists(st.sampled_from(everything)))) if everything else set()
    index.show(np.array(sorted(hidden), np.int64), False)

    visible = set(everything) - hidden
    expected = reference(contents, visible, query, max(limit, 0))
    assert index.search(np.array(query, np.float32), limit) == expected
    assert len(index) == sum(len(segments) for _, segments in contents)


@settings(deadline=None)
@given(libraries, st.lists(vector, max_size=9))
def test_many_queries_at_once_answer_as_one_by_one(contents: list[Content], queries: list[list[int]]) -> None:
    index = VectorIndex(DIM, 4)
    fill(index, contents)
    many = np.array(queries, np.float32).reshape(-1, DIM)
    assert index.search_many(many, 5) == [index.search(query, 5) for query in many]


def test_many_queries_are_taken_in_parts_that_bound_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    index = VectorIndex(DIM)
    fill(index, [(id_, [[id_, 0, 0]]) for id_ in range(10)])
    shapes = note_matrices(monkeypatch)
    monkeypatch.setattr(module, "_SCORES_AT_ONCE", 30)
    assert len(index.search_many(np.ones((7, DIM), np.float32), 2)) == 7
    assert shapes == [(3, 10), (3, 10), (1, 10)], "queries times segments"


def test_only_contents_that_are_allowed_and_visible_are_found() -> None:
    index = VectorIndex(DIM)
    fill(index, [(id_, [[id_, 0, 0]]) for id_ in (2, 5, 7, 9)])
    index.show(np.array([7]), False)
    query = np.array([[1, 0, 0]], np.float32)
    (found,) = index.search_many(query, 9, np.array([5, 7, 2, 1000, 5]))
    assert [match.content_id for match in found] == [5, 2]
    assert index.search_many(query, 9, np.empty(0, np.int64)) == [[]]


def test_show_only_and_has() -> None:
    index = VectorIndex(DIM)
    fill(index, [(5, [[1, 0, 0]]), (2, [[2, 0, 0]]), (9, [[3, 0, 0]])])
    index.show_only(np.array([2, 7, 1000]))
    assert [match.content_id for match in index.search(np.array([1, 0, 0], np.float32), 9)] == [2]
    assert index.has(np.array([2, 3, 9, 1000])).tolist() == [True, False, True, False]


def test_growing_never_copies_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = note_matrices(monkeypatch)
    index = VectorIndex(DIM, first_block=2)
    fill(index, [(1, [[1, 1, 1]] * 2)])
    fill(index, [(2, [[1, 1, 1]] * 50)])
    assert shapes == [(2, DIM), (50, DIM)], "the second one holds what is new, and no more"


def test_reserved_room_is_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = note_matrices(monkeypatch)
    index = VectorIndex(DIM)
    index.reserve(10)
    index.reserve(10)
    fill(index, [(id_, [[id_, 0, 0]]) for id_ in range(10)], slice_=3)
    assert shapes == [(10, DIM)]


def note_matrices(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the matrices that are allocated from now on."""
    shapes: list[tuple[int, ...]] = []
    empty = np.empty

    def noting(shape: int | tuple[int, ...], *args: Any, **kwargs: Any) -> NDArray[Any]:
        if isinstance(shape, tuple) and len(shape) == 2:
            shapes.append(shape)
        array: NDArray[Any] = empty(shape, *args, **kwargs)
        return array

    monkeypatch.setattr(np, "empty", noting)
    return shapes


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    index = VectorIndex(DIM)
    fill(index, [(1, [[1, 0, 0]])])
    vectors = np.ones((2, DIM), np.float32)
    vectors[1, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        index.append(np.array([2, 3]), np.zeros(2), np.ones(2), vectors)
    with pytest.raises(ValueError, match="finite queries"):
        index.search(vectors[1], 3)
    assert len(index) == 1


def test_wrong_shapes_are_refused() -> None:
    index = VectorIndex(DIM)
    one = np.zeros(1)
    with pytest.raises(ValueError, match="vectors"):
        index.append(np.array([1]), one, one, np.ones((1, DIM + 1), np.float32))
    with pytest.raises(ValueError, match="times"):
        index.append(np.array([1]), np.zeros(2), one, np.ones((1, DIM), np.float32))
    with pytest.raises(ValueError, match="length 3"):
        index.search(np.ones(DIM + 1, np.float32), 1)
    assert len(index) == 0


@pytest.mark.parametrize("ids", [[1], [5, 1], [2, 3, 2]])
def test_segments_of_a_content_must_lie_together(ids: list[int]) -> None:
    index = VectorIndex(DIM)
    fill(index, [(1, [[1, 0, 0]]), (5, [[1, 0, 0]])])
    rows: NDArray[np.float64] = np.zeros(len(ids))
    with pytest.raises(ValueError, match="lie together"):
        index.append(np.array(ids), rows, rows, np.ones((len(ids), DIM), np.float32))
    assert len(index) == 2
