"""Decode a sound of any length into mono blocks, waveform peaks and a content hash: one pass, flat memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.media.audio_file import AudioFile, file_error, modified_ns, open_audio, open_file
from engine.media.fingerprint import Digest, Fingerprint
from engine.media.peaks import PeakMeter

MAX_PEAKS = 400
# HQ costs as much as MQ where the decoder is the bottleneck, and is what the training data was resampled with.
RESAMPLING_QUALITY = "HQ"
# A sample beyond what unscaled 32-bit integers reach is garbage; its square would overflow the spectrum.
LOUDEST_SAMPLE = 2.0**32

_CHUNK_S = 5.0
_CHUNK_SAMPLES = 1 << 18

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class DecodeOptions:
    """What the encoder wants: its sample rate, and blocks of so many samples at that rate."""

    sample_rate_hz: int
    block_samples: int


@dataclass(frozen=True)
class Block:
    """A stretch of a sound: mono float32, shape (block_samples,), the last one shorter."""

    index: int
    waveform: Waveform


@dataclass(frozen=True)
class SoundInfo:
    """What is known of a sound once all of it was decoded.

    ``fingerprint`` tells what the file holds; ``sample_rate_hz`` and ``channels`` are the file's;
    ``peaks`` are at most 400 pairs as in ``Hit``; ``size`` and ``mtime_ns`` are of the file as decoded.
    """

    fingerprint: Fingerprint
    duration_s: float
    sample_rate_hz: int
    channels: int
    peaks: bytes
    size: int
    mtime_ns: int


def _nothing() -> None:
    """Nobody to tell."""


def decode(
    path: Path, options: DecodeOptions, alive: Callable[[], None] = _nothing, by_file: bool = False
) -> Iterator[Block | SoundInfo]:
    """Decode a file: its Blocks in order, then its SoundInfo.

    The mono mix is the mean of the channels, or W of ambisonic ones. A damaged file gives what is left, with 0 for
    samples that are not finite.

    Args:
        path: The sound file.
        options: What the encoder wants.
        alive: Called often while the work goes on, however long a block takes.
        by_file: Let the fingerprint have the hash of the whole file too.

    Raises:
        KnownError: As ``open_audio``; ``sound_empty`` if there are no samples, ``sound_silent`` if all are equal,
            ``sound_damaged`` if they are but for some that are no numbers, ``sound_changed`` if the file was written to
            meanwhile. May come after blocks, which are void then.
    """
    with _unchanging(path) as (file, status):
        digest = Digest(file, status.st_size, by_file, alive)
        with open_audio(path) as audio:
            survey = _Survey(audio)
            chunks = _chunks(audio, survey, digest, status.st_size)
            mono = (samples[:, 0].copy() for samples in chunks) if audio.ambisonic else _mono(chunks)
            yield from _blocks(_resampled(mono, audio.sample_rate_hz, options.sample_rate_hz), options.block_samples)
            if not survey.varies:
                raise _damaged(path) if survey.spoilt else _silent(path)
            info = SoundInfo(
                fingerprint=digest.finish(),
                duration_s=survey.frames / audio.sample_rate_hz,
                sample_rate_hz=audio.sample_rate_hz,
                channels=audio.channels,
                peaks=survey.meter.peaks(),
                size=status.st_size,
                mtime_ns=modified_ns(status),
            )
    yield info


def fingerprint_file(path: Path, alive: Callable[[], None] = _nothing, by_file: bool = False) -> Fingerprint:
    """The fingerprint that :func:`decode` would give, without decoding: also of a file that cannot be decoded.

    Raises:
        KnownError: ``sound_vanished``, ``sound_no_permission``, ``sound_unreadable``, ``sound_io_error`` or
            ``sound_changed``.
    """
    with _unchanging(path) as (file, status):
        return Digest(file, status.st_size, by_file, alive).finish()


def _silent(path: Path) -> KnownError:
    return KnownError(
        ErrorKind.SOUND_SILENT, f"{path} is silent: all its samples are equal.", "Nothing can be found in silence."
    )


def _damaged(path: Path) -> KnownError:
    return KnownError(
        ErrorKind.SOUND_DAMAGED,
        f"{path} is damaged: it has values that are no numbers, infinite or absurdly large, and no sound besides.",
        "Export or copy it again.",
    )


@contextmanager
def _unchanging(path: Path) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """The open file; at the end, complain if it was written to meanwhile: that also explains other errors best."""
    with open_file(path) as file:
        before = os.fstat(file.fileno())
        try:
            yield file, before
        except KnownError:
            _check_unchanged(path, before)
            raise
        except OSError as error:
            raise file_error(path, error) from error
        _check_unchanged(path, before)


def _check_unchanged(path: Path, before: os.stat_result) -> None:
    try:
        after = path.stat()
    except OSError as error:
        raise file_error(path, error) from error
    if (after.st_size, modified_ns(after)) != (before.st_size, modified_ns(before)):
        raise KnownError(
            ErrorKind.SOUND_CHANGED,
            f"{path} changed while it was being read.",
            "It is read again when it is complete: rescan.",
        )


class _Survey:
    """What a sound turns out to be while its samples pass by."""

    def __init__(self, audio: AudioFile) -> None:
        self.meter = PeakMeter(MAX_PEAKS, audio.frames)
        self.frames = 0
        self.varies = False
        self.spoilt = False
        self._lowest = np.full(audio.channels, np.inf, np.float32)
        self._highest = -self._lowest

    def add(self, samples: Waveform, sound: NDArray[np.bool_] | None = None) -> None:
        """Take in the next samples, shape (n, channels); ``sound`` is false where one stands for what was no number."""
        self.meter.add(samples)
        self.frames += len(samples)
        self.spoilt = self.spoilt or sound is not None
        if not self.varies:
            counts = True if sound is None else sound
            self._lowest = np.minimum(self._lowest, samples.min(axis=0, initial=np.inf, where=counts))
            self._highest = np.maximum(self._highest, samples.max(axis=0, initial=-np.inf, where=counts))
            self.varies = bool((self._lowest < self._highest).any())


def _chunks(audio: AudioFile, survey: _Survey, digest: Digest, size: int) -> Iterator[Waveform]:
    """Samples of the file, cleaned and surveyed: shape (n, channels), small enough for 32 channels or odd rates."""
    frames = max(1, min(int(_CHUNK_S * audio.sample_rate_hz), _CHUNK_SAMPLES // audio.channels))
    while len(samples := audio.read(frames)):
        sound = None
        if not (samples.max() < LOUDEST_SAMPLE and samples.min() > -LOUDEST_SAMPLE):  # also where one is NaN
            sound = np.abs(samples) < LOUDEST_SAMPLE
            samples = np.where(sound, samples, np.float32(0))
        survey.add(samples, sound)
        digest.advance(size * min(1.0, survey.frames / audio.frames) if audio.frames else 0.0)
        yield samples


def _mono(chunks: Iterable[Waveform]) -> Iterator[Waveform]:
    """Mean of the channels: (n, channels) -> (n,). Where opposite channels cancel out to nothing, the first one."""
    for samples in chunks:
        channels = samples.shape[1]
        mix = samples[:, 0].copy()
        for channel in range(1, channels):  # many times faster than mean(axis=1) for few channels
            mix += samples[:, channel]
        mix /= channels
        yield mix if channels == 1 or mix.any() else samples[:, 0].copy()


def _resampled(chunks: Iterable[Waveform], from_hz: int, to_hz: int) -> Iterator[Waveform]:
    """The same sound at another rate, in step with its start, round(n * to_hz / from_hz) samples, at least one."""
    if from_hz == to_hz:
        yield from chunks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, 1, "float32", RESAMPLING_QUALITY)
    produced = 0
    chunk = np.zeros(1, np.float32)
    for chunk in chunks:
        resampled = stream.resample_chunk(chunk)
        produced += len(resampled)
        yield resampled
    rest = stream.resample_chunk(chunk[:0], last=True)
    yield rest if produced + len(rest) else chunk[:1]


def _blocks(pieces: Iterable[Waveform], block_samples: int) -> Iterator[Block]:
    """Cut a sound that comes in pieces of any length into blocks."""
    index, held, parts = 0, 0, list[Waveform]()
    for piece in pieces:
        parts.append(piece)
        held += len(piece)
        if held < block_samples:
            continue
        waveform = np.concatenate(parts)
        full = held - held % block_samples
        for start in range(0, full, block_samples):
            yield Block(index, waveform[start : start + block_samples])
            index += 1
        parts, held = [waveform[full:]], held - full
    if held:
        yield Block(index, np.concatenate(parts))
