"""Decoded sounds kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.errors import KnownError
from engine.training.data.audio_cache import AudioCache
from tests.engine.training.tiny import tone


def test_sounds_come_back_resampled_and_scaled(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav", 440, 0.5, 44_100)
    tone(tmp_path / "b.flac", 880, 0.25, 22_050)
    soundfile.write(tmp_path / "silent.wav", np.zeros(4410, np.float32), 44_100)
    told: list[tuple[int, int]] = []
    names = ["a.wav", "b.flac", "silent.wav"]
    cache = AudioCache.build(
        tmp_path / "cache", [tmp_path / name for name in names], 22_050, lambda *step: told.append(step)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(cache) == 3
    assert [len(cache.waveform(index)) for index in range(3)] == [11_025, 5512, 2205]
    assert cache.offsets == [0, 11_025, 16_537, 18_742]
    assert cache.values.shape == (18_742,)
    for index in range(3):
        part = cache.values[cache.offsets[index] : cache.offsets[index + 1]]
        np.testing.assert_array_equal(cache.waveform(index), part / np.float32(32_768))
    for index, hz in ((0, 440), (1, 880)):
        waveform = cache.waveform(index)
        assert np.abs(waveform).max() == pytest.approx(1.0, abs=1e-3)
        peak = np.abs(np.fft.rfft(waveform)).argmax() * 22_050 / len(waveform)
        assert peak == pytest.approx(hz, abs=5)
    assert not cache.waveform(2).any()


def test_what_is_done_to_the_samples_in_memory_does_not_reach_the_file(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav", 440, 0.1)
    cache = AudioCache.build(tmp_path / "cache", [tmp_path / "a.wav"], 44_100)
    cache.values[:] = 7
    assert AudioCache(tmp_path / "cache").waveform(0).max() == pytest.approx(1.0, abs=1e-3)


def test_it_is_built_again_only_for_other_files(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav", 440, 0.1)
    tone(tmp_path / "b.wav", 440, 0.2)
    told: list[tuple[int, int]] = []

    def build(*names: str) -> AudioCache:
        return AudioCache.build(
            tmp_path / "cache", [tmp_path / name for name in names], 44_100, lambda *step: told.append(step)
        )

    build("a.wav")
    build("a.wav")
    assert len(told) == 1
    assert len(build("a.wav", "b.wav")) == 2
    assert len(told) == 3


def test_an_undecodable_file_is_named_and_leaves_no_cache(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav", 440, 0.1)
    AudioCache.build(tmp_path / "cache", [tmp_path / "a.wav"], 44_100)
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    with pytest.raises(KnownError, match=r"b\.wav"):
        AudioCache.build(tmp_path / "cache", [tmp_path / "a.wav", tmp_path / "b.wav"], 44_100)
    assert not (tmp_path / "cache" / "index.json").exists()
