"""The thread that reads sound files for playback: file -> mix -> rate of the device -> ring of the track."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from desktop.playback.downmix import downmix_matrix
from desktop.playback.track import PREBUFFER_S, StreamFormat, Track

FIRST_CHUNK_S: Final = 0.02
CHUNK_S: Final = 0.2
EDGE_FADE_S: Final = 0.003  # where playing begins or ends within a sound
RING_WAIT_S: Final = 0.02
CEILING: Final = 16.0  # +24 dB: beyond it are damaged files, which must not overflow the resampler

OpenStream = Callable[[Track, int], StreamFormat | None]


class SoundReader:
    """Feeds one track after another, skipping those that were cancelled while they waited.

    Args:
        open_stream: Has a stream opened for a track and its file's sample rate, and returns its format, or None when
            the track is not wanted any more. Called on the reader's thread; may raise KnownError.
    """

    def __init__(self, open_stream: OpenStream) -> None:
        self._open_stream = open_stream
        self._inbox: queue.SimpleQueue[Track | None] = queue.SimpleQueue()
        self._busy_since_s: float | None = None
        # A daemon, because a dead network drive can hold it in one system call for minutes.
        self._thread = threading.Thread(target=self._run, name="sound-reader", daemon=True)
        self._thread.start()

    def feed(self, track: Track) -> None:
        """Read this track next."""
        self._inbox.put(track)

    def close(self, timeout_s: float = 0.0) -> None:
        """End the thread once its present call into the file system returns; wait for that at most ``timeout_s``."""
        self._inbox.put(None)
        self._thread.join(timeout_s)

    def stuck_s(self) -> float:
        """For how long the thread has been in one call: large when a drive does not answer."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def _run(self) -> None:
        while (track := self._inbox.get()) is not None:
            try:
                self._feed(track)
            except Exception as error:  # the UI thread reports what is known and raises what is not
                track.error = error
            self._busy_since_s = None

    def _feed(self, track: Track) -> None:
        """Read the track into its ring until its end or until it is cancelled."""
        if track.cancelled.is_set():
            return
        self._busy_since_s = time.monotonic()
        from engine.media.audio_file import open_audio  # here, because it loads libsndfile

        with open_audio(track.path) as file:
            if track.start_s > 0:
                file.seek(track.start_s)
            stream_format = self._open_stream(track, file.sample_rate_hz)
            if stream_format is None:
                return
            ring = track.attach(stream_format)
            chunks = _chunks(file.read, file.sample_rate_hz)
            mixed = _mix(chunks, downmix_matrix(file.channels, stream_format.channels, file.ambisonic))
            resampled = _resample(mixed, file.sample_rate_hz, stream_format)
            for block in _shape(resampled, track, stream_format.sample_rate_hz):
                written = 0
                while (written := written + ring.write(block[written:])) < len(block):
                    track.ready = True
                    self._busy_since_s = None
                    if track.cancelled.wait(RING_WAIT_S):
                        return
                self._busy_since_s = time.monotonic()
                track.ready = track.ready or ring.readable >= PREBUFFER_S * stream_format.sample_rate_hz
                if track.cancelled.is_set():
                    return
        track.complete = True
        track.ready = True


def _chunks(read: Callable[[int], NDArray[np.float32]], sample_rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Blocks (n, channels) up to the file's end: the first small so that sound comes at once, then larger ones."""
    chunk_s = FIRST_CHUNK_S
    while len(block := read(max(1, round(chunk_s * sample_rate_hz)))):
        yield block
        chunk_s = min(2 * chunk_s, CHUNK_S)


def _mix(blocks: Iterator[NDArray[np.float32]], matrix: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Blocks (n, outputs) of finite samples, mixed by gains (channels, outputs)."""
    for block in blocks:
        finite = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        yield np.clip(finite, -CEILING, CEILING) @ matrix


def _resample(
    blocks: Iterator[NDArray[np.float32]], sample_rate_hz: int, stream_format: StreamFormat
) -> Iterator[NDArray[np.float32]]:
    """The same sound at the stream's rate."""
    if sample_rate_hz == stream_format.sample_rate_hz:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(sample_rate_hz, stream_format.sample_rate_hz, stream_format.channels, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros((0, stream_format.channels), dtype=np.float32), last=True)


def _shape(blocks: Iterator[NDArray[np.float32]], track: Track, rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """The track's part of the sound, with short fades where it begins or ends amid the sound."""
    fade_frames = EDGE_FADE_S * rate_hz
    end = None if track.duration_s is None else round(track.duration_s * rate_hz)
    position = 0
    for block in blocks:
        wanted = block if end is None else block[: end - position]
        index = np.arange(position, position + len(wanted))
        gain = np.ones(len(wanted))
        if track.start_s > 0:
            gain = np.minimum(gain, index / fade_frames)
        if end is not None:
            gain = np.minimum(gain, (end - index) / fade_frames)
        yield wanted * gain.astype(np.float32)[:, np.newaxis]
        position += len(wanted)
        if position == end:
            return
