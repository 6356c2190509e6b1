"""Choosing the output device."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from desktop.playback.audio_output import OutputDevice
from desktop.playback.output_chooser import DEFAULT_NAME, OutputChooser
from desktop.widgets.icons import Icons
from engine.errors import ErrorKind, KnownError
from tests.fakes import FakePlayer

SCARLETT = OutputDevice("Scarlett 2i2", "ALSA", 4)
HDMI = OutputDevice("HDMI", "ALSA", 1)


@pytest.fixture
def player() -> FakePlayer:
    player = FakePlayer()
    player.found = (HDMI, SCARLETT)
    return player


def chooser(qtbot: QtBot, player: FakePlayer, icons: Icons, remembered: str = "") -> OutputChooser:
    made = OutputChooser(player.as_player(), icons, remembered)
    qtbot.addWidget(made)
    made.show()
    return made


def entries(made: OutputChooser) -> list[str]:
    return [made.list.itemText(row) for row in range(made.list.count())]


def choose(made: OutputChooser, row: int) -> None:
    made.list.setCurrentIndex(row)
    made.list.activated.emit(row)


def test_the_default_comes_first(qtbot: QtBot, player: FakePlayer, icons: Icons) -> None:
    made = chooser(qtbot, player, icons)
    assert entries(made) == [DEFAULT_NAME, "HDMI", "Scarlett 2i2"]
    assert made.list.currentIndex() == 0
    assert player.device is None


def test_choosing_a_device(qtbot: QtBot, player: FakePlayer, icons: Icons) -> None:
    made = chooser(qtbot, player, icons)
    with qtbot.waitSignal(made.chosen) as chosen:
        choose(made, 2)
    assert player.device == SCARLETT
    assert chosen.args == ["Scarlett 2i2|ALSA"]
    choose(made, 0)
    assert player.device is None


def test_a_device_is_remembered_by_name_whatever_its_number(qtbot: QtBot, player: FakePlayer, icons: Icons) -> None:
    player.found = (OutputDevice("Scarlett 2i2", "ALSA", 9),)
    made = chooser(qtbot, player, icons, "Scarlett 2i2|ALSA")
    assert player.device == player.found[0]
    assert made.list.currentText() == "Scarlett 2i2"


def test_a_remembered_device_that_is_away_is_used_when_it_returns(
    qtbot: QtBot, player: FakePlayer, icons: Icons
) -> None:
    player.found = (HDMI,)
    made = chooser(qtbot, player, icons, "Scarlett 2i2|ALSA")
    assert made.list.currentText() == "Scarlett 2i2 (not connected)"
    assert [player.device] == [None]
    player.found = (HDMI, SCARLETT)
    player.devices_changed.emit()
    assert player.device == SCARLETT
    assert made.list.currentText() == "Scarlett 2i2"


@pytest.mark.parametrize(
    ("kind", "text"),
    [(ErrorKind.AUDIO_UNAVAILABLE, "No sound output"), (ErrorKind.AUDIO_NO_DEVICE, "No output device")],
)
def test_no_sound_is_a_visible_state(
    qtbot: QtBot, player: FakePlayer, icons: Icons, kind: ErrorKind, text: str
) -> None:
    player.problem = KnownError(kind, "There is no PortAudio.", "Install libportaudio2.")
    made = chooser(qtbot, player, icons)
    assert not made.list.isVisible()
    assert made.problem.text() == text
    assert "Install libportaudio2." in made.problem.toolTip()


def test_looking_again_finds_what_was_plugged_in(qtbot: QtBot, player: FakePlayer, icons: Icons) -> None:
    player.problem = KnownError(ErrorKind.AUDIO_NO_DEVICE, "No device.")
    made = chooser(qtbot, player, icons)
    player.problem = None
    made.again.click()
    assert [player.refreshed] == [1]
    assert made.list.isVisible()
    assert not made.problem.isVisible()
