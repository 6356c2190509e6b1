"""A ring of audio frames between one writing and one reading thread, without locks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ring:
    """Bounded queue of frames for exactly one writer and one reader.

    Each counter only ever grows and has a single thread that assigns it, after the samples it stands for are in place;
    so neither side needs a lock, and reading allocates no buffers.

    Args:
        capacity: Size in frames.
        channels: Samples per frame.
    """

    def __init__(self, capacity: int, channels: int) -> None:
        self._frames: NDArray[np.float32] = np.zeros((capacity, channels), dtype=np.float32)
        self._written = 0
        self._consumed = 0

    @property
    def readable(self) -> int:
        """Frames that wait to be read."""
        return self._written - self._consumed

    @property
    def writable(self) -> int:
        """Frames that fit in now."""
        return len(self._frames) - self.readable

    @property
    def consumed(self) -> int:
        """Frames read since the beginning."""
        return self._consumed

    def write(self, frames: NDArray[np.float32]) -> int:
        """Append what fits of ``frames`` (n, channels) and return how many that was."""
        count = min(len(frames), self.writable)
        start = self._written % len(self._frames)
        first = min(count, len(self._frames) - start)
        self._frames[start : start + first] = frames[:first]
        self._frames[: count - first] = frames[first:count]
        self._written += count
        return count

    def read_into(self, out: NDArray[np.float32]) -> int:
        """Move frames into the beginning of ``out`` (n, channels) and return how many there were, at most n."""
        count = min(len(out), self.readable)
        start = self._consumed % len(self._frames)
        first = min(count, len(self._frames) - start)
        out[:first] = self._frames[start : start + first]
        out[first:count] = self._frames[: count - first]
        self._consumed += count
        return count
