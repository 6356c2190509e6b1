"""Line icons from ``resources/icons``, drawn in the theme's colours and redrawn when it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QByteArray, QObject, QRectF, Qt
from PySide6.QtGui import QAction, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QLabel

from desktop.widgets.theme import Theme

_SIZES_PX = (16, 20, 24, 32, 40, 48, 64)


class Icons:
    """Makes icons by name, in the colour of a token."""

    def __init__(self, theme: Theme, folder: Path) -> None:
        self._theme = theme
        self._folder = folder
        self._sources: dict[str, str] = {}

    def icon(self, name: str, role: str = "muted") -> QIcon:
        """An icon in the present palette; disabled ones are fainter, checked ones have the accent colour."""
        icon = QIcon()
        on = QIcon.State.On
        for size in _SIZES_PX:
            icon.addPixmap(self.pixmap(name, size, role))
            icon.addPixmap(self.pixmap(name, size, "accent"), QIcon.Mode.Normal, on)
            icon.addPixmap(self.pixmap(name, size, "faint"), QIcon.Mode.Disabled)
        return icon

    def pixmap(self, name: str, size: int, role: str = "muted", ratio: float = 1.0) -> QPixmap:
        """The icon as a picture of ``size`` logical pixels for a screen of that device pixel ratio."""
        source = self._source(name).replace("#000", self._theme.colour(role).name())
        renderer = QSvgRenderer(QByteArray(source.encode()))
        pixmap = QPixmap(round(size * ratio), round(size * ratio))
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(pixmap.rect()))
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        return pixmap

    def mark(self, name: str, size: int, role: str = "muted") -> QLabel:
        """A label that shows the icon and follows the theme."""
        label = QLabel()
        self.redraw_with_theme(label, lambda: label.setPixmap(self.pixmap(name, size, role, label.devicePixelRatioF())))
        return label

    def app_icon(self) -> QIcon:
        """The app's own icon, the same in every palette."""
        icon = QIcon()
        for size in (*_SIZES_PX, 128, 256):
            icon.addPixmap(self.pixmap("app", size))
        return icon

    def bind(self, target: QAbstractButton | QAction, name: str, role: str = "muted") -> None:
        """Give a button or action an icon that follows the theme."""
        self.redraw_with_theme(target, lambda: target.setIcon(self.icon(name, role)))

    def redraw_with_theme(self, owner: QObject, redraw: Callable[[], None]) -> None:
        """Call ``redraw`` now and at every change of the theme for as long as ``owner`` lives."""
        redraw()
        connection = self._theme.changed.connect(redraw)
        owner.destroyed.connect(lambda: QObject.disconnect(connection))

    def _source(self, name: str) -> str:
        if name not in self._sources:
            self._sources[name] = (self._folder / f"{name}.svg").read_text(encoding="utf-8")
        return self._sources[name]
