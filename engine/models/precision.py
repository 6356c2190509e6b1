"""Where bf16 is worth trying."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import torch

BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
"""Of x86 processors, as PyTorch names them."""


def imitates_bf16(kind: str) -> bool:
    """Whether a kind of device (``cpu``, ``cuda`` or ``mps``) has no instructions for bf16 and only imitates it.

    That is so of x86 processors before Cooper Lake, Sapphire Rapids and Zen 4, and of NVIDIA's GPUs before Ampere, and
    takes up to many times as long as fp32. A PyTorch that cannot tell what an x86 processor has is taken for one that
    would imitate it: fp32 is right everywhere.
    """
    if kind == "cpu":
        is_x86 = platform.machine().lower() in ("x86_64", "amd64")
        return is_x86 and not any(_capabilities().get(name) for name in BF16_INSTRUCTIONS)
    return kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)


def _capabilities() -> Mapping[str, Any]:
    known = getattr(torch.cpu, "get_capabilities", None)  # the oldest PyTorch that is allowed lacks it
    return {} if known is None else known()


def reduced_precision(device: torch.device | str, wanted: bool = True) -> torch.autocast:
    """A context that computes in bf16 if that is wanted and ``device`` does not just imitate it."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=wanted and not imitates_bf16(kind))
