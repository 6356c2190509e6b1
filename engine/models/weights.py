"""Weights and the model that they are meant for."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

NAMED = 3
"""Most weights that are named of each kind of misfit."""


def describe_misfit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Which weights are missing, unknown or of another shape, in words; nothing where they fit."""
    kinds = {
        "missing": set(wanted) - set(found),
        "unknown": set(found) - set(wanted),
        "of another shape": {name for name in set(wanted) & set(found) if wanted[name].shape != found[name].shape},
    }
    return "; ".join(f"{kind}: {', '.join(sorted(names)[:NAMED])}" for kind, names in kinds.items() if names)
