"""Ambisonic B-format in WAVE files: sound fields, whose first channel, W, hears all directions alike."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from engine.media.audio_bytes import riff_chunks

_EXTENSIBLE: Final = 0xFFFE
_SUBTYPES: Final = frozenset(
    bytes.fromhex(f"{code}000000 2107 d311 8644 c8c1ca000000".replace(" ", "")) for code in ("01", "03")
)
"""GUIDs of B-format in integers and in floats (AMBISONIC_B_FORMAT of Richard Dobson's WAVE_EX)."""
_FORMAT_BYTES: Final = 40


def is_ambisonic(path: Path) -> bool:
    """Whether a WAVE file says that its channels are B-format; False for any other file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        if file.read(12)[8:] != b"WAVE":
            return False
        size = file.seek(0, 2)
        for name, (first, end) in riff_chunks(file, size):
            if name == b"fmt ":
                file.seek(first)
                described = file.read(min(end - first, _FORMAT_BYTES))
                return len(described) == _FORMAT_BYTES and _names_b_format(described)
    return False


def _names_b_format(described: bytes) -> bool:
    (tag,) = struct.unpack_from("<H", described)
    return tag == _EXTENSIBLE and described[24:40] in _SUBTYPES
