"""The results table: keys, mouse, drag, columns, and quiet updates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.search import columns
from desktop.search.columns import COLUMNS, Column
from desktop.search.results_model import ResultsModel
from desktop.search.results_view import ResultsView
from desktop.widgets.theme import Theme
from engine.library.types import Hit
from tests.fakes import make_hit, make_hits

at = COLUMNS.index

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def model() -> ResultsModel:
    return ResultsModel()


@pytest.fixture
def view(qtbot: QtBot, theme: Theme, model: ResultsModel) -> Iterator[ResultsView]:
    view = ResultsView(model, theme)
    qtbot.addWidget(view)
    view.resize(1000, 400)
    with qtbot.waitExposed(view):
        view.show()
    view.activateWindow()
    view.show_hits(make_hits(100), keep=False)
    yield view
    view.hide()


def chosen_by(view: ResultsView) -> list[int]:
    chosen: list[int] = []
    view.hit_chosen.connect(lambda hit: chosen.append(hit.sound_id))
    return chosen


def cell(view: ResultsView, row: int) -> QPoint:
    return view.visualRect(view.model().index(row, 0)).center()


def selected_ids(view: ResultsView) -> list[int]:
    return [hit.sound_id for hit in view.selected_hits()]


def test_entering_selects_the_first_row_once(view: ResultsView) -> None:
    chosen = chosen_by(view)
    view.enter()
    assert chosen == [1]
    assert selected_ids(view) == [1]
    view.clearFocus()
    view.enter()
    assert chosen == [1]


def test_entering_an_empty_table_does_nothing(view: ResultsView) -> None:
    view.show_hits((), keep=False)
    chosen = chosen_by(view)
    view.enter()
    assert chosen == []
    assert view.current_hit() is None


def test_arrow_keys_choose_one_sound_after_the_other(view: ResultsView, qtbot: QtBot) -> None:
    chosen = chosen_by(view)
    view.enter()
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Up):
        QTest.keyClick(view, key)
    assert chosen == [1, 2, 3, 2]
    assert selected_ids(view) == [2]


def test_up_from_the_first_row_leaves_the_table(view: ResultsView, qtbot: QtBot) -> None:
    view.enter()
    with qtbot.waitSignal(view.left_upwards):
        QTest.keyClick(view, Qt.Key.Key_Up)


def test_enter_asks_to_play(view: ResultsView, qtbot: QtBot) -> None:
    view.selectRow(3)
    with qtbot.waitSignal(view.play_requested) as asked:
        QTest.keyClick(view, Qt.Key.Key_Return)
    assert asked.args is not None
    assert asked.args[0].sound_id == 4


def test_left_and_right_nudge(view: ResultsView, qtbot: QtBot) -> None:
    nudges: list[float] = []
    view.nudged.connect(nudges.append)
    view.enter()
    QTest.keyClick(view, Qt.Key.Key_Right)
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert nudges == [1.0, -1.0]
    assert selected_ids(view) == [1]


def test_letters_do_not_jump_to_rows(view: ResultsView, qtbot: QtBot) -> None:
    view.enter()
    QTest.keyClicks(view, "sound 050")
    assert selected_ids(view) == [1]


def test_the_copy_keys(view: ResultsView, qtbot: QtBot) -> None:
    view.enter()
    with qtbot.waitSignal(view.copy_requested):
        QTest.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)


def test_a_click_chooses_once_and_again_on_the_same_row(view: ResultsView, qtbot: QtBot) -> None:
    chosen = chosen_by(view)
    QTest.mouseClick(view.viewport(), LEFT, pos=cell(view, 4))
    assert chosen == [5]
    QTest.mouseClick(view.viewport(), LEFT, pos=cell(view, 4))
    assert chosen == [5, 5]


def test_a_click_into_the_table_chooses_no_other_row_on_the_way(view: ResultsView, qtbot: QtBot) -> None:
    view.clearFocus()
    chosen = chosen_by(view)
    view.setFocus(Qt.FocusReason.MouseFocusReason)  # as the window system does before the click arrives
    QTest.mouseClick(view.viewport(), LEFT, pos=cell(view, 2))
    assert chosen == [3]


def test_arriving_by_tab_selects_a_row(view: ResultsView) -> None:
    view.clearFocus()
    view.setFocus(Qt.FocusReason.TabFocusReason)
    assert selected_ids(view) == [1]


def test_several_rows_can_be_selected(view: ResultsView, qtbot: QtBot) -> None:
    QTest.mouseClick(view.viewport(), LEFT, pos=cell(view, 1))
    QTest.mouseClick(view.viewport(), LEFT, Qt.KeyboardModifier.ControlModifier, cell(view, 3))
    assert selected_ids(view) == [2, 4]


def test_a_refresh_keeps_selection_and_scrolling_and_chooses_nothing(view: ResultsView) -> None:
    view.selectRow(50)
    view.scrollTo(view.model().index(50, 0))
    scrolled = view.verticalScrollBar().value()
    chosen = chosen_by(view)
    newcomer = make_hit(500, "/sounds/new.wav", score=0.99)
    view.show_hits((newcomer, *make_hits(100)), keep=True)
    assert view.currentIndex().row() == 51
    assert selected_ids(view) == [51]
    assert view.verticalScrollBar().value() == scrolled > 0
    assert chosen == []


def test_a_refresh_with_the_same_hits_touches_nothing(view: ResultsView, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(view.model().modelReset):
        view.show_hits(make_hits(100), keep=True)


def test_a_refresh_that_loses_the_selected_sound_selects_none(view: ResultsView) -> None:
    view.selectRow(2)
    hits = tuple(hit for hit in make_hits(100) if hit.sound_id != 3)
    view.show_hits(hits, keep=True)
    assert view.current_hit() is None
    assert selected_ids(view) == []


def test_another_search_begins_at_the_top_with_nothing_selected(view: ResultsView) -> None:
    view.selectRow(80)
    view.scrollToBottom()
    view.show_hits(make_hits(90), keep=False)
    assert view.current_hit() is None
    assert view.verticalScrollBar().value() == 0


def test_sorting_by_header_returns_to_rank_at_the_third_click(
    view: ResultsView, model: ResultsModel, qtbot: QtBot
) -> None:
    header = view.horizontalHeader()
    left = header.sectionViewportPosition(at(columns.LENGTH)) + 5
    seen = []
    for _ in range(3):
        QTest.mouseClick(header.viewport(), LEFT, pos=QPoint(left, header.height() // 2))
        seen.append(model.hit(0).sound_id)
    assert seen == [1, 100, 1]
    assert header.sortIndicatorSection() == -1


def test_sorting_keeps_the_selected_sound(view: ResultsView) -> None:
    view.selectRow(0)
    view.sortByColumn(at(columns.LENGTH), Qt.SortOrder.DescendingOrder)
    assert selected_ids(view) == [1]
    assert view.currentIndex().row() == 99


@pytest.mark.parametrize(
    ("width", "hidden"),
    [(1200, set()), (800, {columns.FOLDER}), (600, {columns.FOLDER, columns.SCORE})],
)
def test_columns_fit_the_width(view: ResultsView, width: int, hidden: set[Column]) -> None:
    view.resize(width, 400)
    QApplication.processEvents()
    assert {column for column in COLUMNS if view.isColumnHidden(at(column))} == hidden
    assert view.horizontalHeader().length() <= view.viewport().width()
    assert view.columnWidth(at(columns.NAME)) > 120


def test_rows_are_dragged_as_files(view: ResultsView, monkeypatch: pytest.MonkeyPatch) -> None:
    dragged: list[tuple[list[str], Qt.DropAction]] = []

    def run(drag: QDrag, supported: Qt.DropAction, default: Qt.DropAction) -> Qt.DropAction:
        dragged.append(([url.toLocalFile() for url in drag.mimeData().urls()], default))
        assert not drag.pixmap().isNull()
        return default

    monkeypatch.setattr(QDrag, "exec", run)
    view.selectRow(1)
    view.startDrag(Qt.DropAction.CopyAction)
    expected = str(Path("/sounds/folder 1/sound 001.wav")).replace("\\", "/")
    assert dragged == [([expected], Qt.DropAction.CopyAction)]


def test_it_paints_every_kind_of_row(view: ResultsView, model: ResultsModel) -> None:
    odd: tuple[Hit, ...] = (
        make_hit(1, "/sounds/" + "ドアが開く音 " * 30 + ".wav"),
        make_hit(2, "/sounds/no suffix", score=-0.4),
        make_hit(3, "/sounds/empty peaks.wav", duration_s=0, end_s=0),
        make_hit(4, "/sounds/long.wav", start_s=3600, end_s=3610, duration_s=7200),
    )
    view.show_hits(odd, keep=False)
    model.set_playing(4, 0.5)
    view.selectRow(0)
    before = view.grab().toImage()
    model.set_playing(None)
    assert view.grab().toImage() != before
