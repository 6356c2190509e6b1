"""Waveform -> log-mel spectrogram, in torch, batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class FrontendConfig:
    """Everything that defines a log-mel front end.

    ``compression`` is ``"decibel"``: 10·log10(max(x, 1e-10)) with no top_db (PANNs), or ``"log_10000"``:
    log10(1e4·x + 1) / 9.4578 (aiSFX), where x is the mel-filtered power spectrum.
    """

    sample_rate_hz: int
    n_fft: int
    hop: int
    n_mels: int
    f_min_hz: float
    f_max_hz: float
    mel_scale: Literal["slaney", "htk"]
    filter_norm: Literal["slaney", "l1"]
    compression: Literal["decibel", "log_10000"]
    pad_mode: Literal["reflect", "constant"]
    peak_normalise: bool


PANNS = FrontendConfig(32_000, 1024, 320, 64, 50.0, 14_000.0, "slaney", "slaney", "decibel", "reflect", False)
"""Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks", 2020 (Zenodo record 3987831)."""

AISFX = FrontendConfig(44_100, 2048, 1024, 96, 0.0, 22_050.0, "htk", "l1", "log_10000", "constant", True)
"""Ma & Lerch, "Representation Learning for the Automatic Indexing of Sound Effects Libraries", ISMIR 2022."""

KOH_CHNG = FrontendConfig(44_100, 1024, 441, 64, 50.0, 14_000.0, "slaney", "slaney", "decibel", "reflect", False)
"""Koh & Chng, "Language-Based Audio Retrieval with Converging Tied Layers and Contrastive Loss", 2022."""


def mel_filters(config: FrontendConfig) -> NDArray[np.float32]:
    """Mel filter bank of shape (n_mels, n_fft // 2 + 1).

    librosa takes a second to import, so packs store the bank; this runs when a pack is built or trained.
    """
    from librosa.filters import mel

    bank = mel(
        sr=config.sample_rate_hz,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.f_min_hz,
        fmax=config.f_max_hz,
        htk=config.mel_scale == "htk",
        norm="slaney" if config.filter_norm == "slaney" else None,
    )
    if config.filter_norm == "l1":
        bank = bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(bank, dtype=np.float32)


class LogMel(nn.Module):
    """Log-mel spectrogram of waveforms of differing lengths; each row equals the waveform run alone.

    Args:
        config: The front end.
        filters: Mel bank (n_mels, n_fft // 2 + 1); computed through librosa when not given.
    """

    mel: Tensor
    window: Tensor

    def __init__(self, config: FrontendConfig, filters: NDArray[np.float32] | None = None) -> None:
        super().__init__()
        self.config = config
        bank = mel_filters(config) if filters is None else filters
        self.register_buffer("mel", torch.from_numpy(np.ascontiguousarray(bank.T)))
        self.register_buffer("window", torch.hann_window(config.n_fft, periodic=True), persistent=False)

    def forward(
        self, waveforms: Sequence[NDArray[np.float32]], peaks: Sequence[float] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mono waveforms at ``sample_rate_hz`` -> (log-mel (batch, frames, n_mels), valid frames (batch,)).

        ``peaks`` are what a front end that normalises divides by; by default each waveform's own.

        A waveform of n samples has 1 + n // hop frames, centred on multiples of hop. Frames past a row's
        length hold the value of digital silence.
        """
        own = [float(np.abs(waveform).max(initial=0.0)) for waveform in waveforms]
        rows = [self._prepare(waveform, peak) for waveform, peak in zip(waveforms, peaks or own, strict=True)]
        frames = torch.tensor([1 + (len(row) - self.config.n_fft) // self.config.hop for row in rows])
        batch = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.float32)
        for target, row in zip(batch, rows, strict=True):
            target[: len(row)] = row
        return self._log_mel(torch.from_numpy(batch).to(self.window.device)), frames

    def of_batch(self, waveforms: Tensor) -> Tensor:
        """Waveforms of one length (batch, samples), on this module's device -> log-mel (batch, frames, n_mels)."""
        if self.config.peak_normalise:
            waveforms = waveforms / waveforms.abs().amax(dim=1, keepdim=True).clamp_min(1e-9)
        margin = self.config.n_fft // 2
        return self._log_mel(F.pad(waveforms, (margin, margin), mode=self.config.pad_mode))

    def _log_mel(self, padded: Tensor) -> Tensor:
        spectrum = torch.stft(
            padded, self.config.n_fft, self.config.hop, window=self.window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return self._compress(power.transpose(1, 2) @ self.mel)

    def _prepare(self, waveform: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
        if self.config.peak_normalise:
            waveform = waveform / max(peak, 1e-9)
        margin = self.config.n_fft // 2
        if self.config.pad_mode == "reflect":
            waveform = np.pad(waveform, (0, max(0, margin + 1 - len(waveform))))
            return np.pad(waveform, margin, mode="reflect")
        return np.pad(waveform, margin)

    def _compress(self, power: Tensor) -> Tensor:
        if self.config.compression == "decibel":
            return 10.0 * torch.log10(power.clamp_min(1e-10))
        return torch.log10(1e4 * power + 1.0) / 9.4578
