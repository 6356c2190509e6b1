"""The player in processes of its own: what it imports, PortAudio missing, and how the program ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.desktop.playback.audio_device import NULL, use_alsa
from tests.desktop.playback.playing import RATE_HZ, ramp, write


def run_python(code: str) -> list[str]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_the_window_does_not_wait_for_the_sound_libraries() -> None:
    code = (
        "import sys; from PySide6.QtCore import QCoreApplication; from desktop.playback.player import Player\n"
        "app = QCoreApplication([]); player = Player()\n"
        "print(*({'sounddevice', '_sounddevice', 'soundfile', 'soxr', 'torch'} & set(sys.modules)))\n"
        "player.close()"
    )
    assert run_python(code) == []


def test_without_portaudio_the_app_goes_on_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", ramp(RATE_HZ))
    code = f"""
import ctypes.util, pathlib, sys
ctypes.util.find_library = lambda name: None
from PySide6.QtCore import QCoreApplication
from desktop.playback.player import Player
app = QCoreApplication([])
player = Player()
player.devices_changed.connect(app.quit)
app.exec()
print(player.available, player.problem.kind, len(player.devices()), "libportaudio2" in player.problem.hint)
player.devices_changed.disconnect(app.quit)
player.failed.connect(lambda error: (print(error.kind, player.state), app.quit()))
player.play(pathlib.Path({str(path)!r}), 0.0)
app.exec()
player.close()
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("PortAudio comes with sounddevice here")
    assert run_python(code) == ["False", "audio_unavailable", "0", "True", "audio_unavailable", "stopped"]


def test_the_program_ends_although_the_device_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_alsa(monkeypatch, tmp_path, NULL)
    path = write(tmp_path / "a.wav", ramp(60 * RATE_HZ))
    code = f"""
import pathlib, pytest
from PySide6.QtCore import QCoreApplication
from desktop.playback import player
from tests.desktop.playback.audio_device import TapedDevice, use_alsa
folder = pathlib.Path({str(tmp_path)!r})
device = TapedDevice(folder)
use_alsa(pytest.MonkeyPatch(), folder, device.configuration)
app = QCoreApplication([])
player.STALL_S = player.CLOSE_WAIT_S = 0.3
playing = player.Player()
playing.failed.connect(lambda error: (print(error.kind), app.quit()))
playing.play(pathlib.Path({str(path)!r}), 0.0)
app.exec()
playing.close()
print("ended")
"""
    assert run_python(code) == ["audio_device_failed", "ended"]
