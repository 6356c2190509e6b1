"""The player on real PortAudio streams: what is heard of a sound, and what the player says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot

from desktop.playback.mixer import Mixer
from desktop.playback.player import PlayerState
from tests.desktop.playback.audio_device import FIXED_RATE, TapedDevice, use_alsa
from tests.desktop.playback.playing import RATE_HZ, MakePlayer, Record, biggest_step, constant, ramp, write
from tests.sounds import noise, write_ambisonic


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
    assert player.position_s is None


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


def test_of_an_ambisonic_field_w_is_heard_on_both_sides(
    taped_device: TapedDevice, make_player: MakePlayer, tmp_path: Path
) -> None:
    field = noise(1.0, RATE_HZ, channels=4)
    field[0] = 0.25
    make_player().play(write_ambisonic(tmp_path / "field.amb", field, RATE_HZ), 0.0)
    heard = taped_device.take_from_first_sound(len(field) // 2)
    np.testing.assert_array_equal(heard[:, 0], field[: len(heard), 0])
    np.testing.assert_array_equal(heard[:, 1], field[: len(heard), 0])


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


def test_a_bug_in_the_callback_is_raised_where_it_is_seen(
    qtbot: QtBot, null_device: None, make_player: MakePlayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(mixer: Mixer, out: NDArray[np.float32]) -> None:
        raise ZeroDivisionError

    player = make_player()
    player.play(write(tmp_path / "a.wav", ramp(600 * RATE_HZ)), 0.0)
    qtbot.waitUntil(lambda: player.state is PlayerState.PLAYING)
    with qtbot.capture_exceptions() as exceptions:
        monkeypatch.setattr(Mixer, "fill", fail)
        qtbot.waitUntil(lambda: player.state is PlayerState.STOPPED)
    assert exceptions[0][0] is ZeroDivisionError
