"""Icons in the theme's colours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

import desktop
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Appearance, Theme
from engine import paths

FOLDER = paths.resources() / "icons"


def visible_colours(icons: Icons, name: str, role: str) -> set[str]:
    image = icons.pixmap(name, 32, role).toImage()
    pixels = (image.pixelColor(x, y) for x in range(32) for y in range(32))
    return {pixel.name() for pixel in pixels if pixel.alpha() == 255}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.svg")))
def test_every_icon_can_be_drawn(icons: Icons, name: str) -> None:
    assert visible_colours(icons, name, "text")


def test_every_icon_the_code_names_exists() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in Path(desktop.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'icons\.(?:icon|pixmap)\("([a-z-]+)"', code)) | set(re.findall(r'Page\("([a-z-]+)"', code))
    assert len(named) > 5
    assert named <= {path.stem for path in FOLDER.glob("*.svg")}


def test_an_icon_has_the_colour_of_its_token(icons: Icons, theme: Theme) -> None:
    assert visible_colours(icons, "stop", "accent") == {theme.tokens.accent}


def test_it_is_as_sharp_as_the_screen(icons: Icons) -> None:
    pixmap = icons.pixmap("stop", 20, ratio=2.0)
    assert (pixmap.width(), pixmap.devicePixelRatio()) == (40, 2.0)


def test_a_bound_button_follows_the_theme(icons: Icons, theme: Theme, qtbot: QtBot) -> None:
    button = QToolButton()
    qtbot.addWidget(button)
    theme.set_appearance(Appearance.DARK)
    icons.bind(button, "close")
    dark = button.icon().pixmap(16).toImage()
    theme.set_appearance(Appearance.LIGHT)
    assert button.icon().pixmap(16).toImage() != dark


def test_a_button_that_is_gone_is_left_alone(icons: Icons, theme: Theme, qtbot: QtBot) -> None:
    button = QToolButton()
    icons.bind(button, "close")
    button.deleteLater()
    qtbot.waitUntil(lambda: not isValid(button))
    theme.changed.emit()


def test_checked_and_disabled_icons_differ(icons: Icons) -> None:
    icon = icons.icon("headphones")
    normal = icon.pixmap(20).toImage()
    assert icon.pixmap(20, QIcon.Mode.Disabled).toImage() != normal
    assert icon.pixmap(20, QIcon.Mode.Normal, QIcon.State.On).toImage() != normal
