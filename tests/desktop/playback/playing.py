"""What the tests of the player share: sound files to play, and a record of what the player said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from desktop.playback.player import Player, PlayerState
from engine.errors import KnownError

RATE_HZ = 48_000
MakePlayer = Callable[[], Player]


class Record:
    """Everything that a player said."""

    def __init__(self, player: Player) -> None:
        self.states: list[PlayerState] = []
        self.positions: list[float] = []
        self.errors: list[KnownError] = []
        self.device_changes = 0
        player.state_changed.connect(self.states.append)
        player.position_changed.connect(self.positions.append)
        player.failed.connect(self.errors.append)
        player.devices_changed.connect(self._count_devices)

    def _count_devices(self) -> None:
        self.device_changes += 1


def write(path: Path, samples: NDArray[Any], rate_hz: int = RATE_HZ) -> Path:
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return path


def ramp(frames: int) -> NDArray[np.float64]:
    """Samples that tell where in the file they stand, from 0.1 to 0.9."""
    return np.linspace(0.1, 0.9, frames)


def constant(level: float, seconds: float = 30.0) -> NDArray[np.float32]:
    return np.full(round(seconds * RATE_HZ), level, dtype=np.float32)


def biggest_step(heard: NDArray[np.float32]) -> float:
    return float(np.abs(np.diff(heard, axis=0)).max())
