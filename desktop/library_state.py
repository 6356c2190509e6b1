"""What the desktop knows of the library, gathered from the engine's events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from desktop.bridge import EngineBridge
from engine.library.types import Folder, IndexPhase, IndexProgress, IndexSummary
from engine.service.messages import EncoderReady, EngineStopped, FoldersChanged, Indexed, IndexFinished, LibraryOpened

IDLE = IndexProgress(IndexPhase.IDLE)


@dataclass(frozen=True)
class Library:
    """A picture of the library at one moment."""

    opened: bool = False
    path: Path | None = None
    read_only: bool = False
    encoder_ready: bool = False
    folders: tuple[Folder, ...] = ()
    progress: IndexProgress = IDLE
    summary: IndexSummary | None = None
    cancelled: bool = False
    stopped: Exception | None = None

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders' paths."""
        return tuple(folder.path for folder in self.folders)

    @property
    def indexed(self) -> int:
        """How many sounds can be searched."""
        return sum(folder.indexed for folder in self.folders)

    @property
    def failed(self) -> int:
        """How many sounds could not be read."""
        return sum(folder.failed for folder in self.folders)

    @property
    def waiting(self) -> int:
        """How many sounds have still to be indexed."""
        return sum(folder.sounds - folder.indexed - folder.failed - folder.missing for folder in self.folders)

    @property
    def busy(self) -> bool:
        """Whether a run of scanning or indexing is under way, paused or not."""
        return self.progress.phase is not IndexPhase.IDLE


class LibraryState(QObject):
    """Keeps the present ``Library`` and tells when it changed."""

    changed = Signal(Library)

    def __init__(self, bridge: EngineBridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.library = Library()
        bridge.library_opened.connect(self._opened)
        bridge.encoder_ready.connect(self._encoder_ready)
        bridge.folders_changed.connect(self._folders_changed)
        bridge.indexed.connect(self._indexed)
        bridge.index_finished.connect(self._finished)
        bridge.engine_stopped.connect(self._stopped)

    def reset(self) -> None:
        """Forget everything: another engine is about to start."""
        self._become(Library())

    def _become(self, library: Library) -> None:
        if library != self.library:
            self.library = library
            self.changed.emit(library)

    def _opened(self, event: LibraryOpened) -> None:
        self._become(
            replace(
                self.library,
                opened=True,
                path=event.status.library,
                read_only=event.read_only,
                folders=event.folders,
                stopped=None,
            )
        )

    def _encoder_ready(self, _event: EncoderReady) -> None:
        self._become(replace(self.library, encoder_ready=True))

    def _folders_changed(self, event: FoldersChanged) -> None:
        self._become(replace(self.library, folders=event.folders))

    def _indexed(self, event: Indexed) -> None:
        begins = event.progress.phase is not IndexPhase.IDLE and not self.library.busy
        summary = None if begins else self.library.summary
        self._become(replace(self.library, progress=event.progress, summary=summary))

    def _finished(self, event: IndexFinished) -> None:
        self._become(replace(self.library, progress=IDLE, summary=event.summary, cancelled=event.cancelled))

    def _stopped(self, event: EngineStopped) -> None:
        self._become(replace(self.library, progress=IDLE, stopped=event.error))
