"""How well captions find their sounds: the app's own decoding, encoder and ranking, DCASE 2022 task 6b's metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.indexing.embed_files import embed_files
from engine.library.vectors import VectorIndex
from engine.models.encoder import Encoder
from engine.training.data.tables import RetrievalSet
from engine.training.measure.metrics import RetrievalMetrics, retrieval_metrics

Vectors = NDArray[np.float32]

CHUNK = 64
"""Captions encoded together."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics, and what had to be left out: files that are not there, and files with the reason why not decoded."""

    metrics: RetrievalMetrics
    missing: tuple[Path, ...]
    failed: tuple[tuple[Path, KnownError], ...]


def evaluate(wanted: RetrievalSet, encoder: Encoder, progress: Callable[[int, int], None] | None = None) -> Evaluation:
    """Rank all files by each caption, as a search does.

    Files that are missing or cannot be decoded are left out, and with them captions that describe no other file.

    Args:
        wanted: Captions, files, and which belong together.
        encoder: The encoder of a pack.
        progress: Called with (files done, files).

    Raises:
        KnownError: ``data_missing`` when no sound is left.
    """
    missing = [index for index, path in enumerate(wanted.files) if not path.is_file()]
    there = [index for index in range(len(wanted.files)) if index not in set(missing)]
    found: dict[int, Vectors] = {}
    failed: dict[int, KnownError] = {}
    for number, embedded in embed_files([wanted.files[index] for index in there], encoder.pack, lambda: encoder):
        if isinstance(embedded, KnownError):
            failed[there[number]] = embedded
        else:
            found[there[number]] = embedded.segments.vectors
        if progress is not None:
            progress(len(found) + len(failed), len(there))
    if not found:
        reason = next(iter(failed.values()), None)
        raise KnownError(
            ErrorKind.DATA_MISSING,
            f"None of the {len(wanted.files)} sounds can be used, {wanted.files[0]} first"
            f" ({reason.detail if reason else 'it is not there'}).",
            "Check the folder of sounds.",
        )
    left = wanted.without([*missing, *failed])
    scores = file_scores(caption_vectors(left.captions, encoder), [found[index] for index in sorted(found)])
    return Evaluation(
        retrieval_metrics(scores, left.mask()),
        tuple(wanted.files[index] for index in missing),
        tuple((wanted.files[index], error) for index, error in failed.items()),
    )


def caption_vectors(captions: Sequence[str], encoder: Encoder) -> Vectors:
    """Unit vectors (captions, dim), in order, encoded beside captions of like length."""
    order = sorted(range(len(captions)), key=lambda index: len(captions[index]))
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    parts = [encoder.text_vectors([captions[index] for index in chunk]) for chunk in chunks]
    result = np.empty((len(captions), parts[0].shape[1]), np.float32)
    result[order] = np.concatenate(parts)
    return result


def file_scores(text: Vectors, segments: Sequence[Vectors]) -> Vectors:
    """Scores (captions, files) as the app's search gives them: that of the best segment of each file.

    Args:
        text: Vectors of the captions (captions, dim).
        segments: For each file the vectors of its segments (segments, dim), one or more.
    """
    index = VectorIndex(text.shape[1])
    for number, vectors in enumerate(segments):
        times = np.arange(len(vectors), dtype=np.float64)
        index.append(np.full(len(vectors), number, np.int64), times, times + 1, vectors)
    scores = np.empty((len(text), len(segments)), np.float32)
    for row, ranked in zip(scores, index.search_many(text, len(segments)), strict=True):
        row[[each.content_id for each in ranked]] = [each.score for each in ranked]
    return scores
