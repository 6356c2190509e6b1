"""What training does to padded rows, against the same in plain Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.training.data.rows import concatenate, crop, draw, drop_tokens

PADDING = -1
"""No zero, so that it is seen where it should not be."""
LENGTHS = (3, 1, 5)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here"))]


def _rows(lengths: tuple[int, ...], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Rows of width 2: the number of the row, and positions from 1."""
    rows = torch.full((len(lengths), max(lengths), 2), PADDING, dtype=dtype)
    for number, length in enumerate(lengths):
        rows[number, :length, 0] = number
        rows[number, :length, 1] = torch.arange(1, length + 1)
    return rows, torch.tensor(lengths)


def _valid(rows: Tensor, lengths: Tensor) -> list[list[list[int]]]:
    return [row[:length].tolist() for row, length in zip(rows, lengths.tolist(), strict=True)]


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[tuple[int, ...], list[int]]:
    """Lengths of rows, and which row comes after each."""
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    last = len(lengths) - 1
    return tuple(lengths), draw(st.lists(st.integers(-1, last), min_size=last + 1, max_size=last + 1))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@given(pair=_pairs())
def test_rows_follow_each_other_without_padding_in_between(
    device: str, dtype: torch.dtype, pair: tuple[tuple[int, ...], list[int]]
) -> None:
    rows, lengths = _rows(pair[0], dtype)
    wanted = _valid(rows, lengths)
    wanted = [own + (wanted[second] if second >= 0 else []) for own, second in zip(wanted, pair[1], strict=True)]
    longest = max(map(len, wanted))
    chained, longer = concatenate(rows.to(device), lengths, np.array(pair[1]))
    assert longer.tolist() == [len(row) for row in wanted]
    assert chained.tolist() == [row + [[0, 0]] * (longest - len(row)) for row in wanted]
    assert chained.dtype == dtype


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_crop_is_any_run_of_its_row_and_short_rows_are_whole(device: str, most: int) -> None:
    rows, lengths = _rows(LENGTHS)
    seen: list[set[int]] = [set() for _ in LENGTHS]
    for seed in range(60):
        cropped, shorter = crop(rows.to(device), lengths, most, np.random.default_rng(seed))
        assert shorter.tolist() == [min(most, length) for length in LENGTHS]
        for number, row in enumerate(_valid(cropped, shorter)):
            first = int(row[0][1])
            assert row == [[number, first + index] for index in range(len(row))]
            seen[number].add(first)
    assert seen == [set(range(1, max(0, length - most) + 2)) for length in LENGTHS]


@pytest.mark.parametrize("device", DEVICES)
def test_tokens_are_dropped_at_random_but_for_the_first(device: str) -> None:
    rows, lengths = _rows(LENGTHS)
    counts = np.zeros((3, 5))
    for seed in range(400):
        thinned, fewer = drop_tokens(rows.to(device), lengths, 0.3, np.random.default_rng(seed))
        for number, row in enumerate(_valid(thinned, fewer)):
            positions = [int(position) for _, position in row]
            assert [int(of) for of, _ in row] == [number] * len(row)
            assert positions == sorted(set(positions)), "in their order"
            counts[number, np.array(positions) - 1] += 1
    wanted = [[1.0, *[0.7] * (length - 1), *[0.0] * (5 - length)] for length in LENGTHS]
    assert counts[:, 0].tolist() == [400.0] * 3
    np.testing.assert_allclose(counts / 400, wanted, atol=0.1)


def test_nothing_is_dropped_by_no_chance() -> None:
    rows, lengths = _rows(LENGTHS)
    same, still = drop_tokens(rows, lengths, 0.0, np.random.default_rng(0))
    assert same.equal(rows)
    assert still.equal(lengths)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows, lengths: concatenate(rows, lengths, np.array([1, -1, 0])),
        lambda rows, lengths: crop(rows, lengths, 2, np.random.default_rng(0)),
        lambda rows, lengths: drop_tokens(rows, lengths, 0.5, np.random.default_rng(0)),
    ],
    ids=["concatenate", "crop", "drop_tokens"],
)
def test_rows_stay_on_their_device_and_lengths_on_the_cpu(
    change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
) -> None:
    rows, lengths = _rows(LENGTHS)
    changed, known = change(rows, lengths)
    elsewhere, still = change(rows.to("meta"), lengths)  # a device without values, to ask it for any would fail
    assert (elsewhere.device.type, elsewhere.shape) == ("meta", changed.shape)
    assert still.equal(known)


def test_each_list_is_drawn_from_evenly_as_often_as_it_is_named() -> None:
    lists = [np.array([3, 4, 5]), np.array([], np.int64), np.array([9]), np.array([10, 11])]
    which = np.tile([3, 0, 2, 0], 500)
    found = draw(lists, which, np.random.default_rng(0))
    assert found.dtype == np.int64
    assert all(number in lists[index] for number, index in zip(found, which, strict=True))
    shares = np.bincount(found) / 500
    assert shares[[3, 4, 5, 9, 10, 11]].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 1.0, 0.5, 0.5], abs=0.1)


def test_the_same_generator_draws_the_same() -> None:
    lists, which = [np.arange(100), np.arange(100, 200)], np.array([0, 1] * 20)
    first, again, other = (draw(lists, which, np.random.default_rng(seed)).tolist() for seed in (0, 0, 1))
    assert first == again != other
