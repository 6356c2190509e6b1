"""The log-mel front ends against librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.models.frontend import AISFX, KOH_CHNG, PANNS, FrontendConfig, LogMel, mel_filters


def _noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1).astype(np.float32)


def _librosa_log_mel(waveform: NDArray[np.float32], config: FrontendConfig) -> NDArray[np.float32]:
    if config.peak_normalise:
        waveform = waveform / np.abs(waveform).max()
    power = (
        np.abs(librosa.stft(waveform, n_fft=config.n_fft, hop_length=config.hop, center=True, pad_mode=config.pad_mode))
        ** 2
    )
    mel = mel_filters(config) @ power
    if config.compression == "decibel":
        result = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=None)
    else:
        result = np.log10(1e4 * mel + 1.0) / 9.4578
    return np.asarray(result.T, dtype=np.float32)


@pytest.mark.parametrize("config", [PANNS, AISFX, KOH_CHNG], ids=["panns", "aisfx", "koh_chng"])
def test_log_mel_equals_librosa(config: FrontendConfig) -> None:
    waveform = _noise(2 * config.sample_rate_hz)
    ours, frames = LogMel(config)([waveform])
    theirs = _librosa_log_mel(waveform, config)
    assert ours.shape[1] == frames[0] == theirs.shape[0] == 1 + len(waveform) // config.hop
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("config", [PANNS, AISFX], ids=["panns", "aisfx"])
def test_batch_rows_equal_single_runs(config: FrontendConfig) -> None:
    frontend = LogMel(config)
    waveforms = [_noise(n, n) for n in (30_000, 9_000, 17_001)]
    batch, lengths = frontend(waveforms)
    for row, length, waveform in zip(batch, lengths, waveforms, strict=True):
        alone, frames = frontend([waveform])
        assert frames[0] == length
        np.testing.assert_allclose(row[:length].numpy(), alone[0].numpy(), atol=1e-4)


@pytest.mark.parametrize("config", [PANNS, AISFX, KOH_CHNG], ids=["panns", "aisfx", "koh_chng"])
def test_a_batch_of_one_length_equals_a_list(config: FrontendConfig) -> None:
    frontend = LogMel(config)
    waveforms = np.stack([_noise(12_345), 0.01 * _noise(12_345, 1), np.zeros(12_345, np.float32)])
    expected, lengths = frontend(list(waveforms))
    found = frontend.of_batch(torch.from_numpy(waveforms))
    assert set(lengths.tolist()) == {found.shape[1]}
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-4)


def test_aisfx_filters_each_sum_to_one() -> None:
    np.testing.assert_allclose(mel_filters(AISFX).sum(axis=1), 1.0, rtol=1e-5)


def test_peak_normalisation_makes_gain_irrelevant_for_aisfx_only() -> None:
    waveform = _noise(20_000)
    loud, quiet = LogMel(AISFX)([waveform])[0], LogMel(AISFX)([waveform * 0.01])[0]
    np.testing.assert_allclose(loud.numpy(), quiet.numpy(), atol=1e-4)
    panns = LogMel(PANNS)
    difference = panns([waveform])[0] - panns([waveform * 0.1])[0]
    np.testing.assert_allclose(difference.numpy(), 20.0, atol=0.01)


def test_one_sample_and_silence_are_finite() -> None:
    for config in (PANNS, AISFX):
        for waveform in (np.ones(1, np.float32), np.zeros(5_000, np.float32)):
            assert np.isfinite(LogMel(config)([waveform])[0].numpy()).all()
