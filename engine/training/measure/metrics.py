"""Retrieval metrics: those of DCASE 2022 task 6b, and those for captions with many relevant files.

Scores are (captions, files), larger is better; ``relevant`` is a boolean mask of the same shape. Ties rank in the order
of the files, as in the app. Captions without a relevant file are left out; NaN scores are refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32] | NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RetrievalMetrics:
    """Means over captions.

    ``recall_at_k``: share of a caption's relevant files among the first k. With one relevant file per caption, as in
    DCASE 2022 task 6b, it is 1 or 0. ``map_at_10``: average precision over the first ten, divided by the number of
    relevant files that could stand there. ``map_all``: average precision over the whole ranking.
    ``precision_at_10``: share of the first ten files that are relevant. ``accuracy``: share of described files
    whose best caption is relevant (zero-shot classification when captions are classes).
    """

    captions: int
    files: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    map_at_10: float
    map_all: float
    precision_at_10: float
    accuracy: float

    def as_dict(self) -> dict[str, float | int]:
        """The fields by name."""
        return asdict(self)


def retrieval_metrics(scores: Scores, relevant: Mask) -> RetrievalMetrics:
    """All metrics of a score matrix.

    Raises:
        ValueError: when shapes differ, a score is NaN, or no caption has a relevant file.
    """
    if scores.shape != relevant.shape or scores.ndim != 2:
        raise ValueError(f"scores {scores.shape} and relevance {relevant.shape} must be alike, (captions, files)")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    asked = relevant.any(axis=1)
    if not asked.any():
        raise ValueError("no caption has a relevant file")
    hits = ranked_relevance(scores[asked], relevant[asked])
    files_asked = relevant.any(axis=0)
    best_caption = scores.argmax(axis=0)
    right = relevant[best_caption, np.arange(scores.shape[1])]
    return RetrievalMetrics(
        captions=int(asked.sum()),
        files=scores.shape[1],
        recall_at_1=float(recall_at(hits, 1).mean()),
        recall_at_5=float(recall_at(hits, 5).mean()),
        recall_at_10=float(recall_at(hits, 10).mean()),
        map_at_10=float(average_precision(hits, 10).mean()),
        map_all=float(average_precision(hits, hits.shape[1]).mean()),
        precision_at_10=float(precision_at(hits, 10).mean()),
        accuracy=float(right[files_asked].mean()),
    )


def ranked_relevance(scores: Scores, relevant: Mask) -> Mask:
    """Relevance of the files of each caption, best score first."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(relevant, order, axis=1)


def recall_at(hits: Mask, k: int) -> NDArray[np.float64]:
    """For each caption the share of its relevant files among the first k: hits are (captions, ranks)."""
    return np.asarray(hits[:, :k].sum(axis=1) / hits.sum(axis=1))


def precision_at(hits: Mask, k: int) -> NDArray[np.float64]:
    """For each caption the share of the first k places that are relevant; places past the last file are not."""
    return np.asarray(hits[:, :k].sum(axis=1) / k)


def average_precision(hits: Mask, k: int) -> NDArray[np.float64]:
    """For each caption: the mean, over its relevant files or k if that is fewer, of the precision where each stands.

    Files past place k add 0.
    """
    first = hits[:, :k]
    precision = first.cumsum(axis=1) / np.arange(1, first.shape[1] + 1)
    return np.asarray((precision * first).sum(axis=1) / np.minimum(hits.sum(axis=1), k))
