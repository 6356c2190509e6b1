"""Waveforms, looked at pixel by pixel, and what clicks and keys on them ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from desktop.playback.waveform import WaveformView, paint_peaks
from desktop.widgets.theme import Appearance, Theme

WIDTH, HEIGHT = 600, 80
BACKGROUND = QColor("#102030")
COLOUR = QColor("#ffffff")


def full_scale(stretches: int = 400) -> bytes:
    return np.tile(np.array([-127, 127], dtype=np.int8), stretches).tobytes()


@pytest.fixture
def theme(qapp: QApplication, tmp_path: Path) -> Iterator[Theme]:
    palette, style_sheet = qapp.palette(), qapp.styleSheet()
    yield Theme(qapp, tmp_path, Appearance.DARK)
    qapp.setPalette(palette)
    qapp.setStyleSheet(style_sheet)


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> WaveformView:
    view = WaveformView(theme)
    qtbot.addWidget(view)
    view.resize(WIDTH, HEIGHT)
    view.set_sound(full_scale(), 10.0, (4.0, 6.0))
    view.show()
    view.activateWindow()
    view.setFocus()
    qtbot.waitUntil(view.hasFocus)
    view.clearFocus()
    return view


def paint(peaks: bytes, rect: QRectF, ratio: float = 1.0, played: float | None = None) -> QImage:
    image = QImage(round(WIDTH * ratio), round(HEIGHT * ratio), QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(BACKGROUND)
    painter = QPainter(image)
    paint_peaks(painter, rect, peaks, COLOUR, played)
    painter.end()
    return image


def colours(image: QImage) -> set[str]:
    return {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}


def bars_in_row(image: QImage, y: int) -> list[tuple[int, int]]:
    """(start, width) of each run of pixels in a row that are not background."""
    painted = np.array([image.pixelColor(x, y) != BACKGROUND for x in range(image.width())])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], painted, [False]]).astype(int)))
    return [(int(start), int(end - start)) for start, end in edges.reshape(-1, 2)]


def looks(view: WaveformView, theme: Theme) -> dict[str, int]:
    """How many pixels of the view have the colour of each token."""
    image = view.grab().toImage()
    found = [image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())]
    roles = ("wave", "wave_match", "match_band", "accent", "accent_strong", "line", "raised")
    return {role: found.count(theme.colour(role).name()) for role in roles}


def column_colours(view: WaveformView, left: int, right: int) -> set[str]:
    """The colours in the middle row of the view between two columns, except the window's own."""
    image = view.grab().toImage()
    return {image.pixelColor(x, HEIGHT // 2).name() for x in range(left, right)}


def name(theme: Theme, role: str) -> str:
    return theme.colour(role).name()


# Bars


@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("left", [0.0, 7.0, 7.4])
def test_bars_are_crisp_and_even_at_every_pixel_ratio(qapp: QApplication, ratio: float, left: float) -> None:
    image = paint(full_scale(), QRectF(left, 5, 301, 61), ratio)
    assert colours(image) == {BACKGROUND.name(), COLOUR.name()}  # no half-covered pixel
    bars = bars_in_row(image, image.height() // 2)
    starts = np.array([start for start, _ in bars])
    assert {width for _, width in bars} == {round(2 * ratio)}
    assert len(set(np.diff(starts))) == 1
    assert starts[0] == round(left * ratio)
    room = round((left + 301) * ratio) - (bars[-1][0] + bars[-1][1])
    assert -1 <= room <= 3 * ratio + 1


def test_height_follows_the_peaks_above_and_below_the_middle(qapp: QApplication) -> None:
    half_up = np.tile(np.array([0, 127], dtype=np.int8), 400).tobytes()
    image = paint(half_up, QRectF(0, 0, WIDTH, HEIGHT))
    assert bars_in_row(image, 2)
    assert bars_in_row(image, HEIGHT // 2 - 1)
    assert not bars_in_row(image, HEIGHT // 2 + 1)


def test_silence_is_a_line_one_pixel_high(qapp: QApplication) -> None:
    image = paint(bytes(800), QRectF(0, 0, WIDTH, HEIGHT))
    assert [y for y in range(HEIGHT) if bars_in_row(image, y)] == [HEIGHT // 2]


def test_a_single_loud_stretch_is_never_left_out(qapp: QApplication) -> None:
    for loud in range(400):
        peaks = bytearray(800)
        peaks[2 * loud + 1] = 127
        image = paint(bytes(peaks), QRectF(0, 0, 30, 20))
        bars = bars_in_row(image, 1)
        assert len(bars) == 1
        assert abs(bars[0][0] / 30 - loud / 400) < 0.1


@pytest.mark.parametrize("peaks", [b"", b"\x01", b"\x80\x7f", b"\x81\x7f\x00\x00"])
@pytest.mark.parametrize("rect", [QRectF(), QRectF(0, 0, 1, 1), QRectF(0, 0, 599, 3)])
def test_few_peaks_or_no_room_do_no_harm(qapp: QApplication, peaks: bytes, rect: QRectF) -> None:
    paint(peaks, rect, 1.5, played=0.5)


def test_the_played_part_has_the_accent(qapp: QApplication) -> None:
    accent = QGuiApplication.palette().color(QPalette.ColorRole.Accent)
    image = paint(full_scale(), QRectF(0, 0, WIDTH, HEIGHT), played=0.25)
    row = [image.pixelColor(x, 40).name() for x in range(WIDTH)]
    assert set(row[: WIDTH // 4 - 3]) == {accent.name(), BACKGROUND.name()}
    assert set(row[WIDTH // 4 + 3 :]) == {COLOUR.name(), BACKGROUND.name()}


# The view


@pytest.mark.parametrize("appearance", [Appearance.DARK, Appearance.LIGHT])
def test_the_segment_stands_out_in_dark_and_in_light(view: WaveformView, theme: Theme, appearance: Appearance) -> None:
    theme.set_appearance(appearance)
    assert name(theme, "wave_match") in column_colours(view, 250, 350)
    assert name(theme, "match_band") in column_colours(view, 250, 350)
    for outside in (column_colours(view, 0, 230), column_colours(view, 370, WIDTH)):
        assert name(theme, "wave") in outside
        assert not outside & {name(theme, "wave_match"), name(theme, "match_band")}


def test_a_sound_that_matches_as_a_whole_has_no_band(view: WaveformView, theme: Theme) -> None:
    view.set_sound(full_scale(), 10.0, None)
    seen = looks(view, theme)
    assert seen["wave_match"] > 0
    assert seen["match_band"] == seen["wave"] == 0


def test_a_segment_of_a_long_sound_is_still_visible(view: WaveformView, theme: Theme) -> None:
    view.set_sound(full_scale(), 10_800.0, (5_400.0, 5_410.0))
    seen = looks(view, theme)
    assert seen["match_band"] + seen["wave_match"] > 0


def test_the_play_head_moves_and_vanishes(view: WaveformView, theme: Theme) -> None:
    assert looks(view, theme)["accent_strong"] == 0
    view.set_position(2.5)
    assert name(theme, "accent_strong") in column_colours(view, 148, 152)
    assert name(theme, "accent") in column_colours(view, 0, 140)
    assert name(theme, "accent") not in column_colours(view, 155, WIDTH)
    view.set_position(99.0)
    assert name(theme, "accent_strong") in column_colours(view, WIDTH - 3, WIDTH)
    view.set_position(None)
    assert looks(view, theme)["accent_strong"] == 0


def test_cleared_it_shows_an_empty_line_and_ignores_clicks(qtbot: QtBot, view: WaveformView, theme: Theme) -> None:
    view.set_position(1.0)
    view.clear()
    seen = looks(view, theme)
    assert seen["line"] >= WIDTH
    assert seen["wave"] == seen["wave_match"] == seen["accent_strong"] == 0
    with qtbot.assertNotEmitted(view.seek_requested):
        QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(300, 40))
        QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.mouseMove(view, QPoint(100, 40))
    assert looks(view, theme)["raised"] == 0


def test_the_pointer_tells_its_time_within_the_view(qtbot: QtBot, view: WaveformView, theme: Theme) -> None:
    for x in (1, 300, WIDTH - 1):
        QTest.mouseMove(view, QPoint(x, 40))
        assert looks(view, theme)["raised"] > 300  # the label is on screen in full
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert looks(view, theme)["raised"] == 0


def test_the_keyboard_focus_is_visible(qtbot: QtBot, view: WaveformView, theme: Theme) -> None:
    before = view.grab().toImage()
    view.setFocus()
    assert view.hasFocus()
    after = view.grab().toImage()
    ring = QColor(name(theme, "accent"))
    for x in range(10, WIDTH - 10):
        red = before.pixelColor(x, 1).red(), after.pixelColor(x, 1).red()
        assert abs(red[1] - ring.red()) < abs(red[0] - ring.red())


@pytest.mark.parametrize(("x", "time_s"), [(0, 0.0), (150, 2.5), (599, 9.98)])
def test_a_click_seeks_once(qtbot: QtBot, view: WaveformView, x: int, time_s: float) -> None:
    asked: list[float] = []
    view.seek_requested.connect(asked.append)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(x, 40))
    assert asked == [pytest.approx(time_s, abs=0.01)]
    QTest.mouseClick(view, Qt.MouseButton.RightButton, pos=QPoint(x, 40))
    assert len(asked) == 1


def test_a_drag_seeks_where_it_begins_and_where_it_ends(qtbot: QtBot, view: WaveformView) -> None:
    asked: list[float] = []
    view.seek_requested.connect(asked.append)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(60, 40))
    for x in (100, 200, 300, 420):
        QTest.mouseMove(view, QPoint(x, 40))
    assert asked == [pytest.approx(1.0, abs=0.01)]
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(WIDTH + 50, 40))
    assert asked[1:] == [10.0]


def test_keys_seek_within_the_sound(qtbot: QtBot, view: WaveformView) -> None:
    asked: list[float] = []
    view.seek_requested.connect(asked.append)
    QTest.keyClick(view, Qt.Key.Key_Right)
    view.set_position(9.5)
    QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Left)
    QTest.keyClick(view, Qt.Key.Key_Home)
    view.set_position(0.2)
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert asked == [5.0, 10.0, 8.5, 0.0, 0.0]


@pytest.mark.qt_log_ignore("propagateSizeHints")
def test_a_click_leaves_the_focus_where_it_was(qtbot: QtBot, theme: Theme) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    layout = QVBoxLayout(window)
    field, view = QLineEdit(), WaveformView(theme)
    layout.addWidget(field)
    layout.addWidget(view)
    view.set_sound(full_scale(), 10.0, None)
    window.show()
    window.activateWindow()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton)
    assert field.hasFocus()
    QTest.keyClick(field, Qt.Key.Key_Tab)
    assert view.hasFocus()


def test_it_is_told_to_screen_readers(view: WaveformView) -> None:
    assert view.accessibleName()
    assert view.accessibleDescription() == "0:10.0 long, matched from 0:04.0 to 0:06.0"
    view.set_sound(full_scale(), 1.0, None)
    assert view.accessibleDescription() == "0:01.0 long"
    view.clear()
    assert view.accessibleDescription() == "No sound"


def test_the_bars_meet_the_play_head_at_any_width(qtbot: QtBot, view: WaveformView, theme: Theme) -> None:
    for width in (37, 333, 1601):
        view.resize(width, HEIGHT)
        view.set_position(5.0)
        image = view.grab().toImage()
        accents = [x for x in range(width) if image.pixelColor(x, HEIGHT // 2).name() == name(theme, "accent")]
        assert max(accents) == pytest.approx(width / 2, abs=4)
        assert QPointF(view.rect().center()).x() == pytest.approx(width / 2, abs=1)
