"""What a tagging teacher, an ONNX model, makes of sounds: computed once and kept like the encoders' features.

A teacher takes peak-normalised ``waveform`` (batch, samples) of at least half a second, and gives ``frames``
(batch, t, width) and ``probabilities`` (batch, classes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.errors import ErrorKind, KnownError
from engine.training.data import features
from engine.training.data.features import Progress, Ragged, Sounds
from engine.training.data.scene_batches import normalise
from engine.training.networks.onnx_graph import OnnxGraph

SHORTEST_S = 0.5
"""What a teacher must be given at least."""

_SURE = 1e-7
"""Probabilities are kept so far from 0 and 1, so that logits stay finite."""


def _precise() -> AbstractContextManager[None]:
    """CUDA's convolutions in full precision, which a teacher's front end is one of; not for several threads."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


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
                ErrorKind.TEACHER_UNREADABLE,
                f"{path} does not turn one input into outputs named frames and probabilities.",
                "Export the teacher with these names.",
            )

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Peak-normalised waveforms (batch, samples) -> frames (batch, t, width), probabilities (batch, classes)."""
        with _precise() if waveforms.is_cuda else nullcontext():
            answers = dict(zip(self.graph.outputs, self.graph(waveforms), strict=True))
        return answers["frames"], answers["probabilities"]


@dataclass(frozen=True)
class Heard:
    """What a teacher makes of sounds: ``frames``, rows of shape (t, width), and ``logits`` (sounds, classes)."""

    frames: Ragged
    logits: NDArray[np.float32]


def listen(
    sounds: Sounds,
    teacher: Path,
    sample_rate_hz: int,
    cache: Path,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Heard:
    """What a teacher makes of each sound, computed once for both, as frames cost nothing more.

    Args:
        sounds: The sounds.
        teacher: The ONNX model.
        sample_rate_hz: The rate that the teacher wants.
        cache: Folder of cached features.
        progress: Called with (done, total).
        device: Where the teacher runs.
    """
    folder = cache / f"heard-{features.key_of(digest(teacher), sample_rate_hz, sounds.identity)}"
    if not folder.exists():
        with (
            features.atomic_folder(folder) as partial,
            features.written(partial / "frames") as add_frames,
            features.written(partial / "logits") as add_logits,
        ):
            for done, (frames, chances) in enumerate(_answers(sounds, teacher, sample_rate_hz, device), 1):
                chances = np.clip(chances, _SURE, 1.0 - _SURE)
                add_frames([frames[0].astype(np.float16)])
                add_logits([np.log(chances / (1.0 - chances)).astype(np.float16)])
                if progress is not None and (done % features.CHUNK == 0 or done == len(sounds)):
                    progress(done, len(sounds))
    logits = Ragged(folder / "logits")
    rows = np.concatenate([logits.row(index) for index in range(len(logits))])
    return Heard(Ragged(folder / "frames"), rows.astype(np.float32))


def _answers(
    sounds: Sounds, model: Path, sample_rate_hz: int, device: str
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The teacher's frames (1, t, width) and probabilities (1, classes) for each sound, in order.

    On a CPU each thread takes a whole sound, as a teacher's many small operators do not share one well. A GPU takes one
    sound after the other; MPS does not bear more threads than one.
    """
    teacher = Teacher(model).to(device).eval()

    def answer(sound: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        padded = np.pad(sound, (0, max(0, round(SHORTEST_S * sample_rate_hz) - len(sound))))
        frames, chances = teacher(normalise(torch.from_numpy(padded[None]).to(device)))
        return frames.cpu().numpy(), chances.cpu().numpy()

    if torch.device(device).type != "cpu":
        for chunk in features.chunks(sounds, sample_rate_hz):
            yield from map(answer, chunk)
        return
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(lambda index: answer(sounds.load(index, sample_rate_hz)), range(len(sounds)))
    finally:
        torch.set_num_threads(threads)  # what a thread sets is the default of those that come after it


def digest(teacher: Path) -> str:
    """A hash of what a teacher's file holds."""
    return hashlib.blake2b(teacher.read_bytes(), digest_size=16).hexdigest()
