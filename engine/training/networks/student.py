"""The CNN that learns from a teacher, with the heads that it has only meanwhile, and how far it is from the teacher."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.cnn import Cnn
from engine.models.precision import reduced_precision
from engine.models.tied_layers import TiedLayers


class Losses(NamedTuple):
    """What a batch cost, each a scalar: frames and vectors one minus the cosine, tags the binary cross-entropy."""

    frames: Tensor
    tags: Tensor
    vectors: Tensor


class Examples(NamedTuple):
    """A batch, and what the teacher says of it.

    Attributes:
        log_mel: (batch, time, n_mels).
        lengths: Valid frames of each row, (batch,).
        frames: The teacher's, (batch, t, teacher_width).
        tags: The teacher's probabilities, (batch, classes).
        vectors: Those of the tied layers on the teacher's frames, (batch, dim), where there are such layers.
    """

    log_mel: Tensor
    lengths: Tensor
    frames: Tensor
    tags: Tensor
    vectors: Tensor | None


class Student(nn.Module):
    """A CNN and its heads: frames and tags like the teacher's and, given tied layers, the teacher's vectors.

    Args:
        cnn: The CNN.
        teacher_width: Width of the teacher's frames.
        classes: Number of the teacher's classes.
        layers: Tied layers trained on the teacher's frames. The student runs the same layers, frozen, behind an audio
            projection of its own, so that what was learned of captions holds for it too.
        frozen_blocks: So many of the CNN's first blocks stay as they are.
    """

    def __init__(
        self, cnn: Cnn, teacher_width: int, classes: int, layers: TiedLayers | None = None, frozen_blocks: int = 0
    ) -> None:
        super().__init__()
        self.cnn = cnn
        self._frozen_blocks = frozen_blocks
        for module in self._frozen:
            module.requires_grad_(False)
        self.to_frames = nn.Linear(cnn.width, teacher_width)
        self.to_tags = nn.Linear(cnn.width, classes)
        self.layers: TiedLayers | None = None
        if layers is not None:
            self.layers = copy.deepcopy(layers).requires_grad_(False)
            self.layers.audio_projection = nn.Linear(cnn.width, layers.config.dim)

    @property
    def heads(self) -> list[nn.Parameter]:
        """All that learns but the CNN."""
        return [value for name, value in self.named_parameters() if not name.startswith("cnn.") and value.requires_grad]

    def learning(self, norms: bool) -> Student:
        """In training mode but for what is frozen: the layers, the first blocks and, unless ``norms``, batch norm."""
        self.train()
        if self.layers is not None:
            self.layers.eval()
        for module in self._frozen if norms else self.cnn.modules():
            module.eval()
        return self

    @property
    def _frozen(self) -> list[nn.Module]:
        blocks: list[nn.Module] = list(self.cnn.blocks[: self._frozen_blocks])
        return [self.cnn.bn0, *blocks] if blocks and self.cnn.config.input_norm else blocks

    def losses(self, examples: Examples) -> Losses:
        """How far the student is from the teacher on a batch."""
        log_mel, lengths, frames, tags, vectors = examples
        with reduced_precision(log_mel.device):
            found, valid = self.cnn(log_mel, lengths)
        aligned = F.adaptive_avg_pool1d(found.transpose(1, 2), frames.shape[1]).transpose(1, 2)
        frame_loss = 1.0 - F.cosine_similarity(self.to_frames(aligned), frames, dim=-1).mean()
        tag_loss = F.binary_cross_entropy_with_logits(self.to_tags(found.mean(dim=1)), tags)
        vector_loss = torch.zeros((), device=frames.device)
        if self.layers is not None and vectors is not None:
            vector_loss = 1.0 - (self.layers.audio(found, valid) * vectors).sum(dim=-1).mean()
        return Losses(frame_loss, tag_loss, vector_loss)
