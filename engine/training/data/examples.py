"""What is learned from, and the batches drawn from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.models.cnn import Cnn
from engine.models.text import TextEncoder
from engine.training.config import TrainConfig
from engine.training.data.rows import Indices, Rows, draw
from engine.training.networks.crnn import Crnn

AudioEncoder = Cnn | Crnn


@dataclass(frozen=True)
class TrainSet:
    """What is learned from.

    Attributes:
        frames: Audio frames, a row a sound; log-mel frames where ``audio_encoder`` is trained too.
        states: Token states, a row a caption; token numbers where ``text_encoder`` is trained too.
        captions: For each sound the rows of its captions; a caption that occurs twice is twice as likely.
        groups: Sounds of one group (takes of one sound) are positives of each other; negative: of no group.
        weights: How often each sound is drawn when balancing.
        tag_logits: A teacher's logits (sounds, tags), where soft targets or the tag loss are used.
        wordings: For each tag of ``tag_logits`` the caption rows that word it; a tag without any is left out.
        audio_encoder: The audio encoder, where it is trained.
        text_encoder: The text encoder, where it is trained.
        start: Weights that the tied layers start from; None to start at random.
    """

    frames: Rows
    states: Rows
    captions: Sequence[Indices]
    groups: Indices
    weights: NDArray[np.float64]
    tag_logits: NDArray[np.float32] | None = None
    wordings: Sequence[Indices] = ()
    audio_encoder: AudioEncoder | None = None
    text_encoder: TextEncoder | None = None
    start: Mapping[str, Tensor] | None = None

    @property
    def widths(self) -> tuple[int, int]:
        """Of what reaches the tied layers: audio frames and token states."""
        audio, text = self.audio_encoder or self.frames, self.text_encoder or self.states
        return audio.width, text.width


@dataclass
class Batch:
    """Drawn examples: rows of sounds and captions, and which of them belong together."""

    sounds: Indices
    captions: Indices
    second_sounds: Indices
    positives: NDArray[np.bool_]


def batches(config: TrainConfig, data: TrainSet, rng: np.random.Generator) -> Iterator[Batch]:
    """The batches of one epoch."""
    if config.draw == "every":
        sounds = np.repeat(np.arange(len(data.captions)), [len(rows) for rows in data.captions])
        captions = np.concatenate(list(data.captions))
    else:
        sounds = np.array([index for index, rows in enumerate(data.captions) if len(rows)], dtype=np.int64)
        if config.balance:
            chances = data.weights[sounds] / data.weights[sounds].sum()
            sounds = rng.choice(sounds, size=len(sounds), p=chances)
        captions = draw(data.captions, sounds, rng)
    order = rng.permutation(len(sounds))
    for start in range(0, len(order), config.batch_size):
        part = order[start : start + config.batch_size]
        if len(part) > 1 or start == 0:
            yield batch_of(config, data, sounds[part], captions[part], rng)


def batches_per_epoch(config: TrainConfig, data: TrainSet) -> int:
    """How many batches :func:`batches` gives."""
    drawn = sum(len(rows) if config.draw == "every" else len(rows) > 0 for rows in data.captions)
    whole_ones, left = divmod(drawn, config.batch_size)
    return max(1, whole_ones + (left > 1))


def batch_of(
    config: TrainConfig, data: TrainSet, sounds: Indices, captions: Indices, rng: np.random.Generator
) -> Batch:
    """A batch of these sounds and captions: what belongs together, and what is put after what."""
    groups = data.groups[sounds]
    same_sound = sounds[:, None] == sounds[None]
    same_group = (groups[:, None] == groups[None]) & (groups[:, None] >= 0)
    positives = same_sound | same_group | (captions[:, None] == captions[None])
    second = np.full(len(sounds), -1, dtype=np.int64)
    chained = rng.random(len(sounds)) < config.chain_chance
    if chained.any():
        second[chained] = rng.permutation(len(sounds))[chained]
        positives[chained] = positives[:, chained] = False
        np.fill_diagonal(positives, val=True)
    return Batch(sounds, captions, second, positives)
