"""Where things live: shipped resources and the user's own files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

from engine.errors import ErrorKind, KnownError

APP_NAME = "Foundsound"
SHIPPED_PACK = "sfx-cnn10"
DEFAULT_PACK = "default"
"""Stands for the pack that the user chose with “foundsound packs use”, or else the shipped one."""


def resources() -> Path:
    """The shipped ``resources`` folder: in a frozen app, an installed package, or a checkout."""
    frozen = getattr(sys, "_MEIPASS", None)
    if frozen:
        return Path(frozen) / "resources"
    here = Path(__file__).parent
    installed = here / "resources"
    return installed if installed.is_dir() else here.parent / "resources"


def default_library() -> Path:
    """The library file used when none is named."""
    return platformdirs.user_data_path(APP_NAME, appauthor=False) / "library.foundsound"


def user_packs() -> Path:
    """Folder for packs that the user installed or trained."""
    return platformdirs.user_data_path(APP_NAME, appauthor=False) / "packs"


def pack_choice() -> Path:
    """The small JSON file that names the pack in use, where the user chose one."""
    return platformdirs.user_config_path(APP_NAME, appauthor=False) / "pack.json"


def logs() -> Path:
    """Folder for log files."""
    return platformdirs.user_log_path(APP_NAME, appauthor=False)


def absolute(path: Path) -> Path:
    """A path the user gave, with ``~`` replaced, from the working folder on. Links stay as the user named them.

    Raises:
        KnownError: ``home_unknown`` when there is no such user, ``working_folder_missing``.
    """
    try:
        return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow the user's links
    except RuntimeError as error:
        raise KnownError(
            ErrorKind.HOME_UNKNOWN, f"There is no home folder for {path.parts[0]}.", "Give the whole path, without ~."
        ) from error
    except OSError as error:
        raise KnownError(
            ErrorKind.WORKING_FOLDER_MISSING,
            "The folder that this runs in is not there any more, or out of reach.",
            "Change to another folder and try again.",
        ) from error
