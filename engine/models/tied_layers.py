"""Converging tied layers (Koh & Chng 2022): one set of layers for audio frames and for text token states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TiedConfig:
    """Shape of the tied layers.

    ``kind`` is ``"transformer"`` (the paper's default: 2 layers of 192-d, also 4 layers of 96-d) or ``"linear"`` (its
    comparison), or ``"none"``: states of equal width are pooled as they are, as in the baseline of DCASE 2022 task 6b.
    ``pooling`` is the paper's mean over unmasked positions, or attention with one learned query.
    """

    audio_dim: int
    text_dim: int
    dim: int = 192
    layers: int = 2
    heads: int = 4
    feedforward: int = 768
    dropout: float = 0.2
    kind: Literal["transformer", "linear", "none"] = "transformer"
    pooling: Literal["mean", "attention"] = "mean"


class TiedLayers(nn.Module):
    """Projects either modality to ``dim``, runs the same layers over it, pools, and normalises to unit length."""

    def __init__(self, config: TiedConfig) -> None:
        super().__init__()
        self.config = config
        if config.kind != "none":
            self.audio_projection = nn.Linear(config.audio_dim, config.dim)
            self.text_projection = nn.Linear(config.text_dim, config.dim)
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.layers if config.kind != "none" else 0))
        if config.pooling == "attention":
            self.query = nn.Linear(config.dim, 1)

    def audio(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Audio frames (batch, time, audio_dim), valid frames (batch,) -> unit vectors (batch, dim)."""
        return self._encode(frames if self.config.kind == "none" else self.audio_projection(frames), lengths)

    def text(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Token states (batch, tokens, text_dim), valid tokens (batch,) -> unit vectors (batch, dim)."""
        return self._encode(states if self.config.kind == "none" else self.text_projection(states), lengths)

    def _encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        padding = torch.arange(x.shape[1], device=x.device) >= lengths.to(x.device)[:, None]
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding) if isinstance(layer, nn.TransformerEncoderLayer) else layer(x)
        if self.config.pooling == "attention":
            weights = self.query(x).masked_fill(padding[..., None], float("-inf")).softmax(dim=1)
        else:
            valid = (~padding).to(x.dtype)[..., None]
            weights = valid / valid.sum(dim=1, keepdim=True)
        return F.normalize((x.masked_fill(padding[..., None], 0.0) * weights).sum(dim=1), dim=-1)


def _layer(config: TiedConfig) -> nn.Module:
    if config.kind == "linear":
        return nn.Sequential(nn.Linear(config.dim, config.dim), nn.Dropout(config.dropout))
    return nn.TransformerEncoderLayer(
        config.dim, config.heads, config.feedforward, config.dropout, activation="gelu", batch_first=True
    )
