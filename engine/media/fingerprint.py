"""What a sound file holds, told by hashes: its audio, and all that stands around it."""

from __future__ import annotations

from dataclasses import dataclass


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
