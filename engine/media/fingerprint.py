"""What a sound file holds, told by hashes: its audio, and all that stands around it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from engine.media.audio_bytes import Span, audio_spans

HASH_BYTES: Final = 16

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Fingerprint:
    """Hashes of a sound file, 16-byte BLAKE2b (RFC 7693) each.

    ``audio`` is of the audio's bytes in its container (the data chunk, or the stream's packets) and of what is needed
    to decode them, so that it stays when tags or a bext chunk are edited. ``rest`` is of all other bytes. ``file`` is
    of the whole file, taken only where it is asked for.
    """

    audio: bytes
    rest: bytes
    file: bytes | None = None


class Digest:
    """Hashes a file along with its decoding, so that a file larger than the disk cache is read from disk but once.

    Args:
        file: The file, open for reading; nobody else may move its position meanwhile.
        size: Its size in bytes.
        by_file: Whether to hash the whole file too.
        alive: Called often while the work goes on.
    """

    def __init__(self, file: BinaryIO, size: int, by_file: bool, alive: Callable[[], None]) -> None:
        self._file = file
        self._alive = alive
        self._audio, self._rest, self._whole = (hashlib.blake2b(digest_size=HASH_BYTES) for _ in range(3))
        self._by_file = by_file
        self._stretches = _stretches(audio_spans(file, size))
        self._position = 0
        self._end, self._is_audio = 0, False

    def advance(self, position: float) -> None:
        """Take in the file up to about ``position`` bytes, or to its end.

        Raises:
            OSError: The file cannot be read.
        """
        self._alive()
        while self._position < position:
            self._alive()
            if self._position >= self._end:
                self._end, self._is_audio = next(self._stretches)
                continue
            self._file.seek(self._position)
            chunk = self._file.read(min(_CHUNK_BYTES, self._end - self._position))
            if not chunk:
                return
            (self._audio if self._is_audio else self._rest).update(chunk)
            if self._by_file:
                self._whole.update(chunk)
            self._position += len(chunk)

    def finish(self) -> Fingerprint:
        """Take in what is left; the fingerprint.

        Raises:
            OSError: The file cannot be read.
        """
        self.advance(float("inf"))
        whole = self._whole.digest() if self._by_file else None
        return Fingerprint(self._audio.digest(), self._rest.digest(), whole)


def _stretches(spans: Iterable[Span]) -> Iterator[tuple[int, bool]]:
    """Where each stretch of a file ends, and whether it is audio; the last one never ends."""
    for span in spans:
        yield span.start, False
        yield span.end, True
    yield sys.maxsize, False
