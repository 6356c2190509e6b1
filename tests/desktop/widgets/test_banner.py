"""Messages above the results."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot

from desktop.widgets.banner import MOST_BANNERS, BannerArea, Message, Severity
from desktop.widgets.icons import Icons
from desktop.widgets.theme import Theme
from engine.errors import ErrorKind, KnownError

FULL = KnownError(ErrorKind.DISK_FULL, "The disk is full.", "Make room, then resume.")


@pytest.fixture
def area(qtbot: QtBot, theme: Theme, icons: Icons) -> BannerArea:
    area = BannerArea(theme, icons)
    qtbot.addWidget(area)
    return area


def test_it_takes_no_room_while_there_is_nothing_to_say(area: BannerArea) -> None:
    assert area.isHidden()


def test_a_known_error_says_what_happened_and_what_to_do(area: BannerArea) -> None:
    area.show_error(FULL)
    assert not area.isHidden()
    text = area.banners[0].text
    assert "The disk is full" in text
    assert "Make room, then resume." in text


def test_the_same_kind_shares_a_banner(area: BannerArea) -> None:
    area.show_error(FULL)
    area.show_error(KnownError(ErrorKind.DISK_FULL, "Still full."))
    area.show_error(KnownError(ErrorKind.DISK_FULL, "Even now."))
    assert len(area.banners) == 1
    assert "Even now." in area.banners[0].text
    assert "2 more like this" in area.banners[0].text


def test_the_same_words_are_said_once(area: BannerArea) -> None:
    area.show_error(FULL)
    area.show_error(FULL)
    assert "more like this" not in area.banners[0].text


def test_a_notice_looks_different_from_a_problem(area: BannerArea) -> None:
    area.show_error(KnownError(ErrorKind.LIBRARY_ON_NETWORK, "It lies on a network share."))
    problem = area.banners[0].mark.pixmap().toImage()
    area.dismiss(area.banners[0])
    area.show_notice(KnownError(ErrorKind.LIBRARY_ON_NETWORK, "It lies on a network share."))
    assert "It lies on a network share." in area.banners[0].text
    assert area.banners[0].mark.pixmap().toImage() != problem


def test_dismissing(area: BannerArea) -> None:
    area.show_error(FULL)
    close = area.banners[0].findChild(QToolButton)
    assert isinstance(close, QToolButton)
    close.click()
    assert area.banners == ()
    assert area.isHidden()


def test_a_kind_can_be_taken_back(area: BannerArea) -> None:
    area.show_error(FULL)
    area.show_error(KnownError(ErrorKind.FOLDER_MISSING, "Gone."))
    area.dismiss_all("disk_full")
    assert [banner.key for banner in area.banners] == ["folder_missing"]


def test_the_oldest_gives_way(area: BannerArea) -> None:
    for number in range(MOST_BANNERS + 2):
        area.show_error(KnownError(list(ErrorKind)[number], "Oh."))
    assert [banner.key for banner in area.banners] == list(ErrorKind)[2 : MOST_BANNERS + 2]


def test_an_action(area: BannerArea) -> None:
    done: list[str] = []
    area.show_message(Message("bug", "Oh", "Really.", Severity.BUG, "Open log folder", lambda: done.append("opened")))
    assert area.banners[0].button.text() == "Open log folder"
    area.banners[0].button.click()
    assert done == ["opened"]


def test_text_is_never_markup(area: BannerArea) -> None:
    area.show_error(KnownError(ErrorKind.FOLDER_MISSING, "There is no <b>folder</b>."))
    assert "<b>folder</b>" in area.banners[0].text
