"""Plots of a training's history."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.training.measure.plot import plot_history

HISTORY = [
    {"epoch": epoch, "loss_triplet": 1 / epoch, "val": {"map_all": epoch / 9, "recall_at_10": epoch / 5}}
    for epoch in (1, 2, 3)
]


def test_a_history_becomes_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="an optional dependency")
    path = plot_history(HISTORY, tmp_path / "history.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(KnownError, match="pip install"):
        plot_history(HISTORY, tmp_path / "history.png")
