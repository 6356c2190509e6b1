"""What a sound file holds, told by hashes: its audio, and all that stands around it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from engine.media.audio_bytes import audio_spans

HASH_BYTES: Final = 16
_CHUNK_BYTES: Final = 1 << 20


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
        file: The open file.
        size: Its length in bytes.
        by_file: Also take the hash of the whole file.
        alive: Called often while the work goes on.
    """

    def __init__(self, file: BinaryIO, size: int, by_file: bool, alive: Callable[[], None]) -> None:
        self._file = file
        self._alive = alive
        self._spans = audio_spans(file, size)
        self._next = 0  # the first span that does not lie before the position
        self._audio = hashlib.blake2b(digest_size=HASH_BYTES)
        self._rest = hashlib.blake2b(digest_size=HASH_BYTES)
        self._whole = hashlib.blake2b(digest_size=HASH_BYTES) if by_file else None
        self._position = 0
        file.seek(0)

    def advance(self, position: float) -> bool:
        """Take in the file up to about ``position`` bytes; False at its end."""
        self._alive()
        while self._position < position:
            chunk = self._file.read(_CHUNK_BYTES)
            if not chunk:
                return False
            self._take(memoryview(chunk))
            self._alive()
        return True

    def finish(self) -> Fingerprint:
        """Take in the rest."""
        self.advance(float("inf"))
        whole = self._whole.digest() if self._whole is not None else None
        return Fingerprint(self._audio.digest(), self._rest.digest(), whole)

    def _take(self, chunk: memoryview) -> None:
        """Split a chunk into what is audio and what is not."""
        if self._whole is not None:
            self._whole.update(chunk)
        start, end = self._position, self._position + len(chunk)
        at = start
        while at < end:
            first, last = self._spans[self._next] if self._next < len(self._spans) else (end, end)
            is_audio = first <= at
            until = min(last if is_audio else first, end)
            (self._audio if is_audio else self._rest).update(chunk[at - start : until - start])
            at = until
            if at >= last:
                self._next += 1
        self._position = end
