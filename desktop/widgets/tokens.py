"""The palettes: every colour the app uses, by what it is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tokens:
    """Colours as ``#rrggbb``, named by use.

    ``text``, ``muted`` and ``faint`` are readable (4.5:1) on ``window``, ``sidebar`` and ``surface``.
    """

    dark: bool
    window: str
    sidebar: str
    surface: str
    raised: str
    line: str
    outline: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_strong: str
    on_accent: str
    selected: str
    selected_idle: str
    hovered: str
    wave: str
    wave_match: str
    match_band: str
    warning: str
    danger: str
    notice: str


DARK = Tokens(
    dark=True,
    window="#141518",
    sidebar="#191b1e",
    surface="#1f2125",
    raised="#2a2d32",
    line="#27292e",
    outline="#6c7078",
    text="#eceae6",
    muted="#acadb0",
    faint="#8a8d93",
    accent="#f2a354",
    accent_strong="#ffb870",
    on_accent="#211303",
    selected="#32281d",
    selected_idle="#26272b",
    hovered="#1c1e21",
    wave="#565a62",
    wave_match="#b4b7bd",
    match_band="#24211d",
    warning="#e9bb5b",
    danger="#f58a7b",
    notice="#24201a",
)

LIGHT = Tokens(
    dark=False,
    window="#fcfbf9",
    sidebar="#f4f2ee",
    surface="#ffffff",
    raised="#e9e6e0",
    line="#e3dfd8",
    outline="#8c877e",
    text="#1e1c19",
    muted="#595650",
    faint="#6e6a62",
    accent="#ad4e10",
    accent_strong="#8f3e08",
    on_accent="#ffffff",
    selected="#fbe5d3",
    selected_idle="#edeae5",
    hovered="#f5f3ef",
    wave="#b9b4ab",
    wave_match="#67625a",
    match_band="#f8eee4",
    warning="#8a5a00",
    danger="#b3261e",
    notice="#fdf1e2",
)
