"""Random scenes: what comes out is as long as asked for, finite, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.training.augment import colour, peak, place, scene

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
SAME, OTHER = YES, NO
"""What the first draw of each sound says of its speed."""


def _tone(length: int, frequency_hz: float = 500.0) -> Waveform:
    return (0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(length) / RATE)).astype(np.float32)


def _sounds(rng: np.random.Generator) -> Callable[[], Waveform]:
    """Draws what a library holds: long, short, of one sample, silent and empty sounds."""
    sounds = [_tone(9_000), _tone(700, 200.0), np.ones(1, np.float32), np.zeros(3_000, np.float32), _tone(0)]
    return lambda: sounds[int(rng.integers(len(sounds)))]


def _strongest_hz(sound: Waveform) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


@pytest.mark.parametrize("seed", range(60))
def test_a_scene_of_any_sounds_has_its_length_and_finite_samples_up_to_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = scene(_sounds(rng), SAMPLES, RATE, rng)
    assert made.shape == (SAMPLES,)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert peak(made) == pytest.approx(1.0, abs=1e-6) or not made.any()


def test_the_same_seed_makes_the_same_scenes() -> None:
    def scenes(seed: int) -> list[Waveform]:
        rng = np.random.default_rng(seed)
        return [scene(lambda: _tone(9_000), SAMPLES, RATE, rng) for _ in range(8)]

    first, again, other = scenes(1), scenes(1), scenes(2)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


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


def test_two_sounds_are_mixed_at_a_random_gain() -> None:
    sounds = [_tone(SAMPLES, 500.0), _tone(SAMPLES, 2_000.0)]
    # speed, another sound?, its speed, enough?, coloured?, noisy?
    drawn = iter(sounds)
    made = scene(lambda: next(drawn), SAMPLES, RATE, Chances(SAME, YES, SAME, YES, NO, NO))
    found = np.abs(np.fft.rfft(made))
    first, second = (found[round(hertz * SAMPLES / RATE)] for hertz in (500.0, 2_000.0))
    assert 10 ** (-18 / 20) <= second / first <= 10 ** (6 / 20)
    assert found.sum() == pytest.approx(first + second, rel=1e-2)


def test_another_speed_moves_the_pitch_by_at_most_a_quarter() -> None:
    made = scene(lambda: _tone(2 * SAMPLES), SAMPLES, RATE, Chances(OTHER, NO, NO, NO))
    pitch = _strongest_hz(made)
    assert pitch != 500.0
    assert 500.0 * 0.8 - 2 <= pitch <= 500.0 * 1.25 + 2


def test_noise_is_added_at_no_more_than_a_twentieth() -> None:
    quiet = scene(lambda: _tone(SAMPLES), SAMPLES, RATE, Chances(SAME, NO, NO, NO))
    noisy = scene(lambda: _tone(SAMPLES), SAMPLES, RATE, Chances(SAME, NO, NO, YES))
    added = noisy - quiet * np.dot(noisy, quiet) / np.dot(quiet, quiet)
    assert 0.5e-4 < added.std() < 0.06


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
        assert not scene(lambda: silence, SAMPLES, RATE, np.random.default_rng(seed)).any()
        assert not colour(silence, RATE, np.random.default_rng(seed)).any()
    assert peak(np.zeros(0, np.float32)) == 0.0
    assert peak(np.array([0.25, -0.5], np.float32)) == 0.5
