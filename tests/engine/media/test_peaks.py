"""Peaks are the extremes of equal stretches, however the sound arrives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.media.peaks import PeakMeter
from tests.sounds import Samples, noise, tone


def measure(samples: Samples, chunks: list[int], pairs: int = 400, expected: int | None = None) -> NDArray[np.int8]:
    meter = PeakMeter(pairs, expected)
    for part in np.split(samples, np.cumsum(chunks)):
        meter.add(part)
    return np.frombuffer(meter.peaks(), np.int8).reshape(-1, 2)


@settings(deadline=None, max_examples=200)
@given(
    frames=st.integers(1, 5_000),
    channels=st.integers(1, 3),
    pairs=st.integers(1, 50),
    chunks=st.lists(st.integers(0, 1_500), max_size=12),
    expected=st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_peaks_are_those_of_equal_stretches(
    frames: int, channels: int, pairs: int, chunks: list[int], expected: int | None
) -> None:
    samples = noise(frames / 1000, 1000, channels, seed=frames)
    peaks = measure(samples, chunks, pairs, expected)
    assert 1 <= len(peaks) <= pairs
    lengths = [n for n in range(1, max(frames, expected or 0) + 1) if -(-frames // n) == len(peaks)]
    candidates = []
    for length in lengths:
        stretches = [samples[start : start + length] for start in range(0, frames, length)]
        exact = np.array([(part.min(), part.max()) for part in stretches])
        candidates.append(np.rint(exact * (127 / np.abs(exact).max())).astype(np.int8))
    assert any(np.abs(peaks.astype(int) - candidate).max() <= 1 for candidate in candidates)


@pytest.mark.parametrize("frames", [400, 401, 799, 44_100, 1_000_003])
def test_a_known_length_gives_fine_peaks(frames: int) -> None:
    samples = noise(frames / 1000, 1000)
    assert 200 < len(measure(samples, [7_000] * (frames // 7_000), expected=frames)) <= 400


def test_an_unknown_length_gives_at_least_half_as_many() -> None:
    assert 200 <= len(measure(noise(1000, 1000), [5_000] * 199)) <= 400


def test_a_sound_shorter_than_the_pairs_has_one_for_each_frame() -> None:
    assert measure(np.array([[0.5], [-1.0], [0.25]], np.float32), []).tolist() == [[64, 64], [-127, -127], [32, 32]]


def test_the_loudest_sample_is_127_and_all_channels_count() -> None:
    samples = np.concatenate([tone(1.0, channels=2, level=0.01), np.zeros((100, 2), np.float32)])
    samples[20_000, 1] = -0.02
    peaks = measure(samples, [10_000, 10_000], expected=len(samples))
    assert peaks.min() == -127
    assert peaks.max() == 63  # the tone, half as loud
    assert peaks[-1].tolist() == [0, 0]


def test_silence_and_nothing() -> None:
    assert not measure(np.zeros((1000, 1), np.float32), []).any()
    assert PeakMeter().peaks() == b""
