"""The search box."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from desktop.search.search_bar import SearchBar
from desktop.search.search_session import like_sound
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Theme
from engine.library.query import Query

NEVER_MS = 1_000_000
DOOR = Path("/sounds/door.wav")


@pytest.fixture
def bar(qtbot: QtBot, theme: Theme, icons: Icons) -> SearchBar:
    bar = SearchBar(theme, icons, throttle_ms=NEVER_MS)
    qtbot.addWidget(bar)
    bar.show()
    return bar


def queries_of(bar: SearchBar) -> list[Query]:
    queries: list[Query] = []
    bar.query_changed.connect(queries.append)
    return queries


def test_typing_is_throttled(qtbot: QtBot, theme: Theme, icons: Icons) -> None:
    bar = SearchBar(theme, icons, throttle_ms=20)
    qtbot.addWidget(bar)
    queries = queries_of(bar)
    bar.edit.insert("rai")  # typed within one interval
    bar.edit.textEdited.emit("rai")
    QTest.keyClicks(bar.edit, "n")
    qtbot.waitUntil(lambda: bool(queries))
    assert queries[-1] == Query("rain")


def test_enter_searches_at_once(bar: SearchBar, qtbot: QtBot) -> None:
    queries = queries_of(bar)
    QTest.keyClicks(bar.edit, "  rain on a roof ")
    assert queries == []
    QTest.keyClick(bar.edit, Qt.Key.Key_Return)
    assert queries == [Query("rain on a roof")]


def test_a_space_is_typed_like_any_letter(bar: SearchBar, qtbot: QtBot) -> None:
    QTest.keyClicks(bar.edit, "a b")
    assert bar.edit.text() == "a b"


def test_only_blanks_are_no_query(bar: SearchBar, qtbot: QtBot) -> None:
    queries = queries_of(bar)
    QTest.keyClicks(bar.edit, "   ")
    QTest.keyClick(bar.edit, Qt.Key.Key_Return)
    assert queries == [Query()]


def test_down_leaves_for_the_results(bar: SearchBar, qtbot: QtBot) -> None:
    with qtbot.waitSignal(bar.left_downwards):
        QTest.keyClick(bar.edit, Qt.Key.Key_Down)


def test_an_example_is_searched_at_once(bar: SearchBar) -> None:
    queries = queries_of(bar)
    bar.search_caption("glass breaking")
    assert queries == [Query("glass breaking")]
    assert bar.edit.text() == "glass breaking"


def test_a_sound_shows_as_a_chip(bar: SearchBar) -> None:
    queries = queries_of(bar)
    bar.search_similar(DOOR)
    assert queries == [like_sound(DOOR)]
    assert bar.chip.isVisible()
    assert "door.wav" in bar.chip_name.text()
    assert bar.chip.toolTip() == str(DOOR)


def test_typing_replaces_the_chip(bar: SearchBar, qtbot: QtBot) -> None:
    bar.search_similar(DOOR)
    QTest.keyClicks(bar.edit, "rain")
    assert not bar.chip.isVisible()
    assert bar.query == Query("rain")


@pytest.mark.parametrize("way", ["button", "backspace"])
def test_leaving_the_chip_returns_to_the_caption_before(bar: SearchBar, qtbot: QtBot, way: str) -> None:
    bar.search_caption("rain")
    bar.search_similar(DOOR)
    bar.search_similar(Path("/sounds/other.wav"))
    queries = queries_of(bar)
    if way == "button":
        bar.clear_button.click()
    else:
        QTest.keyClick(bar.edit, Qt.Key.Key_Backspace)
    assert queries == [Query("rain")]
    assert not bar.chip.isVisible()


def test_clearing(bar: SearchBar) -> None:
    assert not bar.clear_button.isVisible()
    bar.search_caption("rain")
    assert bar.clear_button.isVisible()
    queries = queries_of(bar)
    bar.clear_button.click()
    assert queries == [Query()]
    assert bar.edit.text() == ""
    assert not bar.clear_button.isVisible()


def test_the_placeholder_shows_one_example_after_the_other(qtbot: QtBot, theme: Theme, icons: Icons) -> None:
    bar = SearchBar(theme, icons, placeholder_ms=5)
    qtbot.addWidget(bar)
    shown = {bar.edit.placeholderText()}

    def look() -> bool:
        shown.add(bar.edit.placeholderText())
        return len(shown) >= 3

    qtbot.waitUntil(look)
    assert all(text.startswith("Describe a sound") for text in shown)


def test_a_very_long_caption_is_one_query(bar: SearchBar, qtbot: QtBot) -> None:
    queries = queries_of(bar)
    bar.search_caption("🌧️ rain " * 1200)
    assert queries == [Query(("🌧️ rain " * 1200).strip())]


def test_it_takes_no_drops_of_its_own(bar: SearchBar) -> None:
    assert not bar.edit.acceptDrops()
