"""Showing a file in the file manager."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.widgets.reveal import Revealer, reveal_command

SOUND = Path("/sounds/Tür, it's open.wav")
URL = "file:///sounds/T%C3%BCr%2C%20it%27s%20open.wav"


def installed(*names: str) -> object:
    return lambda name: f"/usr/bin/{name}" if name in names else None


def test_macos() -> None:
    assert reveal_command(SOUND, "darwin") == ["open", "-R", str(SOUND)]


def test_windows() -> None:
    command = reveal_command(SOUND, "win32")
    assert command is not None
    assert command[:2] == ["explorer", "/select,"]


def test_linux_with_gdbus() -> None:
    command = reveal_command(SOUND, "linux", installed("gdbus", "dbus-send"))  # type: ignore[arg-type]
    assert command is not None
    assert command[0] == "gdbus"
    assert command[-2:] == [f"['{URL}']", ""]


def test_linux_with_dbus_send() -> None:
    command = reveal_command(SOUND, "linux", installed("dbus-send"))  # type: ignore[arg-type]
    assert command is not None
    assert command[0] == "dbus-send"
    assert command[-2:] == [f"array:string:{URL}", "string:"]


def test_linux_without_either() -> None:
    assert reveal_command(SOUND, "linux", installed()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "command",
    [None, ["/nonexistent/file-manager"], [sys.executable, "-c", "raise SystemExit(1)"]],
    ids=["no command", "not installed", "fails"],
)
def test_the_folder_opens_where_the_file_cannot_be_shown(
    qapp: QApplication, qtbot: QtBot, command: list[str] | None
) -> None:
    opened: list[QUrl] = []

    def open_url(url: QUrl) -> bool:
        opened.append(url)
        return True

    revealer = Revealer(lambda path: command, open_url)
    revealer.reveal(SOUND)
    qtbot.waitUntil(lambda: bool(opened))
    assert [Path(url.toLocalFile()) for url in opened] == [Path("/sounds")]


def test_it_may_go_before_its_command_is_cleared_away(qapp: QApplication, qtbot: QtBot) -> None:
    opened: list[QUrl] = []

    def open_url(url: QUrl) -> bool:
        opened.append(url)
        return True

    for _ in range(20):
        opened.clear()
        revealer = Revealer(lambda path: ["/nonexistent/file-manager"], open_url)
        revealer.reveal(SOUND)
        qtbot.waitUntil(lambda: bool(opened))
        del revealer
        QApplication.processEvents()


def test_a_command_that_works_opens_nothing_else(qapp: QApplication, qtbot: QtBot, tmp_path: Path) -> None:
    opened: list[QUrl] = []
    done = tmp_path / "done"

    def open_url(url: QUrl) -> bool:
        opened.append(url)
        return True

    script = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    revealer = Revealer(lambda path: [sys.executable, "-c", script, str(done), str(path)], open_url)
    revealer.reveal(SOUND)
    qtbot.waitUntil(lambda: not revealer.children(), timeout=30_000)
    assert done.read_text() == str(SOUND)
    assert opened == []
