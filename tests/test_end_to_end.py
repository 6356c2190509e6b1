"""The whole app for real: drop a folder, search by caption, hear the hit. Nothing here is faked but the sound card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPointF, QSettings, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.bugs import BugReporter
from desktop.player import Player, PlayerState
from desktop.settings import Settings
from engine import paths
from engine.messages import Event
from engine.packs import DEFAULT_PACK
from engine.service import Engine
from tests.demo import attributions
from tests.desktop.audio_device import NULL, use_alsa

WAIT_MS = 120_000
TITLES = {row.file: row.title for row in attributions()}


@pytest.fixture
def app(qapp: QApplication, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    use_alsa(monkeypatch, tmp_path, NULL)

    def make_engine(on_event: Callable[[Event], None]) -> Engine:
        return Engine(tmp_path / "library.foundsound", DEFAULT_PACK, on_event)

    settings = Settings(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))
    app = App(qapp, make_engine, settings, Player(), BugReporter(), paths.resources(), tmp_path)
    app.show()
    qtbot.waitUntil(lambda: app.library.library.opened, timeout=WAIT_MS)
    yield app
    app.window.close()
    app.window.deleteLater()
    app.theme.deleteLater()
    app.deleteLater()
    QApplication.processEvents()


def _drop(app: App, folder: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    position = QPointF(app.window.rect().center())
    buttons, modifiers, copy = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
    enter = QDragEnterEvent(position.toPoint(), copy, data, buttons, modifiers)
    QApplication.sendEvent(app.window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(app.window, QDropEvent(position, copy, data, buttons, modifiers, QEvent.Type.Drop))


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_drop_a_folder_describe_a_sound_and_hear_it(app: App, qtbot: QtBot) -> None:
    with qtbot.waitSignal(app.bridge.index_finished, timeout=WAIT_MS) as finished:
        _drop(app, paths.resources() / "demo")
    assert finished.args is not None
    summary = finished.args[0].summary
    assert (summary.indexed, summary.failed) == (len(TITLES), 0)

    with qtbot.waitSignal(app.session.answered, timeout=WAIT_MS):
        app.search_bar.search_caption("a dog barking")
    assert app.model.rowCount() == len(TITLES)

    states: list[PlayerState] = []
    app.player.state_changed.connect(states.append)
    failures: list[object] = []
    app.player.failed.connect(failures.append)
    app.search_bar.focus()
    QTest.keyClick(app.search_bar, Qt.Key.Key_Down)
    QTest.keyClick(app.view, Qt.Key.Key_Space) if app.audition.hit is None else None
    qtbot.waitUntil(lambda: PlayerState.PLAYING in states, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: states[-1] is PlayerState.STOPPED, timeout=WAIT_MS)
    assert failures == []
    hit = app.audition.hit
    assert hit is not None
    assert hit.rank == 1
    assert TITLES[hit.path.name] == "Dog bark"


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
@pytest.mark.parametrize(
    ("caption", "title"),
    [("glass breaking", "Glass breaking"), ("a crowd cheers", "Crowd cheering"), ("typing on a keyboard", "Typing")],
)
def test_the_shipped_pack_finds_demo_sounds(session_hits: Callable[[str], list[str]], caption: str, title: str) -> None:
    assert title in session_hits(caption)[:2]


@pytest.fixture(scope="module")
def session_hits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[str]]]:
    from engine.packs import find_pack
    from engine.session import Session

    session = Session(tmp_path_factory.mktemp("demo") / "library.foundsound", find_pack())
    session.indexer.begin([session.add_folder(paths.resources() / "demo")])
    while session.indexer.step():
        pass
    yield lambda caption: [TITLES[hit.path.name] for hit in session.search(caption, 10)]
    session.close()
