"""What a tagging teacher, an ONNX model, makes of sounds: computed once and kept like the encoders' features.

A teacher takes peak-normalised ``waveform`` (batch, samples) of at least half a second, and gives ``frames``
(batch, t, width) and ``probabilities`` (batch, classes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.errors import KnownError
from engine.training import features
from engine.training.features import Progress, Ragged, Sounds
from engine.training.onnx_graph import OnnxGraph
from engine.training.scene_batches import normalised

_SURE = 1e-7
"""Probabilities are kept so far from 0 and 1, so that logits stay finite."""


class Teacher(nn.Module):
    """A teacher, on whatever device it is moved to.

    Raises:
        KnownError: ``teacher_unreadable`` when the file is no such model, as :class:`OnnxGraph` raises it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.graph = OnnxGraph(path)
        if len(self.graph.inputs) != 1 or not {"frames", "probabilities"} <= set(self.graph.outputs):
            raise KnownError(
                "teacher_unreadable",
                f"{path} does not turn one input into outputs named frames and probabilities.",
                "Export the teacher with these names.",
            )

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Peak-normalised waveforms (batch, samples) -> frames (batch, t, width), probabilities (batch, classes)."""
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # its front end is a convolution
            answers = dict(zip(self.graph.outputs, self.graph(waveforms), strict=True))
        return answers["frames"], answers["probabilities"]


def tag_logits(
    sounds: Sounds,
    teacher: Path,
    sample_rate_hz: int,
    cache: Path,
    progress: Progress | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """A teacher's logits for each sound, of shape (sounds, classes).

    Args:
        sounds: The sounds.
        teacher: The ONNX model.
        sample_rate_hz: The rate that the teacher wants.
        cache: Folder of cached features.
        progress: Called with (done, total).
        device: Where the teacher runs.
    """

    def compute() -> Iterator[list[NDArray[np.float16]]]:
        for answers in _answers(sounds, teacher, sample_rate_hz, 1, device):
            chances = [np.clip(answer, _SURE, 1.0 - _SURE) for answer in answers]
            yield [np.log(chance / (1.0 - chance)).astype(np.float16) for chance in chances]

    folder = cache / f"tags-{features.key_of('tags', digest(teacher), sample_rate_hz, sounds.identity)}"
    tags = features.cached(folder, len(sounds), compute, progress)
    return np.concatenate([tags.row(index) for index in range(len(tags))]).astype(np.float32)


def frames(
    sounds: Sounds,
    teacher: Path,
    sample_rate_hz: int,
    cache: Path,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Ragged:
    """A teacher's frames for each sound: rows of shape (t, width). Arguments as of :func:`tag_logits`."""

    def compute() -> Iterator[list[NDArray[np.float16]]]:
        for answers in _answers(sounds, teacher, sample_rate_hz, 0, device):
            yield [answer[0].astype(np.float16) for answer in answers]

    folder = cache / f"frames-{features.key_of('teacher', digest(teacher), sample_rate_hz, sounds.identity)}"
    return features.cached(folder, len(sounds), compute, progress)


def _answers(
    sounds: Sounds, model: Path, sample_rate_hz: int, wanted: int, device: str
) -> Iterator[list[NDArray[np.float32]]]:
    """The teacher's frames (0) or probabilities (1) for each sound, by its chunks."""
    teacher = Teacher(model).to(device)
    for chunk in features.chunks(sounds, sample_rate_hz):
        answers = []
        for sound in chunk:
            heard = np.pad(sound, (0, max(0, sample_rate_hz // 2 - len(sound))))
            answer = teacher(normalised(torch.from_numpy(heard[None]).to(device)))[wanted]
            answers.append(answer.cpu().numpy())
        yield answers


def digest(teacher: Path) -> str:
    """A hash of what a teacher's file holds."""
    return hashlib.blake2b(teacher.read_bytes(), digest_size=16).hexdigest()
