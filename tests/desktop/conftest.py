"""The desktop app with a fake engine and a fake player, for tests that look at the whole or at one widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QSettings
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.app import App
from desktop.bridge import EngineBridge
from desktop.bugs import BugReporter
from desktop.icons import Icons
from desktop.settings import Settings
from desktop.theme import Theme
from engine import paths
from engine.messages import Event, FindSimilar, Hit, Request, Search, SearchDone
from tests.fakes import READY, Answer, FakeEngine, FakePlayer, make_folder, make_hits, opened


def pytest_itemcollected(item: pytest.Item) -> None:
    """Qt's offscreen platform says of each window what it cannot do; all other Qt warnings fail the test."""
    item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support (propagateSizeHints|raise)", extend=True))


def answer_with(hits: Sequence[Hit]) -> dict[type, Answer]:
    """Answers every search with these hits."""

    def answer(request: Request) -> Sequence[Event]:
        assert isinstance(request, Search | FindSimilar)
        return [SearchDone(request.request_id, tuple(hits), 100, 0.012)]

    return {Search: answer, FindSimilar: answer}


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

    def emit(self, event: Event) -> None:
        """Let the engine emit an event, and wait until it arrived on the UI thread."""
        with self.qtbot.waitSignal(self.app.bridge._arrived):
            self.engine.emit(event)
        QApplication.processEvents()


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

    def make_engine(on_event: Callable[[Event], None]) -> FakeEngine:
        engines.append(FakeEngine(on_event))
        return engines[0]

    bridge = EngineBridge(make_engine)
    bridge.start()
    qtbot.waitUntil(lambda: bool(engines) and bridge._engine is engines[0])
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

        def make_engine(on_event: Callable[[Event], None]) -> FakeEngine:
            scripted = answers if answers is not None else answer_with(make_hits(100))
            engines.append(engine_type(on_event, opening, scripted))
            return engines[-1]

        app = App(qapp, make_engine, settings, player.as_player(), bugs, paths.resources(), tmp_path)
        apps.append(app)
        app.show()
        qtbot.waitUntil(lambda: bool(engines) and app.bridge._engine is engines[0])
        QApplication.processEvents()
        return Desk(app, engines, player, bugs, qtbot)

    yield start
    for app in apps:
        end(app)
