"""The whole app, with an engine and a player that are scripted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from desktop.app import App
from desktop.pages import PageAction
from desktop.settings import Settings
from desktop.theme import Appearance
from engine.errors import KnownError
from engine.messages import (
    EngineStopped,
    Event,
    FailuresListed,
    FindSimilar,
    FoldersChanged,
    Indexed,
    IndexFinished,
    IndexPhase,
    IndexProgress,
    IndexSummary,
    ListFailures,
    ProblemOccurred,
    Request,
    Search,
    SearchDone,
    SearchFailed,
)
from tests.desktop.conftest import Desk, answer_with
from tests.fakes import READY, FakeEngine, FakePlayer, make_folder, make_hit, make_hits, opened

Start = Callable[..., Desk]
Key = Qt.Key


def key(desk: Desk, *keys: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    """Press keys wherever the focus is, by way of the window, so that shortcuts see them too."""
    for pressed in keys:
        focus = QApplication.focusWidget()
        QTest.keyClick(focus if focus is not None else desk.app.window, pressed, modifiers)


def title(desk: Desk) -> str:
    page = desk.app.empty.page
    assert page is not None
    assert desk.app.empty.isVisible()
    return page.title


def is_playing(desk: Desk) -> bool:
    """Whether a sound plays."""
    return desk.app.audition.playing


@pytest.fixture
def desk(start: Start) -> Desk:
    """The app with an open library, active, its cursor in the search box."""
    desk = start()
    with desk.qtbot.waitActive(desk.app.window):
        desk.app.window.activateWindow()
    desk.app.search_bar.focus()
    return desk


def test_importing_the_app_leaves_torch_and_the_store_out() -> None:
    unwanted = ["torch", "transformers", "sqlite3", "sqlite_utils", "engine.service", "av"]
    code = f"import sys, desktop.app; print([name for name in {unwanted} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_engine_starts_only_once_the_window_is_seen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    painted_at_start: list[bool] = []
    apps: list[App] = []
    show = App.show

    def note_and_show(app: App) -> None:
        apps.append(app)
        show(app)

    class Watching(FakeEngine):
        def start(self) -> None:
            painted_at_start.append(apps[0].window._was_painted)
            super().start()

    monkeypatch.setattr(App, "show", note_and_show)

    start(engine_type=Watching)
    assert painted_at_start == [True]


def test_a_search_from_the_keyboard_alone(desk: Desk) -> None:
    app, player = desk.app, desk.player
    QTest.keyClicks(app.search_bar.edit, "door creaks")
    with desk.qtbot.waitSignal(app.session.answered):
        key(desk, Key.Key_Return)
    assert [r.caption for r in desk.engine.sent(Search) if isinstance(r, Search)] == ["door creaks"]
    assert app.view.isVisible()
    assert app.model.rowCount() == 100
    assert app.results._what.text() == "100 sounds for “door creaks”"
    key(desk, Key.Key_Down)
    assert app.view.hasFocus()
    hits = make_hits(100)
    assert player.played == [(hits[0].path, hits[0].start_s)]
    assert app.preview._name.text() == hits[0].path.name
    key(desk, Key.Key_Down)
    desk.qtbot.waitUntil(lambda: player.played[-1] == (hits[1].path, hits[1].start_s))


def test_typing_searches_by_itself(desk: Desk) -> None:
    with desk.qtbot.waitSignal(desk.app.session.answered):
        QTest.keyClicks(desk.app.search_bar.edit, "rain")
    last = desk.engine.sent(Search)[-1]
    assert isinstance(last, Search)
    assert last.caption == "rain"
    assert len(desk.engine.sent(Search)) < 4


def test_space_plays_and_stops_from_the_table(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    assert is_playing(desk)
    key(desk, Key.Key_Space)
    assert not is_playing(desk)
    key(desk, Key.Key_Space)
    assert is_playing(desk)
    assert desk.app.view.selected_hits() == [make_hits(100)[0]]


def test_space_in_the_search_box_is_a_space(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    desk.player.stop()
    played = len(desk.player.played)
    desk.app.search_bar.focus()
    desk.app.search_bar.edit.setText("door")
    key(desk, Key.Key_Space)
    assert desk.app.search_bar.edit.text() == "door "
    assert len(desk.player.played) == played


def test_space_on_a_focused_button_presses_it(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    desk.player.stop()
    played = len(desk.player.played)
    again = desk.app.outputs.again
    again.setFocus()
    key(desk, Key.Key_Space)
    assert desk.player.refreshed == 1
    assert len(desk.player.played) == played


def test_escape_stops_and_then_returns_to_the_search_box(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    key(desk, Key.Key_Escape)
    assert not is_playing(desk)
    assert desk.app.view.hasFocus()
    key(desk, Key.Key_Escape)
    assert desk.app.search_bar.edit.hasFocus()
    assert desk.app.search_bar.edit.selectedText() == "door"


def test_up_from_the_first_row_returns_to_the_search_box(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    key(desk, Key.Key_Up)
    assert desk.app.search_bar.edit.hasFocus()


def test_browsing_is_silent_with_auditioning_off(desk: Desk) -> None:
    desk.app.actions.automatic.trigger()
    assert desk.app.settings.auto_audition is False
    desk.search("door")
    desk.app.view.enter()
    key(desk, Key.Key_Down)
    assert desk.player.played == []
    key(desk, Key.Key_Return)
    assert len(desk.player.played) == 1


def test_similar_sounds_and_back(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.selectRow(3)
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.actions.similar.trigger()
    path = make_hits(100)[3].path
    similar = desk.engine.sent(FindSimilar)
    assert [request.sound for request in similar if isinstance(request, FindSimilar)] == [path]
    assert desk.app.results._what.text() == f"100 sounds like {path.name}"
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.search_bar.clear()
    assert desk.app.results._what.text() == "100 sounds for “door”"


def test_actions_on_a_sound_wait_for_one(desk: Desk) -> None:
    actions = desk.app.actions
    mine = [*actions.on_selection, *actions.on_sound]
    assert not any(action.isEnabled() for action in mine)
    desk.search("door")
    assert not any(action.isEnabled() for action in mine)
    desk.app.view.enter()
    assert all(action.isEnabled() for action in mine)


def test_paths_can_be_copied(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    key(desk, Key.Key_Down, modifiers=Qt.KeyboardModifier.ShiftModifier)
    key(desk, Key.Key_C, modifiers=Qt.KeyboardModifier.ControlModifier)
    hits = make_hits(100)
    assert QGuiApplication.clipboard().text() == f"{hits[0].path}\n{hits[1].path}"


def test_the_file_manager_shows_the_selected_sound(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    monkeypatch.setattr(desk.app.revealer, "reveal", shown.append)
    desk.search("door")
    desk.app.view.enter()
    desk.app.actions.reveal.trigger()
    assert shown == [make_hits(100)[0].path]


def test_what_plays_is_marked_in_the_table(desk: Desk) -> None:
    from desktop.results_model import PLAYED_ROLE

    desk.search("door")
    desk.app.view.enter()
    desk.player.position_changed.emit(5.0)
    assert desk.app.model.index(0, 0).data(PLAYED_ROLE) == pytest.approx(5.0 / 20.0)
    desk.player.stop()
    assert desk.app.model.index(0, 0).data(PLAYED_ROLE) is None


def test_searching_goes_on_quietly_while_indexing(start: Start) -> None:
    found = list(make_hits(3))

    def answer(request: Request) -> Sequence[Event]:
        assert isinstance(request, Search)
        return [SearchDone(request.request_id, tuple(found), len(found), 0.01)]

    desk = start(answers={Search: answer})
    desk.app.session._refresh.setInterval(5)
    desk.search("door")
    desk.app.view.selectRow(1)
    played = list(desk.player.played)
    found.insert(0, make_hit(99, "/sounds/just indexed.wav", score=0.95))
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.engine.emit(Indexed(IndexProgress(IndexPhase.INDEXING, done=4, total=9)))
    assert desk.app.model.rowCount() == 4
    assert [hit.sound_id for hit in desk.app.view.selected_hits()] == [2]
    assert desk.player.played == played
    assert is_playing(desk)


def test_clearing_the_search_leaves_nothing_to_play_by_accident(desk: Desk) -> None:
    desk.app.actions.automatic.setChecked(False)
    desk.search("door")
    desk.app.view.enter()
    desk.app.search_bar.clear()
    assert title(desk) == "What are you listening for?"
    key(desk, Key.Key_Down)
    assert desk.player.played == []
    assert not desk.app.actions.similar.isEnabled()


def test_an_example_is_a_search(desk: Desk) -> None:
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.empty.example_chosen.emit("glass breaking")
    assert desk.app.search_bar.edit.text() == "glass breaking"


def test_the_first_start_asks_for_a_folder(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = start(opening=(opened(), READY))
    desk.qtbot.waitUntil(lambda: title(desk) == "Add a folder of sounds")
    asked: list[bool] = []
    monkeypatch.setattr(desk.app.library_commands, "choose_folder", lambda: asked.append(True))
    desk.app.empty.button.click()
    assert asked == [True]


def test_a_search_made_while_the_model_loads_is_answered_then(start: Start) -> None:
    desk = start(opening=(opened(make_folder()),), answers={})
    desk.qtbot.waitUntil(lambda: desk.app.library.library.opened)
    desk.app.search_bar.search_caption("rain")
    assert title(desk) == "Loading the model"
    desk.emit(READY)
    desk.emit(SearchDone(1, make_hits(2), 100, 0.01))
    assert desk.app.view.isVisible()


def test_nothing_found(start: Start) -> None:
    desk = start(answers=answer_with(()))
    desk.search("xyzzy")
    assert title(desk) == "Nothing found"


def test_a_search_that_fails_can_be_tried_again(start: Start) -> None:
    failing = True

    def answer(request: Request) -> Sequence[Event]:
        assert isinstance(request, FindSimilar)
        if failing:
            return [SearchFailed(request.request_id, KnownError("sound_vanished", "a.wav is gone.", "Look again."))]
        return [SearchDone(request.request_id, make_hits(2), 100, 0.01)]

    desk = start(answers={FindSimilar: answer})
    with desk.qtbot.waitSignal(desk.app.session.failed):
        desk.app.drops.sound_dropped.emit(Path("/a.wav"))
    assert title(desk) == "File not found"
    failing = False
    with desk.qtbot.waitSignal(desk.app.session.answered):
        desk.app.empty.button.click()
    assert desk.app.view.isVisible()


def test_known_problems_are_banners(desk: Desk) -> None:
    desk.emit(ProblemOccurred(KnownError("folder_missing", "There is no /x.", "Mount it.")))
    assert [banner.key for banner in desk.app.banners.banners] == ["folder_missing"]
    assert desk.app.banners.isVisible()


def test_a_sound_that_cannot_be_played_is_a_banner(desk: Desk) -> None:
    desk.player.failed.emit(KnownError("sound_vanished", "a.wav is gone.", "Look for changes."))
    assert "a.wav is gone." in desk.app.banners.banners[0].text


def test_a_bug_is_a_banner_with_the_way_to_the_log(desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened_urls: list[QUrl] = []
    monkeypatch.setattr("desktop.app.QDesktopServices.openUrl", opened_urls.append)
    desk.bugs.reported.emit("ZeroDivisionError: division by zero")
    banner = desk.app.banners.banners[0]
    assert "division by zero" in banner.text
    banner._button.click()
    assert [Path(url.toLocalFile()) for url in opened_urls] == [tmp_path]


def test_an_engine_that_stopped_can_be_started_again(start: Start) -> None:
    locked = KnownError("library_locked", "In use by another program.", "Close it.")
    desk = start(opening=(EngineStopped(locked),))
    desk.qtbot.waitUntil(lambda: title(desk) == "The library is in use")
    assert not desk.app.actions.add_folder.isEnabled()
    desk.app.search_bar.search_caption("door")
    with desk.qtbot.waitSignal(desk.app.bridge.engine_stopped):
        desk.app.empty.action_requested.emit(PageAction.RESTART)
    first, second = desk.engines
    assert first.closed
    assert not first.thread.is_alive()
    desk.qtbot.waitUntil(lambda: len(second.sent(Search)) == 1)


def test_a_table_that_is_not_seen_plays_nothing(desk: Desk) -> None:
    desk.search("door")
    desk.emit(EngineStopped(KnownError("library_locked", "In use.")))
    assert not desk.app.view.isVisible()
    key(desk, Key.Key_Down)
    assert desk.player.played == []


def test_a_read_only_library_can_be_searched_but_not_changed(start: Start) -> None:
    desk = start(opening=(opened(make_folder(), read_only=True), READY))
    desk.qtbot.waitUntil(lambda: desk.app.library.library.opened)
    assert not desk.app.actions.add_folder.isEnabled()
    assert not desk.app.actions.rescan.isEnabled()
    assert not desk.app.drops.takes_folders
    desk.search("door")
    assert desk.app.model.rowCount() == 100


def test_indexing_shows_in_the_panel(desk: Desk) -> None:
    progress = IndexProgress(IndexPhase.INDEXING, done=40, total=100, speed_x=212, remaining_s=300)
    desk.emit(Indexed(progress))
    card = desk.app.panel.progress
    assert card.isVisible()
    assert "212× real time" in card._rate.text()
    desk.emit(IndexFinished(IndexSummary(indexed=100, elapsed_s=3)))
    assert card._counts.text() == "100 sounds added in 3.0 s"


def test_the_progress_buttons_reach_the_engine(desk: Desk) -> None:
    card = desk.app.panel.progress
    for button in (card.pause, card.resume, card.cancel):
        button.click()
    assert [type(request).__name__ for request in desk.engine.requests] == ["Pause", "Resume", "Cancel"]


def test_failures_are_listed_and_follow_retries(desk: Desk) -> None:
    desk.emit(FoldersChanged((make_folder(failed=1),)))
    desk.app.panel.failures.click()
    assert desk.engine.sent(ListFailures) == [ListFailures()]
    desk.app.failures.retry_requested.emit()
    desk.emit(IndexFinished(IndexSummary(indexed=1)))
    assert len(desk.engine.sent(ListFailures)) == 2
    desk.emit(FailuresListed(()))
    assert desk.app.failures._head.text() == "All sounds could be read"
    desk.app.failures.close()
    desk.emit(IndexFinished(IndexSummary(indexed=1)))
    assert len(desk.engine.sent(ListFailures)) == 2


def test_folders_are_shown_from_the_library_downwards(desk: Desk) -> None:
    desk.search("door")
    assert desk.app.model.index(0, 5).data() == "sounds › folder 0"


def test_no_sound_output_is_a_visible_state(start: Start) -> None:
    player = FakePlayer()
    player.problem = KnownError("audio_unavailable", "PortAudio is not installed.", "Install libportaudio2.")
    desk = start(player=player)
    assert desk.app.outputs.problem.isVisible()
    desk.search("door")
    assert desk.app.model.rowCount() == 100


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


def test_a_click_in_the_table_plays(desk: Desk) -> None:
    desk.search("door")
    view = desk.app.view
    where = view.visualRect(desk.app.model.index(2, 0)).center() + QPoint(1, 1)
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert desk.player.played == [(make_hits(100)[2].path, make_hits(100)[2].start_s)]


def test_the_narrowest_window_still_holds_everything(desk: Desk) -> None:
    window = desk.app.window
    window.resize(window.minimumSize())
    QApplication.processEvents()
    assert window.width() <= 680
    assert desk.app.search_bar.width() > 300
    assert desk.app.preview.width() <= window.width()
