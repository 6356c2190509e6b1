"""Hearing results and acting on them in the whole app, with an engine and a player that are scripted."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from engine.errors import ErrorKind, KnownError
from engine.service.messages import EngineStopped
from tests.desktop.conftest import Desk
from tests.fakes import make_hits

Key = Qt.Key


def test_space_plays_and_stops_from_the_table(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    assert desk.is_playing()
    desk.press(Key.Key_Space)
    assert not desk.is_playing()
    desk.press(Key.Key_Space)
    assert desk.is_playing()
    assert desk.app.view.selected_hits() == [make_hits(100)[0]]


def test_space_in_the_search_box_is_a_space(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    desk.player.stop()
    played = len(desk.player.played)
    desk.app.search_bar.focus()
    desk.app.search_bar.edit.setText("door")
    desk.press(Key.Key_Space)
    assert desk.app.search_bar.edit.text() == "door "
    assert len(desk.player.played) == played


def test_space_on_a_focused_button_presses_it(desk: Desk) -> None:
    desk.search("door")
    desk.app.view.enter()
    desk.player.stop()
    played = len(desk.player.played)
    again = desk.app.outputs.again
    again.setFocus()
    desk.press(Key.Key_Space)
    assert desk.player.refreshed == 1
    assert len(desk.player.played) == played


def test_browsing_is_silent_with_auditioning_off(desk: Desk) -> None:
    desk.app.actions.automatic.trigger()
    assert desk.app.settings.auto_audition is False
    desk.search("door")
    desk.app.view.enter()
    desk.press(Key.Key_Down)
    assert desk.player.played == []
    desk.press(Key.Key_Return)
    assert len(desk.player.played) == 1


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
    desk.press(Key.Key_Down, modifiers=Qt.KeyboardModifier.ShiftModifier)
    desk.press(Key.Key_C, modifiers=Qt.KeyboardModifier.ControlModifier)
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
    from desktop.search.roles import PLAYED_ROLE

    desk.search("door")
    desk.app.view.enter()
    desk.player.position_changed.emit(5.0)
    assert desk.app.model.index(0, 0).data(PLAYED_ROLE) == pytest.approx(5.0 / 20.0)
    desk.player.stop()
    assert desk.app.model.index(0, 0).data(PLAYED_ROLE) is None


def test_a_table_that_is_not_seen_plays_nothing(desk: Desk) -> None:
    desk.search("door")
    desk.emit(EngineStopped(KnownError(ErrorKind.LIBRARY_LOCKED, "In use.")))
    assert not desk.app.view.isVisible()
    desk.press(Key.Key_Down)
    assert desk.player.played == []


def test_a_click_in_the_table_plays(desk: Desk) -> None:
    desk.search("door")
    view = desk.app.view
    where = view.visualRect(desk.app.model.index(2, 0)).center() + QPoint(1, 1)
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert desk.player.played == [(make_hits(100)[2].path, make_hits(100)[2].start_s)]
