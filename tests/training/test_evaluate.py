"""Evaluation through an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.training import evaluate
from engine.training.data import RetrievalSet
from tests.training.tiny import tone

Vectors = NDArray[np.float32]


class PitchEncoder:
    """Two dimensions: "low" and "high"; a sound lies by how often it crosses zero."""

    sample_rate_hz = 8000

    def text_vectors(self, captions: Sequence[str]) -> Vectors:
        return np.array([[1.0, 0.0] if caption == "low" else [0.0, 1.0] for caption in captions], dtype=np.float32)

    def embed(self, waveform: NDArray[np.float32]) -> Vectors:
        crossings = float(np.abs(np.diff(np.signbit(waveform).astype(int))).mean())
        return np.array([[1.0 - crossings, crossings], [0.0, 0.0]], dtype=np.float32)


def test_captions_find_their_files(tmp_path: Path) -> None:
    files = tuple(tone(tmp_path / f"{hz}.wav", hz, 0.3, 8000) for hz in (100, 3000, 150))
    wanted = RetrievalSet(files, ("high", "low"), ((1,), (0, 2)))
    encoder = PitchEncoder()
    steps: list[int] = []
    found = evaluate.evaluate(wanted, encoder, encoder.embed, lambda done, total: steps.append(done))
    assert found.map_all == 1.0
    assert found.recall_at_1 == pytest.approx(0.75)
    assert steps == [1, 2, 3]


def test_a_file_counts_by_its_best_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "MATRIX_CELLS", 3)
    text = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    segments = [np.array([[0.1, 0.9], [0.8, 0.0]], np.float32), np.array([[0.5, 0.5]], np.float32)]
    np.testing.assert_allclose(evaluate.best_segment_scores(text, segments), [[0.8, 0.5], [0.9, 0.5]])


def test_caption_vectors_keep_their_order() -> None:
    captions = ["high", "low"] * 40 + ["high"]
    found = evaluate.caption_vectors(captions, PitchEncoder())
    assert found[:, 1].tolist() == [1.0, 0.0] * 40 + [1.0]
