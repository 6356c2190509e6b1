"""A pack brought to life: waveforms and captions -> unit vectors in one space."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from engine.errors import ErrorKind, KnownError
from engine.models.cnn import Cnn, CnnConfig
from engine.models.frontend import FrontendConfig, LogMel
from engine.models.packs import TEXT_FILES, Pack
from engine.models.precision import imitates_bf16
from engine.models.text import TextEncoder
from engine.models.tied_layers import TiedConfig, TiedLayers
from engine.models.weights import describe_misfit
from engine.unusable import UNREADABLE, UnusableError, describe

log = logging.getLogger(__name__)

BATCH_S = 30.0
"""Most padded audio in one pass of the CNN: more is no quicker, and takes more memory."""
SHORTEST_SHARE = 0.8
"""Sounds share a pass where the shortest is at least this share of the longest, so that little is padding."""
FRAMES_IN_STEP = 32
"""Passes are padded to a multiple of so many log-mel frames, so that sounds of all lengths make few shapes."""
PROBES = 4
FEW_CAPTIONS = 4
"""So few are encoded on one thread: it is as quick, and does not stall while decoding keeps the other cores busy."""

Vectors = NDArray[np.float32]
Config = TypeVar("Config", FrontendConfig, CnnConfig, TiedConfig)


class Encoder:
    """CNN, text encoder and tied layers of one pack. Used by one thread."""

    def __init__(
        self,
        pack: Pack,
        frontend: LogMel,
        cnn: Cnn,
        tied: TiedLayers,
        text: TextEncoder,
        device: str,
        dtype: torch.dtype | None,
    ) -> None:
        self.pack = pack
        self.device = device
        self._frontend = frontend.to(device).eval()
        self._cnn = cnn.fuse().to(device)
        self._tied = tied.to(device).eval()
        self._text = text.to(device).eval()
        self._dtype = dtype
        self.sample_rate_hz = pack.sample_rate_hz
        self._min_samples = (cnn.config.time_stride - 1) * frontend.config.hop

    @classmethod
    def load(cls, pack: Pack, device: str | None = None, dtype: torch.dtype | None = None) -> Encoder:
        """Load and verify a pack on ``device``, by default CUDA or MPS if present, else the CPU.

        The CNN computes in ``dtype``, by default whichever is the fastest when it first runs.

        Raises:
            KnownError: ``pack_wrong_hash`` or ``pack_broken``, naming the file.
        """
        manifest = pack.manifest
        try:
            frontend_config = _config(FrontendConfig, manifest["audio"]["frontend"])
            cnn = Cnn(_config(CnnConfig, manifest["audio"]["cnn"]))
            tied = TiedLayers(_config(TiedConfig, manifest["tied_layers"]["config"]))
            text_folder, max_tokens = str(manifest["text"]["folder"]), int(manifest["text"]["max_tokens"])
            audio_file, tied_file = str(manifest["audio"]["file"]), str(manifest["tied_layers"]["file"])
        except UNREADABLE as error:
            path = pack.folder / "pack.json"
            log.warning("%s cannot be used", path, exc_info=True)
            raise KnownError(
                ErrorKind.PACK_BROKEN, f"{path} cannot be used: {describe(error)}.", "Install the pack again."
            ) from error
        audio = _weights(pack.file(audio_file))
        mel = audio.pop("frontend.mel", None)
        _load(cnn, audio, pack.folder / audio_file)
        _load(tied, _weights(pack.file(tied_file)), pack.folder / tied_file)
        for name in TEXT_FILES:
            pack.file(f"{text_folder}/{name}")
        text = TextEncoder.load(pack.folder / text_folder, max_tokens)
        frontend = LogMel(frontend_config, None if mel is None else mel.numpy())
        return cls(pack, frontend, cnn, tied, text, device or best_device(), dtype)

    @torch.inference_mode()
    def frames(
        self, waveforms: Sequence[NDArray[np.float32]], peaks: Sequence[float] | None = None
    ) -> list[NDArray[np.float32]]:
        """Mono waveforms at ``sample_rate_hz``, each at most a block -> frame features (frames, width) of each.

        A front end that normalises divides by ``peaks``, or where none are given, by each waveform's own peak.

        Waveforms of like length run together; the result does not depend on what runs beside a waveform.
        """
        order = sorted(range(len(waveforms)), key=lambda index: len(waveforms[index]))
        result: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(waveforms)
        lengths = [max(len(waveform), self._min_samples) for waveform in waveforms]
        for batch in _batches(order, lengths, BATCH_S * self.sample_rate_hz):
            padded = [np.pad(waveforms[index], (0, lengths[index] - len(waveforms[index]))) for index in batch]
            chosen = None if peaks is None else [peaks[index] for index in batch]
            features, valid = self._run_cnn(*self._frontend(padded, chosen))
            for index, row, frames in zip(batch, features, valid.tolist(), strict=True):
                result[index] = row[:frames].cpu().numpy()
        return result

    @torch.inference_mode()
    def audio_vectors(self, segments: Sequence[NDArray[np.float32]]) -> Vectors:
        """Frame features (frames, width) of segments -> unit vectors (segments, dim)."""
        if not segments:
            return np.empty((0, self.pack.dim), np.float32)
        lengths = torch.tensor([len(segment) for segment in segments])
        batch = torch.zeros(len(segments), int(lengths.max()), segments[0].shape[1])
        for row, segment in zip(batch, segments, strict=True):
            row[: len(segment)] = torch.from_numpy(segment)
        return _to_numpy(self._tied.audio(batch.to(self.device), lengths))

    @torch.inference_mode()
    def text_vectors(self, captions: Sequence[str]) -> Vectors:
        """Captions -> unit vectors (captions, dim)."""
        with _one_thread() if len(captions) <= FEW_CAPTIONS else nullcontext():
            states, lengths = self._text(captions)
            return _to_numpy(self._tied.text(states, lengths))

    def _run_cnn(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if self._dtype is None:
            self._dtype = self._fastest_dtype()
        spare = -log_mel.shape[1] % FRAMES_IN_STEP
        with self._autocast(self._dtype):
            features: tuple[Tensor, Tensor] = self._cnn(F.pad(log_mel, (0, 0, 0, spare)), lengths)
        return features

    def _autocast(self, dtype: torch.dtype) -> AbstractContextManager[Any]:
        return nullcontext() if dtype is torch.float32 else torch.autocast(self.device, dtype=dtype)

    def _fastest_dtype(self) -> torch.dtype:
        """Time a few short passes in each precision; processors differ widely in what they are quick at."""
        if self.device == "cpu" and imitates_bf16("cpu"):  # one pass would take seconds
            return torch.float32
        reduced = torch.bfloat16 if self.device == "cpu" else torch.float16
        sample = torch.rand(2, 256, self._cnn.config.n_mels, device=self.device)
        lengths = torch.tensor([256, 256])
        seconds = {torch.float32: float("inf"), reduced: float("inf")}
        for dtype in [torch.float32, reduced] * PROBES:  # in turn, and the best of each: other programs disturb
            started = time.perf_counter()
            with self._autocast(dtype):
                self._cnn(sample, lengths)[0].cpu()
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - started)
        fastest = min(seconds, key=lambda dtype: seconds[dtype])
        log.info("CNN runs in %s on %s", fastest, self.device)
        return fastest


def best_device() -> str:
    """CUDA or MPS if present, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _batches(order: Sequence[int], lengths: Sequence[int], limit: float) -> list[list[int]]:
    """Runs of ``order`` (ascending in length) whose padded total stays within ``limit`` and whose padding is small."""
    batches: list[list[int]] = []
    for index in order:
        batch = batches[-1] if batches else []
        padded = lengths[index] * (len(batch) + 1)
        if batch and padded <= limit and lengths[batch[0]] >= SHORTEST_SHARE * lengths[index]:
            batch.append(index)
        else:
            batches.append([index])
    return batches


def _config(kind: type[Config], values: dict[str, Any]) -> Config:
    """A config dataclass from JSON, as msgspec converts it; an unknown field is an UnusableError."""
    if unknown := set(values) - {field.name for field in fields(kind)}:
        raise UnusableError(f"“{min(unknown)}” is unknown")
    return msgspec.convert(values, kind)


def _weights(path: Path) -> dict[str, Tensor]:
    try:
        weights = {name: value.float() for name, value in load(path.read_bytes()).items()}
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        log.warning("%s cannot be read", path, exc_info=True)
        raise KnownError(
            ErrorKind.PACK_BROKEN, f"{path} cannot be read ({error}).", "Install the pack again."
        ) from error
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise KnownError(
                ErrorKind.PACK_BROKEN, f"{path} holds values that are not numbers ({name}).", "Install it again."
            )
    return weights


def _load(module: torch.nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    counters = {name: value for name, value in module.state_dict().items() if name.endswith("num_batches_tracked")}
    found = {**counters, **weights}
    wrong = describe_misfit(module.state_dict(), found)
    if wrong:
        raise KnownError(ErrorKind.PACK_BROKEN, f"{path} does not fit pack.json ({wrong}).", "Install the pack again.")
    module.load_state_dict(found)


def _to_numpy(vectors: Tensor) -> Vectors:
    return np.ascontiguousarray(vectors.float().cpu().numpy())
