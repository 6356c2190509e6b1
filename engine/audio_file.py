"""Open any sound file and read it as float32 frames: libsndfile first, FFmpeg where libsndfile gives up."""

from __future__ import annotations

import importlib.util
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.errors import KnownError

HAS_FFMPEG = importlib.util.find_spec("av") is not None

SUPPORTED_SUFFIXES = frozenset(
    {".wav", ".wave", ".bwf", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".caf", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
    | ({".m4a", ".aac"} if HAS_FFMPEG else set())
)

# A lower rate is a damaged header, not a sound; believing it would resample a small file to days of samples.
MIN_SAMPLE_RATE_HZ = 500

# libsndfile cannot read the first two; FFmpeg decodes Opus more than twice as fast (docs/decisions has the figures).
_FFMPEG_FIRST = frozenset({".m4a", ".aac", ".opus"})

# Without this list FFmpeg takes a playlist or a subtitle named .wav at its word and opens what it points to.
_FFMPEG_FORMATS = "aac,aiff,ape,asf,au,caf,flac,matroska,mov,mp3,ogg,tta,w64,wav,wv"
_FFMPEG_READ_BYTES = 1 << 18
# Opus needs 80 ms and MP3 some frames before a position until they sound right again.
_FFMPEG_PREROLL_S = 0.5

Samples = NDArray[np.float32]


class _Reader(Protocol):
    """One way to read one file. ``read`` returns (n, channels), n == 0 only at the end."""

    sample_rate_hz: int
    channels: int
    frames: int | None

    def read(self, frames: int) -> Samples: ...
    def seek(self, frame: int) -> None: ...
    def close(self) -> None: ...


class _Undecodable(Exception):
    """A reader cannot go on with this file; another one may."""


class AudioFile:
    """An open sound file, read from start to end or from any time. Use as a context manager.

    Attributes:
        sample_rate_hz: Rate of the file.
        channels: Number of channels.
        frames: Length as the file declares it, or None where only decoding can tell. Damaged files declare wrong ones.
    """

    def __init__(self, path: Path, reader: _Reader, fallback: Callable[[Path], _Reader] | None) -> None:
        self._path = path
        self._reader = reader
        self._fallback = fallback
        self._position = 0
        self.sample_rate_hz = reader.sample_rate_hz
        self.channels = reader.channels
        self.frames = reader.frames

    @property
    def duration_s(self) -> float | None:
        """Length in seconds as the file declares it, or None."""
        return None if self.frames is None else self.frames / self.sample_rate_hz

    def read(self, frames: int) -> Samples:
        """Next samples, shape (n, channels), where n < ``frames`` only at the end and n == 0 after it.

        Raises:
            KnownError: ``sound_truncated`` or ``sound_unreadable`` where not one sample can be decoded, or
                ``sound_unreadable`` for an I/O error. Damage further on ends the sound there or is skipped.
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
        """Go on reading at ``time_s``, at most the end of the sound. Exact to the sample."""
        frame = max(0, round(time_s * self.sample_rate_hz))
        if self.frames is not None:
            frame = min(frame, self.frames)
        self._position = frame
        try:
            self._reader.seek(frame)
        except _Undecodable:
            self._hand_over()

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
            return self._reader.read(frames)
        except OSError as error:
            raise file_error(self._path, error) from error
        except _Undecodable:
            if not self._hand_over() and self._position == 0:
                raise _nothing_decodable(self._path, self.frames) from None
            return self._reader.read(frames)

    def _hand_over(self) -> bool:
        """Let the other reader go on where this one stopped; without one, the sound ends here."""
        self._reader.close()
        self._reader, fallback = _Ended(self._reader), self._fallback
        self._fallback = None
        if fallback is None:
            return False
        try:
            reader = fallback(self._path)
        except _Undecodable:
            return False
        except OSError as error:
            raise file_error(self._path, error) from error
        if (reader.sample_rate_hz, reader.channels) != (self.sample_rate_hz, self.channels):
            reader.close()
            return False
        self._reader = reader
        reader.seek(self._position)
        return True


def open_audio(path: Path) -> AudioFile:
    """Open a sound file of any supported format; its content decides, not its name.

    Raises:
        KnownError: ``sound_vanished``, ``sound_no_permission``, ``sound_empty`` (0 bytes), ``sound_truncated`` or
            ``sound_unreadable``.
    """
    with open_file(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise KnownError("sound_empty", f"{path} is empty: 0 bytes.", "Export or copy it again.")
    openers: list[Callable[[Path], _Reader]] = [_SoundFileReader]
    if HAS_FFMPEG:
        openers.insert(0 if path.suffix.lower() in _FFMPEG_FIRST else 1, _FFmpegReader)
    for index, opener in enumerate(openers):
        fallback = openers[index + 1] if index + 1 < len(openers) else None
        try:
            reader = opener(path)
        except _Undecodable:
            continue
        except OSError as error:
            raise file_error(path, error) from error
        if reader.sample_rate_hz >= MIN_SAMPLE_RATE_HZ:
            return AudioFile(path, reader, fallback)
        reader.close()
    raise _nothing_decodable(path, None)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading bytes.

    Raises:
        KnownError: ``sound_vanished``, ``sound_no_permission``, or ``sound_unreadable`` (a folder, a pipe, an I/O error).
    """
    try:
        # Opening a named pipe would wait for its writer, so look before.
        if not stat.S_ISREG(path.stat().st_mode):
            raise KnownError("sound_unreadable", f"{path} is not a file.", "Choose a sound file.")
        return path.open("rb")
    except OSError as error:
        raise file_error(path, error) from error


def file_error(path: Path, error: OSError) -> KnownError:
    """The KnownError that tells why the system refused to open or to read ``path``."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return KnownError("sound_vanished", f"{path} is not there any more.", "Rescan its folder to update the library.")
    if isinstance(error, PermissionError):
        return KnownError(
            "sound_no_permission",
            f"{path} may not be read.",
            "Give yourself permission to read it, or close the program that holds it.",
        )
    reason = error.strerror or str(error)
    return KnownError("sound_unreadable", f"{path} cannot be read: {reason}.", "Check the disk or the connection to it.")


def _nothing_decodable(path: Path, frames: int | None) -> KnownError:
    if frames:
        return KnownError("sound_truncated", f"{path} is cut off before its sound begins.", "Export or copy it again.")
    return KnownError(
        "sound_unreadable",
        f"{path} is damaged, or not a sound in a format that Foundsound reads.",
        "Play it in another program; if that fails too, export or copy it again.",
    )


class _Ended:
    """What is left of a file whose reader gave up: nothing."""

    def __init__(self, reader: _Reader) -> None:
        self.sample_rate_hz = reader.sample_rate_hz
        self.channels = reader.channels
        self.frames = reader.frames

    def read(self, frames: int) -> Samples:  # noqa: ARG002
        return np.empty((0, self.channels), np.float32)

    def seek(self, frame: int) -> None:
        pass

    def close(self) -> None:
        pass


class _SoundFileReader:
    """Reads with libsndfile."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() == ".raw":  # soundfile would ask for what only a header could tell
            raise _Undecodable(path)
        try:
            # As bytes, because soundfile refuses names that are not valid Unicode; Windows has no such names.
            self._file = soundfile.SoundFile(str(path) if os.name == "nt" else os.fsencode(path))
        except soundfile.LibsndfileError as error:
            raise _Undecodable(path) from error
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.frames: int | None = self._file.frames if self._file.seekable() else None

    def read(self, frames: int) -> Samples:
        # An array of our own, because soundfile else reads no more than the header declares.
        samples: Samples = np.empty((frames, self.channels), np.float32)
        try:
            read: Samples = self._file.read(out=samples)
        except soundfile.LibsndfileError as error:
            raise _Undecodable from error
        return read

    def seek(self, frame: int) -> None:
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise _Undecodable from error

    def close(self) -> None:
        self._file.close()


class _FFmpegReader:
    """Reads with FFmpeg through PyAV, which is loaded only when a file needs it."""

    def __init__(self, path: Path) -> None:
        import av

        self._error = av.FFmpegError
        # A file object of ours, because FFmpeg would read some file names as the address of a protocol.
        self._file = path.open("rb")
        try:
            self._container = av.open(
                self._file,
                "r",
                container_options={"format_whitelist": _FFMPEG_FORMATS},
                metadata_errors="replace",
                buffer_size=_FFMPEG_READ_BYTES,
            )
            if not self._container.streams.audio:
                raise _Undecodable(path)
            self._stream = self._container.streams.audio[0]
            self._parts = self._decode()
            # The header of some formats (HE-AAC) does not know the rate: the first decoded frame does.
            self._pending = [next(self._parts)]
        except (av.FFmpegError, StopIteration) as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, EOFError):
                raise
            raise _Undecodable(path) from error
        except BaseException:
            self.close()
            raise
        E
echo; sed -n 1,80p .venv/lib/python3.11/site-packages/av/error.py; .venv/bin/python - <<'E'
import av
print(av.error.InvalidDataError.__mro__, av.error.EOFError.__mro__, av.error.PermissionError.__mro__)
class F:
    name='x.opus'
    def __init__(s,p): s.f=open(p,'rb'); s.n=0
    def read(s,n):
        s.n+=1
        if s.n>1: raise OSError(5,'Input/output error')
        return s.f.read(n)
    def seek(s,*a): return s.f.seek(*a)
    def tell(s): return s.f.tell()
for p in ('/tmp/decode/f/a.opus','/tmp/decode/f/a24.wav','/tmp/decode/f/a.flac'):
    try:
        with av.open(F(p)) as c:
            n=0
            for f in c.decode(audio=0): n+=f.samples
            print(n)
    except Exception as e: print(type(e).__mro__,e)
