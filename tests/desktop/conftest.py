"""The desktop app with a fake engine and a fake player, for tests of the whole or of one widget; and real players."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QSettings, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.bridge import EngineBridge
from desktop.bugs import BugReporter
from desktop.playback import sound_reader, track
from desktop.playback.player import Player
from desktop.settings import Settings
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Theme
from engine import paths
from engine.library.types import Hit
from engine.service.messages import Event, Find, Found, Reply
from tests.desktop.playback.audio_device import NULL, TapedDevice, use_alsa
from tests.desktop.playback.playing import MakePlayer
from tests.fakes import READY, Answer, FakeEngine, FakePlayer, make_folder, make_hits, opened


def pytest_itemcollected(item: pytest.Item) -> None:
    """Qt's offscreen platform says of each window what it cannot do; all other Qt warnings fail the test."""
    item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support (propagateSizeHints|raise)", extend=True))


def answer_with(hits: Sequence[Hit]) -> dict[type, Answer]:
    """Answers every search with these hits."""

    return {Find: lambda _: Found(tuple(hits), 100, 0.012)}


def end(app: App) -> None:
    """Close an app and delete all of it."""
    app.window.close()
    for part in (app.window, app.theme, app):
        part.deleteLater()
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@dataclass
class Desk:
    """The app and what stands behind it."""

    app: App
    engines: list[FakeEngine]
    player: FakePlayer
    bugs: BugReporter
    qtbot: QtBot

    @property
    def engine(self) -> FakeEngine:
        """The engine that was started last."""
        return self.engines[-1]

    def search(self, caption: str) -> None:
        """Type a caption, press Enter, and wait for the answer."""
        with self.qtbot.waitSignal(self.app.session.answered):
            self.app.search_bar.search_caption(caption)

    def press(self, *keys: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Press keys wherever the focus is, by way of the window, so that shortcuts see them too."""
        for key in keys:
            focus = QApplication.focusWidget()
            QTest.keyClick(focus if focus is not None else self.app.window, key, modifiers)

    @property
    def title(self) -> str:
        """The title of the page that stands in place of the results."""
        page = self.app.empty.page
        assert page is not None
        assert self.app.empty.isVisible()
        return page.title

    def is_playing(self) -> bool:
        """Whether a sound plays."""
        return self.app.audition.playing

    def emit(self, message: Reply | Event) -> None:
        """Let the engine say something, and wait until it arrived on the UI thread."""
        with self.qtbot.waitSignal(self.app.bridge.delivered):
            self.engine.emit(message)


Start = Callable[..., Desk]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings in a file of their own."""
    return Settings(QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat))


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[Theme]:
    """The theme, applied to the application."""
    theme = Theme(qapp, paths.resources() / "icons")
    yield theme
    theme.deleteLater()


@pytest.fixture
def icons(theme: Theme) -> Icons:
    """The icons in the theme's colours."""
    return Icons(theme, paths.resources() / "icons")


@pytest.fixture
def bridged(qtbot: QtBot) -> Iterator[tuple[EngineBridge, FakeEngine]]:
    """A bridge with a started fake engine that says nothing by itself."""
    engines: list[FakeEngine] = []

    def make_engine() -> FakeEngine:
        engines.append(FakeEngine())
        return engines[0]

    bridge = EngineBridge(make_engine)
    bridge.start()
    qtbot.waitUntil(lambda: bridge.running)
    yield bridge, engines[0]
    bridge.close()


@pytest.fixture
def start(qapp: QApplication, qtbot: QtBot, settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts the app; by default with one indexed folder, a ready encoder, and 100 hits for every search."""
    apps: list[App] = []

    def start(
        opening: Sequence[Event] = (opened(make_folder()), READY),
        answers: dict[type, Answer] | None = None,
        engine_type: Callable[..., FakeEngine] = FakeEngine,
        player: FakePlayer | None = None,
    ) -> Desk:
        engines: list[FakeEngine] = []
        player = player or FakePlayer()
        bugs = BugReporter()

        def make_engine() -> FakeEngine:
            scripted = answers if answers is not None else answer_with(make_hits(100))
            engines.append(engine_type(opening, scripted))
            return engines[-1]

        app = App(qapp, make_engine, settings, player.as_player(), bugs, paths.resources(), tmp_path)
        apps.append(app)
        app.show()
        qtbot.waitUntil(lambda: app.bridge.running)
        QApplication.processEvents()
        return Desk(app, engines, player, bugs, qtbot)

    yield start
    for app in apps:
        end(app)


@pytest.fixture
def desk(start: Start) -> Desk:
    """The app with an open library, active, its cursor in the search box."""
    desk = start()
    with desk.qtbot.waitActive(desk.app.window):
        desk.app.window.activateWindow()
    desk.app.search_bar.focus()
    return desk


@pytest.fixture
def null_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A device that takes sound as fast as it comes."""
    use_alsa(monkeypatch, tmp_path, NULL)


@pytest.fixture
def taped_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_player: MakePlayer) -> Iterator[TapedDevice]:
    """A device of which the test takes sound faster than real time: so a whole ring is read ahead before it sounds.

    Made after ``make_player``, to be let go before the players are closed.
    """
    monkeypatch.setattr(sound_reader, "PREBUFFER_S", 2 * track.RING_S)
    device = TapedDevice(tmp_path)
    use_alsa(monkeypatch, tmp_path, device.configuration)
    yield device
    device.let_go()


@pytest.fixture
def make_player(qtbot: QtBot) -> Iterator[MakePlayer]:
    """Makes players, and closes them."""
    players: list[Player] = []

    def make() -> Player:
        player = Player(idle_s=0.0)
        players.append(player)
        return player

    yield make
    for player in players:
        player.close()
