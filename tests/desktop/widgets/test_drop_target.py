"""Dropping folders and sounds on the window."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from desktop.widgets.drop_target import DropTarget
from desktop.widgets.theme import Theme
from engine.errors import KnownError

COPY = Qt.DropAction.CopyAction
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(400, 300)
    window.show()
    return window


@pytest.fixture
def target(window: QWidget, theme: Theme) -> DropTarget:
    return DropTarget(window, theme)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    (folder / "a.wav").touch()
    (folder / "b.wav").touch()
    return folder


def mime(*paths: Path | str) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) if isinstance(path, Path) else QUrl(path) for path in paths])
    return data


def drag(window: QWidget, data: QMimeData) -> bool:
    event = QDragEnterEvent(QPoint(5, 5), COPY, data, LEFT, NONE)
    QApplication.sendEvent(window, event)
    return event.isAccepted()


def drop(window: QWidget, data: QMimeData) -> bool:
    """Qt gives drops only to a window that the drag has entered."""
    drag(window, data)
    event = QDropEvent(QPointF(5, 5), COPY, data, LEFT, NONE)
    QApplication.sendEvent(window, event)
    return event.isAccepted()


def test_dropped_folders_are_added(window: QWidget, target: DropTarget, folder: Path, tmp_path: Path) -> None:
    dropped: list[tuple[Path, ...]] = []
    target.folders_dropped.connect(dropped.append)
    other = tmp_path / "sounds of another"
    other.mkdir()
    data = mime(folder, folder / "a.wav", other)
    assert drag(window, data)
    assert target.overlay.isVisible()
    assert target.overlay.geometry() == window.rect()
    assert "add" in target.overlay.text
    assert drop(window, data)
    assert dropped == [(folder, other)]
    assert not target.overlay.isVisible()


def test_of_folders_that_lie_in_each_other_the_outermost_is_added_once(
    window: QWidget, target: DropTarget, folder: Path, tmp_path: Path
) -> None:
    dropped: list[tuple[Path, ...]] = []
    target.folders_dropped.connect(dropped.append)
    inner = folder / "doors" / "wood"
    inner.mkdir(parents=True)
    assert drop(window, mime(inner, folder, folder / "doors", folder))
    assert dropped == [(folder,)]


@pytest.mark.parametrize("name", ["long" * 75, "deep/" * 1000, "a\0b"])
def test_a_path_that_cannot_exist_is_not_taken(
    window: QWidget, target: DropTarget, qtbot: QtBot, folder: Path, name: str
) -> None:
    with qtbot.capture_exceptions() as exceptions:
        assert not drag(window, mime(folder / name))
        assert not drop(window, mime(folder / name))
    assert exceptions == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
def test_a_name_that_is_not_unicode_is_refused_aloud(window: QWidget, target: DropTarget, folder: Path) -> None:
    dropped: list[object] = []
    refused: list[KnownError] = []
    target.folders_dropped.connect(dropped.append)
    target.sound_dropped.connect(dropped.append)
    target.refused.connect(refused.append)
    odd_folder, odd_sound = os.fsencode(folder) + b"/caf\xe9 \xc3\xa9", os.fsencode(folder) + b"/caf\xe9.wav"
    Path(os.fsdecode(odd_folder)).mkdir()
    Path(os.fsdecode(odd_sound)).touch()
    for path in (odd_folder, odd_sound):
        data = QMimeData()
        data.setData("text/uri-list", b"file://" + quote_from_bytes(path).encode() + b"\r\n")
        assert drop(window, data)
    assert [error.kind for error in refused] == ["name_not_unicode"] * 2
    assert "caf\ufffd é" in refused[0].detail
    assert dropped == []
    both = QMimeData()
    uris = (b"file://" + quote_from_bytes(path).encode() for path in (odd_folder, os.fsencode(folder / "fine")))
    (folder / "fine").mkdir()
    both.setData("text/uri-list", b"\r\n".join(uris))
    assert drop(window, both)
    assert dropped == [(folder / "fine",)]
    assert len(refused) == 3


def test_a_dropped_sound_is_searched_by(window: QWidget, target: DropTarget, folder: Path) -> None:
    dropped: list[Path] = []
    target.sound_dropped.connect(dropped.append)
    assert drag(window, mime(folder / "a.wav"))
    assert "like this" in target.overlay.text
    drop(window, mime(folder / "a.wav"))
    assert dropped == [folder / "a.wav"]


def test_several_sounds_are_not_taken(window: QWidget, target: DropTarget, folder: Path) -> None:
    assert not drag(window, mime(folder / "a.wav", folder / "b.wav"))
    assert not target.overlay.isVisible()


def test_what_is_no_file_is_not_taken(window: QWidget, target: DropTarget, folder: Path) -> None:
    text = QMimeData()
    text.setText("rain")
    assert not drag(window, text)
    assert not drag(window, mime("https://example.com/a.wav"))
    assert not drag(window, mime(folder / "gone.wav"))


def test_a_read_only_library_takes_no_folders(window: QWidget, target: DropTarget, folder: Path) -> None:
    target.takes_folders = False
    assert not drag(window, mime(folder))
    assert drag(window, mime(folder / "a.wav"))


def test_leaving_takes_the_hint_away(window: QWidget, target: DropTarget, folder: Path) -> None:
    drag(window, mime(folder))
    QApplication.sendEvent(window, QDragLeaveEvent())
    assert not target.overlay.isVisible()


def test_the_hint_goes_away_when_what_was_dragged_is_gone_at_the_drop(
    window: QWidget, target: DropTarget, folder: Path
) -> None:
    data = mime(folder / "a.wav")
    assert drag(window, data)
    (folder / "a.wav").unlink()
    QApplication.sendEvent(window, QDropEvent(QPointF(5, 5), COPY, data, LEFT, NONE))
    assert not target.overlay.isVisible()


def test_the_disk_is_asked_when_a_drag_enters_and_not_at_each_move(
    window: QWidget, target: DropTarget, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[tuple[Path, ...]] = []
    target.folders_dropped.connect(dropped.append)
    asked: list[Path] = []
    is_folder = os.path.isdir

    def ask(path: Path) -> bool:
        asked.append(path)
        return is_folder(path)

    monkeypatch.setattr(os.path, "isdir", ask)
    data = mime(folder)
    assert drag(window, data)
    for _ in range(3):
        move = QDragMoveEvent(QPoint(6, 6), COPY, data, LEFT, NONE)
        QApplication.sendEvent(window, move)
        assert move.isAccepted()
    QApplication.sendEvent(window, QDropEvent(QPointF(5, 5), COPY, data, LEFT, NONE))
    assert asked == [folder]
    assert dropped == [(folder,)]


def test_a_drag_that_left_offers_nothing_to_the_next_one(window: QWidget, target: DropTarget, folder: Path) -> None:
    dropped: list[object] = []
    target.folders_dropped.connect(dropped.append)
    assert drag(window, mime(folder))
    QApplication.sendEvent(window, QDragLeaveEvent())
    assert not drop(window, mime(folder / "gone.wav"))
    assert dropped == []


def test_rows_dragged_from_the_app_itself_are_not_taken(
    window: QWidget, target: DropTarget, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QDropEvent, "source", lambda event: window)
    assert not drag(window, mime(folder))


def test_the_hint_is_painted_over_the_window(window: QWidget, target: DropTarget, folder: Path) -> None:
    before = window.grab().toImage()
    drag(window, mime(folder))
    assert window.grab().toImage() != before


def test_other_events_pass(window: QWidget, target: DropTarget) -> None:
    assert target.eventFilter(window, QEvent(QEvent.Type.MouseMove)) is False
