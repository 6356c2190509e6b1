"""Metrics, by hand and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_precision, retrieval_recall

from engine.training.measure.metrics import Mask, Scores, retrieval_metrics


def _random(captions: int, files: int, relevant_per_caption: int) -> tuple[Scores, Mask]:
    rng = np.random.default_rng(captions + files)
    scores = rng.random((captions, files), dtype=np.float32)  # torchmetrics drops targets scored 0 or less
    relevant = np.zeros((captions, files), dtype=np.bool_)
    for row in relevant:
        row[rng.choice(files, size=relevant_per_caption, replace=False)] = True
    return scores, relevant


def test_by_hand() -> None:
    """Ranks of the relevant files: caption 0 at 1 and 3, caption 1 at 2."""
    scores = np.array([[0.9, 0.5, 0.8], [0.1, 0.7, 0.4]])
    relevant = np.array([[True, True, False], [False, False, True]])
    found = retrieval_metrics(scores, relevant)
    assert found.recall_at_1 == pytest.approx((0.5 + 0.0) / 2)
    assert found.recall_at_5 == 1.0
    assert found.map_at_10 == pytest.approx(((1 / 1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert found.map_all == found.map_at_10
    assert found.precision_at_10 == pytest.approx((0.2 + 0.1) / 2)
    assert found.accuracy == pytest.approx(1 / 3)


def test_dcase_with_one_relevant_file_against_torchmetrics() -> None:
    """DCASE 2022 task 6b: every caption has one file; mAP@10 is then the mean of 1 / rank within the first ten."""
    scores, relevant = _random(60, 40, 1)
    found = retrieval_metrics(scores, relevant)
    ranks = (scores > scores[relevant][:, None]).sum(axis=1) + 1
    assert found.map_at_10 == pytest.approx(np.where(ranks <= 10, 1 / ranks, 0).mean())
    _agrees_with_torchmetrics(scores, relevant)


def test_many_relevant_files_against_torchmetrics() -> None:
    scores, relevant = _random(30, 50, 7)
    _agrees_with_torchmetrics(scores, relevant)


def _agrees_with_torchmetrics(scores: Scores, relevant: Mask) -> None:
    found = retrieval_metrics(scores, relevant)
    rows = list(zip(torch.from_numpy(scores), torch.from_numpy(relevant), strict=True))
    for k, value in ((1, found.recall_at_1), (5, found.recall_at_5), (10, found.recall_at_10)):
        assert value == pytest.approx(np.mean([retrieval_recall(s, r, top_k=k).item() for s, r in rows]), abs=1e-6)
    precision = np.mean([retrieval_precision(s, r, top_k=10).item() for s, r in rows])
    assert found.precision_at_10 == pytest.approx(precision, abs=1e-6)
    everything = np.mean([retrieval_average_precision(s, r).item() for s, r in rows])
    assert found.map_all == pytest.approx(everything, abs=1e-6)
    if int(relevant.sum(axis=1).max()) == 1:
        first_ten = np.mean([retrieval_average_precision(s, r, top_k=10).item() for s, r in rows])
        assert found.map_at_10 == pytest.approx(first_ten, abs=1e-6)


def test_map_at_10_counts_only_what_could_stand_there() -> None:
    """With 12 relevant files all in front, the first ten places are full: 1, though two relevant ones lie behind."""
    scores = np.arange(20, 0, -1, dtype=np.float32)[None]
    relevant = np.arange(20)[None] < 12
    found = retrieval_metrics(scores, relevant)
    assert found.map_at_10 == 1.0
    assert found.recall_at_10 == pytest.approx(10 / 12)


def test_ties_rank_in_file_order_and_captions_without_files_are_left_out() -> None:
    scores = np.zeros((2, 3), dtype=np.float32)
    relevant = np.array([[False, True, False], [False, False, False]])
    found = retrieval_metrics(scores, relevant)
    assert found.captions == 1
    assert found.map_all == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("scores", "relevant", "message"),
    [
        (np.zeros((1, 2)), np.ones((2, 1), dtype=np.bool_), "alike"),
        (np.full((1, 2), np.nan), np.ones((1, 2), dtype=np.bool_), "NaN"),
        (np.zeros((1, 2)), np.zeros((1, 2), dtype=np.bool_), "no caption"),
    ],
)
def test_nonsense_is_refused(scores: Scores, relevant: Mask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval_metrics(scores, relevant)
