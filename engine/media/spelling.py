"""Names as volumes spell them."""

from __future__ import annotations

from pathlib import Path


def spelled(path: Path) -> Path:
    return path
