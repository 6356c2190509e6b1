"""Where training may compute in bf16."""

from __future__ import annotations

import torch


def reduced(device: torch.device | str, wanted: bool = True) -> torch.autocast:
    """A context that computes in bf16 if that is wanted and ``device`` is quick at it.

    Processors without AVX-512 and NVIDIA's GPUs before Ampere only imitate bf16, which takes them many times as long as
    fp32.
    """
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=wanted and _is_quick(kind))


def _is_quick(kind: str) -> bool:
    if kind == "cpu":
        return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return kind != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
