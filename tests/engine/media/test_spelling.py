"""Paths are spelled as their volume lists them, and names that a volume tells apart stay apart."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.media.spelling import spelled

NFC, NFD = "caf\u00e9", "cafe\u0301"


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@pytest.fixture
def insensitive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that finds files as macOS and Windows do, whatever the case and normalisation of a name."""
    lstat = os.lstat

    def find(path: str | os.PathLike[str], **options: object) -> os.stat_result:
        found = tmp_path
        for name in Path(path).relative_to(tmp_path).parts if Path(path).is_relative_to(tmp_path) else ():
            names = [entry.name for entry in found.iterdir()] if found.is_dir() else []
            short = [other for other in names if name == f"{other[:6].upper()}~1"]
            found /= next((other for other in names if _key(other) == _key(name)), short[0] if short else name)
        return lstat(found if found != tmp_path else path)

    stat = os.stat

    def look(path: str | os.PathLike[str], *, follow_symlinks: bool = True, **options: object) -> os.stat_result:
        return stat(path) if follow_symlinks else find(path)

    monkeypatch.setattr(os, "lstat", find)
    monkeypatch.setattr(os, "stat", look)  # which is what Path.lstat calls
    return tmp_path


@pytest.mark.parametrize("ask", [str.upper, str.lower, lambda name: unicodedata.normalize("NFD", name)])
def test_names_are_spelled_as_they_are_listed(insensitive: Path, ask: Callable[[str], str]) -> None:
    path = insensitive / "Sounds" / f"{NFC} Street" / "Door.WAV"
    path.parent.mkdir(parents=True)
    path.touch()
    (path.parent / "Window.wav").touch()
    assert spelled(insensitive / ask("Sounds") / ask(f"{NFC} Street") / ask("Door.WAV")) == path
    assert spelled(path) == path


def test_a_short_name_of_windows_is_spelled_in_full(insensitive: Path) -> None:
    path = insensitive / "creaking door.wav"
    path.touch()
    (insensitive / "Another.wav").touch()
    assert spelled(insensitive / "CREAKI~1") == path


def test_among_links_to_one_file_the_name_that_is_equal_counts(insensitive: Path) -> None:
    path = insensitive / "b.wav"
    path.touch()
    for name in ("a.wav", "c.wav"):
        os.link(path, insensitive / name)
    assert spelled(insensitive / "B.WAV") == path


def test_what_is_not_there_stays_as_it_is(insensitive: Path) -> None:
    (insensitive / "Sounds").mkdir()
    for path in (insensitive / "sounds" / "gone.wav", Path("relative.wav"), insensitive / "null\0"):
        assert spelled(path) is path


def test_names_that_this_volume_tells_apart_stay_apart(tmp_path: Path) -> None:
    twins = [tmp_path / name for name in (NFC, NFD, "door.wav", "Door.wav")]
    for twin in twins:
        twin.touch()
    if len(list(tmp_path.iterdir())) < len(twins):
        pytest.skip("this volume takes them for equal")
    for twin in twins:
        assert str(spelled(twin)) == str(twin)


def test_a_link_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "door.wav").touch()
    (tmp_path / "link.wav").symlink_to(tmp_path / "door.wav")
    for name in ("link.wav", "../" + tmp_path.name + "/link.wav"):
        assert spelled(tmp_path / name) == tmp_path / name


def test_a_folder_that_may_not_be_listed_keeps_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> list[str]:
        raise PermissionError

    (tmp_path / "a.wav").touch()
    monkeypatch.setattr(os, "listdir", refuse)
    assert spelled(tmp_path / "a.wav") == tmp_path / "a.wav"
