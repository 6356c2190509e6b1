"""Open any sound file and read it as float32 frames.

libsndfile reads most formats, FFmpeg the few that libsndfile cannot read or gets wrong; where one gives up on a file,
the other has a try before the file is called damaged.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile

from engine.errors import ErrorKind, KnownError
from engine.media.ambisonic import is_ambisonic
from engine.media.audio_reader import MIN_SAMPLE_RATE_HZ, Reader, Samples, UndecodableError
from engine.media.ffmpeg_reader import FFmpegReader
from engine.media.formats import FFMPEG_FIRST

# Beyond this, libsndfile means that it does not know the length (it says 2**63 - 1, for FLAC that was streamed).
_UNKNOWN_FRAMES = 2**62


class AudioFile:
    """An open sound file, read from start to end or from any time. Use as a context manager.

    Attributes:
        sample_rate_hz: Rate of the file.
        channels: Number of channels.
        ambisonic: Whether the channels are a sound field in B-format, of which the first alone is a sound to hear.
        frames: Length as the file declares it, or None where only decoding can tell. Damaged files declare wrong ones.
    """

    def __init__(self, path: Path, reader: Reader, fallback: Callable[[Path], Reader] | None) -> None:
        self._path = path
        self._reader = reader
        self._fallback = fallback
        self._position = 0
        self._ended = False
        self.sample_rate_hz = reader.sample_rate_hz
        self.channels = reader.channels
        self.frames = reader.frames
        self.ambisonic = is_ambisonic(path)

    @property
    def duration_s(self) -> float | None:
        """Length in seconds as the file declares it, or None."""
        return None if self.frames is None else self.frames / self.sample_rate_hz

    def read(self, frames: int) -> Samples:
        """Next samples, shape (n, channels), where n < ``frames`` only at the end and n == 0 after it.

        Raises:
            KnownError: ``sound_truncated`` or ``sound_unreadable`` where not one sample can be decoded, or
                ``sound_io_error`` for a disk error. Damage further on is skipped, or ends the sound there.
        """
        parts: list[Samples] = []
        wanted = frames
        while wanted > 0:
            part = self._read_part(wanted)
            if not len(part):
                break
            parts.append(part)
            wanted -= len(part)
            self._position += len(part)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, self.channels), np.float32)

    def seek(self, time_s: float) -> None:
        """Go on reading at ``time_s``, at most the end of the sound; exact to the sample in all but a few AAC files."""
        frame = max(0, round(time_s * self.sample_rate_hz))
        self._position = frame if self.frames is None else min(frame, self.frames)
        self._ended = False
        try:
            self._reader.seek(self._position)
        except UndecodableError:
            self._hand_over()
        except OSError as error:
            raise file_error(self._path, error) from error

    def close(self) -> None:
        """Close the file; again is harmless."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read_part(self, frames: int) -> Samples:
        try:
            while not self._ended:
                try:
                    return self._reader.read(frames)
                except UndecodableError:
                    self._hand_over()
        except OSError as error:
            raise file_error(self._path, error) from error
        if self._position == 0:
            raise _nothing_decodable(self._path, self.frames)
        return np.empty((0, self.channels), np.float32)

    def _hand_over(self) -> None:
        """Let the other reader go on from here; where there is none, or it fails too, the sound ends."""
        opener, self._fallback, self._ended = self._fallback, None, True
        if opener is None:
            return
        try:
            reader = opener(self._path)
        except UndecodableError:
            return
        try:
            if (reader.sample_rate_hz, reader.channels) == (self.sample_rate_hz, self.channels):
                reader.seek(self._position)
                self._reader, reader, self._ended = reader, self._reader, False
        except UndecodableError:
            return
        finally:
            reader.close()


def open_audio(path: Path) -> AudioFile:
    """Open a sound file of any supported format; its content decides, not its name.

    Raises:
        KnownError: ``sound_vanished``, ``sound_no_permission``, ``sound_empty`` (0 bytes, or a header that declares
            no samples), ``sound_truncated`` (not one of the declared samples is there) or ``sound_unreadable``.
    """
    with open_file(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise KnownError(ErrorKind.SOUND_EMPTY, f"{path} is empty: 0 bytes.", "Export or copy it again.")
    openers: list[Callable[[Path], Reader]] = [_SoundFileReader, FFmpegReader]
    if path.suffix.lower() in FFMPEG_FIRST:
        openers.reverse()
    declared: int | None = None
    for opener, fallback in zip(openers, [*openers[1:], None], strict=True):
        try:
            return AudioFile(path, opener(path), fallback)
        except UndecodableError as error:
            declared = error.frames if declared is None else declared
        except OSError as error:
            raise file_error(path, error) from error
    raise _nothing_decodable(path, declared)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading bytes.

    Raises:
        KnownError: ``sound_vanished``, ``sound_no_permission``, ``sound_unreadable`` (a folder or pipe) or
            ``sound_io_error``.
    """
    try:
        # Opening a named pipe would wait for its writer, so look before.
        if not stat.S_ISREG(path.stat().st_mode):
            raise KnownError(ErrorKind.SOUND_UNREADABLE, f"{path} is not a file.", "Choose a sound file.")
        return path.open("rb")
    except OSError as error:
        raise file_error(path, error) from error


def modified_ns(status: os.stat_result) -> int:
    """When a file was changed, as a number that fits into 64 bits: some files claim to be from the year 2500."""
    return max(-(1 << 63), min(status.st_mtime_ns, (1 << 63) - 1))


def file_error(path: Path, error: OSError) -> KnownError:
    """The KnownError that tells why the system refused to open or to read ``path``."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return KnownError(
            ErrorKind.SOUND_VANISHED, f"{path} is not there any more.", "Rescan its folder to update the library."
        )
    if isinstance(error, PermissionError):
        return KnownError(
            ErrorKind.SOUND_NO_PERMISSION,
            f"{path} may not be read.",
            "Give yourself permission to read it, or close the program that holds it.",
        )
    reason = error.strerror or str(error)
    return KnownError(
        ErrorKind.SOUND_IO_ERROR, f"{path} cannot be read: {reason}.", "Check the disk or the connection to it."
    )


def _nothing_decodable(path: Path, declared: int | None) -> KnownError:
    """Why no sample came out of a file that declares so many."""
    if declared == 0:
        return KnownError(ErrorKind.SOUND_EMPTY, f"{path} has no samples in it.", "Export or copy it again.")
    if declared is not None:
        return KnownError(
            ErrorKind.SOUND_TRUNCATED, f"{path} is cut off before its sound begins.", "Export or copy it again."
        )
    return KnownError(
        ErrorKind.SOUND_UNREADABLE,
        f"{path} is damaged, or not a sound in a format that Foundsound reads.",
        "Play it in another program; if that fails too, export or copy it again.",
    )


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A SoundFile that does not seek to where it is after each read, which costs time and makes clicks in MP3."""

    def seekable(self) -> bool:
        return False


class _SoundFileReader:
    """Reads with libsndfile."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() == ".raw":  # soundfile would ask for what only a header could tell
            raise UndecodableError
        try:
            # As bytes, because soundfile refuses names that are not valid Unicode; Windows has no such names.
            self._file = _Stream(str(path) if os.name == "nt" else os.fsencode(path))
        except soundfile.LibsndfileError as error:
            raise UndecodableError from error
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int | None = self._file.frames if self._file.frames < _UNKNOWN_FRAMES else None
        self._lossy = self._file.subtype in ("MPEG_LAYER_III", "OPUS", "VORBIS")
        opus_in_ogg = self._file.subtype == "OPUS"
        guessed = self._file.format == "RAW"  # by its name alone: a file named .au or .snd that is none
        absurd = self.sample_rate_hz < MIN_SAMPLE_RATE_HZ
        if opus_in_ogg or guessed or absurd or self.frames == 0:
            self._file.close()
            raise UndecodableError(None if guessed or absurd else self.frames)

    def read(self, frames: int) -> Samples:
        # Into an array of our own, because soundfile else reads no more than the header declares.
        samples: Samples = np.empty((frames, self.channels), np.float32)
        try:
            read: Samples = self._file.read(out=samples)
        except soundfile.LibsndfileError as error:
            raise UndecodableError(self.frames) from error
        return read

    def seek(self, frame: int) -> None:
        if self._lossy:  # libsndfile jumps to a wrong place in Vorbis now and then (its issue 885)
            raise UndecodableError(self.frames)
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise UndecodableError(self.frames) from error

    def close(self) -> None:
        self._file.close()
