"""The hits as a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester

from desktop.search import columns
from desktop.search.columns import COLUMNS, Column
from desktop.search.results_model import ResultsModel
from desktop.search.roles import HIT_ROLE, PLAYED_ROLE
from tests.fakes import make_hit, make_hits

at = COLUMNS.index

ASCENDING, DESCENDING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
HITS = (
    make_hit(7, "/sounds/b/Door.wav", score=0.9, start_s=5, end_s=15, duration_s=30),
    make_hit(8, "/sounds/a/door 2.wav", score=0.8, duration_s=2),
    make_hit(9, "/sounds/c/ant.wav", score=0.7, start_s=0, end_s=10, duration_s=70),
)


@pytest.fixture
def model() -> ResultsModel:
    model = ResultsModel()
    model.set_hits(HITS)
    return model


def names(model: ResultsModel) -> list[str]:
    return [model.hit(row).path.name for row in range(model.rowCount())]


def text(model: ResultsModel, row: int, column: Column) -> str:
    value = model.index(row, at(column)).data()
    assert isinstance(value, str)
    return value


def test_it_is_a_sound_qt_model(model: ResultsModel) -> None:
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.set_hits(make_hits(5))
    model.sort(at(columns.NAME), DESCENDING)
    model.set_roots((Path("/sounds"),))
    model.set_playing(3, 0.5)
    model.set_hits(())


def test_what_a_row_says(model: ResultsModel) -> None:
    model.set_roots((Path("/sounds"),))
    assert [text(model, 0, column) for column in COLUMNS] == [
        "Door.wav",
        "",
        "0:05 – 0:15",
        "0:30.0",
        "0.90",
        "sounds › b",
    ]
    assert text(model, 1, columns.MATCH) == "whole"
    assert model.index(1, 0).data(HIT_ROLE) is HITS[1]
    assert str(HITS[0].path) in model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "0.900" in model.index(0, at(columns.SCORE)).data(Qt.ItemDataRole.ToolTipRole)


def test_rank_is_the_order_until_a_column_is_chosen(model: ResultsModel) -> None:
    assert names(model) == ["Door.wav", "door 2.wav", "ant.wav"]


@pytest.mark.parametrize(
    ("column", "order", "expected"),
    [
        (columns.NAME, ASCENDING, [9, 8, 7]),
        (columns.LENGTH, DESCENDING, [9, 7, 8]),
        (columns.MATCH, DESCENDING, [7, 8, 9]),
        (columns.SCORE, ASCENDING, [9, 8, 7]),
        (columns.FOLDER, ASCENDING, [8, 7, 9]),
        (columns.WAVEFORM, DESCENDING, [7, 8, 9]),
    ],
)
def test_sorting(model: ResultsModel, column: Column, order: Qt.SortOrder, expected: list[int]) -> None:
    model.sort(at(column), order)
    assert [model.hit(row).sound_id for row in range(3)] == expected
    model.sort(-1, ASCENDING)
    assert [model.hit(row).sound_id for row in range(3)] == [7, 8, 9]


def test_a_sort_order_stays_for_the_next_hits(model: ResultsModel) -> None:
    model.sort(at(columns.NAME), ASCENDING)
    model.set_hits((make_hit(1, "/z.wav"), make_hit(2, "/a.wav")))
    assert names(model) == ["a.wav", "z.wav"]
    assert [hit.sound_id for hit in model.hits] == [1, 2]


def test_indexes_follow_their_sound_when_sorted(model: ResultsModel) -> None:
    index = QPersistentModelIndex(model.index(0, 0))
    model.sort(at(columns.NAME), ASCENDING)
    assert index.row() == 2
    assert index.data() == "Door.wav"


def test_only_the_playing_row_has_a_play_head(model: ResultsModel) -> None:
    model.set_playing(8, 0.25)
    assert [model.index(row, 0).data(PLAYED_ROLE) for row in range(3)] == [None, 0.25, None]
    model.set_playing(None)
    assert model.index(1, 0).data(PLAYED_ROLE) is None


def test_a_moving_play_head_repaints_one_cell(model: ResultsModel) -> None:
    model.set_playing(8, 0.1)
    changes: list[tuple[int, int, int]] = []
    model.dataChanged.connect(lambda first, last: changes.append((first.row(), first.column(), last.column())))
    model.set_playing(8, 0.2)
    assert changes == [(1, at(columns.WAVEFORM), at(columns.WAVEFORM))]


def test_playing_something_that_is_not_listed_is_fine(model: ResultsModel) -> None:
    model.set_playing(999, 0.5)
    assert all(model.index(row, 0).data(PLAYED_ROLE) is None for row in range(3))


def test_rows_leave_as_files_each_once_in_the_order_shown(model: ResultsModel) -> None:
    indexes = [model.index(2, 0), model.index(0, 0), model.index(0, 1)]
    urls = [url.toLocalFile() for url in model.mimeData(indexes).urls()]
    assert urls == [str(HITS[0].path).replace("\\", "/"), str(HITS[2].path).replace("\\", "/")]
    assert model.supportedDragActions() & Qt.DropAction.CopyAction
    assert not model.supportedDragActions() & Qt.DropAction.MoveAction


def test_every_column_has_a_header(model: ResultsModel) -> None:
    headers = [model.headerData(at(column), Qt.Orientation.Horizontal) for column in COLUMNS]
    assert headers == ["Name", "Waveform", "Match", "Length", "Score", "Folder"]
