"""Starts the app; with arguments for the command line, hands over to it."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from desktop.ending import end_process
from engine import paths
from engine.errors import KnownError

if TYPE_CHECKING:
    from desktop.bridge import EngineLike

LOG_NAME = "foundsound.log"
LOG_BYTES = 1_000_000
SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread may keep Python from the others: at the default 5 ms, playback starts late while indexing."""


def main() -> None:
    """``foundsound``: the app, or with a command (``index``, ``search``, ...) the command line."""
    multiprocessing.freeze_support()  # a decode worker of the frozen app starts here, and goes no further
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--library")
    parser.add_argument("--pack", default=paths.DEFAULT_PACK)
    options, rest = parser.parse_known_args()
    if rest or options.library == "":  # which is for the command line to refuse
        from engine.cli.commands import main as command_line

        command_line()
    elif not has_screen(sys.platform, os.environ):
        sys.exit(
            "foundsound: There is no screen to open a window on. The command line works without: foundsound --help"
        )
    else:
        try:
            library = paths.absolute(Path(options.library or paths.default_library()))
            leave_missing_folder()
        except KnownError as error:
            sys.exit(f"foundsound: {error}")
        end_process(run(library, options.pack))


def leave_missing_folder() -> None:
    """Go home where the working folder is gone, as PyTorch would end the process; KnownError where there is no home."""
    try:
        paths.absolute(Path())
    except KnownError as error:
        try:
            os.chdir(Path.home())
        except (OSError, RuntimeError):
            raise error from None


def has_screen(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether Qt will find a screen; without one it would abort the process."""
    ways = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not platform.startswith("linux") or any(environment.get(way) for way in ways)


def run(library: Path, pack: str) -> int:
    """Open the app on a library and run it until it is closed; returns the exit status."""
    set_up_log(paths.logs())
    from PySide6.QtCore import QSettings, QTimer
    from PySide6.QtWidgets import QApplication

    from desktop.app import App
    from desktop.bugs import BugReporter
    from desktop.playback.player import Player
    from desktop.settings import Settings

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    qt = QApplication(sys.argv[:1])
    qt.setApplicationName(paths.APP_NAME)
    qt.setDesktopFileName(paths.APP_NAME.lower())
    bugs = BugReporter()
    bugs.install()
    store = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, paths.APP_NAME, paths.APP_NAME)

    def make_engine() -> EngineLike:
        from engine.service.engine import Engine

        return Engine(library, pack)

    app = App(qt, make_engine, Settings(store), Player(), bugs, paths.resources(), paths.logs())
    signal.signal(signal.SIGINT, lambda *_: app.window.close())
    awake = QTimer(interval=500)  # lets Python see signals while Qt's loop sleeps
    awake.timeout.connect(lambda: None)
    awake.start()
    app.show()
    return qt.exec()


def set_up_log(folder: Path) -> None:
    """Log to a file in this folder, and warnings to the terminal; all to the terminal where no file can be made."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    terminal = logging.StreamHandler()
    _add_handler(root, terminal)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = RotatingFileHandler(folder / LOG_NAME, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8")
    except OSError as error:
        root.warning("No log file can be made in %s: %s", folder, error)
    else:
        _add_handler(root, file)
        terminal.setLevel(logging.WARNING)


def _add_handler(logger: logging.Logger, handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)


if __name__ == "__main__":
    main()
