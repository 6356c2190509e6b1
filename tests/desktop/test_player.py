"""The player on real PortAudio streams: ALSA's null device, or one that the test listens to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from desktop import player as player_module
from desktop import sound_reader, track
from desktop.audio_output import OutputDevice
from desktop.player import Player, PlayerState
from engine.errors import KnownError
from tests.desktop.audio_device import FIXED_RATE, NO_DEVICE, NULL, TapedDevice, use_alsa

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


@pytest.fixture
def null_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_alsa(monkeypatch, tmp_path, NULL)


@pytest.fixture
def taped_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_player: MakePlayer) -> Iterator[TapedDevice]:
    """A device of which the test takes sound faster than real time: so a whole ring is read ahead before it sounds.

    Made after ``make_player``, to be let go before the players are closed.
    """
    monkeypatch.setattr(sound_reader, "PREBUFFER_S", 2 * track.RING_S)
    device = TapedDevice(tmp_path)
    use_alsa(monkeypatch, tmp_path, device.configuration)
    yield device
    device.let_go()


@pytest.fixture
def make_player(qtbot: QtBot) -> Iterator[MakePlayer]:
    players: list[Player] = []

    def make() -> Player:
        player = Player(idle_s=0.0)
        players.append(player)
        return player

    yield make
    for player in players:
        player.close()


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


# Playing


def test_plays_to_the_end_and_reports_every_state_and_the_way(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    path = write(tmp_path / "a.wav", ramp(2 * RATE_HZ))
    player.play(path, 0.0)
    assert player.state is PlayerState.LOADING
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert record.states == [PlayerState.LOADING, PlayerState.PLAYING, PlayerState.STOPPED]
    assert record.positions[0] == 0.0
    assert record.positions == sorted(record.positions)
    assert record.positions[-1] == pytest.approx(2.0, abs=0.001)
    assert record.errors == []
    assert player.path == path
    assert player.position_s is None


def test_the_same_device_with_a_new_number_is_no_reason_to_start_again(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    qtbot.waitUntil(lambda: bool(player.devices()))
    player.set_device(player.devices()[0])
    record = Record(player)
    player.play(write(tmp_path / "a.wav", ramp(600 * RATE_HZ)), 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.PLAYING)
    player.set_device(OutputDevice("default", "ALSA", id=77))
    assert record.states == [PlayerState.LOADING, PlayerState.PLAYING]


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(8_000, 1), (11_025, 2), (192_000, 2), (384_000, 1), (44_100, 6), (48_000, 32)]
)
def test_plays_any_rate_and_any_number_of_channels(
    rate_hz: int, channels: int, qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    player.play(write(tmp_path / "a.wav", np.full((rate_hz, channels), 0.25), rate_hz), 0.0)
    qtbot.waitUntil(lambda: PlayerState.STOPPED in record.states)
    assert record.errors == []
    assert record.positions[-1] == pytest.approx(1.0, abs=0.01)


def test_what_is_heard_is_the_file_itself_on_both_sides(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, RATE_HZ).astype(np.float32)
    samples[0] = 0.5
    make_player().play(write(tmp_path / "a.wav", samples), 0.0)
    heard = taped_device.take_from_first_sound(len(samples) // 2)
    np.testing.assert_array_equal(heard[:, 0], samples[: len(heard)])
    np.testing.assert_array_equal(heard[:, 1], samples[: len(heard)])


def test_starts_at_the_segment_and_ends_with_it_without_clicks(
    taped_device: TapedDevice, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    samples = ramp(10 * RATE_HZ)
    player.play(write(tmp_path / "a.wav", samples), 4.0, 0.5)
    heard = taped_device.take_from_first_sound(RATE_HZ)[:, 0]
    # The first frame of the fade is zero, so what is heard begins with the second.
    np.testing.assert_allclose(heard[1000:20000], samples[4 * RATE_HZ + 1001 : 4 * RATE_HZ + 20001], atol=1e-6)
    sounding = np.flatnonzero(heard)
    assert len(sounding) == RATE_HZ // 2 - 1
    assert sounding[-1] == RATE_HZ // 2 - 2
    assert biggest_step(heard) < 0.01
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert record.positions[0] == 4.0
    assert record.positions[-1] == pytest.approx(4.5, abs=0.001)


def test_a_sound_that_begins_hard_is_not_softened(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    make_player().play(write(tmp_path / "a.wav", constant(0.7, 1.0)), 0.0)
    assert taped_device.take_from_first_sound(1)[0, 0] == np.float32(0.7)


def test_start_beyond_the_end_just_stops(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    player.play(write(tmp_path / "a.wav", ramp(RATE_HZ)), 99.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert record.errors == []


def test_samples_that_are_no_numbers_are_silence(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    samples = constant(0.5, 1.0)
    samples[10:20] = np.nan
    samples[20:30] = np.inf
    make_player().play(write(tmp_path / "a.wav", samples), 0.0)
    heard = taped_device.take_from_first_sound(40)[:, 0]
    np.testing.assert_array_equal(heard, np.repeat(np.array([0.5, 0, 0.5], dtype=np.float32), [10, 20, 10]))


def test_a_device_with_one_rate_hears_the_sound_at_its_own_pitch(
    monkeypatch: pytest.MonkeyPatch, taped_device: TapedDevice, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path
) -> None:
    use_alsa(monkeypatch, tmp_path, taped_device.configuration + FIXED_RATE.format(pcm=taped_device.pcm))
    player = make_player()
    qtbot.waitUntil(lambda: bool(player.devices()))
    player.set_device(next(device for device in player.devices() if device.name == "fixed"))
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44_100) / 44_100)
    player.play(write(tmp_path / "a.wav", tone, 44_100), 0.0)
    heard = taped_device.take_from_first_sound(24_000)[4_800:, 0]
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 48_000 / len(heard) == pytest.approx(1000, abs=3)


# Steering


def test_stop_silences(taped_device: TapedDevice, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path) -> None:
    player = make_player()
    player.play(write(tmp_path / "a.wav", constant(0.5)), 0.0)
    taped_device.take_from_first_sound(RATE_HZ // 10)
    player.stop()
    assert player.state is PlayerState.STOPPED
    heard = taped_device.take(RATE_HZ // 2)
    assert biggest_step(heard) < 0.01
    assert not heard[RATE_HZ // 4 :].any()


def test_toggle_stops_and_plays_again_from_the_same_start(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    player.toggle()
    assert record.states == []
    player.play(write(tmp_path / "a.wav", ramp(600 * RATE_HZ)), 1.5)
    player.toggle()
    player.toggle()
    assert record.states == [PlayerState.LOADING, PlayerState.STOPPED, PlayerState.LOADING]
    assert record.positions == [1.5, 1.5]


def test_seek_plays_on_from_there_without_a_click(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    samples = ramp(10 * RATE_HZ)
    player.play(write(tmp_path / "a.wav", samples), 0.0, 3.0)
    taped_device.take_from_first_sound(RATE_HZ // 10)
    player.seek(9.0)
    assert biggest_step(taped_device.take_until(lambda step: bool((step > samples[9 * RATE_HZ]).all()))) < 0.01


def test_seek_while_stopped_plays_from_there(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    player.play(write(tmp_path / "a.wav", ramp(3 * RATE_HZ)), 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    record = Record(player)
    player.seek(2.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert record.positions[0] == 2.0
    assert record.positions[-1] == pytest.approx(3.0, abs=0.001)


def test_a_new_sound_replaces_the_old_one_without_a_click(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    player.play(write(tmp_path / "a.wav", constant(0.8)), 0.0)
    taped_device.take_from_first_sound(RATE_HZ // 10)
    player.play(write(tmp_path / "b.wav", constant(-0.4)), 1.0)
    assert biggest_step(taped_device.take_until(lambda step: bool((step == np.float32(-0.4)).all()))) < 0.01


def test_sounds_of_different_rates_follow_each_other(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    for level, rate_hz in ((0.8, 44_100), (0.4, 96_000), (0.2, 44_100)):
        player.play(write(tmp_path / f"{level}.wav", np.full(10 * rate_hz, level), rate_hz), 0.0)
        taped_device.take_until(partial(np.array_equal, np.full((64, 2), level, dtype=np.float32)))


def test_of_twenty_quick_plays_only_the_last_is_heard_and_nothing_is_left(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    paths = [write(tmp_path / f"{number}.wav", constant((number + 1) / 25)) for number in range(20)]
    player.play(paths[-1], 0.0)
    taped_device.take_from_first_sound(100)
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for path in paths:
        player.play(path, 0.0)
    last = np.float32(20 / 25)
    heard = np.concatenate([taped_device.take(RATE_HZ // 2), taped_device.take_from_first_sound(RATE_HZ)])[:, 0]
    steady = heard[1:][np.diff(heard) == 0]
    assert set(np.unique(steady)) <= {np.float32(0), last}
    assert heard[-1] == last
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


def test_volume_is_cubic_and_moves_without_a_step(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    player.play(write(tmp_path / "a.wav", constant(0.8)), 0.0)
    taped_device.take_from_first_sound(RATE_HZ // 10)
    player.set_volume(0.5)
    down = taped_device.take(RATE_HZ)
    assert down[-1, 0] == pytest.approx(0.8 * 0.5**3)
    player.set_volume(7.0)
    assert player.volume == 1.0
    up = taped_device.take(RATE_HZ)
    assert up[-1, 0] == np.float32(0.8)
    assert biggest_step(np.concatenate([down, up])) < 0.001
    player.set_volume(0.0)
    assert taped_device.take(RATE_HZ)[-1, 0] == 0


# Files that cannot be played


def test_a_missing_file_is_reported_and_the_next_one_plays(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    player.play(tmp_path / "gone.wav", 0.0)
    qtbot.waitUntil(lambda: bool(record.errors))
    assert record.errors[0].kind == "sound_vanished"
    assert "gone.wav" in record.errors[0].detail
    assert record.states == [PlayerState.LOADING, PlayerState.STOPPED]
    player.play(write(tmp_path / "a.wav", ramp(RATE_HZ)), 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert PlayerState.PLAYING in record.states
    assert len(record.errors) == 1


def test_a_file_that_is_no_sound_is_reported(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    text = tmp_path / "text.wav"
    text.write_text("these are words, not a sound\n" * 100)
    player.play(text, 0.0)
    qtbot.waitUntil(lambda: bool(record.errors))
    assert record.errors[0].kind == "sound_unreadable"


def test_a_drive_that_does_not_answer_does_not_hold_up_the_next_sound(
    monkeypatch: pytest.MonkeyPatch, qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    monkeypatch.setattr(player_module, "STUCK_S", 0.0)
    import engine.audio_file

    opening, answer = threading.Event(), threading.Event()
    real_open = engine.audio_file.open_audio

    def open_on_a_dead_drive(path: Path) -> engine.audio_file.AudioFile:
        if path.name == "far.wav":
            opening.set()
            assert answer.wait(60)
        return real_open(path)

    monkeypatch.setattr(engine.audio_file, "open_audio", open_on_a_dead_drive)
    near = write(tmp_path / "near.wav", ramp(RATE_HZ))
    far = write(tmp_path / "far.wav", ramp(RATE_HZ))
    player = make_player()
    record = Record(player)
    player.play(far, 0.0)
    assert opening.wait(60)
    player.play(near, 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert PlayerState.PLAYING in record.states
    assert record.positions[-1] == pytest.approx(1.0, abs=0.001)
    answer.set()
    qtbot.waitUntil(lambda: sum(thread.name == "sound-reader" for thread in threading.enumerate()) == 1)
    assert record.errors == []


# Devices


def test_devices_are_listed_in_the_background(qtbot: QtBot, null_device: None, make_player: MakePlayer) -> None:
    player = make_player()
    assert player.devices() == ()
    assert player.available
    qtbot.waitUntil(lambda: bool(player.devices()))
    assert [(device.name, device.host) for device in player.devices()] == [("default", "ALSA")]
    assert player.problem is None


def test_the_chosen_device_is_played_on_and_what_plays_moves_there(
    monkeypatch: pytest.MonkeyPatch, taped_device: TapedDevice, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path
) -> None:
    use_alsa(monkeypatch, tmp_path, f"{NULL}pcm.taped {taped_device.pcm}\n")
    player = make_player()
    player.play(write(tmp_path / "a.wav", constant(0.5, 600.0)), 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.PLAYING)
    player.set_device(OutputDevice("taped", "ALSA", id=-1))  # as from the settings of an earlier run
    assert taped_device.take_from_first_sound(1000)[-1, 0] == np.float32(0.5)


def test_a_chosen_device_that_is_away_is_reported(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    path = write(tmp_path / "a.wav", ramp(RATE_HZ))
    player.set_device(OutputDevice("Studio Monitor", "ALSA", id=3))
    player.play(path, 0.0)
    qtbot.waitUntil(lambda: bool(record.errors))
    assert record.errors[0].kind == "audio_device_failed"
    assert "Studio Monitor" in record.errors[0].detail
    player.set_device(None)
    player.play(path, 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert PlayerState.PLAYING in record.states


def test_an_unplugged_device_is_reported_and_the_next_play_finds_another(
    monkeypatch: pytest.MonkeyPatch, taped_device: TapedDevice, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    path = write(tmp_path / "a.wav", constant(0.5))
    player.play(path, 0.0)
    taped_device.take_from_first_sound(1000)
    taped_device.unplug()
    qtbot.waitUntil(lambda: bool(record.errors))
    assert record.errors[0].kind == "audio_device_failed"
    assert player.state is PlayerState.STOPPED
    use_alsa(monkeypatch, tmp_path, NULL)
    player.play(path, 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert len(record.errors) == 1
    assert record.positions[-1] == pytest.approx(30.0, abs=0.01)


def test_a_device_that_asks_for_nothing_more_is_reported(
    monkeypatch: pytest.MonkeyPatch, taped_device: TapedDevice, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path
) -> None:
    monkeypatch.setattr(player_module, "STALL_S", 0.3)
    player = make_player()
    record = Record(player)
    player.play(write(tmp_path / "a.wav", constant(0.5)), 0.0)
    qtbot.waitUntil(lambda: bool(record.errors))
    assert record.errors[0].kind == "audio_device_failed"
    assert player.state is PlayerState.STOPPED


def test_without_a_device_the_state_is_visible_until_one_is_there(
    monkeypatch: pytest.MonkeyPatch, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path
) -> None:
    use_alsa(monkeypatch, tmp_path, NO_DEVICE)
    player = make_player()
    record = Record(player)
    qtbot.waitUntil(lambda: record.device_changes == 1)
    assert not player.available
    assert player.problem is not None
    assert player.problem.kind == "audio_no_device"
    path = write(tmp_path / "a.wav", ramp(RATE_HZ))
    player.play(path, 0.0)
    qtbot.waitUntil(lambda: bool(record.errors))
    assert record.errors[0].kind == "audio_no_device"
    use_alsa(monkeypatch, tmp_path, NULL)
    player.refresh_devices()
    qtbot.waitUntil(lambda: player.available)
    player.play(path, 0.0)
    qtbot.waitUntil(lambda: record.states[-2:] == [PlayerState.PLAYING, PlayerState.STOPPED])


def test_refresh_waits_until_nothing_plays(
    monkeypatch: pytest.MonkeyPatch, qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    record = Record(player)
    qtbot.waitUntil(lambda: len(player.devices()) == 1)
    player.play(write(tmp_path / "a.wav", ramp(600 * RATE_HZ)), 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.PLAYING)
    use_alsa(monkeypatch, tmp_path, f"{NULL}pcm.second {{ type null }}\n")
    player.refresh_devices()
    position_s = record.positions[-1]
    qtbot.waitUntil(lambda: record.positions[-1] > position_s)
    assert len(player.devices()) == 1
    player.stop()
    qtbot.waitUntil(lambda: len(player.devices()) == 2)
    assert record.errors == []


def test_a_bug_in_the_callback_is_raised_where_it_is_seen(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    player.play(write(tmp_path / "a.wav", ramp(600 * RATE_HZ)), 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.PLAYING)
    with qtbot.capture_exceptions() as exceptions:
        player._mixer.gain = "loud"  # type: ignore[assignment]
        qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert exceptions[0][0] is TypeError


def test_close_ends_every_thread_and_is_final(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    player = make_player()
    path = write(tmp_path / "a.wav", ramp(600 * RATE_HZ))
    player.play(path, 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.PLAYING)
    player.close()
    assert player.state is PlayerState.STOPPED
    qtbot.waitUntil(lambda: set(threading.enumerate()) <= before)
    player.play(path, 0.0)
    player.set_device(None)
    player.refresh_devices()
    player.close()
    assert player.state is PlayerState.STOPPED


# Other processes: what is imported, and PortAudio missing


def run_python(code: str) -> list[str]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_the_window_does_not_wait_for_the_sound_libraries() -> None:
    code = (
        "import sys; from PySide6.QtCore import QCoreApplication; from desktop.player import Player\n"
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
from desktop.player import Player
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
from desktop import player
from tests.desktop.audio_device import TapedDevice, use_alsa
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
