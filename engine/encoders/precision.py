"""Where bf16 is worth trying."""

from __future__ import annotations

import platform

import torch


def imitates_bf16(kind: str) -> bool:
    """Whether a kind of device (``cpu``, ``cuda`` or ``mps``) has no instructions for bf16 and only imitates it.

    That is so of x86 processors without AVX-512 and of NVIDIA's GPUs before Ampere, and takes many times as long as
    fp32.
    """
    if kind == "cpu":
        is_x86 = platform.machine().lower() in ("x86_64", "amd64")
        return is_x86 and not torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return kind == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)


def reduced(device: torch.device | str, wanted: bool = True) -> torch.autocast:
    """A context that computes in bf16 if that is wanted and ``device`` does not just imitate it."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=wanted and not imitates_bf16(kind))
