"""The strip at the bottom."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop.actions import Actions
from desktop.playback.audition import Audition
from desktop.playback.output_chooser import OutputChooser
from desktop.playback.preview_strip import PreviewStrip
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Theme
from tests.fakes import FakePlayer, make_hit

HIT = make_hit(1, "/sounds/doors/creak.wav", start_s=5, end_s=15, duration_s=60)


@pytest.fixture
def player() -> FakePlayer:
    return FakePlayer()


@pytest.fixture
def audition(player: FakePlayer) -> Audition:
    return Audition(player.as_player(), automatic=False)


@pytest.fixture
def strip(qtbot: QtBot, theme: Theme, icons: Icons, player: FakePlayer, audition: Audition) -> PreviewStrip:
    outputs = OutputChooser(player.as_player(), icons, "")
    actions = Actions(icons)
    strip = PreviewStrip(audition, outputs, theme, icons, actions.automatic)
    strip.destroyed.connect(actions.deleteLater)
    qtbot.addWidget(strip)
    strip.resize(900, 130)
    strip.show()
    return strip


def test_nothing_at_hand(strip: PreviewStrip) -> None:
    assert not strip.play_button.isEnabled()
    assert strip.name.text() == "Select a sound to hear it"


def test_a_sound_at_hand(strip: PreviewStrip, audition: Audition) -> None:
    strip.set_roots((Path("/sounds"),))
    audition.choose(HIT)
    assert strip.play_button.isEnabled()
    assert strip.name.text() == "creak.wav"
    assert strip.place.text() == "sounds › doors"
    assert strip.format.text() == "48 kHz stereo"
    assert strip.time.text() == "1:00.0"
    assert "0:05.0 to 0:15.0" in strip.waveform.accessibleDescription()


def test_the_button_plays_and_stops(strip: PreviewStrip, audition: Audition, player: FakePlayer) -> None:
    audition.choose(HIT)
    strip.play_button.click()
    assert player.played == [(HIT.path, 5)]
    assert strip.play_button.accessibleName() == "Stop"
    strip.play_button.click()
    assert not audition.playing
    assert strip.play_button.accessibleName() == "Play"


def test_the_position_shows_while_playing(strip: PreviewStrip, audition: Audition, player: FakePlayer) -> None:
    audition.play(HIT)
    player.position_changed.emit(7.25)
    assert strip.time.text() == "0:07.2 / 1:00.0"
    player.stop()
    assert strip.time.text() == "1:00.0"


def test_a_click_into_the_waveform_plays_from_there(
    strip: PreviewStrip, audition: Audition, player: FakePlayer, qtbot: QtBot
) -> None:
    audition.choose(HIT)
    half = QPoint(strip.waveform.width() // 2, strip.waveform.height() // 2)
    QTest.mouseClick(strip.waveform, Qt.MouseButton.LeftButton, pos=half)
    assert player.played[0][1] == pytest.approx(30, abs=0.2)


def test_the_volume(strip: PreviewStrip) -> None:
    levels: list[float] = []
    strip.volume_changed.connect(levels.append)
    strip.set_volume(0.35)
    assert strip.volume.value() == 35
    assert levels == [0.35]
    assert strip.volume.toolTip() == "Volume 35 %"


def test_it_fits_a_narrow_window(strip: PreviewStrip, audition: Audition) -> None:
    audition.choose(make_hit(1, "/sounds/" + "very long name " * 20 + ".wav"))
    assert strip.minimumSizeHint().width() <= 640
