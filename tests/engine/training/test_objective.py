"""The losses of one batch, as they are trained: targets, tags and chained rows worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.training.config import TrainConfig
from engine.training.data.examples import Batch, TrainSet
from engine.training.losses import contrastive_loss
from engine.training.networks.model import RetrievalModel
from engine.training.objective import Objective
from tests.engine.training.tiny import Memory

CONFIG = TrainConfig(kind="none", losses=("contrastive",), temperature=0.5)
CHAIN = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
"""Sounds 0 and 1 belong together, 1 and 2 as well, but not 0 and 2."""

SOUNDS = [[[1.0, 0.0, 0.0]], [[0.6, 0.8, 0.0]], [[0.0, 0.6, 0.8], [0.0, 0.6, 0.8]]]
"""Frames; pooled and of unit length they are the vectors."""
CAPTIONS = [[[0.8, 0.6, 0.0]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]
TAG_WORDINGS = [[[1.0, 0.0, 0.0]], [[0.0, 0.8, 0.6]], [[0.0, 0.0, 1.0]]]
TAG_LOGITS = [[2.0, 0.0, -1.0, 0.5], [1.0, 5.0, -3.0, 0.0], [-2.0, 0.0, 1.5, 3.0]]


def _data() -> TrainSet:
    """Three sounds with a caption each and four tags, of which the second is worded by nothing."""
    states = Memory([np.array(rows, np.float32) for rows in CAPTIONS + TAG_WORDINGS])
    wordings = [np.array(rows, np.int64) for rows in ([3], [], [4], [5])]
    own = [np.array([row]) for row in range(3)]
    frames = Memory([np.array(rows, np.float32) for rows in SOUNDS])
    return TrainSet(frames, states, own, np.arange(3), np.ones(3), np.array(TAG_LOGITS, np.float32), wordings)


def _batch(positives: NDArray[np.bool_] = CHAIN, second: tuple[int, ...] = (-1, -1, -1)) -> Batch:
    return Batch(np.arange(3), np.arange(3), np.array(second), positives)


def _losses(config: TrainConfig, batch: Batch) -> dict[str, float]:
    data = _data()
    found = Objective(config, data)(RetrievalModel(config, data), batch, np.random.default_rng(0))
    return {name: value.item() for name, value in found.items()}


def _targets(config: TrainConfig, batch: Batch) -> NDArray[np.float32]:
    made: Tensor = Objective(config, _data())._targets(batch, torch.from_numpy(batch.positives))
    return made.numpy()


def _scores() -> NDArray[np.float64]:
    """Of sounds against captions."""
    return np.asarray(np.array([rows[0] for rows in SOUNDS]) @ np.array([rows[0] for rows in CAPTIONS]).T)


def _log_softmax(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.asarray(values - np.log(np.exp(values).sum(axis=axis, keepdims=True)))


def _softmax(values: NDArray[np.float64], axis: int = 1) -> NDArray[np.float64]:
    return np.exp(_log_softmax(values, axis))


def test_the_contrastive_target_as_it_is_trained() -> None:
    """Sounds share evenly among their captions; captions share by what each sound gave them, so not evenly."""
    by_sound = np.array([[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]])
    by_caption = np.array([[3 / 5, 2 / 5, 0], [3 / 8, 2 / 8, 3 / 8], [0, 2 / 5, 3 / 5]])  # a row a caption
    np.testing.assert_allclose(_targets(CONFIG, _batch()), by_sound, rtol=1e-6)
    logits = _scores() / 0.5
    wanted = -(by_sound * _log_softmax(logits, 1)).sum() / 3 - (by_caption * _log_softmax(logits.T, 1)).sum() / 3
    found = _losses(CONFIG, _batch())
    assert found == {"contrastive": pytest.approx(wanted / 2, rel=1e-5)}
    sounds, captions = (torch.tensor([rows[0] for rows in side]) for side in (SOUNDS, CAPTIONS))
    even = contrastive_loss(sounds, captions, torch.from_numpy(CHAIN), 0.5).item()
    assert abs(even - found["contrastive"]) > 1e-3


def test_where_belonging_together_is_transitive_both_directions_share_evenly() -> None:
    pairs = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
    sounds, captions = (torch.tensor([rows[0] for rows in side]) for side in (SOUNDS, CAPTIONS))
    wanted = contrastive_loss(sounds, captions, torch.from_numpy(pairs), 0.5).item()
    assert _losses(CONFIG, _batch(pairs))["contrastive"] == pytest.approx(wanted, rel=1e-6)


def test_the_teacher_softens_the_target() -> None:
    chances = 1 / (1 + np.exp(-np.array(TAG_LOGITS)))
    alike = np.sqrt(chances / chances.sum(axis=1, keepdims=True))  # square roots of chances, to unit length
    soft = _softmax(alike @ alike.T / 0.1)
    known = np.eye(3)
    found = _targets(replace(CONFIG, soft_weight=0.3), _batch(np.eye(3, dtype=bool)))
    np.testing.assert_allclose(found, 0.7 * known + 0.3 * soft, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)


def test_captions_alike_take_their_share_of_what_the_teacher_left() -> None:
    config = replace(CONFIG, soft_weight=0.3, caption_weight=0.2)
    before = _targets(replace(config, caption_weight=0.0), _batch())
    captions = np.array([rows[0] for rows in CAPTIONS])
    wanted = 0.8 * before + 0.2 * _softmax(captions @ captions.T / 0.1)
    np.testing.assert_allclose(_targets(config, _batch()), wanted, rtol=1e-4, atol=1e-6)


class Elsewhere(Memory):
    """Rows on another device than their lengths."""

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        rows, lengths = super().batch(indices)
        return rows.to("meta"), lengths


def test_captions_alike_are_found_where_their_states_are() -> None:
    data, config = _data(), replace(CONFIG, caption_weight=0.4)
    elsewhere = replace(data, states=Elsewhere([np.array(rows, np.float32) for rows in CAPTIONS]))
    found = Objective(config, elsewhere)._targets(_batch(), torch.from_numpy(CHAIN).to("meta"))
    assert (found.device.type, found.shape) == ("meta", (3, 3))


@pytest.mark.parametrize("tags_per_step", [3, 128])
def test_the_tag_loss_hears_every_worded_tag(tags_per_step: int) -> None:
    """Two directions of KL divergence, from what the teacher says of the three worded tags; they start at 0.07."""
    config = replace(CONFIG, losses=(), tag_weight=0.5, tag_sharpness=2.0, tags_per_step=tags_per_step)
    sounds = np.array([rows[0] for rows in SOUNDS])
    scores = sounds @ np.array([rows[0] for rows in TAG_WORDINGS]).T / 0.07
    taught = 2.0 * np.array(TAG_LOGITS)[:, [0, 2, 3]]
    parts = [
        (_softmax(taught, axis) * (_log_softmax(taught, axis) - _log_softmax(scores, axis))).sum() / 3
        for axis in (1, 0)
    ]
    assert _losses(config, _batch()) == {"tag": pytest.approx(0.5 * sum(parts) / 2, rel=1e-4)}


def test_a_step_hears_no_more_tags_than_it_may() -> None:
    config = replace(CONFIG, losses=(), tag_weight=1.0, tags_per_step=1)
    (loss,) = _losses(config, _batch()).values()
    data = _data()
    sounds = np.array([rows[0] for rows in SOUNDS])
    possible = []
    for tag, row in ((0, 0), (2, 1), (3, 2)):  # over a single tag a softmax is 1, so only sounds are told apart
        scores = sounds @ np.array(TAG_WORDINGS[row][0]) / 0.07
        assert data.tag_logits is not None
        taught = data.tag_logits[:, tag].astype(np.float64)
        possible.append((_softmax(taught, 0) * (_log_softmax(taught, 0) - _log_softmax(scores, 0))).sum() / 2)
    assert min(abs(loss - value) for value in possible) < 1e-4
    assert len({round(value, 3) for value in possible}) == 3


def test_the_losses_that_a_configuration_names() -> None:
    everything = replace(CONFIG, losses=("triplet", "contrastive"), tag_weight=1.0)
    assert list(_losses(everything, _batch())) == ["triplet", "contrastive", "tag"]
    assert list(_losses(replace(CONFIG, losses=("triplet",)), _batch())) == ["triplet"]


def test_a_learned_temperature_starts_where_a_fixed_one_stays_and_keeps_within_reason() -> None:
    learned = replace(CONFIG, learned_temperature=True)
    assert _losses(learned, _batch()) == pytest.approx(_losses(CONFIG, _batch()))
    objective = Objective(learned, _data())
    objective(RetrievalModel(learned, _data()), _batch(), np.random.default_rng(0))["contrastive"].backward()
    assert objective.log_temperature.grad is not None
    for far, kept in ((-20.0, 0.01), (20.0, 1.0)):
        with torch.no_grad():
            objective.log_temperature.fill_(far)
            objective.log_tag_temperature.fill_(far)
        objective.clamp()
        assert [value.exp().item() for value in objective.parameters()] == pytest.approx([kept, kept])


def test_chained_rows_are_one_sound_with_one_caption_and_both_sounds_tags() -> None:
    """Sound 0 is followed by sound 2, whose two frames weigh twice as much in the mean."""
    batch = _batch(np.eye(3, dtype=bool), second=(2, -1, -1))
    objective = Objective(CONFIG, _data())
    rng = np.random.default_rng(0)
    frames, lengths = objective._frames(batch, rng)
    assert lengths.tolist() == [3, 1, 2]
    np.testing.assert_allclose(frames[0], SOUNDS[0] + SOUNDS[2], rtol=1e-6)
    np.testing.assert_allclose(frames[1], SOUNDS[1] + [[0.0] * 3] * 2, rtol=1e-6)
    states, lengths = objective._states(batch, rng)
    assert lengths.tolist() == [2, 1, 1]
    np.testing.assert_allclose(states[0], CAPTIONS[0] + CAPTIONS[2], rtol=1e-6)
    np.testing.assert_allclose(objective._logits(batch), [[2.0, 0.0, 1.5, 3.0], *TAG_LOGITS[1:]], rtol=1e-6)
    sounds = np.array([[1 / 3, 0.4, 1.6 / 3], SOUNDS[1][0], SOUNDS[2][0]])
    captions = np.array([[0.4, 0.3, 0.5], CAPTIONS[1][0], CAPTIONS[2][0]])
    sounds, captions = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (sounds, captions))
    logits = sounds @ captions.T / 0.5
    wanted = -(np.trace(_log_softmax(logits, 1)) + np.trace(_log_softmax(logits, 0))) / 6
    assert _losses(CONFIG, batch) == {"contrastive": pytest.approx(wanted, rel=1e-5)}


def test_long_batches_encoded_in_parts_come_back_in_order() -> None:
    """Of 64 rows of many lengths, which are encoded sorted by length and in parts."""
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(1, 9, size=64))
    rows = torch.from_numpy(rng.standard_normal((64, 8, 3)).astype(np.float32))
    sizes: list[int] = []

    def encode(part: Tensor, valid: Tensor) -> Tensor:
        sizes.append(part.shape[1])
        return torch.stack([row[: int(count)].mean(dim=0) for row, count in zip(part, valid, strict=True)])

    found = Objective(CONFIG, _data())._encode(encode, rows, lengths)
    assert len(sizes) == 4
    assert sizes[0] < sizes[-1] == 8
    torch.testing.assert_close(found, encode(rows, lengths))
