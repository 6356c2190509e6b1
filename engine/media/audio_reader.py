"""What each way to read a sound file has to offer, and what they share."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# A lower rate is a damaged header, not a sound; believing it would resample a small file to days of samples.
MIN_SAMPLE_RATE_HZ = 500

# After a jump, lossy codecs sound wrong until they have decoded a few frames.
PREROLL_S = 0.5

Samples = NDArray[np.float32]


class Reader(Protocol):
    """One way to read one file; its methods raise UndecodableError and OSError.

    ``frames`` is the length that the file declares, None where it declares none. ``read`` returns (n, channels), n == 0
    only at the end. ``seek`` counts frames from the start of the sound.
    """

    sample_rate_hz: int
    channels: int
    frames: int | None

    def read(self, frames: int) -> Samples: ...
    def seek(self, frame: int) -> None: ...
    def close(self) -> None: ...


class UndecodableError(Exception):
    """A reader cannot go on with this file; another one may. ``frames`` is what the file declares, if that is known."""

    def __init__(self, frames: int | None = None) -> None:
        super().__init__(frames)
        self.frames = frames
