"""One request to play a sound, on its way from the file to the loudspeaker."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from desktop.playback.ring import Ring

RING_S = 3.0
PREBUFFER_S = 0.03


@dataclass(frozen=True)
class StreamFormat:
    """What the open output stream takes. ``latency_s`` is the time from the callback to the loudspeaker."""

    sample_rate_hz: int
    channels: int
    latency_s: float


@dataclass(frozen=True)
class Block:
    """What the callback took last: ``frames`` of them, after ``before`` others, at ``time_s`` (perf_counter)."""

    before: int
    frames: int
    time_s: float


class Track:
    """What the three threads of playback share about one play request.

    No lock: every attribute has one thread that assigns it. The UI thread cancels; the reader thread attaches the ring,
    fills it and reports an error; the audio callback empties it and says how far it came.

    Args:
        path: The sound file.
        start_s: Where in the file to begin.
        duration_s: How much to play; None plays to the end.
    """

    def __init__(self, path: Path, start_s: float, duration_s: float | None) -> None:
        self.path = path
        self.start_s = start_s
        self.duration_s = duration_s
        # the UI thread
        self.cancelled = threading.Event()
        # the reader thread
        self.format: StreamFormat | None = None
        self.ring: Ring | None = None
        self.ready = False
        self.complete = False
        self.error: Exception | None = None
        # the audio callback
        self.block: Block | None = None
        self.finished_at_s: float | None = None
        self.gaps = 0

    def attach(self, stream_format: StreamFormat) -> Ring:
        """Make the ring for an open stream."""
        self.ring = Ring(round(RING_S * stream_format.sample_rate_hz), stream_format.channels)
        self.format = stream_format
        return self.ring

    def heard_s(self, now_s: float) -> float:
        """Position in the file, in seconds, of what is audible at ``now_s`` (perf_counter)."""
        block, stream_format = self.block, self.format
        if block is None or stream_format is None:
            return self.start_s
        since_block = (now_s - block.time_s - stream_format.latency_s) * stream_format.sample_rate_hz
        heard = block.frames if self.is_over(now_s) else min(since_block, block.frames)
        frames = max(0.0, block.before + heard)
        return self.start_s + frames / stream_format.sample_rate_hz

    def is_over(self, now_s: float) -> bool:
        """Whether the last frame was heard by ``now_s`` (perf_counter)."""
        if self.finished_at_s is None or self.format is None:
            return False
        return now_s >= self.finished_at_s + self.format.latency_s
