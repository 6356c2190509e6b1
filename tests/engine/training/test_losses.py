"""Losses, with values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from engine.training.losses import Negatives, contrastive_loss, soft_contrastive_loss, tag_loss, triplet_loss

EYE = torch.eye(2)
PAIRS = torch.eye(2, dtype=torch.bool)


def test_triplet_of_perfect_pairs_is_the_margin_left_over() -> None:
    """Scores are 1 on the diagonal and 0 off it: max(0, 1.5 + 0 - 1) in each of two directions."""
    assert triplet_loss(EYE, EYE, PAIRS, margin=1.5).item() == pytest.approx(1.0)
    assert triplet_loss(EYE, EYE, PAIRS, margin=0.8).item() == 0.0


@pytest.mark.parametrize(("negatives", "wanted"), [("all", 0.5), ("hardest", 1.0)])
def test_triplet_negatives(negatives: Negatives, wanted: float) -> None:
    """Pair 0 scores 0.5, its impostors 0.5 and 0.0 in each direction; the margin is 0.5.

    The hinges are 0.5 and 0.0 in each direction: their mean is 0.25, the hardest 0.5; two directions are summed.
    """
    audio = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 1.0]])
    positives = torch.zeros(3, 3, dtype=torch.bool)
    positives[0, 0] = True
    assert triplet_loss(audio, torch.eye(3), positives, margin=0.5, negatives=negatives).item() == pytest.approx(wanted)


def test_triplet_draws_one_impostor_at_random() -> None:
    """Over many draws the random kind averages to the mean over all impostors."""
    generator = torch.Generator().manual_seed(0)
    audio = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator), dim=1)
    text = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator), dim=1)
    positives = torch.eye(5, dtype=torch.bool)
    drawn = [triplet_loss(audio, text, positives, negatives="random", generator=generator) for _ in range(800)]
    every = triplet_loss(audio, text, positives, negatives="all")
    assert len({round(value.item(), 5) for value in drawn}) > 10
    assert torch.stack(drawn).mean().item() == pytest.approx(every.item(), abs=0.02)


def test_contrastive_by_hand() -> None:
    """Logits are 1 / 0.5 = 2 on the diagonal, 0 off it: -log(e^2 / (e^2 + 1)) in both directions."""
    wanted = -math.log(math.exp(2.0) / (math.exp(2.0) + 1.0))
    assert contrastive_loss(EYE, EYE, PAIRS, 0.5).item() == pytest.approx(wanted)


def test_contrastive_shares_the_target_among_positives() -> None:
    """With both captions positive of both sounds, equal scores are the optimum: log 2."""
    same = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    everything = torch.ones(2, 2, dtype=torch.bool)
    assert contrastive_loss(same, same, everything, 0.07).item() == pytest.approx(math.log(2.0))
    assert contrastive_loss(EYE, EYE, everything, 0.07).item() > math.log(2.0)


def test_contrastive_leaves_out_rows_without_positives() -> None:
    """Only sound 0 and caption 0 have a positive, so the mean is theirs alone."""
    positives = torch.tensor([[True, False], [False, False]])
    wanted = -math.log(math.exp(1.0) / (math.exp(1.0) + 1.0))
    assert contrastive_loss(EYE, EYE, positives, 1.0).item() == pytest.approx(wanted)


def test_soft_targets_are_scaled_to_sum_to_one() -> None:
    targets = torch.tensor([[0.6, 0.2], [0.1, 0.9]])
    once = soft_contrastive_loss(EYE, EYE, targets, 0.3)
    rows = targets / targets.sum(1, keepdim=True)
    logits = EYE / 0.3
    wanted = -(rows * logits.log_softmax(1)).sum(1).mean()
    columns = targets.T / targets.T.sum(1, keepdim=True)
    wanted = (wanted - (columns * logits.T.log_softmax(1)).sum(1).mean()) / 2
    assert once.item() == pytest.approx(wanted.item())


def test_tag_loss_is_zero_when_scores_rank_as_the_teacher_and_positive_else() -> None:
    audio = torch.nn.functional.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    text = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(2)), dim=1)
    teacher = audio @ text.T / 0.1
    assert tag_loss(audio, text, teacher, 0.1).item() == pytest.approx(0.0, abs=1e-5)
    assert tag_loss(audio, text, -teacher, 0.1).item() > 1.0
    assert tag_loss(audio, text, teacher / 2, 0.1, sharpness=2.0).item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("positives", [torch.zeros(2, 2), torch.ones(2, 2), torch.eye(2)])
@pytest.mark.parametrize("negatives", ["random", "all", "hardest"])
def test_edge_cases_stay_finite(positives: Tensor, negatives: Negatives) -> None:
    """No positive at all, no impostor at all, extreme temperature: finite values and gradients."""
    audio, text = EYE.clone().requires_grad_(), EYE.clone().requires_grad_()
    mask = positives.bool()
    loss = triplet_loss(audio, text, mask, negatives=negatives) + contrastive_loss(audio, text, mask, 0.001)
    loss.backward()  # type: ignore[no-untyped-call]
    assert math.isfinite(loss.item())
    assert audio.grad is not None
    assert bool(audio.grad.isfinite().all())


def test_a_single_pair_has_no_impostor() -> None:
    one = torch.ones(1, 1)
    assert triplet_loss(one, one, one.bool()).item() == 0.0
    assert contrastive_loss(one, one, one.bool(), 0.07).item() == 0.0
