"""The player and files that it cannot play."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from desktop.playback import player as player_module
from desktop.playback.player import PlayerState
from tests.desktop.playback.playing import RATE_HZ, MakePlayer, Record, ramp, write


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
    import engine.media.audio_file

    opening, answer = threading.Event(), threading.Event()
    real_open = engine.media.audio_file.open_audio

    def open_on_a_dead_drive(path: Path) -> engine.media.audio_file.AudioFile:
        if path.name == "far.wav":
            opening.set()
            assert answer.wait(60)
        return real_open(path)

    monkeypatch.setattr(engine.media.audio_file, "open_audio", open_on_a_dead_drive)
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
