"""The audio encoder of the DCASE 2022 task 6b baseline: a small CNN and a recurrent layer, trained from scratch.

No pack can hold it: it is trained for comparison only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from engine.models.cnn import Mask
from engine.models.frontend import FrontendConfig

DCASE_BASELINE = FrontendConfig(44_100, 2048, 882, 64, 12.0, 8_000.0, "slaney", "slaney", "decibel", "constant", False)
"""The baseline of DCASE 2022 task 6b (Xie et al. 2022), but for its window: 1764 samples there, all of n_fft here."""

CHANNELS = (1, 32, 128, 128, 128, 128)
"""Of the input and after each convolution."""
POOLS = {0: (2, 4), 2: (2, 4), 4: (1, 4)}
"""(time, frequency) pooling after a convolution."""
NORM = 4.0
"""Exponent of the pooling's mean."""


@dataclass(frozen=True)
class CrnnConfig:
    """Mel bands (a multiple of 64) and the width of an output frame (even)."""

    n_mels: int = 64
    width: int = 300

    @property
    def time_stride(self) -> int:
        """Log-mel frames per output frame."""
        return 4


class Crnn(nn.Module):
    """Five convolutions with power-mean pooling, then a bidirectional GRU (Xu et al. 2020, as in Xie et al. 2022)."""

    def __init__(self, config: CrnnConfig) -> None:
        super().__init__()
        self.config = config
        pairs = list(pairwise(CHANNELS))
        self.norms = nn.ModuleList(nn.BatchNorm2d(before) for before, _ in pairs)
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1, bias=False) for before, after in pairs)
        self.dropout = nn.Dropout(0.3)
        self.recurrent = nn.GRU(
            CHANNELS[-1] * config.n_mels // 64, config.width // 2, bidirectional=True, batch_first=True
        )

    @property
    def width(self) -> int:
        """Width of an output frame."""
        return self.config.width

    def forward(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, n_mels), valid frames (batch,) -> (batch, frames / 4, width), valid frames (batch,).

        Padding is masked after every layer, so in evaluation a row of a padded batch equals the same row run alone.
        Every length must be at least 4.
        """
        x = log_mel.unsqueeze(1)
        mask = Mask.of(lengths, x)
        for index, (norm, convolution) in enumerate(zip(self.norms, self.convolutions, strict=True)):
            x = norm(x)
            x = F.leaky_relu(convolution(x if mask is None else x * mask.valid), 0.1)
            if index in POOLS:
                x = _power_pool(x, POOLS[index])
                lengths = lengths // POOLS[index][0]
                mask = Mask.of(lengths, x)
        x = self.dropout(x).transpose(1, 2).flatten(2)
        packed = pack_padded_sequence(x.float(), lengths.cpu(), batch_first=True, enforce_sorted=False)
        with torch.autocast(x.device.type, enabled=False):
            frames, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=x.shape[1])
        return frames, lengths


def _power_pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The baseline's pooling: the fourth root of the sum of fourth powers, its gradient finite where all are zero."""
    total = F.avg_pool2d(x.float().pow(NORM), size) * (size[0] * size[1])
    return total.clamp_min(1e-12).pow(1.0 / NORM)
