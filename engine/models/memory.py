"""Keeps the memory of a process that embeds for hours where it was after the first minute.

Sounds of ever new lengths make ever new shapes. oneDNN keeps what it prepared for the last thousand of them, and glibc,
once large blocks have been freed, takes them from the heap, where they leave holes: together more than a megabyte for
every ten sounds, with no end in sight after 20,000.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

PRIMITIVES: Final = 64
"""What oneDNN may keep: more than the layers of a CNN need for the shapes that they see again and again."""
_M_MMAP_THRESHOLD: Final = -3  # mallopt(3); setting it also keeps glibc from raising it
_MAPPED_BYTES: Final = 1 << 20
"""Blocks from this size on come from the system, and go back to it when they are freed."""


def bound_memory() -> None:
    """Set the bounds; to be called before torch is imported, which reads one of them then. The user's own setting of
    oneDNN's variable stays."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(PRIMITIVES))
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
