"""What the user does to the library: each a small method that asks where need be and sends a request."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from desktop.bridge import EngineBridge
from desktop.settings import Settings
from desktop.widgets.icons import Icons
from desktop.wording import quantity
from engine.library.types import Folder
from engine.service.messages import (
    AddFolder,
    Cancel,
    FailuresListed,
    ListFailures,
    Pause,
    Refused,
    RemoveFolder,
    Reply,
    Rescan,
    Resume,
    RetryFailed,
)


class LibraryCommands(QObject):
    """Sends library requests. Dialogs never block: they are opened, and answer by signal.

    Signals:
        failures_listed(FailuresListed): what ``list_failures`` asked for.
    """

    failures_listed = Signal(FailuresListed)

    def __init__(self, bridge: EngineBridge, settings: Settings, icons: Icons, window: QWidget) -> None:
        super().__init__(window)
        self._bridge = bridge
        self._settings = settings
        self._icons = icons
        self._window = window

    def choose_folder(self) -> QFileDialog:
        """Let the user choose a folder to add."""
        dialog = QFileDialog(self._window, "Add a folder of sounds", str(self._settings.last_folder))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Add")
        dialog.filesSelected.connect(lambda paths: self.add_folders(Path(path) for path in paths))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def add_folders(self, paths: Iterable[Path]) -> None:
        """Add folders."""
        for path in paths:
            self._settings.last_folder = path.parent
            self._bridge.send(AddFolder(path))

    def confirm_remove(self, folder: Folder) -> QMessageBox:
        """Ask whether to remove a folder, saying plainly that its files stay."""
        name = folder.path.name or str(folder.path)
        box = QMessageBox(self._window)
        box.setIconPixmap(self._icons.pixmap("folder", 40, "faint", self._window.devicePixelRatioF()))
        box.setWindowTitle("Remove folder")
        box.setText(f"Remove “{name}” from the library?")
        box.setInformativeText(
            f"Its {quantity(folder.sounds, 'sound')} will no longer be found. "
            f"Your files are not touched; they stay in\n{folder.path}\n\n"
            "You can add the folder again at any time, without waiting."
        )
        remove = box.addButton("Remove from library", QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton("Keep", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        remove.clicked.connect(lambda: self._bridge.send(RemoveFolder(folder.folder_id)))
        box.finished.connect(box.deleteLater)
        box.open()
        return box

    def rescan(self) -> None:
        """Look for changes in all folders."""
        self._bridge.send(Rescan())

    def pause(self) -> None:
        """Pause indexing."""
        self._bridge.send(Pause())

    def resume(self) -> None:
        """Go on indexing."""
        self._bridge.send(Resume())

    def cancel(self) -> None:
        """Stop indexing."""
        self._bridge.send(Cancel())

    def list_failures(self) -> None:
        """Ask for what could not be read."""
        self._bridge.send(ListFailures(), self._take_failures)

    def retry_failed(self) -> None:
        """Try what could not be read again."""
        self._bridge.send(RetryFailed())

    def _take_failures(self, reply: Reply) -> None:
        match reply.outcome:
            case FailuresListed():
                self.failures_listed.emit(reply.outcome)
            case Refused(error):
                self._bridge.refused.emit(error)
