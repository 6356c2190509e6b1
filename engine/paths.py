"""Where things live: shipped resources and the user's own files."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs

APP_NAME = "Foundsound"
DEFAULT_PACK = "sfx-cnn10"


def resources() -> Path:
    """The shipped ``resources`` folder, in a checkout or in a frozen app."""
    frozen = getattr(sys, "_MEIPASS", None)
    return Path(frozen) / "resources" if frozen else Path(__file__).parents[1] / "resources"


def default_library() -> Path:
    """The library file used when none is named."""
    return platformdirs.user_data_path(APP_NAME, appauthor=False) / "library.foundsound"


def user_packs() -> Path:
    """Folder for packs that the user installed or trained."""
    return platformdirs.user_data_path(APP_NAME, appauthor=False) / "packs"


def logs() -> Path:
    """Folder for log files."""
    return platformdirs.user_log_path(APP_NAME, appauthor=False)
