"""Throttling."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from desktop.widgets.throttle import Throttle

NEVER_MS = 1_000_000


def passed_by(throttle: Throttle) -> list[object]:
    seen: list[object] = []
    throttle.passed.connect(seen.append)
    return seen


def test_a_trailing_throttle_lets_only_the_newest_through(qtbot: QtBot) -> None:
    throttle = Throttle(20)
    seen = passed_by(throttle)
    for value in ("r", "ra", "rain"):
        throttle.push(value)
    assert seen == []
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == ["rain"]


def test_it_does_not_starve_while_values_keep_coming(qtbot: QtBot) -> None:
    throttle = Throttle(20)
    seen = passed_by(throttle)

    def push_and_look() -> bool:
        throttle.push("more")
        return len(seen) >= 3

    qtbot.waitUntil(push_and_look)  # looks every 10 ms, so a timer that each value restarts would never end


def test_a_leading_throttle_lets_the_first_through_at_once_and_holds_the_next() -> None:
    throttle = Throttle(NEVER_MS, leading=True)
    seen = passed_by(throttle)
    throttle.push(1)
    throttle.push(2)
    assert seen == [1]


def test_a_leading_throttle_ends_with_the_newest(qtbot: QtBot) -> None:
    throttle = Throttle(20, leading=True)
    seen = passed_by(throttle)
    for value in (1, 2, 3):
        throttle.push(value)
    qtbot.waitUntil(lambda: len(seen) == 2)
    assert seen == [1, 3]


def test_flushing_overtakes_what_waits(qtbot: QtBot) -> None:
    throttle = Throttle(10, leading=True)
    seen = passed_by(throttle)
    throttle.push("r")
    throttle.push("ra")
    throttle.flush("rain")
    assert seen == ["r", "rain"]
    throttle.push("next")  # nothing holds it up, and what waited before is gone
    assert seen == ["r", "rain", "next"]


def test_what_is_dropped_never_passes(qtbot: QtBot) -> None:
    throttle = Throttle(10)
    seen = passed_by(throttle)
    throttle.push("dropped")
    throttle.drop()
    throttle.push("kept")
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == ["kept"]
