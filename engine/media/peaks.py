"""The waveform that the display shows: lowest and highest sample of equal stretches, taken in one pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class PeakMeter:
    """Collects peaks of a sound that arrives in chunks and whose length need not be known.

    Stretches start short and are merged in twos when there are too many, so memory and cost per sample stay small.

    Args:
        pairs: Most pairs to end up with.
        expected_frames: Length to plan for, if there is a guess; a right guess gives the finest peaks.
    """

    def __init__(self, pairs: int = 400, expected_frames: int | None = None) -> None:
        self._pairs = pairs
        self._expected = expected_frames
        self._stretch = 0
        self._frames = 0
        self._lows: Samples = np.empty(0, np.float32)
        self._highs: Samples = np.empty(0, np.float32)

    def add(self, samples: Samples) -> None:
        """Take in the next samples: shape (n, channels), C-contiguous, finite. Peaks are over all channels."""
        count, channels = samples.shape
        if not count:
            return
        if not self._stretch:
            self._stretch = -(-max(self._expected or 0, count) // self._pairs)
        unfinished = self._frames % self._stretch
        starts = np.arange(-unfinished, count, self._stretch).clip(0) * channels
        lows = np.minimum.reduceat(samples.reshape(-1), starts)
        highs = np.maximum.reduceat(samples.reshape(-1), starts)
        if unfinished:
            lows[0] = min(lows[0], self._lows[-1])
            highs[0] = max(highs[0], self._highs[-1])
            self._lows, self._highs = self._lows[:-1], self._highs[:-1]
        self._lows, self._highs = np.append(self._lows, lows), np.append(self._highs, highs)
        self._frames += count
        while len(self._lows) > 2 * self._pairs:
            self._merge()

    def peaks(self) -> bytes:
        """Pairs of int8 (lowest, highest) for equal stretches (the last may be shorter); 127 is the loudest sample."""
        while len(self._lows) > self._pairs:
            self._merge()
        pairs = np.stack([self._lows, self._highs], axis=1)
        loudest = np.abs(pairs).max(initial=0.0)
        return np.rint(pairs * (127.0 / loudest if loudest > 0 else 0.0)).astype(np.int8).tobytes()

    def _merge(self) -> None:
        even = np.arange(0, len(self._lows), 2)
        self._lows = np.minimum.reduceat(self._lows, even)
        self._highs = np.maximum.reduceat(self._highs, even)
        self._stretch *= 2
