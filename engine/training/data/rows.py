"""Padded batches of rows of features, and what training does to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Indices = NDArray[np.int64]


class Rows(Protocol):
    """Rows of differing lengths; ``engine.training.data.features.View`` is one.

    Lengths stay on the CPU wherever the rows are: to ask a GPU for them would be to wait for it.
    """

    @property
    def lengths(self) -> Indices: ...

    @property
    def width(self) -> int: ...

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Rows padded with zeros (batch, longest, width), lengths (batch,)."""


def draw(lists: Sequence[Indices], which: Indices, rng: np.random.Generator) -> Indices:
    """One of the numbers in list ``which[i]``, at random, for each i."""
    chances = zip(which.tolist(), rng.random(len(which)).tolist(), strict=True)
    return np.array([lists[index][int(chance * len(lists[index]))] for index, chance in chances], dtype=np.int64)


def concatenate(rows: Tensor, lengths: Tensor, second: Indices) -> tuple[Tensor, Tensor]:
    """Row ``second[i]`` of the batch put after row i where ``second[i]`` is not negative."""
    followers = torch.from_numpy(second)
    added = torch.where(followers >= 0, lengths[followers.clamp_min(0)], 0)
    total = lengths + added
    at = torch.arange(int(total.max()))
    first = at < lengths[:, None]
    row = torch.where(first, torch.arange(len(rows))[:, None], followers.clamp_min(0)[:, None])
    column = torch.where(first, at, at - lengths[:, None])
    valid = at < total[:, None]
    row, column, valid = (each.to(rows.device) for each in (row, torch.where(valid, column, 0), valid))
    return torch.where(valid[..., None], rows[row, column], 0), total


def crop(rows: Tensor, lengths: Tensor, most: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A random run of at most ``most`` positions of each row."""
    starts = torch.from_numpy(np.floor(rng.random(len(rows)) * (np.maximum(lengths.numpy() - most, 0) + 1)).astype(int))
    positions = (starts[:, None] + torch.arange(most)).clamp_max(rows.shape[1] - 1)
    return _picked(rows, positions), lengths.clamp_max(most)


def drop_tokens(states: Tensor, lengths: Tensor, chance: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rows without some of their tokens, but never without the first."""
    if chance == 0.0:
        return states, lengths
    kept = torch.from_numpy(rng.random(states.shape[:2]) >= chance)
    kept &= torch.arange(states.shape[1]) < lengths[:, None]
    kept[:, 0] = True
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    return _picked(states, order), kept.sum(dim=1)


def _picked(rows: Tensor, positions: Tensor) -> Tensor:
    """Positions (batch, picked), known on the CPU, of rows (batch, time, width) wherever they are."""
    return rows.gather(1, positions.to(rows.device)[..., None].expand(-1, -1, rows.shape[2]))
