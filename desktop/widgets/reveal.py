"""Shows a file in the system's file manager."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QDir, QObject, QProcess, QUrl, Signal
from PySide6.QtGui import QDesktopServices

_SERVICE, _OBJECT, _METHOD = (
    "org.freedesktop.FileManager1",
    "/org/freedesktop/FileManager1",
    "org.freedesktop.FileManager1.ShowItems",
)


def reveal_command(
    path: Path, platform: str = sys.platform, which: Callable[[str], str | None] = shutil.which
) -> list[str] | None:
    """The command that selects a file in the file manager; None where there is none (then open its folder)."""
    if platform == "darwin":
        return ["open", "-R", str(path)]
    if platform == "win32":
        return ["explorer", "/select,", QDir.toNativeSeparators(str(path))]
    url = bytes(QUrl.fromLocalFile(str(path)).toEncoded().data()).decode()
    url = url.replace(",", "%2C").replace("'", "%27")  # dbus-send separates by commas, gdbus quotes with apostrophes
    if which("gdbus"):
        call = ["--session", "--dest", _SERVICE, "--object-path", _OBJECT, "--method", _METHOD]
        return ["gdbus", "call", *call, f"['{url}']", ""]
    if which("dbus-send"):
        call = ["--session", "--print-reply", f"--dest={_SERVICE}", "--type=method_call", _OBJECT, _METHOD]
        return ["dbus-send", *call, f"array:string:{url}", "string:"]
    return None


class Revealer(QObject):
    """Runs the command, and opens the folder where it fails."""

    def __init__(
        self,
        command: Callable[[Path], list[str] | None] = reveal_command,
        open_url: Callable[[QUrl], bool] = QDesktopServices.openUrl,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._command = command
        self._open_url = open_url

    def reveal(self, path: Path) -> None:
        """Show a file, or a folder, in the file manager. Returns at once."""
        command = self._command(path)
        if command is None:
            self._open_folder(path)
            return
        process = _Command(path, self)
        process.failed.connect(self._open_folder)
        process.start(command[0], command[1:])

    def _open_folder(self, path: Path) -> None:
        self._open_url(QUrl.fromLocalFile(str(path.parent)))


class _Command(QProcess):
    """Runs once and deletes itself.

    It connects its own methods: a lambda that holds it would have Qt and Python each delete it when its parent goes.

    Signals:
        failed(Path): this path is not shown.
    """

    failed = Signal(Path)

    def __init__(self, path: Path, parent: QObject) -> None:
        super().__init__(parent)
        self._path = path
        self.errorOccurred.connect(self._not_started)
        self.finished.connect(self._ended)

    def _not_started(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._end(failed=True)

    def _ended(self, code: int) -> None:
        # explorer.exe answers 1 even when all went well
        self._end(failed=code != 0 and self.program() != "explorer")

    def _end(self, failed: bool) -> None:
        self.deleteLater()
        if failed:
            self.failed.emit(self._path)
