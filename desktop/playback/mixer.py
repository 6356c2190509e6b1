"""What the audio callback does: take the wanted track's frames, without clicks, at the wanted volume."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from desktop.playback.track import Block, StreamFormat, Track

FADE_OUT_S = 0.004
VOLUME_RAMP_S = 0.03  # from silent to full
PIECE_FRAMES = 2048


class Mixer:
    """Fills output buffers. The UI thread assigns ``wanted`` and ``gain``; the callback follows at the next buffer.

    A track that is no longer wanted fades out within FADE_OUT_S before the next one is heard. Working memory is made
    beforehand, and nothing here waits for another thread.
    """

    def __init__(self) -> None:
        self.wanted: Track | None = None
        self.gain = 1.0
        self.buffers = 0
        self.sounded_at_s = float("-inf")
        self.bug: Exception | None = None
        self._track: Track | None = None
        self._rate_hz = 0
        self._gain = 1.0
        self._faded = 0
        self._fade: NDArray[np.float32] = np.zeros((0, 1), dtype=np.float32)
        self._steps: NDArray[np.float32] = np.arange(1, PIECE_FRAMES + 1, dtype=np.float32)[:, np.newaxis]
        self._ramp: NDArray[np.float32] = np.zeros((PIECE_FRAMES, 1), dtype=np.float32)

    def configure(self, stream_format: StreamFormat) -> None:
        """Get ready for a new stream. To be called while none is running."""
        self._rate_hz = stream_format.sample_rate_hz
        frames = max(1, round(FADE_OUT_S * self._rate_hz))
        self._fade = np.linspace(1, 0, frames, dtype=np.float32)[:, np.newaxis]
        self._track = None
        self._faded = 0

    @property
    def quiet(self) -> bool:
        """Whether every track that is no longer wanted has faded out."""
        return self._track is None or self._track is self.wanted

    def fill(self, out: NDArray[np.float32]) -> None:
        """Write the next frames, or silence, to all of ``out`` (frames, channels)."""
        self.buffers += 1
        now_s = time.perf_counter()
        for start in range(0, len(out), PIECE_FRAMES):
            piece = out[start : start + PIECE_FRAMES]
            done = self._leave_unwanted(piece) if self._track is not self.wanted else 0
            if done < len(piece):
                done += self._continue(piece[done:], now_s)
            piece[done:] = 0
            if done:
                self.sounded_at_s = now_s
            self._apply_gain(piece)

    def _leave_unwanted(self, out: NDArray[np.float32]) -> int:
        """Fade the present track out over the next frames of ``out``; when that is done, change to the wanted one."""
        count = 0
        track = self._track
        if track is not None and track.ring is not None and track.ready:
            count = track.ring.read_into(out[: len(self._fade) - self._faded])
            out[:count] *= self._fade[self._faded : self._faded + count]
            self._faded += count
            if count == len(out) and self._faded < len(self._fade):
                return count
        self._track = self.wanted
        self._faded = 0
        return count

    def _continue(self, out: NDArray[np.float32], now_s: float) -> int:
        """Write the present track's next frames to ``out`` and return how many there were."""
        track = self._track
        if track is None or not track.ready or track.ring is None or track.format is None:
            return 0
        if track.format.sample_rate_hz != self._rate_hz:
            return 0
        complete = track.complete  # looked at first: what is written before it is set must not be taken for a gap
        before = track.ring.consumed
        count = track.ring.read_into(out)
        if count:
            track.block = Block(before, count, now_s)
        if count < len(out):
            if not complete:
                track.gaps += 1
            elif track.finished_at_s is None:
                track.finished_at_s = now_s + count / self._rate_hz
        return count

    def _apply_gain(self, out: NDArray[np.float32]) -> None:
        """Multiply by the volume, which moves to a new value in a straight line so that no step is heard."""
        target = self.gain
        if self._gain == target:
            if target != 1.0:
                out *= np.float32(target)
            return
        ramp = self._ramp[: len(out)]
        step = 1 / (VOLUME_RAMP_S * self._rate_hz)
        rising = target > self._gain
        np.multiply(self._steps[: len(out)], np.float32(step if rising else -step), out=ramp)
        ramp += np.float32(self._gain)
        (np.minimum if rising else np.maximum)(ramp, np.float32(target), out=ramp)
        out *= ramp
        end = float(ramp[-1, 0])
        self._gain = target if abs(end - target) < step else end
