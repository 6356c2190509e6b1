"""What the user does to the library."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from desktop.bridge import EngineBridge
from desktop.library.library_commands import LibraryCommands
from desktop.settings import Settings
from desktop.widgets.icons import Icons
from engine.service.messages import AddFolder, Cancel, ListFailures, Pause, RemoveFolder, Rescan, Resume, RetryFailed
from tests.fakes import FakeEngine, make_folder

Bridged = tuple[EngineBridge, FakeEngine]


@pytest.fixture
def commands(bridged: Bridged, settings: Settings, icons: Icons, qtbot: QtBot) -> LibraryCommands:
    window = QWidget()
    qtbot.addWidget(window)
    return LibraryCommands(bridged[0], settings, icons, window)


def button(dialog: QWidget, text: str) -> QPushButton:
    return next(b for b in dialog.findChildren(QPushButton) if b.text() == text)


def test_plain_requests(bridged: Bridged, commands: LibraryCommands) -> None:
    commands.rescan()
    commands.pause()
    commands.resume()
    commands.cancel()
    commands.list_failures()
    commands.retry_failed()
    assert bridged[1].requests == [Rescan(), Pause(), Resume(), Cancel(), ListFailures(), RetryFailed()]


def test_adding_folders_remembers_where_they_were(
    bridged: Bridged, commands: LibraryCommands, settings: Settings, tmp_path: Path
) -> None:
    commands.add_folders([tmp_path / "a", tmp_path / "b"])
    assert bridged[1].requests == [AddFolder(tmp_path / "a"), AddFolder(tmp_path / "b")]
    assert settings.last_folder == tmp_path


def test_a_chosen_folder_is_added(bridged: Bridged, commands: LibraryCommands, tmp_path: Path) -> None:
    dialog = commands.choose_folder()
    assert dialog.fileMode() == QFileDialog.FileMode.Directory
    dialog.filesSelected.emit([str(tmp_path)])
    assert bridged[1].requests == [AddFolder(tmp_path)]
    dialog.close()


def test_removing_asks_first_and_says_that_files_stay(bridged: Bridged, commands: LibraryCommands) -> None:
    box = commands.confirm_remove(make_folder(7, "/media/SFX", sounds=8803))
    assert "SFX" in box.text()
    assert "8,803 sounds" in box.informativeText()
    assert "files are not touched" in box.informativeText()
    QApplication.processEvents()
    assert bridged[1].requests == []
    button(box, "Remove from library").click()
    assert bridged[1].requests == [RemoveFolder(7)]


@pytest.mark.parametrize("way", ["button", "escape"])
def test_a_folder_can_be_kept(bridged: Bridged, commands: LibraryCommands, way: str) -> None:
    box = commands.confirm_remove(make_folder(7))
    assert box.defaultButton() is button(box, "Keep")
    button(box, "Keep").click() if way == "button" else box.reject()
    QApplication.processEvents()
    assert bridged[1].requests == []
