"""The running mean of a model's weights over its training: what is evaluated and kept (Polyak & Juditsky 1992)."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def update_ema(mean: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move ``mean`` towards ``model`` by all but the share ``decay`` of the way, in the first steps by more.

    What is not floating point, such as a count, is copied. ``step`` counts from 0.
    """
    decay = min(decay, (1 + step) / (10 + step))
    pairs = list(zip(mean.state_dict().values(), model.state_dict().values(), strict=True))
    floating = [pair for pair in pairs if pair[0].is_floating_point()]
    if floating:  # nothing is, where encoders are frozen and there are no layers
        update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        update([kept for kept, _ in floating], [new for _, new in floating], None)
    for kept, new in pairs:
        if not kept.is_floating_point():
            kept.copy_(new)
