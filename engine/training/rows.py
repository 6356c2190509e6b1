"""Padded batches of rows of features, and what training does to them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Indices = NDArray[np.int64]


class Rows(Protocol):
    """Rows of differing lengths; ``engine.training.features.View`` is one."""

    @property
    def lengths(self) -> Indices: ...

    @property
    def width(self) -> int: ...

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Rows padded with zeros (batch, longest, width), lengths (batch,)."""


def concatenate(rows: Tensor, lengths: Tensor, second: Indices) -> tuple[Tensor, Tensor]:
    """Row ``second[i]`` of the batch put after row i where ``second[i]`` is not negative."""
    followers = torch.from_numpy(second)
    added = torch.where(followers >= 0, lengths[followers.clamp_min(0)], 0)
    result = rows.new_zeros(len(rows), int((lengths + added).max()), rows.shape[2])
    result[:, : rows.shape[1]] = rows
    for index in followers.ge(0).nonzero().flatten().tolist():
        start, count = int(lengths[index]), int(added[index])
        result[index, start : start + count] = rows[followers[index], :count]
    return result, lengths + added


def crop(rows: Tensor, lengths: Tensor, most: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A random run of at most ``most`` positions of each row."""
    starts = torch.from_numpy(np.floor(rng.random(len(rows)) * (np.maximum(lengths.numpy() - most, 0) + 1)).astype(int))
    positions = (starts[:, None] + torch.arange(most)).clamp_max(rows.shape[1] - 1)
    return rows.gather(1, positions[..., None].expand(-1, -1, rows.shape[2])), lengths.clamp_max(most)


def drop_tokens(states: Tensor, lengths: Tensor, chance: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rows without some of their tokens, but never without the first."""
    if chance == 0.0:
        return states, lengths
    kept = torch.from_numpy(rng.random(states.shape[:2]) >= chance)
    kept &= torch.arange(states.shape[1]) < lengths[:, None]
    kept[:, 0] = True
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    return states.gather(1, order[..., None].expand(-1, -1, states.shape[2])), kept.sum(dim=1)
