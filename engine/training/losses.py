"""Losses over a batch of audio and text vectors; rows of one clip or one caption count as each other's positives.

All take unit vectors ``audio`` (a, d) and ``text`` (t, d) and a boolean mask ``positives`` (a, t), and return a scalar.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Negatives = Literal["random", "all", "hardest"]


def triplet_loss(
    audio: Tensor,
    text: Tensor,
    positives: Tensor,
    margin: float = 1.0,
    negatives: Negatives = "random",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Triplet ranking loss: a positive pair scores ``margin`` above an impostor, in both directions.

    For each positive pair (i, j): max(0, margin + s(i, k) - s(i, j)) + max(0, margin + s(k, j) - s(i, j)), averaged
    over the positive pairs. ``negatives`` says which impostors k count:

    - ``"random"``: one drawn at random from the batch, as in the DCASE 2022 task 6b baseline, whose loss Koh & Chng
      2022 keep;
    - ``"all"``: the mean over all of them;
    - ``"hardest"``: the one with the highest score (VSE++, Faghri et al. 2018).

    A pair without an impostor in a direction adds nothing there; without any positive the loss is 0.
    """
    scores = audio @ text.T
    if not bool(positives.any()):
        return scores.sum() * 0.0
    rows, columns = positives.nonzero(as_tuple=True)
    anchors = scores[rows, columns]
    loss = scores.sum() * 0.0
    for against, impostors in ((scores[rows], ~positives[rows]), (scores.T[columns], ~positives.T[columns])):
        hinge = (margin + against - anchors[:, None]).clamp_min(0.0)
        loss = loss + (hinge * _impostor_weights(against, impostors, negatives, generator)).sum(dim=1).mean()
    return loss


def contrastive_loss(audio: Tensor, text: Tensor, positives: Tensor, temperature: Tensor | float) -> Tensor:
    """Symmetric cross-entropy over scores / temperature (CLIP, Radford et al. 2021).

    A row with several positives shares its target evenly among them; a row with none is left out.
    """
    return soft_contrastive_loss(audio, text, positives.to(audio.dtype), temperature)


def soft_contrastive_loss(audio: Tensor, text: Tensor, targets: Tensor, temperature: Tensor | float) -> Tensor:
    """As :func:`contrastive_loss` with graded targets (a, t) of 0 or more; rows and columns are scaled to sum to 1."""
    logits = audio @ text.T / temperature
    return (_cross_entropy(logits, targets) + _cross_entropy(logits.T, targets.T)) / 2.0


def tag_loss(
    audio: Tensor, text: Tensor, teacher_logits: Tensor, temperature: Tensor | float, sharpness: float = 1.0
) -> Tensor:
    """Makes scores of sounds against tag names rank as a tagging teacher ranks them.

    Kullback-Leibler divergence from the softmax of the teacher's logits times ``sharpness``, over tags for each sound
    and over sounds for each tag, to the softmax of the scores / temperature (distillation, Hinton et al. 2015). Every
    tag teaches in every batch, also those that no sound at hand is clearly an example of.

    Args:
        audio: Vectors of the sounds (a, d).
        text: Vectors of one wording of each tag (t, d).
        teacher_logits: The teacher's logits (a, t).
        temperature: Divides the scores.
        sharpness: Multiplies the teacher's logits.
    """
    scores = audio @ text.T / temperature
    wanted = teacher_logits * sharpness
    by_sound = F.kl_div(scores.log_softmax(1), wanted.log_softmax(1), log_target=True, reduction="batchmean")
    by_tag = F.kl_div(scores.T.log_softmax(1), wanted.T.log_softmax(1), log_target=True, reduction="batchmean")
    return (by_sound + by_tag) / 2.0


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    total = targets.sum(dim=1, keepdim=True)
    used = total.squeeze(1) > 0
    wanted = targets / total.clamp_min(1e-12)
    losses = -(wanted * logits.log_softmax(dim=1)).sum(dim=1)
    return torch.where(used, losses, 0.0).sum() / used.sum().clamp_min(1)


def _impostor_weights(
    scores: Tensor, impostors: Tensor, negatives: Negatives, generator: torch.Generator | None
) -> Tensor:
    """Weights (pairs, candidates) that sum to 1 over the chosen impostors of a row, or to 0 where it has none."""
    if negatives == "all":
        return impostors / impostors.sum(dim=1, keepdim=True).clamp_min(1)
    if negatives == "hardest":
        chosen = scores.masked_fill(~impostors, float("-inf")).argmax(dim=1)
    else:
        keys = torch.rand(scores.shape, generator=generator).to(scores.device)
        chosen = keys.masked_fill(~impostors, -1.0).argmax(dim=1)
    return F.one_hot(chosen, scores.shape[1]) * impostors
