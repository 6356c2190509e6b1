"""What training minimises: the losses of one batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.precision import reduced_precision
from engine.training import losses
from engine.training.config import TrainConfig
from engine.training.data.examples import Batch, TrainSet
from engine.training.data.rows import concatenate, crop, draw, drop_tokens
from engine.training.networks.model import RetrievalModel

PARTS = 6
"""A batch is encoded in at most this many parts of like length. A GPU is quicker with the padding, and gets it whole
unless an encoder is trained, whose batch norms may learn from what they are given together.
"""


class Objective(nn.Module):
    """The losses that a configuration names, with their learned temperatures."""

    def __init__(self, config: TrainConfig, data: TrainSet) -> None:
        super().__init__()
        self.config = config
        self.data = data
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.temperature)))
        self.log_tag_temperature = nn.Parameter(torch.tensor(math.log(0.07)))
        self._tags = np.array([index for index, rows in enumerate(data.wordings) if len(rows)], dtype=np.int64)

    def forward(self, model: RetrievalModel, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        """Each loss by name, scalars to be summed."""
        config = self.config
        frames, frame_lengths = self._frames(batch, rng)
        states, state_lengths = self._states(batch, rng)
        audio = self._encode(model.audio, frames, frame_lengths)
        text = self._encode(model.text, states, state_lengths)
        positives = torch.from_numpy(batch.positives).to(audio.device)
        found: dict[str, Tensor] = {}
        if "triplet" in config.losses:
            found["triplet"] = losses.triplet_loss(audio, text, positives, config.margin, config.negatives)
        if "contrastive" in config.losses:
            temperature = self.log_temperature.exp() if config.learned_temperature else config.temperature
            targets = self._targets(batch, positives)
            found["contrastive"] = losses.soft_contrastive_loss(audio, text, targets, temperature)
        if config.tag_weight > 0:
            found["tag"] = config.tag_weight * self._tag_loss(model, audio, batch, rng)
        return found

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep the temperatures within reason, after a step."""
        self.log_temperature.clamp_(math.log(0.01), math.log(1.0))
        self.log_tag_temperature.clamp_(math.log(0.01), math.log(1.0))

    def _frames(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        frames, lengths = self.data.frames.batch(batch.sounds)
        chained = batch.second_sounds >= 0
        if chained.any():
            frames, lengths = concatenate(frames, lengths, batch.second_sounds)
        if self.config.crop_frames and frames.shape[1] > self.config.crop_frames:
            frames, lengths = crop(frames, lengths, self.config.crop_frames, rng)
        return F.dropout(frames, self.config.frame_dropout), lengths

    def _states(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        states, lengths = self.data.states.batch(batch.captions)
        if (batch.second_sounds >= 0).any():
            states, lengths = concatenate(states, lengths, batch.second_sounds)
        return drop_tokens(states, lengths, self.config.token_dropout, rng)

    def _targets(self, batch: Batch, positives: Tensor) -> Tensor:
        """Contrastive targets (sounds, captions), rows summing to 1.

        A sound shares its target evenly among the captions that are its positives. ``soft_contrastive_loss`` takes
        these rows as they are for sounds against captions; for captions against sounds it scales the columns *of these
        rows* to sum to 1. So a caption gives a sound with few positives more than one with many, unlike in
        ``contrastive_loss``, where either side shares evenly; the two are one where belonging together is transitive.

        ``soft_weight`` first mixes in a softmax, at temperature 0.1, of how alike the sounds' tags are: the cosine of
        the square roots of their probabilities. ``caption_weight`` then mixes into all of that a softmax, at the same
        temperature, of the cosine between the captions' mean token states. A chained row has the tags of both its
        sounds, but only the first caption counts there.
        """
        config = self.config
        known = positives.float() / positives.sum(dim=1, keepdim=True)
        if config.soft_weight > 0:
            logits = self._logits(batch).to(known.device)
            alike = F.normalize(logits.sigmoid().sqrt(), dim=1)
            soft = (alike @ alike.T / 0.1).softmax(dim=1)
            known = (1.0 - config.soft_weight) * known + config.soft_weight * soft
        if config.caption_weight > 0:
            states, _ = self.data.states.batch(batch.captions)
            mean = F.normalize(states.sum(dim=1), dim=1).to(known.device)  # of any length, it points the same way
            soft = (mean @ mean.T / 0.1).softmax(dim=1)
            known = (1.0 - config.caption_weight) * known + config.caption_weight * soft
        return known

    def _logits(self, batch: Batch) -> Tensor:
        assert self.data.tag_logits is not None
        logits = self.data.tag_logits[batch.sounds]
        chained = batch.second_sounds >= 0
        others = logits[np.maximum(batch.second_sounds, 0)]
        return torch.from_numpy(np.where(chained[:, None], np.maximum(logits, others), logits))

    def _tag_loss(self, model: RetrievalModel, audio: Tensor, batch: Batch, rng: np.random.Generator) -> Tensor:
        tags = rng.permutation(self._tags)[: self.config.tags_per_step]
        states, lengths = self.data.states.batch(draw(self.data.wordings, tags, rng))
        text = self._encode(model.text, *drop_tokens(states, lengths, self.config.token_dropout, rng))
        logits = self._logits(batch)[:, tags].to(audio.device)
        return losses.tag_loss(audio, text, logits, self.log_tag_temperature.exp(), self.config.tag_sharpness)

    def _encode(self, encode: Callable[[Tensor, Tensor], Tensor], rows: Tensor, lengths: Tensor) -> Tensor:
        """``encode`` in a few parts of like length, so that little padding is computed: unit vectors (batch, dim)."""
        device = self.log_temperature.device
        with reduced_precision(device, self.config.reduced_precision):
            if device.type != "cpu" and self.data.audio_encoder is None and self.data.text_encoder is None:
                return encode(rows, lengths).float()
            order = lengths.argsort(stable=True)
            parts = []
            for part in order.tensor_split(max(1, min(PARTS, len(order) // 16))):
                longest = int(lengths[part].max())
                parts.append(encode(rows[part, :longest], lengths[part]).float())
        return torch.cat(parts)[order.argsort()]
