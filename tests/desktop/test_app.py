"""The whole app, with an engine and a player that are scripted: its start, its problems, and what it remembers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, QSize, QUrl
from PySide6.QtGui import QScreen
from PySide6.QtWidgets import QApplication

from desktop.app import App
from desktop.search.pages import PageAction
from desktop.settings import Settings
from desktop.widgets.theme import Appearance
from engine.errors import ErrorKind, KnownError
from engine.service.messages import EngineStopped, Find, ProblemOccurred
from tests.desktop.conftest import Desk, Start
from tests.fakes import FakeEngine, FakePlayer


def test_importing_the_app_leaves_torch_and_the_store_out() -> None:
    unwanted = ["torch", "transformers", "sqlite3", "sqlite_utils", "engine.service.engine", "av"]
    code = f"import sys, desktop.app; print([name for name in {unwanted} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_engine_starts_only_once_the_window_is_seen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    show = App.show

    class NotePainting(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint and "painted" not in order:
                order.append("painted")
            return False

    def note_and_show(app: App) -> None:
        app.window.installEventFilter(NotePainting(app))
        show(app)

    class Watching(FakeEngine):
        def start(self) -> None:
            order.append("engine started")
            super().start()

    monkeypatch.setattr(App, "show", note_and_show)

    start(engine_type=Watching)
    assert order == ["painted", "engine started"]


def test_known_problems_are_banners(desk: Desk) -> None:
    desk.emit(ProblemOccurred(KnownError(ErrorKind.FOLDER_MISSING, "There is no /x.", "Mount it.")))
    assert [banner.key for banner in desk.app.banners.banners] == ["folder_missing"]
    assert desk.app.banners.isVisible()


def test_a_sound_that_cannot_be_played_is_a_banner(desk: Desk) -> None:
    desk.player.failed.emit(KnownError(ErrorKind.SOUND_VANISHED, "a.wav is gone.", "Look for changes."))
    assert "a.wav is gone." in desk.app.banners.banners[0].text


def test_a_bug_is_a_banner_with_the_way_to_the_log(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened_urls: list[QUrl] = []
    monkeypatch.setattr("desktop.app.QDesktopServices.openUrl", opened_urls.append)
    desk.bugs.reported.emit("ZeroDivisionError: division by zero")
    banner = desk.app.banners.banners[0]
    assert "division by zero" in banner.text
    banner.button.click()
    assert [Path(url.toLocalFile()) for url in opened_urls] == [tmp_path]


def test_an_engine_that_stopped_can_be_started_again(start: Start) -> None:
    locked = KnownError(ErrorKind.LIBRARY_LOCKED, "In use by another program.", "Close it.")
    desk = start(opening=(EngineStopped(locked),))
    desk.qtbot.waitUntil(lambda: desk.title == "The library is in use")
    assert not desk.app.actions.add_folder.isEnabled()
    desk.app.search_bar.search_caption("door")
    with desk.qtbot.waitSignal(desk.app.bridge.engine_stopped):
        desk.app.empty.action_requested.emit(PageAction.RESTART)
    first, second = desk.engines
    assert first.closed
    assert not first.thread.is_alive()
    desk.qtbot.waitUntil(lambda: len(second.sent(Find)) == 1)


def test_no_sound_output_is_a_visible_state(start: Start) -> None:
    player = FakePlayer()
    player.problem = KnownError(ErrorKind.AUDIO_UNAVAILABLE, "PortAudio is not installed.", "Install libportaudio2.")
    desk = start(player=player)
    assert desk.app.outputs.problem.isVisible()
    desk.search("door")
    assert desk.app.model.rowCount() == 100


def test_output_that_is_there_again_takes_its_banner_away(desk: Desk) -> None:
    desk.player.problem = KnownError(ErrorKind.AUDIO_NO_DEVICE, "There is no device.", "Connect one.")
    desk.player.failed.emit(desk.player.problem)
    desk.player.devices_changed.emit()
    assert [banner.key for banner in desk.app.banners.banners] == ["audio_no_device"]
    desk.player.problem = None
    desk.player.devices_changed.emit()
    assert desk.app.banners.banners == ()


def test_volume_and_device_reach_the_player(desk: Desk) -> None:
    desk.app.preview.volume.setValue(30)
    assert desk.player.volume == pytest.approx(0.3)
    desk.app.outputs.chosen.emit("HDMI|ALSA")
    assert desk.app.settings.output_device == "HDMI|ALSA"


def test_what_was_set_is_there_in_the_next_run(start: Start, settings: Settings) -> None:
    first = start()
    first.app.preview.volume.setValue(30)
    first.app.actions.automatic.setChecked(False)
    first.app.actions.library_visible.setChecked(False)
    first.app.actions.appearance[Appearance.LIGHT].trigger()
    first.app.window.resize(720, 560)
    first.app.window.close()
    assert first.engine.closed
    assert first.player.closed
    second = start()
    assert second.app.preview.volume.value() == 30
    assert second.player.volume == pytest.approx(0.3)
    assert not second.app.actions.automatic.isChecked()
    assert not second.app.audition.automatic
    assert not second.app.panel.isVisible()
    assert second.app.theme.appearance is Appearance.LIGHT
    assert second.app.window.size() == first.app.window.size()


def test_the_first_window_fits_on_the_screen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    small = QSize(1024, 640)
    monkeypatch.setattr(QScreen, "availableSize", lambda screen: small)
    assert desk.app.window.sizeHint() == small


def test_the_narrowest_window_still_holds_everything(desk: Desk) -> None:
    window = desk.app.window
    window.resize(window.minimumSize())
    QApplication.processEvents()
    assert window.width() <= 680
    assert desk.app.search_bar.width() > 300
    assert desk.app.preview.width() <= window.width()
