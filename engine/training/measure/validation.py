"""Retrieval metrics of a model in training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.training.data.rows import Indices, Rows
from engine.training.measure.metrics import RetrievalMetrics, retrieval_metrics
from engine.training.networks.model import RetrievalModel

Encode = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class EvalSet:
    """What is measured: every caption against every sound; ``relevant`` is (captions, sounds)."""

    frames: Rows
    states: Rows
    sounds: Indices
    captions: Indices
    relevant: NDArray[np.bool_]


@torch.inference_mode()
def vectors(encode: Encode, rows: Rows, indices: Indices) -> NDArray[np.float32]:
    """Unit vectors (n, d) of rows, computed in batches of like length."""
    order = np.argsort(rows.lengths[indices], kind="stable")
    parts = [encode(*rows.batch(indices[part])) for part in np.array_split(order, math.ceil(len(order) / 64))]
    result = np.empty((len(indices), parts[0].shape[1]), np.float32)
    result[order] = torch.cat(parts).cpu().numpy()
    return result


def evaluate_sets(model: RetrievalModel, sets: Mapping[str, EvalSet]) -> dict[str, RetrievalMetrics]:
    """Metrics of the model, in evaluation mode, on each set; sounds that sets share are encoded once."""
    model.eval()
    known: dict[tuple[int, bytes], NDArray[np.float32]] = {}
    result = {}
    for name, data in sets.items():
        key = (id(data.frames), data.sounds.tobytes())
        if key not in known:
            known[key] = vectors(model.audio, data.frames, data.sounds)
        text = vectors(model.text, data.states, data.captions)
        result[name] = retrieval_metrics(text @ known[key].T, data.relevant)
    return result
