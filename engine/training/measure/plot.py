"""A training's history as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import ErrorKind, KnownError


def plot_history(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Losses and mean average precision over epochs, as a PNG.

    Args:
        history: Lines of ``history.jsonl`` (``engine.training.train.train``).
        path: Where the PNG goes.

    Raises:
        KnownError: ``plot_missing`` when matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KnownError(
            ErrorKind.PLOT_MISSING,
            "Plots need matplotlib.",
            'Install it with: python -m pip install -c constraints.txt -e ".[train]"',
        ) from error
    epochs = [line["epoch"] for line in history]
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for name in [name for name in history[0] if name.startswith("loss_")]:
        losses.plot(epochs, [line[name] for line in history], label=name.removeprefix("loss_"))
    for name in [name for name, value in history[0].items() if isinstance(value, Mapping)]:
        scores.plot(epochs, [line[name]["map_all"] for line in history], label=f"{name}: mAP")
        scores.plot(epochs, [line[name]["recall_at_10"] for line in history], "--", label=f"{name}: R@10")
    for axes, title in ((losses, "Losses in training"), (scores, "Validation")):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    return path
