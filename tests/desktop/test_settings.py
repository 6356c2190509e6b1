"""What is remembered between runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QSettings

from desktop.settings import Settings
from desktop.widgets.theme import Appearance


def open_settings(path: Path) -> Settings:
    return Settings(QSettings(str(path), QSettings.Format.IniFormat))


def test_defaults() -> None:
    settings = open_settings(Path("/nonexistent/settings.ini"))
    assert settings.volume == 0.8
    assert settings.auto_audition is True
    assert settings.library_visible is True
    assert settings.output_device == ""
    assert settings.appearance is Appearance.SYSTEM
    assert settings.last_folder == Path.home()
    assert settings.geometry.isEmpty()


def test_values_come_back_in_the_next_run(tmp_path: Path) -> None:
    first = open_settings(tmp_path / "s.ini")
    first.volume = 0.25
    first.auto_audition = False
    first.output_device = "Käfer, “DAC”|ALSA"
    first.appearance = Appearance.DARK
    first.last_folder = tmp_path / "höhle"
    first.geometry = QByteArray(b"\x00\xff\x10")
    first.sync()
    second = open_settings(tmp_path / "s.ini")
    assert second.volume == 0.25
    assert second.auto_audition is False
    assert second.output_device == "Käfer, “DAC”|ALSA"
    assert second.appearance is Appearance.DARK
    assert second.last_folder == tmp_path / "höhle"
    assert second.geometry == QByteArray(b"\x00\xff\x10")


@pytest.mark.parametrize("rubbish", ["", "loud", "nan", "-1", "7", "yes, please"])
def test_what_cannot_be_read_falls_back_to_the_default(tmp_path: Path, rubbish: str) -> None:
    store = QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat)
    for key in ("playback/volume", "playback/auto_audition", "window/appearance", "window/geometry"):
        store.setValue(key, rubbish)
    settings = Settings(store)
    assert settings.volume == 0.8
    assert settings.auto_audition is True
    assert settings.appearance is Appearance.SYSTEM
    assert settings.geometry.isEmpty()


def test_a_list_where_text_was_expected_falls_back_too(tmp_path: Path) -> None:
    (tmp_path / "s.ini").write_text("[playback]\nvolume=0.1, 0.2\n")
    assert open_settings(tmp_path / "s.ini").volume == 0.8
