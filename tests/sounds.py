"""Makers of sound files for tests: good ones in any format, and every way of being bad."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import cast

import av
import numpy as np
import soundfile
from av.stream import Disposition
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def tone(
    duration_s: float = 1.0, sample_rate_hz: int = 44_100, channels: int = 1, hz: float = 440.0, level: float = 0.5
) -> Samples:
    """A sine in all channels, shape (n, channels)."""
    times = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    return np.repeat((level * np.sin(2 * np.pi * hz * times)).astype(np.float32)[:, None], channels, axis=1)


def sweep(
    duration_s: float = 1.0, sample_rate_hz: int = 44_100, channels: int = 1, to_hz: float = 3000.0, level: float = 0.5
) -> Samples:
    """A sine that rises from 200 Hz, shape (n, channels): like itself at one place only, yet easy on lossy codecs."""
    times = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    phase = 2 * np.pi * (200 * times + (to_hz - 200) / (2 * duration_s) * times**2)
    return np.repeat((level * np.sin(phase)).astype(np.float32)[:, None], channels, axis=1)


def noise(
    duration_s: float = 1.0, sample_rate_hz: int = 44_100, channels: int = 1, level: float = 0.25, seed: int = 0
) -> Samples:
    """White noise, different in each channel, shape (n, channels)."""
    shape = round(duration_s * sample_rate_hz), channels
    return np.random.default_rng(seed).uniform(-level, level, shape).astype(np.float32)


def write_sound(path: Path, samples: Samples, sample_rate_hz: int = 44_100, subtype: str | None = None) -> Path:
    """Write with libsndfile, in the format of the name's suffix."""
    suffix = path.suffix.lower()
    other_names = {".aif": "AIFF", ".aifc": "AIFF", ".amb": "WAV", ".bwf": "WAV", ".oga": "OGG", ".opus": "OGG"}
    other_names |= {".snd": "AU"}
    name = other_names.get(suffix, suffix[1:].upper())
    coding = subtype or {".opus": "OPUS", ".au": "PCM_16", ".snd": "PCM_16", ".voc": "PCM_16"}.get(suffix)
    with soundfile.SoundFile(path, "w", sample_rate_hz, samples.shape[1], subtype=coding, format=name) as file:
        for start in range(0, max(1, len(samples)), 16_384):  # a long Vorbis write overflows libsndfile's stack
            file.write(samples[start : start + 16_384])
    return path


def write_with_ffmpeg(
    path: Path,
    samples: Samples,
    codec: str,
    sample_rate_hz: int = 44_100,
    options: dict[str, str] | None = None,
    sample_format: str | None = None,
) -> Path:
    """Write mono or stereo with FFmpeg: what libsndfile cannot write, such as AAC or MP3 without a Xing header."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(path, "w", options=options) as container:
        stream = cast("av.AudioStream", container.add_stream(codec, rate=sample_rate_hz, options=options))
        stream.codec_context.layout = layout
        stream.codec_context.bit_rate = 192_000  # which some encoders must be told
        if sample_format is not None:
            stream.codec_context.format = sample_format
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "flt", layout)
        frame.sample_rate, frame.pts = sample_rate_hz, 0
        stream.codec_context.open()
        resampler = av.AudioResampler(
            stream.codec_context.format, layout, sample_rate_hz, frame_size=stream.codec_context.frame_size or None
        )
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path


def write_film(path: Path, samples: Samples | None, sample_rate_hz: int = 48_000) -> Path:
    """Grey pictures, with mono sound or without any."""
    with av.open(path, "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = None
        if samples is not None:
            sound = container.add_stream("aac", rate=sample_rate_hz)
            sound.codec_context.layout = "mono"
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), "rgb24")
            picture.pts = number
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        if sound is not None and samples is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "flt", "mono")
            frame.sample_rate, frame.pts = sample_rate_hz, 0
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def write_with_two_sounds(path: Path, first: Samples, default: Samples, sample_rate_hz: int = 48_000) -> Path:
    """Two mono streams in 16 bits, of which the second is marked as the default."""
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=sample_rate_hz) for _ in range(2)]
        for stream in streams:
            stream.codec_context.layout = "mono"
        streams[0].disposition, streams[1].disposition = Disposition(0), Disposition.default
        for stream, samples in zip(streams, (first, default), strict=True):
            whole = np.ascontiguousarray((samples * 32_767).astype(np.int16).reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(whole, "s16", "mono")
            frame.sample_rate, frame.pts = sample_rate_hz, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def write_ambisonic(path: Path, samples: Samples, sample_rate_hz: int = 48_000, as_floats: bool = True) -> Path:
    """A WAVE file whose channels (n, 4, 9 or 16) are B-format: WAVE_FORMAT_EXTENSIBLE with a GUID of its own."""
    data = samples.astype("<f4").tobytes() if as_floats else (samples * 32_767).astype("<i2").tobytes()
    bits, frame = (32, 4 * samples.shape[1]) if as_floats else (16, 2 * samples.shape[1])
    guid = bytes([3 if as_floats else 1]) + bytes.fromhex("0000002107d3118644c8c1ca000000")
    form = struct.pack(
        "<HHIIHHHHI", 0xFFFE, samples.shape[1], sample_rate_hz, sample_rate_hz * frame, frame, bits, 22, bits, 0
    )
    chunks = [(b"fmt ", form + guid), (b"data", data)]
    body = b"".join(struct.pack("<4sI", name, len(content)) + content for name, content in chunks)
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body)
    return path


def cut_short(path: Path, keep: float) -> Path:
    """Leave only this part of a file's bytes, from its start."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def damage(path: Path, at: float = 0.5, size: int = 3000) -> Path:
    """Overwrite some bytes with noise, from a part of the file on."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + size] = np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
    path.write_bytes(data)
    return path


def write_text(path: Path) -> Path:
    """A text, whatever the name says."""
    path.write_text("This is not a sound.\n" * 200, encoding="utf-8")
    return path


def write_not_finite(path: Path, samples: Samples, sample_rate_hz: int = 44_100) -> Path:
    """A float WAV with NaN, both infinities and a huge value among its samples, the first four after the 100th."""
    spoilt = samples.copy()
    spoilt[100:104, 0] = [np.nan, np.inf, -np.inf, 3e38]
    return write_sound(path, spoilt, sample_rate_hz, "FLOAT")


def write_header(path: Path, data_bytes: int, sample_rate_hz: int = 44_100, channels: int = 1) -> Path:
    """The header of a 16-bit WAV that promises so many bytes of samples, and none of them."""
    frame = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, sample_rate_hz, sample_rate_hz * frame, frame, 16)
    riff = struct.pack("<4sI4s4sI", b"RIFF", 36 + data_bytes, b"WAVE", b"fmt ", len(form))
    path.write_bytes(riff + form + struct.pack("<4sI", b"data", data_bytes))
    return path


def write_sparse(path: Path, duration_s: float, sample_rate_hz: int = 96_000) -> Path:
    """A long 16-bit mono WAV that takes no room on most disks: a second of noise, then silence."""
    samples = round(duration_s * sample_rate_hz)
    write_header(path, 2 * samples, sample_rate_hz)
    with path.open("r+b") as file:
        file.seek(44)
        file.write((noise(1.0, sample_rate_hz) * 32_767).astype("<i2").tobytes())
        file.truncate(44 + 2 * samples)
    return path
