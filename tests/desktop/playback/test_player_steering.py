"""Stopping, seeking, going on to other sounds, and the volume, on real PortAudio streams."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from desktop.playback.player import PlayerState
from tests.desktop.playback.audio_device import TapedDevice
from tests.desktop.playback.playing import RATE_HZ, MakePlayer, biggest_step, constant, ramp, write


def test_stop_silences(taped_device: TapedDevice, qtbot: QtBot, make_player: MakePlayer, tmp_path: Path) -> None:
    player = make_player()
    player.play(write(tmp_path / "a.wav", constant(0.5)), 0.0)
    taped_device.take_from_first_sound(RATE_HZ // 10)
    player.stop()
    assert player.state is PlayerState.STOPPED
    heard = taped_device.take(RATE_HZ // 2)
    assert biggest_step(heard) < 0.01
    assert not heard[RATE_HZ // 4 :].any()


def test_the_same_sound_from_elsewhere_plays_on_without_a_click(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    player = make_player()
    samples = ramp(10 * RATE_HZ)
    path = write(tmp_path / "a.wav", samples)
    player.play(path, 0.0, 3.0)
    taped_device.take_from_first_sound(RATE_HZ // 10)
    player.play(path, 9.0)
    assert biggest_step(taped_device.take_until(lambda step: bool((step > samples[9 * RATE_HZ]).all()))) < 0.01


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
