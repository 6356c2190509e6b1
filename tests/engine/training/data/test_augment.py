"""Places in time, equaliser and reverb of single sounds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.training.data.augment import colour, peak, place

Waveform = NDArray[np.float32]

RATE = 8_000
SAMPLES = 4_000


class Chances(np.random.Generator):
    """A generator whose ``random()`` follows a list, so that a test chooses what happens; all else is drawn."""

    def __init__(self, *chances: float) -> None:
        super().__init__(np.random.PCG64(0))
        self._chances = list(chances)

    def random(self, *_: object, **__: object) -> float:  # type: ignore[override]
        return self._chances.pop(0)


NO, YES = 0.99, 0.0


def _tone(length: int, frequency_hz: float = 500.0) -> Waveform:
    return (0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(length) / RATE)).astype(np.float32)


def _strongest_hz(sound: Waveform) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


def test_a_long_sound_is_cropped_and_itself_left_alone() -> None:
    sound = np.arange(10_000, dtype=np.float32)
    starts = set()
    for seed in range(20):
        part = place(sound, SAMPLES, np.random.default_rng(seed))
        assert np.array_equal(part, sound[int(part[0]) : int(part[0]) + SAMPLES])
        starts.add(int(part[0]))
        part[:] = -1.0
    assert len(starts) > 10
    assert np.array_equal(sound, np.arange(10_000))
    assert np.array_equal(place(sound, len(sound), np.random.default_rng(0)), sound)


def test_a_short_sound_stands_once_or_again_after_even_gaps() -> None:
    blip = np.ones(10, np.float32)
    counts = set()
    for seed in range(40):
        made = place(blip, SAMPLES, np.random.default_rng(seed))
        assert set(np.unique(made)) <= {0.0, 1.0}
        starts = np.flatnonzero(np.diff(made, prepend=0.0) > 0)
        assert len(set(np.diff(starts))) <= 1
        counts.add(len(starts))
    assert 1 in counts
    assert max(counts) > 1


def test_an_equaliser_keeps_the_pitch_and_changes_the_level() -> None:
    dry = _tone(SAMPLES)
    wet = colour(dry, RATE, Chances(NO))
    assert wet.shape == dry.shape
    assert wet.dtype == np.float32
    assert _strongest_hz(wet) == 500.0
    assert peak(wet) != pytest.approx(peak(dry), rel=1e-3)


def test_a_reverb_rings_on_after_the_sound() -> None:
    click = np.zeros(SAMPLES, np.float32)
    click[1_000] = 1.0
    dry, wet = (colour(click, RATE, Chances(chance)) for chance in (NO, YES))
    assert wet.shape == click.shape
    assert np.isfinite(wet).all()
    later = slice(1_500, 1_700)
    assert np.abs(wet[later]).max() > 10 * np.abs(dry[later]).max()


def test_silence_stays_silence_and_a_peak_needs_no_sound() -> None:
    silence = np.zeros(SAMPLES, np.float32)
    for seed in range(10):
        assert not place(silence[:300], SAMPLES, np.random.default_rng(seed)).any()
        assert not colour(silence, RATE, np.random.default_rng(seed)).any()
    assert peak(np.zeros(0, np.float32)) == 0.0
    assert peak(np.array([0.25, -0.5], np.float32)) == 0.5
