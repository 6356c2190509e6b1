"""Folders on drives that answer, and on some that do not."""

from __future__ import annotations

import threading
from pathlib import Path

from engine.media.drives import Drives


def test_folders_and_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folders = [str(tmp_path), str(tmp_path / "file"), str(tmp_path / "nowhere"), "\0", str(tmp_path)]
    assert Drives(patience_s=60.0).have(folders) == [True, False, False, False, True]


def test_a_drive_that_does_not_answer_is_asked_once_and_heard_when_it_does() -> None:
    asked: list[str] = []
    awake = threading.Event()

    def look(path: str) -> bool:
        asked.append(path)
        return awake.wait(60.0)

    before = set(threading.enumerate())
    drives = Drives(patience_s=0.0, look=look)
    assert [drives.have(["/nas", "/usb"]) for _ in range(3)] == [[None, None]] * 3
    assert sorted(asked) == ["/nas", "/usb"]
    asking = set(threading.enumerate()) - before
    awake.set()
    for thread in asking:
        thread.join(60.0)
    assert drives.have(["/nas", "/usb"]) == [True, True]
    assert sorted(asked) == ["/nas", "/usb"]


def test_all_drives_are_waited_for_together() -> None:
    both = threading.Barrier(2, timeout=60.0)

    def look(path: str) -> bool:
        both.wait()  # passes only when the other one is asked at the same time
        return True

    assert Drives(patience_s=60.0, look=look).have(["/a", "/b"]) == [True, True]
