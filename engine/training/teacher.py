"""What a tagging teacher, an ONNX model, makes of sounds: computed once and kept like the encoders' features.

A teacher takes peak-normalised ``waveform`` (batch, samples) of at least half a second, and gives ``frames``
(batch, t, width) and ``probabilities`` (batch, classes).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.training import features
from engine.training.features import Progress, Ragged, Sounds

_SURE = 1e-7
"""Probabilities are kept so far from 0 and 1, so that logits stay finite."""


def tag_logits(
    sounds: Sounds, teacher: Path, sample_rate_hz: int, cache: Path, progress: Progress | None = None
) -> NDArray[np.float32]:
    """A teacher's logits for each sound, of shape (sounds, classes).

    Args:
        sounds: The sounds.
        teacher: The ONNX model.
        sample_rate_hz: The rate that the teacher wants.
        cache: Folder of cached features.
        progress: Called with (done, total).
    """

    def compute() -> Iterator[list[NDArray[np.float16]]]:
        for answers in _answers(sounds, teacher, sample_rate_hz, "probabilities"):
            chances = [np.clip(answer, _SURE, 1.0 - _SURE) for answer in answers]
            yield [np.log(chance / (1.0 - chance)).astype(np.float16) for chance in chances]

    folder = cache / f"tags-{features.key_of('tags', digest(teacher), sample_rate_hz, sounds.identity)}"
    tags = features.cached(folder, len(sounds), compute, progress)
    return np.concatenate([tags.row(index) for index in range(len(tags))]).astype(np.float32)


def frames(sounds: Sounds, teacher: Path, sample_rate_hz: int, cache: Path, progress: Progress | None = None) -> Ragged:
    """A teacher's frames for each sound: rows of shape (t, width). Arguments as of :func:`tag_logits`."""

    def compute() -> Iterator[list[NDArray[np.float16]]]:
        for answers in _answers(sounds, teacher, sample_rate_hz, "frames"):
            yield [answer[0].astype(np.float16) for answer in answers]

    folder = cache / f"frames-{features.key_of('teacher', digest(teacher), sample_rate_hz, sounds.identity)}"
    return features.cached(folder, len(sounds), compute, progress)


def _answers(sounds: Sounds, teacher: Path, sample_rate_hz: int, wanted: str) -> Iterator[list[NDArray[np.float32]]]:
    """What the teacher answers to each sound, by its chunks."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, (os.cpu_count() or 2) // 2)
    session = onnxruntime.InferenceSession(str(teacher), options, providers=["CPUExecutionProvider"])
    for chunk in features.chunks(sounds, sample_rate_hz):
        answers = []
        for sound in chunk:
            heard = np.pad(sound, (0, max(0, sample_rate_hz // 2 - len(sound))))
            heard = heard / max(float(np.abs(heard).max()), 1e-6)
            answers.append(session.run([wanted], {"waveform": heard[None]})[0])
        yield answers


def digest(teacher: Path) -> str:
    """A hash of what a teacher's file holds."""
    return hashlib.blake2b(teacher.read_bytes(), digest_size=16).hexdigest()
