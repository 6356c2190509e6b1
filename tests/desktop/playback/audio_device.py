"""Sound cards made of ALSA configuration: PortAudio plays on them for real, without any hardware.

PortAudio reads the configuration when it is initialised, which the player does each time it starts and at each rescan.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from desktop.playback.audio_trial import require_audio_to_start
from engine.errors import KnownError

# Takes frames as fast as they are made, like a sound card without a clock.
NULL = "pcm.!default { type null }\nctl.!default { type null }\n"

# PortAudio is there but finds nothing to play on.
NO_DEVICE = "pcm.absent { type hw card 99 }\nctl.absent { type hw card 99 }\n"

# Opens at 48 kHz only: there is no rate converter of that name.
FIXED_RATE = 'pcm.fixed {{ type plug slave {{ pcm {pcm} rate 48000 }} rate_converter "none" }}\n'


def use_alsa(monkeypatch: pytest.MonkeyPatch, folder: Path, configuration: str) -> None:
    """Have PortAudio see these devices from its next initialisation on, and no others."""
    _need_alsa()
    file = folder / "asound.conf"
    file.write_text(configuration)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(file))
    if (problem := _audio_problem()) is not None:
        pytest.skip(f"PortAudio does not work on this machine: {problem}")


def _need_alsa() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("needs ALSA")


@cache
def _audio_problem() -> KnownError | None:
    """Why no test could load PortAudio here without ending them all; None where it works."""
    try:
        require_audio_to_start()
    except KnownError as problem:
        return problem
    return None


class TapedDevice:
    """A sound card whose loudspeaker is a named pipe: it plays only as fast as the test takes what is heard.

    Args:
        folder: Where to make the pipe.
    """

    CHANNELS = 2

    def __init__(self, folder: Path) -> None:
        self._path = folder / "loudspeaker"
        _need_alsa()
        import fcntl  # not on Windows

        os.mkfifo(self._path)
        self._pipe = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        # a small pipe, so that little is waiting in it
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, 4096)
        self._rest = b""

    @property
    def pcm(self) -> str:
        """An ALSA expression for the device."""
        return f'{{ type file slave.pcm {{ type null }} file "{self._path}" format raw }}'

    @property
    def configuration(self) -> str:
        """An ALSA configuration with this as the default device."""
        return f"pcm.!default {self.pcm}\nctl.!default {{ type null }}\n"

    def take(self, frames: int, timeout_s: float = 20.0) -> NDArray[np.float32]:
        """Let the device play and return the next ``frames`` heard, as (frames, CHANNELS)."""
        size = frames * self.CHANNELS * 4
        heard = self._rest
        while len(heard) < size:
            assert select.select([self._pipe], [], [], timeout_s)[0], "the device is given nothing to play"
            with suppress(BlockingIOError):  # between two streams nobody holds the other end, which counts as readable
                heard += os.read(self._pipe, size)
        self._rest = heard[size:]
        return np.frombuffer(heard[:size], dtype=np.float32).reshape(-1, self.CHANNELS)

    def take_from_first_sound(self, frames: int) -> NDArray[np.float32]:
        """Skip silence and return the ``frames`` that follow the first sample that is not zero, itself included."""
        heard = self.take_until(lambda step: bool(step.any()))[-64:]
        begun = heard[np.flatnonzero(heard.any(axis=1))[0] :]
        return np.concatenate([begun, self.take(max(frames - len(begun), 0))])[:frames]

    def take_until(self, arrived: Callable[[NDArray[np.float32]], bool]) -> NDArray[np.float32]:
        """Take in small steps until ``arrived`` says yes to the latest (64, CHANNELS) frames; return all of them."""
        heard = [self.take(64)]
        while not arrived(heard[-1]):
            heard.append(self.take(64))
        return np.concatenate(heard)

    def unplug(self) -> None:
        """Break the device: PortAudio fails to write to it from now on."""
        os.close(self._pipe)
        self._pipe = -1

    def let_go(self) -> None:
        """Play on by itself until the player closes it."""
        if self._pipe >= 0:
            threading.Thread(target=self._drain, name="taped-device").start()

    def _drain(self) -> None:
        while select.select([self._pipe], [], [], 20.0)[0] and os.read(self._pipe, 65536):
            pass
        self.unplug()
