"""Sound files read with FFmpeg, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from engine.media.audio_reader import MIN_SAMPLE_RATE_HZ, PREROLL_S, Samples, UndecodableError
from engine.media.formats import DEMUXERS

if TYPE_CHECKING:
    from av import AudioCodecContext, AudioFrame, AudioStream

_READ_BYTES = 1 << 18
# FFmpeg's sample formats, each with the value of silence and the factor to full scale 1.
_SAMPLES = {"u8": (128, 2**-7), "s16": (0, 2**-15), "s32": (0, 2**-31), "flt": (0, 1), "dbl": (0, 1)}
_SAMPLES |= {f"{name}p": scaling for name, scaling in _SAMPLES.items()}


class FFmpegReader:
    """A Reader; PyAV is loaded only when a file needs it.

    Raises:
        UndecodableError: FFmpeg finds no sound in the file.
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        import av

        self._av = av
        # A file object of ours, because FFmpeg takes some file names for the address of a protocol.
        self._file = path.open("rb")
        self._open()

    def _open(self) -> None:
        try:
            self._container = self._av.open(
                self._file,
                "r",
                container_options={"format_whitelist": DEMUXERS},
                metadata_errors="replace",
                buffer_size=_READ_BYTES,
            )
            self._open_stream()
        except self._av.FFmpegError as error:
            self._file.close()
            raise UndecodableError from error
        except BaseException:
            self._file.close()
            raise

    def _open_stream(self) -> None:
        """Decode the first frame: in HE-AAC, the rate in the header is that of the half-rate core."""
        stream = self._container.streams.best("audio")  # of a film with several, the one that players choose
        if stream is None:
            raise UndecodableError(0 if self._container.streams.video else None)
        self._stream = cast("AudioStream", stream)
        self._decoder = self._stream.codec_context
        if self._decoder is None:  # a codec that FFmpeg does not know
            raise UndecodableError
        delay = 0  # samples before the sound that neither the duration nor the first frame's time allow for
        if self._decoder.name == "opus" and "libopus" in self._av.codecs_available:
            delay = self._decoder.delay
            self._decoder = self._libopus()
        self._time_base = float(self._stream.time_base or Fraction(1, self._stream.rate))
        declared = self._stream.duration
        self.frames = None if declared is None else round(declared * self._time_base * self._stream.rate) - delay
        self._decoded = self._decode(strict=True)
        first = next(self._decoded, None)
        if first is None:
            raise UndecodableError(self.frames)
        if first.sample_rate < MIN_SAMPLE_RATE_HZ or first.format.name not in _SAMPLES:
            raise UndecodableError
        self.sample_rate_hz = first.sample_rate
        self.channels = first.layout.nb_channels
        self._origin = (first.pts or 0) + round(delay / self.sample_rate_hz / self._time_base)
        self._ready = [self._samples(first)]

    def _libopus(self) -> AudioCodecContext:
        """The reference decoder: FFmpeg's own puts the parts that Opus codes for speech some samples off."""
        header = self._stream.codec_context
        decoder = self._av.AudioCodecContext.create("libopus", "r")
        decoder.extradata = header.extradata
        decoder.sample_rate = header.sample_rate
        decoder.layout = header.layout.name
        decoder.options = {"request_sample_fmt": "flt"}
        return decoder

    def read(self, frames: int) -> Samples:
        parts, count = self._ready, sum(map(len, self._ready))
        while count < frames and (frame := self._next()) is not None:
            parts.append(self._samples(frame))
            count += len(parts[-1])
        samples = np.concatenate(parts) if parts else np.empty((0, self.channels), np.float32)
        self._ready = [samples[frames:]] if count > frames else []
        return samples[:frames]

    def seek(self, frame: int) -> None:
        before_s = frame / self.sample_rate_hz - PREROLL_S
        if before_s <= 0:  # anew, because what codecs leave out before the start is left out reliably only then
            self._container.close()
            self._file.seek(0)
            self._open()
            self.read(frame)
            return
        try:
            self._container.seek(self._origin + int(before_s / self._time_base), stream=self._stream)
        except self._av.FFmpegError as error:
            raise UndecodableError(self.frames) from error
        self._decoder.flush_buffers()
        self._decoded = self._decode()
        self._ready = []
        while (decoded := self._next()) is not None:
            if decoded.pts is None:
                raise UndecodableError(self.frames)
            start = round((decoded.pts - self._origin) * self._time_base * self.sample_rate_hz)
            if start + decoded.samples > frame:
                self._ready = [self._samples(decoded)[max(0, frame - start) :]]
                return

    def close(self) -> None:
        self._container.close()
        self._file.close()

    def _next(self) -> AudioFrame | None:
        """The next frame; None at the end, and where the stream turns into one of another shape."""
        frame = next(self._decoded, None)
        if frame is None or (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate_hz, self.channels):
            return None
        return frame

    def _decode(self, strict: bool = False) -> Iterator[AudioFrame]:
        """Frames with samples in them. Damage is skipped, but where ``strict``, the first packet must be sound."""
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = self._decoder.decode(packet)
                except self._av.FFmpegError:
                    if strict:
                        raise
                    continue
                for frame in frames:
                    if frame.samples:
                        strict = False
                        yield frame
        except self._av.FFmpegError:
            if strict:
                raise

    def _samples(self, frame: AudioFrame) -> Samples:
        """Samples of a frame as float32 in [-1, 1], shape (n, channels)."""
        array = frame.to_ndarray()
        offset, scale = _SAMPLES[frame.format.name]
        table = array.T if frame.format.is_planar else array.reshape(-1, self.channels)
        samples = np.ascontiguousarray(table, np.float32)
        return samples if scale == 1 else (samples - np.float32(offset)) * np.float32(scale)
