"""Starting: the app or the command line, and the log."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest

from desktop import __main__ as starter
from engine import paths
from tests.engine.command_line import posix_only


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, which afterwards is as it was."""
    root = logging.getLogger()
    level = root.level
    yield root
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler) in (logging.StreamHandler, RotatingFileHandler):
            root.removeHandler(handler)
            handler.close()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    """The libraries and packs the app was opened on, in place of opening it."""
    runs: list[tuple[Path, str]] = []

    def run(library: Path, pack: str) -> int:
        runs.append((library, pack))
        return 0

    monkeypatch.setattr(starter, "run", run)
    return runs


def test_without_arguments_the_app_opens_on_the_default_library(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[Path, str]]
) -> None:
    monkeypatch.setattr(sys, "argv", ["foundsound"])
    with pytest.raises(SystemExit) as ended:
        starter.main()
    assert ended.value.code == 0
    assert runs == [(paths.default_library(), paths.DEFAULT_PACK)]


def test_the_app_opens_on_another_library(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[Path, str]], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["foundsound", "--library", "my.foundsound", "--pack", "mine"])
    with pytest.raises(SystemExit):
        starter.main()
    assert runs == [(tmp_path / "my.foundsound", "mine")]


@pytest.mark.skipif(sys.platform == "win32", reason="where Windows keeps homes, any name will do")
def test_a_user_that_does_not_exist_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[Path, str]]
) -> None:
    monkeypatch.setattr(sys, "argv", ["foundsound", "--library", "~no such user/my.foundsound"])
    with pytest.raises(SystemExit) as ended:
        starter.main()
    told = str(ended.value.code)  # a text is printed, and the status is 1
    assert told.startswith("foundsound: There is no home folder for ~no such user")
    assert runs == []


def test_a_library_without_a_name_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[Path, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["foundsound", "--library", ""])
    with pytest.raises(SystemExit) as ended:
        starter.main()
    assert ended.value.code == 2
    assert "--library" in capsys.readouterr().err
    assert runs == []


@posix_only
def test_where_the_working_folder_is_gone_the_app_starts_at_home(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[Path, str]], tmp_path: Path
) -> None:
    for name in ("gone", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["foundsound", "--library", str(tmp_path / "my.foundsound")])
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SystemExit) as ended:
        starter.main()
    assert ended.value.code == 0
    assert runs == [(tmp_path / "my.foundsound", paths.DEFAULT_PACK)]
    assert Path.cwd() == tmp_path / "home"


@posix_only
def test_without_a_working_folder_or_a_home_a_line_says_so(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[Path, str]], tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "argv", ["foundsound"])
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SystemExit) as ended:
        starter.main()
    assert str(ended.value.code).startswith("foundsound: The folder that this runs in is not there any more")
    assert runs == []


def test_without_a_screen_there_is_a_clear_line_instead_of_a_crash(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[Path, str]]
) -> None:
    monkeypatch.setattr(sys, "argv", ["foundsound"])
    monkeypatch.setattr(starter, "has_screen", lambda platform, environment: False)
    with pytest.raises(SystemExit) as ended:
        starter.main()
    assert str(ended.value.code).startswith("foundsound: There is no screen")
    assert runs == []


@pytest.mark.parametrize(
    ("platform", "environment", "screen"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"QT_QPA_PLATFORM": "offscreen"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_where_there_is_a_screen(platform: str, environment: dict[str, str], screen: bool) -> None:
    assert starter.has_screen(platform, environment) is screen


@pytest.mark.parametrize("arguments", [["status"], ["--help"], ["search", "rain", "--library", "x.foundsound"]])
def test_a_command_goes_to_the_command_line(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    import engine.cli.commands

    calls: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["foundsound", *arguments])
    monkeypatch.setattr(engine.cli.commands, "main", lambda: calls.append(sys.argv[1:]))
    starter.main()
    assert calls == [arguments]


def test_the_command_line_needs_no_qt() -> None:
    code = "import sys, desktop.__main__; print([name for name in sys.modules if name.startswith('PySide6')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_log_is_a_file_that_holds_everything(root_logger: logging.Logger, tmp_path: Path) -> None:
    starter.set_up_log(tmp_path / "logs")
    logging.getLogger("engine").info("a step")
    assert "INFO engine: a step" in (tmp_path / "logs" / "foundsound.log").read_text(encoding="utf-8")


def test_where_no_file_can_be_made_the_terminal_has_the_log(
    root_logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in the way").touch()
    starter.set_up_log(tmp_path / "in the way")
    logging.getLogger("engine").info("a step")
    printed = capsys.readouterr().err
    assert "No log file can be made" in printed
    assert "a step" in printed
