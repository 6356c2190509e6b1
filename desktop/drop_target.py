"""Folders dropped anywhere on the window are added; a sound file dropped there is searched by."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from desktop.theme import Theme

MARGIN_PX = 12


class DropTarget(QObject):
    """Watches a window for drags from elsewhere, and covers it with a hint while one is over it.

    Signals:
        folders_dropped(tuple[Path, ...]): add these.
        sound_dropped(Path): find sounds like this one.
    """

    folders_dropped = Signal(object)
    sound_dropped = Signal(object)

    def __init__(self, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self.takes_folders = True
        self.overlay = _Overlay(window, theme)
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take what can be used, and leave the rest."""
        if event.type() == QEvent.Type.DragLeave:
            self.overlay.hide()
        elif isinstance(event, QDropEvent):
            return self._drag(event)
        return super().eventFilter(watched, event)

    def _drag(self, event: QDropEvent) -> bool:
        folders, sound = self._useful(event)
        if not folders and sound is None:
            event.ignore()
            return True
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        if event.type() == QEvent.Type.DragEnter:
            self.overlay.cover("Drop to add to the library" if folders else "Drop to find sounds like this one")
        elif event.type() == QEvent.Type.Drop:
            self.overlay.hide()
            if folders:
                self.folders_dropped.emit(folders)
            else:
                self.sound_dropped.emit(sound)
        return True

    def _useful(self, event: QDropEvent) -> tuple[tuple[Path, ...], Path | None]:
        """The folders among what is dragged, or else the one file. Nothing of what comes from this app itself."""
        if event.source() is not None:
            return (), None
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        folders = tuple(path for path in paths if path.is_dir())
        if folders:
            return (folders if self.takes_folders else ()), None
        return (), paths[0] if len(paths) == 1 and paths[0].is_file() else None


class _Overlay(QWidget):
    """A veil over the window with a frame and a line of text."""

    def __init__(self, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self._window = window
        self._theme = theme
        self.text = ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def cover(self, text: str) -> None:
        """Cover the whole window."""
        self.text = text
        self.setGeometry(self._window.rect())
        self.raise_()
        self.show()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Veil, frame, text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = self._theme.colour("window")
        veil.setAlphaF(0.86)
        painter.fillRect(self.rect(), veil)
        frame = QRectF(self.rect()).adjusted(MARGIN_PX, MARGIN_PX, -MARGIN_PX, -MARGIN_PX)
        painter.setPen(QPen(self._theme.colour("accent"), 2))
        painter.drawRoundedRect(frame, 12, 12)
        painter.setFont(self._theme.fonts.title)
        painter.setPen(self._theme.colour("text"))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text)
