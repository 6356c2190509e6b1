"""Bugs are logged whole, and shown once each."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from desktop.bugs import BugReporter


def fail(message: str) -> None:
    raise ZeroDivisionError(message)


def fail_elsewhere() -> None:
    raise ZeroDivisionError("elsewhere")


def report(bugs: BugReporter, message: str = "", elsewhere: bool = False) -> None:
    try:
        fail_elsewhere() if elsewhere else fail(message)
    except ZeroDivisionError as error:
        bugs.report(type(error), error, error.__traceback__)


@pytest.fixture
def bugs() -> BugReporter:
    return BugReporter()


def test_a_bug_is_logged_with_its_traceback(bugs: BugReporter, caplog: pytest.LogCaptureFixture) -> None:
    report(bugs, "oh")
    assert "ZeroDivisionError: oh" in caplog.text
    assert "in fail" in caplog.text


def test_it_is_shown_once_and_logged_every_time(bugs: BugReporter, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []
    bugs.reported.connect(lines.append)
    for number in range(3):
        report(bugs, str(number))
    assert lines == ["ZeroDivisionError: 0"]
    assert len([record for record in caplog.records if record.levelno == logging.CRITICAL]) == 3


def test_another_bug_is_shown_too(bugs: BugReporter) -> None:
    lines: list[str] = []
    bugs.reported.connect(lines.append)
    report(bugs, "here")
    report(bugs, elsewhere=True)
    assert len(lines) == 2


def test_installed_it_sees_every_thread(bugs: BugReporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    bugs.install()
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(bugs, "report", lambda kind, error, trace: seen.append((kind.__name__, str(error))))
    thread = threading.Thread(target=fail, args=("in a thread",))
    thread.start()
    thread.join()
    assert seen == [("ZeroDivisionError", "in a thread")]
    assert sys.excepthook == BugReporter.report.__get__(bugs)


def test_an_interrupt_is_no_bug(
    bugs: BugReporter, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed_on: list[object] = []
    monkeypatch.setattr(sys, "__excepthook__", lambda *args: passed_on.append(args[0]))
    bugs.report(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert passed_on == [KeyboardInterrupt]
    assert caplog.records == []
