"""The player and output devices that are chosen, come, go and fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from desktop.playback import player as player_module
from desktop.playback.audio_output import OutputDevice
from desktop.playback.player import PlayerState
from tests.desktop.playback.audio_device import NO_DEVICE, NULL, TapedDevice, use_alsa
from tests.desktop.playback.playing import RATE_HZ, MakePlayer, Record, constant, ramp, write


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
