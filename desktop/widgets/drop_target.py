"""Folders dropped anywhere on the window are added; a sound file dropped there is searched by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, QUrl, Signal
from PySide6.QtGui import QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from desktop.widgets.theme import Theme
from engine.errors import ErrorKind, KnownError

MARGIN_PX = 12


@dataclass(frozen=True)
class _Offer:
    """What can be used of what is dragged: folders, or else the one file."""

    folders: tuple[Path, ...] = ()
    sound: Path | None = None


NOTHING = _Offer()


class DropTarget(QObject):
    """Watches a window for drags from elsewhere, and covers it with a hint while one is over it.

    Signals:
        folders_dropped(tuple[Path, ...]): add these.
        sound_dropped(Path): find sounds like this one.
        refused(KnownError): this cannot be used, by its name.
    """

    folders_dropped = Signal(tuple)
    sound_dropped = Signal(Path)
    refused = Signal(KnownError)

    def __init__(self, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self.takes_folders = True
        self.overlay = _Overlay(window, theme)
        self._offer = NOTHING  # from DragEnter on: asking the disk at every move would hold up the UI thread
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take what can be used, and leave the rest."""
        if event.type() == QEvent.Type.DragLeave:
            self._end_drag()
        elif isinstance(event, QDropEvent):
            self._drag(event)
            return True
        return super().eventFilter(watched, event)

    def _drag(self, event: QDropEvent) -> None:
        if event.type() == QEvent.Type.DragEnter:
            self._offer = self._find_offer(event)
        offer = self._offer
        if event.type() == QEvent.Type.Drop:
            self._end_drag()
        if offer == NOTHING:
            event.ignore()
            return
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        if event.type() == QEvent.Type.DragEnter:
            self.overlay.cover("Drop to add to the library" if offer.folders else "Drop to find sounds like this one")
        elif event.type() == QEvent.Type.Drop:
            if named := self._keep_named(offer.folders):
                self.folders_dropped.emit(named)
            elif offer.sound is not None and self._keep_named([offer.sound]):
                self.sound_dropped.emit(offer.sound)

    def _end_drag(self) -> None:
        self.overlay.hide()
        self._offer = NOTHING

    def _find_offer(self, event: QDropEvent) -> _Offer:
        """What can be used of a drag; a drag from this app itself offers nothing."""
        if event.source() is not None:
            return NOTHING
        # os.path's questions, unlike pathlib's, are answered for every path, also for one that is too long to exist
        paths = [_local_path(url) for url in event.mimeData().urls() if url.isLocalFile()]
        folders = _drop_nested(path for path in paths if os.path.isdir(path))  # noqa: PTH112
        if folders:
            return _Offer(folders=folders) if self.takes_folders else NOTHING
        return _Offer(sound=paths[0]) if len(paths) == 1 and os.path.isfile(paths[0]) else NOTHING  # noqa: PTH113

    def _keep_named(self, paths: Sequence[Path]) -> tuple[Path, ...]:
        """The paths whose names are valid text; the others are refused."""
        named = []
        for path in paths:
            try:
                str(path).encode()
            except UnicodeEncodeError:
                shown = os.fsencode(path).decode(errors="replace")
                detail = f"The name of {shown} is not valid Unicode."
                self.refused.emit(KnownError(ErrorKind.NAME_NOT_UNICODE, detail, "Rename it and drop it again."))
            else:
                named.append(path)
        return tuple(named)


def _local_path(url: QUrl) -> Path:
    """Where a ``file:`` URL points. Bytes that are not Unicode, which Qt would spoil, become surrogates (PEP 383)."""
    path = url.toLocalFile()
    if "\ufffd" in path and os.name == "posix":
        path = os.fsdecode(unquote_to_bytes(url.path(QUrl.ComponentFormattingOption.FullyEncoded)))
    return Path(path)


def _drop_nested(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Each folder once, without those that lie in another one of them."""
    unique = dict.fromkeys(folders)
    return tuple(folder for folder in unique if unique.keys().isdisjoint(folder.parents))


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
        """Paint the veil, the frame and the text."""
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
