"""What is done to single sounds at random: a place in time, an equaliser, a reverb. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]


def place(sound: Waveform, samples: int, rng: np.random.Generator) -> Waveform:
    """A random crop of a longer sound; a shorter one at a random time, sometimes repeated."""
    if len(sound) >= samples:
        start = int(rng.integers(0, len(sound) - samples + 1))
        return sound[start : start + samples].copy()
    result = np.zeros(samples, dtype=np.float32)
    start = int(rng.integers(0, samples - len(sound) + 1))
    repeats = 1 if rng.random() < 0.5 else 8
    gap = int(rng.uniform(0.0, 0.5) * samples)
    for _ in range(repeats):
        end = min(start + len(sound), samples)
        result[start:end] += sound[: end - start]
        start = end + gap
        if start >= samples:
            break
    return result


def colour(sound: Waveform, sample_rate_hz: int, rng: np.random.Generator) -> Waveform:
    """A random smooth equaliser and, half the time, a synthetic exponentially decaying reverb."""
    size = len(sound)
    tail = int(rng.uniform(0.1, 1.2) * sample_rate_hz) if rng.random() < 0.5 else 0
    fft_size = 1 << int(size + tail - 1).bit_length()
    spectrum = np.fft.rfft(sound, fft_size)
    frequencies = np.fft.rfftfreq(fft_size, 1.0 / sample_rate_hz)
    knots = np.log(np.array([20.0, 100.0, 400.0, 1500.0, 5000.0, 12000.0, 22050.0]))
    gains_db = rng.normal(0.0, 6.0, len(knots))
    curve = np.interp(np.log(np.maximum(frequencies, 20.0)), knots, gains_db)
    spectrum *= 10.0 ** (curve / 20.0)
    if tail:
        decay = np.exp(-6.9 * np.arange(tail) / tail) * rng.standard_normal(tail)
        decay *= rng.uniform(0.1, 0.8) / max(float(np.sqrt(np.square(decay).sum())), 1e-9)
        decay[0] += 1.0
        spectrum *= np.fft.rfft(decay, fft_size)
    return np.fft.irfft(spectrum, fft_size)[:size].astype(np.float32)


def peak(sound: Waveform) -> float:
    """Largest absolute sample, 0 for an empty sound."""
    return float(np.abs(sound).max(initial=0.0))
