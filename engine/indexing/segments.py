"""A stream of frame features -> the segments that each get a vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_TAIL_S = 0.5
"""A tail shorter than this past the last full window gets no window of its own."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a sound with its frame features (frames, width)."""

    start_s: float
    end_s: float
    frames: NDArray[np.float32]


class Windows:
    """Cuts one sound into windows of ``segment_s`` every ``hop_s``; holds no more than one window of frames.

    A sound no longer than a window is one segment of its own length: nothing is padded or stretched.

    Args:
        segment_s: Length of a window in seconds.
        hop_s: Distance of window starts in seconds.
        frame_s: Seconds per frame.
    """

    def __init__(self, segment_s: float, hop_s: float, frame_s: float) -> None:
        self._segment_s = segment_s
        self._hop_s = hop_s
        self._frame_s = frame_s
        self._frames: NDArray[np.float32] | None = None
        self._dropped = 0
        self._next = 0

    def push(self, frames: NDArray[np.float32]) -> list[Segment]:
        """Take the next frames (n, width); returns the windows they complete."""
        self._frames = frames if self._frames is None else np.concatenate([self._frames, frames])
        complete = []
        while (end := self._frame(self._start_s + self._segment_s)) <= self._dropped + len(self._frames):
            complete.append(self._cut(self._start_s + self._segment_s, end))
            self._next += 1
            keep_from = self._frame(self._start_s) - self._dropped
            self._frames = self._frames[keep_from:]
            self._dropped += keep_from
        return complete

    def finish(self, duration_s: float) -> list[Segment]:
        """The last segment of a sound of that duration, if one is left."""
        if self._frames is None or not len(self._frames):
            return []
        covered_s = self._start_s - self._hop_s + self._segment_s if self._next else 0.0
        if self._next and duration_s - covered_s < MIN_TAIL_S:
            return []
        return [self._cut(duration_s, self._dropped + len(self._frames))]

    @property
    def _start_s(self) -> float:
        return self._next * self._hop_s

    def _frame(self, time_s: float) -> int:
        return round(time_s / self._frame_s)

    def _cut(self, end_s: float, end_frame: int) -> Segment:
        assert self._frames is not None
        start = self._frame(self._start_s) - self._dropped
        return Segment(self._start_s, end_s, self._frames[start : end_frame - self._dropped])
