"""Outputs of the frozen encoders for a list of files or captions, computed once and kept on disk.

Each set of features is a folder named by a hash of everything that decides its values: the encoder's weights, the
front end, and the files (path, size, time) or captions. A changed encoder therefore never meets old features. Where
they were computed, and so whether in bf16, moves them little and is not told apart.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from engine.errors import ErrorKind, KnownError
from engine.models.cnn import Cnn
from engine.models.frontend import LogMel
from engine.models.precision import reduced_precision
from engine.models.text import TextEncoder
from engine.training.data.decoding import load_mono
from engine.training.data.rows import Rows
from engine.training.networks.crnn import Crnn

Waveform = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with (done, total)."""

CHUNK = 256
"""Items read, sorted by length and written together."""
BATCH_SAMPLES = 60 * 44_100
"""Samples, padding included, that one batch through the CNN may hold."""

PARTIAL = ".partial"
"""Ending of a folder that is still being written."""


class Ragged:
    """Rows of differing lengths in one memory-mapped fp16 array.

    Args:
        folder: Holds ``values.f16`` (total, width) and ``index.json`` with the width and the lengths of the rows.
    """

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.lengths: NDArray[np.int64] = np.asarray(index["lengths"], dtype=np.int64)
        self.width: int = index["width"]
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])
        shape = (int(self._starts[-1]), self.width)
        self._values: NDArray[np.float16] = np.memmap(folder / "values.f16", np.float16, "r", shape=shape)

    def __len__(self) -> int:
        return len(self.lengths)

    def row(self, index: int) -> NDArray[np.float16]:
        """Row ``index``, of shape (length, width)."""
        return self._values[self._starts[index] : self._starts[index + 1]]


class View:
    """Rows of several :class:`Ragged`, in any order, as one set of features."""

    def __init__(self, rows: Sequence[tuple[Ragged, int]]) -> None:
        self._rows = rows
        self.lengths: NDArray[np.int64] = np.array([part.lengths[index] for part, index in rows], dtype=np.int64)
        self.width = rows[0][0].width

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> NDArray[np.float16]:
        """Row ``index``, of shape (length, width)."""
        part, number = self._rows[index]
        return part.row(number)

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Rows padded with zeros -> (batch, longest, width) float32, lengths (batch,)."""
        lengths = self.lengths[indices]
        batch = np.zeros((len(lengths), int(lengths.max()), self.width), dtype=np.float16)
        for target, index in zip(batch, indices.tolist(), strict=True):
            row = self.row(index)
            target[: len(row)] = row
        return torch.from_numpy(batch).float(), torch.from_numpy(lengths)

    @classmethod
    def joined(cls, parts: Sequence[Ragged]) -> View:
        """All rows of each part, one part after the other."""
        return cls([(part, index) for part in parts for index in range(len(part))])


class Held:
    """The rows of a :class:`View` in the memory of a GPU, so that a batch costs no copy."""

    def __init__(self, view: View, device: str) -> None:
        self.lengths = view.lengths
        self.width = view.width
        values = np.concatenate([view.row(index) for index in range(len(view))])
        self._values = torch.from_numpy(values).to(device)
        self._starts = np.cumsum(self.lengths) - self.lengths

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Rows padded with zeros -> (batch, longest, width) float32 there, lengths (batch,) on the CPU."""
        starts, lengths = torch.from_numpy(np.stack([self._starts[indices], self.lengths[indices]]))
        device = self._values.device
        at = torch.arange(int(lengths.max()), device=device)
        valid = at < lengths.to(device)[:, None]
        places = torch.where(valid, starts.to(device)[:, None] + at, 0)
        return torch.where(valid[..., None], self._values[places].float(), 0.0), lengths


def to_device(rows: Rows, device: str) -> Rows:
    """The same rows in a GPU's memory, if they are features that were cached and take at most half of what is free."""
    if not isinstance(rows, View) or 4 * int(rows.lengths.sum()) * rows.width > _free_bytes(device):
        return rows
    return Held(rows, device)


def _free_bytes(device: str) -> int:
    """Of a GPU's memory."""
    if torch.device(device).type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return int(torch.cuda.mem_get_info(device)[0])


class Sounds(Protocol):
    """Sounds by number. ``identity`` is JSON that changes whenever any of them does."""

    @property
    def identity(self) -> object: ...

    def __len__(self) -> int: ...

    def load(self, index: int, sample_rate_hz: int) -> Waveform:
        """Sound ``index`` as mono float32 (samples,)."""


class Files:
    """Sound files as :class:`Sounds`, identified by path, size and time of change.

    Args:
        files: The files.
        seconds: Only the start of each is used; 0 for all of it.

    Raises:
        KnownError: ``sound_unreadable`` when one is missing.
    """

    def __init__(self, files: Sequence[Path], seconds: float = 0.0) -> None:
        self._files = list(files)
        self._seconds = seconds
        self.identity: object = [*map(_identity, self._files), *([seconds] if seconds else [])]

    def __len__(self) -> int:
        return len(self._files)

    def load(self, index: int, sample_rate_hz: int) -> Waveform:
        sound = load_mono(self._files[index], sample_rate_hz)
        return sound[: round(self._seconds * sample_rate_hz)] if self._seconds else sound


def cnn_frames(
    sounds: Sounds, frontend: LogMel, cnn: Cnn | Crnn, cache: Path, progress: Progress | None = None
) -> Ragged:
    """``Encoder_A``'s frames for each sound: rows of shape (time, cnn width).

    A sound shorter than one output frame is padded with silence to one frame.

    Raises:
        KnownError: As :func:`engine.media.decode.decode`, when a file cannot be decoded.
    """
    shortest = (cnn.config.time_stride - 1) * frontend.config.hop

    def compute() -> Iterator[list[NDArray[np.float16]]]:
        cnn.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for chunk in chunks(sounds, frontend.config.sample_rate_hz):
            yield frames_of([np.pad(sound, (0, max(0, shortest - len(sound)))) for sound in chunk], frontend, cnn)

    key = key_of("cnn", weights_hash(cnn.state_dict()), asdict(frontend.config), sounds.identity)
    return cached(cache / f"frames-{key}", len(sounds), compute, progress)


@torch.inference_mode()
def frames_of(sounds: Sequence[Waveform], frontend: LogMel, cnn: Cnn | Crnn) -> list[NDArray[np.float16]]:
    """Frames of each sound (time, width), in order, computed in batches of sounds of like length."""
    result: list[NDArray[np.float16]] = [np.zeros((0, 0), np.float16)] * len(sounds)
    for indices in _batches([len(sound) for sound in sounds]):
        log_mel, lengths = frontend([sounds[index] for index in indices])
        with reduced_precision(log_mel.device):
            frames, valid = cnn(log_mel, lengths)
        for index, row, length in zip(indices, frames.float().cpu().numpy(), valid.tolist(), strict=True):
            result[index] = row[:length].astype(np.float16)
    return result


def log_mels(sounds: Sounds, frontend: LogMel, shortest: int, cache: Path, progress: Progress | None = None) -> Ragged:
    """Log-mel frames (time, n_mels) for each sound, padded with silence to ``shortest`` frames.

    Raises as :func:`cnn_frames`.
    """
    samples = (shortest - 1) * frontend.config.hop

    def compute() -> Iterator[list[NDArray[np.float16]]]:
        for chunk in chunks(sounds, frontend.config.sample_rate_hz):
            rows = [frontend([np.pad(sound, (0, max(0, samples - len(sound))))])[0][0] for sound in chunk]
            yield [row.cpu().numpy().astype(np.float16) for row in rows]

    key = key_of("log-mel", shortest, asdict(frontend.config), sounds.identity)
    return cached(cache / f"frames-{key}", len(sounds), compute, progress)


class Tokens:
    """Token numbers of captions as rows of width 1, for a text encoder that is trained."""

    width = 1

    def __init__(self, captions: Sequence[str], encoder: TextEncoder) -> None:
        self._rows = [torch.tensor(row) for row in encoder.tokens(captions)]
        self.lengths: NDArray[np.int64] = np.array([len(row) for row in self._rows], dtype=np.int64)

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Rows padded with zeros -> (batch, longest, 1) int64, lengths (batch,)."""
        rows = pad_sequence([self._rows[index] for index in indices.tolist()], batch_first=True)
        return rows[..., None], torch.from_numpy(self.lengths[indices])


def token_states(captions: Sequence[str], encoder: TextEncoder, cache: Path, progress: Progress | None = None) -> View:
    """``Encoder_T``'s token states for each caption: rows of shape (tokens, text width).

    Only captions that this encoder has not met before are computed.
    """
    root = cache / f"states-{key_of(weights_hash(encoder.model.state_dict()), encoder.max_tokens)}"
    root.mkdir(parents=True, exist_ok=True)
    known: dict[str, tuple[Ragged, int]] = {}
    for folder in sorted(root.glob("part-*")):
        if folder.suffix != PARTIAL:
            _learn(known, folder)
    missing = [caption for caption in dict.fromkeys(captions) if caption not in known]
    if missing:

        def compute() -> Iterator[list[NDArray[np.float16]]]:
            for start in range(0, len(missing), CHUNK):
                yield states_of(missing[start : start + CHUNK], encoder)

        folder = root / f"part-{key_of(missing)}"
        cached(folder, len(missing), compute, progress, {"captions": missing})
        _learn(known, folder)
    return View([known[caption] for caption in captions])


def _learn(known: dict[str, tuple[Ragged, int]], folder: Path) -> None:
    part = Ragged(folder)
    for index, caption in enumerate(json.loads((folder / "captions.json").read_text(encoding="utf-8"))):
        known[caption] = (part, index)


@torch.inference_mode()
def states_of(captions: Sequence[str], encoder: TextEncoder) -> list[NDArray[np.float16]]:
    """Token states of each caption (tokens, width), in order, computed in batches of captions of like length."""
    order = sorted(range(len(captions)), key=lambda index: len(captions[index]))
    result: list[NDArray[np.float16]] = [np.zeros((0, 0), np.float16)] * len(captions)
    for start in range(0, len(order), 64):
        indices = order[start : start + 64]
        states, lengths = encoder([captions[index] for index in indices])
        for index, row, length in zip(indices, states.cpu().numpy(), lengths.tolist(), strict=True):
            result[index] = row[:length].astype(np.float16)
    return result


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """A hash of a state dict: names, types, shapes and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def chunks(sounds: Sounds, sample_rate_hz: int) -> Iterator[list[Waveform]]:
    """All sounds in order, ``CHUNK`` at a time, decoded by threads (libsndfile and soxr release the GIL)."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for start in range(0, len(sounds), CHUNK):
            indices = range(start, min(start + CHUNK, len(sounds)))
            yield list(pool.map(lambda index: sounds.load(index, sample_rate_hz), indices))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if batch and (len(batch) + 1) * lengths[index] > BATCH_SAMPLES:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def cached(
    folder: Path,
    total: int,
    compute: Callable[[], Iterator[list[NDArray[np.float16]]]],
    progress: Progress | None,
    notes: Mapping[str, object] | None = None,
) -> Ragged:
    """The features in ``folder``, computed first unless they are there; ``notes`` become JSON files beside them."""
    if not folder.exists():
        with atomic_folder(folder) as partial:
            for name, note in (notes or {}).items():
                (partial / f"{name}.json").write_text(json.dumps(note), encoding="utf-8")
            with written(partial) as add:
                done = 0
                for rows in compute():
                    add(rows)
                    done += len(rows)
                    if progress is not None:
                        progress(done, total)
    return Ragged(folder)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder to fill, which takes its name when the block ends and is gone when it fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(PARTIAL, f"{folder.name}.", folder.parent))
    try:
        yield partial
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was quicker
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def written(folder: Path) -> Iterator[Callable[[Sequence[NDArray[np.float16]]], None]]:
    """Gives what adds rows (length, width) to a folder, which :class:`Ragged` reads once the block has ended."""
    folder.mkdir(exist_ok=True)
    lengths: list[int] = []
    width = 0
    with (folder / "values.f16").open("wb") as out:

        def add(rows: Sequence[NDArray[np.float16]]) -> None:
            nonlocal width
            for row in rows:
                out.write(np.ascontiguousarray(row).tobytes())
                lengths.append(len(row))
                width = row.shape[1]

        yield add
    (folder / "index.json").write_text(json.dumps({"width": width, "lengths": lengths}), encoding="utf-8")


def file_key(path: Path) -> str:
    """A name for what a file holds now, by its path, size and time of change."""
    return key_of(_identity(path))


def _identity(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise KnownError(
            ErrorKind.SOUND_UNREADABLE,
            f"{path} cannot be read: {error.strerror}.",
            "Check the data folder and its table.",
        ) from error
    return (path.as_posix(), status.st_size, status.st_mtime_ns)


def key_of(*parts: object) -> str:
    """A name for a set of features: a hash of everything that decides their values."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()
