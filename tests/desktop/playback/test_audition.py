"""What is heard, and from where."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.playback.audition import Audition
from engine.errors import ErrorKind, KnownError
from engine.library.types import Hit
from tests.fakes import FakePlayer, make_hit

HIT = make_hit(1, "/a.wav", start_s=5, end_s=15, duration_s=60)
OTHER = make_hit(2, "/b.wav")
A, B = Path("/a.wav"), Path("/b.wav")


@pytest.fixture
def player() -> FakePlayer:
    return FakePlayer()


@pytest.fixture
def audition(qapp: QApplication, player: FakePlayer) -> Audition:
    return Audition(player.as_player(), automatic=True)


def test_choosing_plays_from_the_match(audition: Audition, player: FakePlayer) -> None:
    audition.choose(HIT)
    assert player.played == [(A, 5)]
    assert audition.playing


def test_choosing_only_shows_when_auditioning_is_off(audition: Audition, player: FakePlayer) -> None:
    hits: list[Hit] = []
    audition.hit_changed.connect(hits.append)
    audition.set_automatic(False)
    audition.choose(HIT)
    assert player.played == []
    assert hits == [HIT]


def test_choosing_with_auditioning_off_ends_what_plays(audition: Audition, player: FakePlayer) -> None:
    audition.set_automatic(False)
    audition.play(HIT)
    audition.choose(OTHER)
    assert not audition.playing
    assert player.played == [(A, 5)]


def test_running_through_the_results_plays_the_first_and_the_last(
    audition: Audition, player: FakePlayer, qtbot: QtBot
) -> None:
    hits = [make_hit(i, f"/{i}.wav") for i in range(10)]
    for hit in hits:
        audition.choose(hit)
    assert len(player.played) == 1
    qtbot.waitUntil(lambda: len(player.played) == 2)
    assert [path for path, _ in player.played] == [Path("/0.wav"), Path("/9.wav")]
    assert audition.hit is hits[9]


def test_play_does_not_wait_its_turn(audition: Audition, player: FakePlayer) -> None:
    audition.choose(HIT)
    audition.play(OTHER)
    assert player.played == [(A, 5), (B, 0)]


def test_toggle_stops_and_plays_from_the_match_again(audition: Audition, player: FakePlayer) -> None:
    audition.choose(HIT)
    audition.toggle()
    assert not audition.playing
    audition.toggle()
    assert player.played == [(A, 5), (A, 5)]


def test_toggle_with_nothing_at_hand_does_nothing(audition: Audition, player: FakePlayer) -> None:
    audition.toggle()
    audition.play_from_start()
    audition.seek(3)
    assert player.played == []


def test_stopping_also_stops_what_was_about_to_play(audition: Audition, player: FakePlayer, qtbot: QtBot) -> None:
    audition.choose(HIT)
    audition.choose(OTHER)  # waits its turn
    audition.stop()
    assert player.played == [(A, 5)]
    audition.choose(make_hit(3, "/c.wav"))  # at once, as nothing is before it
    assert player.played == [(A, 5), (Path("/c.wav"), 0)]


def test_seeking_plays_from_there_within_the_sound(audition: Audition, player: FakePlayer) -> None:
    audition.choose(HIT)
    audition.seek(20)
    audition.seek(-3)
    audition.seek(1e9)
    assert player.played[1:] == [(A, 20), (A, 0), (A, 60)]


def test_from_the_start(audition: Audition, player: FakePlayer) -> None:
    audition.choose(HIT)
    audition.play_from_start()
    assert player.played[-1] == (A, 0)


def test_nudging_moves_from_where_it_plays(audition: Audition, player: FakePlayer) -> None:
    audition.choose(HIT)
    player.position_changed.emit(7.5)
    audition.nudge(1)
    assert player.played[-1] == (A, 8.5)
    audition.stop()
    audition.nudge(1)
    assert player.played[-1] == (A, 8.5)


def test_failures_pass_on(audition: Audition, player: FakePlayer, qtbot: QtBot) -> None:
    error = KnownError(ErrorKind.SOUND_VANISHED, "a.wav is gone.")
    with qtbot.waitSignal(audition.failed) as failed:
        player.failed.emit(error)
    assert failed.args == [error]
