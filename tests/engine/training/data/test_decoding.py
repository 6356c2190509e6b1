"""Sounds for training are what the app hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.errors import KnownError
from engine.training.data.decoding import load_mono


def test_channels_are_mixed_and_the_rate_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    tone = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050).astype(np.float32)
    soundfile.write(path, np.stack([tone, np.zeros_like(tone)], axis=1), 22_050, subtype="FLOAT")
    mono = load_mono(path, 44_100)
    assert mono.dtype == np.float32
    assert abs(len(mono) - 44_100) <= 2
    assert np.abs(mono).max() == pytest.approx(0.5, abs=0.01)


def test_not_finite_samples_become_silence(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    soundfile.write(path, np.array([0.1, np.nan, np.inf, -np.inf, 0.2], dtype=np.float32), 44_100, subtype="FLOAT")
    np.testing.assert_allclose(load_mono(path, 44_100), [0.1, 0.0, 0.0, 0.0, 0.2])


def test_a_silent_sound_stays_silent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(1000), 44_100)
    mono = load_mono(tmp_path / "silence.wav", 44_100)
    assert len(mono) >= 1
    assert not mono.any()


def test_what_is_no_sound_is_a_known_error(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a sound")
    with pytest.raises(KnownError) as caught:
        load_mono(tmp_path / "text.wav", 44_100)
    assert caught.value.kind == "sound_unreadable"
