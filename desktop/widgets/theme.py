"""Colours and fonts: one palette of tokens for dark, one for light, following the system unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from desktop.widgets.stylesheet import stylesheet
from desktop.widgets.tokens import DARK, LIGHT, Tokens


class Appearance(StrEnum):
    """What the user wants: to follow the system, or one of the two palettes always."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


_SCHEMES = {
    Appearance.SYSTEM: Qt.ColorScheme.Unknown,
    Appearance.LIGHT: Qt.ColorScheme.Light,
    Appearance.DARK: Qt.ColorScheme.Dark,
}


@dataclass(frozen=True)
class Fonts:
    """The type scale, built on the system's own font."""

    body: QFont
    small: QFont
    strong: QFont
    title: QFont
    field: QFont

    @classmethod
    def based_on(cls, base: QFont) -> Fonts:
        """The scale for a base font, which itself is the body size."""
        return cls(
            body=QFont(base),
            small=_scale(base, 0.9),
            strong=_scale(base, 1.0, QFont.Weight.DemiBold),
            title=_scale(base, 1.5, QFont.Weight.DemiBold),
            field=_scale(base, 1.25),
        )


def _scale(base: QFont, factor: float, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    font = QFont(base)
    if base.pointSizeF() > 0:
        font.setPointSizeF(round(base.pointSizeF() * factor, 1))
    else:
        font.setPixelSize(round(base.pixelSize() * factor))
    font.setWeight(weight)
    return font


class Theme(QObject):
    """Applies the tokens to the application and tells those who paint for themselves when they changed."""

    changed = Signal()

    def __init__(self, app: QApplication, icons: Path, appearance: Appearance = Appearance.SYSTEM) -> None:
        super().__init__(app)
        self._app = app
        self._icons = icons
        self._hints = app.styleHints()
        palette = app.palette()
        self._began_dark = palette.window().color().lightness() < palette.windowText().color().lightness()
        self._appearance = appearance
        self.tokens = LIGHT
        self.fonts = Fonts.based_on(app.font())
        app.setStyle(QStyleFactory.create("Fusion"))
        self._hints.colorSchemeChanged.connect(self._apply)
        self.set_appearance(appearance)

    @property
    def appearance(self) -> Appearance:
        """What the user asked for."""
        return self._appearance

    def set_appearance(self, appearance: Appearance) -> None:
        """Follow the system, or stay with one palette; window frames follow where the system allows."""
        self._appearance = appearance
        self._hints.setColorScheme(_SCHEMES[appearance])
        self._apply()

    def colour(self, role: str) -> QColor:
        """The colour of a token, by its name in ``Tokens``."""
        return QColor(getattr(self.tokens, role))

    def _apply(self) -> None:
        self.tokens = DARK if self._is_dark() else LIGHT
        self._app.setPalette(_palette(self.tokens))
        self._app.setStyleSheet(stylesheet(self.tokens, self._icons))
        self.changed.emit()

    def _is_dark(self) -> bool:
        if self._appearance is not Appearance.SYSTEM:
            return self._appearance is Appearance.DARK
        scheme = self._hints.colorScheme()
        if scheme == Qt.ColorScheme.Unknown:
            return self._began_dark
        return scheme == Qt.ColorScheme.Dark


def _palette(tokens: Tokens) -> QPalette:
    role = QPalette.ColorRole
    roles = {
        role.Window: tokens.window,
        role.WindowText: tokens.text,
        role.Base: tokens.window,
        role.AlternateBase: tokens.sidebar,
        role.Text: tokens.text,
        role.BrightText: tokens.accent,
        role.Button: tokens.raised,
        role.ButtonText: tokens.text,
        role.PlaceholderText: tokens.faint,
        role.ToolTipBase: tokens.raised,
        role.ToolTipText: tokens.text,
        role.Highlight: tokens.accent,
        role.HighlightedText: tokens.on_accent,
        role.Accent: tokens.accent,
        role.Link: tokens.accent,
        role.LinkVisited: tokens.accent,
        role.Light: tokens.raised,
        role.Midlight: tokens.surface,
        role.Mid: tokens.wave,
        role.Dark: tokens.line,
        role.Shadow: tokens.line,
    }
    palette = QPalette()
    for name, value in roles.items():
        palette.setColor(name, QColor(value))
    for name in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(tokens.faint))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(tokens.raised))
    return palette
