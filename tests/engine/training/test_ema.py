"""The running mean of a model, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.training.ema import update_ema


def _norm(value: float, count: int) -> nn.BatchNorm1d:
    """Weights and statistics that all have one value, after so many batches."""
    norm = nn.BatchNorm1d(2)
    for name, each in norm.state_dict().items():
        each.fill_(count if name == "num_batches_tracked" else value)
    return norm


@pytest.mark.parametrize(
    ("decay", "step", "kept"),
    [(0.9, 0, 1 / 10), (0.9, 2, 3 / 12), (0.9, 79, 80 / 89), (0.9, 81, 0.9), (0.9, 10_000, 0.9), (0.05, 0, 0.05)],
)
def test_it_follows_fast_at_first_and_then_as_it_is_told(decay: float, step: int, kept: float) -> None:
    mean, model = _norm(1.0, 3), _norm(5.0, 7)
    update_ema(mean, model, decay, step)
    for name, value in mean.state_dict().items():
        wanted = 7 if name == "num_batches_tracked" else kept * 1.0 + (1 - kept) * 5.0
        assert value.flatten().tolist() == pytest.approx([wanted] * value.numel()), name
    assert {value for each in model.state_dict().values() for value in each.flatten().tolist()} == {5.0, 7}


def test_what_does_not_learn_stays_to_the_last_bit() -> None:
    torch.manual_seed(0)
    model = nn.Linear(50, 50)
    mean = nn.Linear(50, 50)
    mean.load_state_dict(model.state_dict())
    for step in range(30):
        update_ema(mean, model, 0.999, step)
    assert mean.weight.equal(model.weight)


def test_a_model_without_weights_has_a_mean() -> None:
    update_ema(nn.Identity(), nn.Identity(), 0.9, 0)
