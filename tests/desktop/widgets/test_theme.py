"""Palettes: readable, and following the system unless told otherwise."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from desktop.widgets.stylesheet import stylesheet
from desktop.widgets.theme import Appearance, Theme
from desktop.widgets.tokens import DARK, LIGHT, Tokens
from engine import paths

BOTH = pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
SURFACES = ("window", "sidebar", "surface")


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = (QColor(colour).redF(), QColor(colour).greenF(), QColor(colour).blueF())
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@BOTH
@pytest.mark.parametrize("text", ["text", "muted", "faint", "accent", "warning", "danger"])
@pytest.mark.parametrize("surface", SURFACES)
def test_text_is_readable(tokens: Tokens, text: str, surface: str) -> None:
    assert contrast(getattr(tokens, text), getattr(tokens, surface)) >= 4.5


@BOTH
@pytest.mark.parametrize("surface", ["selected", "selected_idle", "hovered", "raised", "notice"])
def test_text_is_readable_on_rows_and_buttons(tokens: Tokens, surface: str) -> None:
    for text in ("text", "muted"):
        assert contrast(getattr(tokens, text), getattr(tokens, surface)) >= 4.5


@BOTH
def test_text_on_the_accent_is_readable(tokens: Tokens) -> None:
    assert contrast(tokens.on_accent, tokens.accent) >= 4.5
    assert contrast(tokens.on_accent, tokens.accent_strong) >= 4.5


@BOTH
@pytest.mark.parametrize("surface", SURFACES)
def test_focus_outlines_and_matching_waves_stand_out(tokens: Tokens, surface: str) -> None:
    for role in ("accent", "outline", "wave_match"):
        assert contrast(getattr(tokens, role), getattr(tokens, surface)) >= 3


@BOTH
def test_tokens_are_colours_and_the_style_sheet_uses_only_tokens(tokens: Tokens) -> None:
    for field in fields(tokens):
        if field.name != "dark":
            assert re.fullmatch("#[0-9a-f]{6}", getattr(tokens, field.name))
    assert "$" not in stylesheet(tokens, Path("icons"))


@BOTH
def test_the_style_sheet_points_at_icons_that_exist(tokens: Tokens) -> None:
    named = re.findall(r'url\("([^"]+)"\)', stylesheet(tokens, paths.resources() / "icons"))
    assert named
    assert all(Path(name).is_file() for name in named)


@pytest.mark.parametrize(("scheme", "tokens"), [(Qt.ColorScheme.Dark, DARK), (Qt.ColorScheme.Light, LIGHT)])
def test_the_theme_follows_the_system(
    theme: Theme, qapp: QApplication, monkeypatch: pytest.MonkeyPatch, scheme: Qt.ColorScheme, tokens: Tokens
) -> None:
    theme.tokens = LIGHT if tokens is DARK else DARK
    changes: list[None] = []
    theme.changed.connect(lambda: changes.append(None))
    monkeypatch.setattr(qapp.styleHints(), "colorScheme", lambda: scheme, raising=False)
    qapp.styleHints().colorSchemeChanged.emit(scheme)
    assert theme.tokens is tokens
    assert len(changes) == 1
    assert qapp.palette().color(QPalette.ColorRole.Window) == QColor(tokens.window)
    assert tokens.accent in qapp.styleSheet()


@pytest.mark.parametrize(("tokens", "other"), [(DARK, LIGHT), (LIGHT, DARK)], ids=["dark", "light"])
def test_an_unknown_scheme_is_what_the_system_palette_was(
    theme: Theme, qapp: QApplication, monkeypatch: pytest.MonkeyPatch, tokens: Tokens, other: Tokens
) -> None:
    monkeypatch.setattr(qapp.styleHints(), "colorScheme", lambda: Qt.ColorScheme.Unknown, raising=False)
    qapp.setPalette(QPalette(QColor(tokens.window)))
    later = Theme(qapp, paths.resources() / "icons")
    assert later.tokens is tokens
    later.set_appearance(Appearance.DARK if other.dark else Appearance.LIGHT)
    assert later.tokens is other
    later.set_appearance(Appearance.SYSTEM)
    assert later.tokens is tokens
    later.deleteLater()


def test_the_user_can_stay_with_one_palette(theme: Theme, qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qapp.styleHints(), "colorScheme", lambda: Qt.ColorScheme.Light, raising=False)
    theme.set_appearance(Appearance.DARK)
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert theme.tokens is DARK
    theme.set_appearance(Appearance.SYSTEM)
    assert theme.tokens is LIGHT


def test_type_grows_from_the_systems_font(theme: Theme, qapp: QApplication) -> None:
    sizes = [getattr(theme.fonts, name).pointSizeF() for name in ("small", "body", "field", "title")]
    assert sizes == sorted(sizes)
    assert theme.fonts.body.family() == qapp.font().family()
