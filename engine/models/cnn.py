"""CNN10 and CNN14 (Kong et al. 2020): log-mel -> a sequence of frame features; CNN10 as published twice.

They are one stack of blocks, of which ``pack.json`` gives the shape; so a pack can hold either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@dataclass(frozen=True)
class CnnConfig:
    """Shape of a stack of convolution blocks.

    ``pools`` gives (time, frequency) pooling after each block. ``input_norm`` adds PANNs' ``bn0`` over mel bands.
    """

    n_mels: int
    widths: tuple[int, ...]
    pools: tuple[tuple[int, int], ...]
    pool_kind: Literal["average", "max"]
    input_norm: bool

    @property
    def time_stride(self) -> int:
        """Log-mel frames per output frame."""
        stride = 1
        for time_pool, _ in self.pools:
            stride *= time_pool
        return stride


PANNS_CNN10 = CnnConfig(64, (64, 128, 256, 512), ((2, 2),) * 4, "average", True)
PANNS_CNN14 = CnnConfig(64, (64, 128, 256, 512, 1024, 2048), (*((2, 2),) * 5, (1, 1)), "average", True)
AISFX_CNN10 = CnnConfig(96, (64, 128, 256, 512), ((2, 2), (2, 2), (2, 2), (1, 1)), "max", False)


@dataclass(frozen=True)
class Mask:
    """Which frames of a padded batch are valid: (batch, 1, frames, 1), and the length of its shortest row."""

    valid: Tensor
    shortest: int

    @classmethod
    def of(cls, lengths: Tensor, x: Tensor) -> Mask | None:
        """The mask for ``x`` (batch, channels, frames, bands), whose rows have these lengths (batch,).

        None where nothing is padding; with lengths on the CPU, a GPU is not waited for to find that out.
        """
        frames = x.shape[2]
        shortest = int(lengths.min())
        if shortest >= frames:
            return None
        valid = torch.arange(frames, device=x.device) < lengths.to(x.device)[:, None]
        return cls(valid[:, None, :, None], shortest)


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and ReLU; state-dict names are those of PANNs."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(out_channels)
        self.bn2: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, mask: Mask | None) -> Tensor:
        """(batch, channels, frames, bands) -> same size, with the padding at zero."""
        in_place = not torch.is_grad_enabled()  # a fifth quicker
        x = _masked(F.relu(self.bn1(self.conv1(x)), in_place), mask)
        return _masked(F.relu(self.bn2(self.conv2(x)), in_place), mask)

    def fuse(self) -> None:
        """Fold batch norm into the convolutions (inference only)."""
        for conv, norm in (("conv1", "bn1"), ("conv2", "bn2")):
            setattr(self, conv, fuse_conv_bn_eval(getattr(self, conv), getattr(self, norm)))
            setattr(self, norm, nn.Identity())


class Cnn(nn.Module):
    """Convolution blocks over log-mel; frequency is averaged away, time is kept.

    ``Encoder_A`` of Koh & Chng 2022: the CNN without its classifier.
    """

    def __init__(self, config: CnnConfig) -> None:
        super().__init__()
        self.config = config
        if config.input_norm:
            self.bn0 = nn.BatchNorm2d(config.n_mels)
        channels = (1, *config.widths)
        for index in range(len(config.widths)):
            self.add_module(f"conv_block{index + 1}", ConvBlock(channels[index], channels[index + 1]))

    @property
    def width(self) -> int:
        """Width of an output frame."""
        return self.config.widths[-1]

    @property
    def blocks(self) -> list[ConvBlock]:
        return [module for module in self.children() if isinstance(module, ConvBlock)]

    def forward(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, n_mels), valid frames (batch,) -> (batch, frames / stride, width), valid frames (batch,).

        Padding is masked after every layer, so a row of a padded batch equals the same row run alone.
        Every length must be at least ``config.time_stride``.
        """
        x = log_mel.unsqueeze(1)
        if self.config.input_norm:
            x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        x = x.contiguous(memory_format=torch.channels_last)
        mask = Mask.of(lengths, x)
        x = x if mask is None else x * mask.valid
        pool = F.avg_pool2d if self.config.pool_kind == "average" else F.max_pool2d
        for block, size in zip(self.blocks, self.config.pools, strict=True):
            x = block(x, mask)
            if size != (1, 1):
                x = pool(x, size)
                lengths = lengths // size[0]
                mask = Mask.of(lengths, x)
                x = _masked(x, mask)  # the odd frame that a row run alone would drop
        return x.mean(dim=3).transpose(1, 2).float(), lengths

    def fuse(self) -> Cnn:
        """Fold batch norms into convolutions, weights channels last; the model is then for inference only."""
        self.eval()
        for block in self.blocks:
            block.fuse()
        for parameter in self.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        return self


def _masked(x: Tensor, mask: Mask | None) -> Tensor:
    if mask is None:
        return x
    if torch.is_grad_enabled():
        return x * mask.valid
    x[:, :, mask.shortest :].mul_(mask.valid[:, :, mask.shortest :])  # all rows are valid before
    return x
