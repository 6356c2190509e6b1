"""Whole sounds, decoded as the app decodes them, so that models learn from what they will hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.media.decode import Block, DecodeOptions, decode

BLOCK_S = 30.0


def load_mono(path: Path, sample_rate_hz: int) -> NDArray[np.float32]:
    """A sound as mono float32 (samples,) at this rate; a silent one too.

    Raises:
        KnownError: As :func:`engine.media.decode.decode`, but not for silence.
    """
    blocks: list[NDArray[np.float32]] = []
    try:
        for part in decode(path, DecodeOptions(sample_rate_hz, round(BLOCK_S * sample_rate_hz))):
            if isinstance(part, Block):
                blocks.append(part.waveform)  # noqa: PERF401 - what came before silence is found out is kept
    except KnownError as error:
        if error.kind != ErrorKind.SOUND_SILENT:
            raise
    return np.concatenate(blocks) if blocks else np.zeros(1, np.float32)
