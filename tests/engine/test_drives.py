"""Folders on drives that answer, and on one that does not."""

from __future__ import annotations

import threading
from pathlib import Path

from engine.drives import Drives


def test_folders_and_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    drives = Drives(patience_s=60.0)
    assert drives.has_folder(str(tmp_path)) is True
    assert drives.has_folder(str(tmp_path / "file")) is False
    assert drives.has_folder(str(tmp_path / "nowhere")) is False
    assert drives.has_folder("\0") is False


def test_a_drive_that_does_not_answer_is_asked_once_and_heard_when_it_does() -> None:
    asked: list[str] = []
    awake, answered = threading.Event(), threading.Event()

    def look(path: str) -> bool:
        asked.append(path)
        assert awake.wait(60.0)
        answered.set()
        return True

    drives = Drives(patience_s=0.0, look=look)
    assert [drives.has_folder("/nas") for _ in range(3)] == [None, None, None]
    assert asked == ["/nas"]
    awake.set()
    assert answered.wait(60.0)
    while (answer := drives.has_folder("/nas")) is None:
        pass
    assert answer is True
    assert asked == ["/nas"]
