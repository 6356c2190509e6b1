"""From a dropped folder to a sound that plays: real engine, real model, real store, real PortAudio."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.bugs import BugReporter
from desktop.playback.player import Player, PlayerState
from desktop.settings import Settings
from engine import paths
from engine.media.formats import SUPPORTED_SUFFIXES
from engine.service.engine import Engine
from tests.desktop.conftest import end
from tests.desktop.playback.audio_device import NULL, use_alsa

WAIT_MS = 300_000

pytestmark = pytest.mark.timeout(900)  # a busy machine loads the model slowly


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled sounds, and one file that is none."""
    folder = tmp_path / "Töne"
    shutil.copytree(paths.resources() / "demo", folder)
    (folder / "text.wav").write_text("This is not a sound.")
    return folder


@pytest.fixture
def app(
    qapp: QApplication, qtbot: QtBot, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[App]:
    """The app as it is shipped, on a library of its own."""
    use_alsa(monkeypatch, tmp_path, NULL)

    def make_engine() -> Engine:
        return Engine(tmp_path / "library.foundsound", paths.DEFAULT_PACK)

    app = App(qapp, make_engine, settings, Player(), BugReporter(), paths.resources(), tmp_path)
    app.show()
    yield app
    end(app)


def drop(app: App, folder: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    copy, left, plain = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(app.window, QDragEnterEvent(QPoint(50, 50), copy, data, left, plain))
    assert app.drops.overlay.isVisible()
    QApplication.sendEvent(app.window, QDropEvent(QPointF(50, 50), copy, data, left, plain))


def test_drop_a_folder_describe_a_sound_hear_it(app: App, folder: Path, qtbot: QtBot) -> None:
    sounds = [path for path in folder.iterdir() if path.suffix in SUPPORTED_SUFFIXES and path.stem != "text"]
    qtbot.waitUntil(lambda: app.library.library.opened, timeout=WAIT_MS)
    drop(app, folder)
    with qtbot.waitActive(app.window):
        app.window.activateWindow()
    app.search_bar.focus()
    QTest.keyClicks(app.search_bar.edit, "a dog barks")  # at once, while the model loads and the folder is scanned
    qtbot.waitUntil(lambda: app.library.library.summary is not None, timeout=WAIT_MS)
    assert app.library.library.indexed == len(sounds)
    qtbot.waitUntil(lambda: app.model.rowCount() == len(sounds), timeout=WAIT_MS)

    QTest.keyClick(app.search_bar.edit, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: app.player.state is PlayerState.PLAYING, timeout=WAIT_MS)
    first = app.model.hit(0)
    assert app.audition.hit == first
    assert app.preview.name.text() == first.path.name
    QTest.keyClick(app.view, Qt.Key.Key_Space)
    assert app.player.state is PlayerState.STOPPED

    app.panel.failures.click()
    qtbot.waitUntil(lambda: app.failures.list.topLevelItemCount() == 1, timeout=WAIT_MS)
    item = app.failures.list.topLevelItem(0)
    assert item is not None
    assert item.text(0) == "text.wav"

    with qtbot.waitSignal(app.session.answered, timeout=WAIT_MS):
        app.actions.similar.trigger()
    assert app.model.rowCount() == len(sounds) - 1  # all but the sound itself
    assert app.model.row_of(first.sound_id) is None
    assert app.banners.banners == ()
