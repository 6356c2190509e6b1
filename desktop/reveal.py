"""Shows a file in the system's file manager."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QDir, QObject, QProcess, QUrl
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
        process = QProcess(self)
        process.errorOccurred.connect(lambda error: self._not_started(process, path, error))
        # explorer.exe answers 1 even when all went well
        process.finished.connect(lambda code: self._ended(process, path, failed=code != 0 and command[0] != "explorer"))
        process.start(command[0], command[1:])

    def _not_started(self, process: QProcess, path: Path, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._ended(process, path, failed=True)

    def _ended(self, process: QProcess, path: Path, failed: bool) -> None:
        process.deleteLater()
        if failed:
            self._open_folder(path)

    def _open_folder(self, path: Path) -> None:
        self._open_url(QUrl.fromLocalFile(str(path.parent)))
