"""How well captions find their sounds, through the app's own encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.training.data import RetrievalSet
from engine.training.features import load_mono
from engine.training.metrics import RetrievalMetrics, retrieval_metrics

Vectors = NDArray[np.float32]

CHUNK = 32
"""Captions or sounds encoded together."""
MATRIX_CELLS = 50_000_000
"""Largest score matrix made at once while looking for the best segment of each sound."""


class CaptionEncoder(Protocol):
    """What evaluation needs of ``engine.encoders.encoder.Encoder``."""

    @property
    def sample_rate_hz(self) -> int: ...

    def text_vectors(self, captions: Sequence[str]) -> Vectors: ...


EmbedSound = Callable[[NDArray[np.float32]], Vectors]
"""A mono waveform at the encoder's rate -> unit vectors of its segments (segments, dim)."""


def evaluate(
    wanted: RetrievalSet,
    encoder: CaptionEncoder,
    embed: EmbedSound,
    progress: Callable[[int, int], None] | None = None,
) -> RetrievalMetrics:
    """Metrics of every caption against every file; a file's score is that of its best segment, as in a search.

    Raises:
        KnownError: ``sound_unreadable`` when a file cannot be decoded.
    """
    segments: list[Vectors] = []
    for index, path in enumerate(wanted.files):
        segments.append(embed(load_mono(path, encoder.sample_rate_hz)))
        if progress is not None:
            progress(index + 1, len(wanted.files))
    return evaluate_vectors(caption_vectors(wanted.captions, encoder), segments, wanted)


def caption_vectors(captions: Sequence[str], encoder: CaptionEncoder) -> Vectors:
    """Unit vectors (captions, dim), in order, encoded beside captions of like length."""
    order = sorted(range(len(captions)), key=lambda index: len(captions[index]))
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    parts = [encoder.text_vectors([captions[index] for index in chunk]) for chunk in chunks]
    result = np.empty((len(captions), parts[0].shape[1]), np.float32)
    result[order] = np.concatenate(parts)
    return result


def evaluate_vectors(text: Vectors, segments: Sequence[Vectors], wanted: RetrievalSet) -> RetrievalMetrics:
    """Metrics of caption vectors (captions, dim) against the segment vectors (segments, dim) of each file."""
    relevant = np.zeros((len(wanted.captions), len(wanted.files)), dtype=np.bool_)
    for row, columns in zip(relevant, wanted.relevant, strict=True):
        row[list(columns)] = True
    return retrieval_metrics(best_segment_scores(text, segments), relevant)


def best_segment_scores(text: Vectors, segments: Sequence[Vectors]) -> Vectors:
    """Dot products (captions, files) with the best segment of each file; every file needs one segment or more."""
    matrix = np.concatenate(list(segments))
    starts = np.concatenate([[0], np.cumsum([len(each) for each in segments])[:-1]])
    rows = max(1, MATRIX_CELLS // len(matrix))
    parts = [
        np.maximum.reduceat(text[first : first + rows] @ matrix.T, starts, axis=1)
        for first in range(0, len(text), rows)
    ]
    return np.concatenate(parts)
