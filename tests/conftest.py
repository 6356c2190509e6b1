"""Keeps the tests out of the user's files, screen, loudspeakers and network. Runs before anything is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

HOME = Path(tempfile.mkdtemp(prefix="foundsound-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)


def _private(name: str) -> str:
    folder = HOME / name
    folder.mkdir(mode=0o700)
    return str(folder)


os.environ |= {
    "HOME": str(HOME),
    "USERPROFILE": str(HOME),
    "XDG_CACHE_HOME": _private("cache"),
    "XDG_CONFIG_HOME": _private("config"),
    "XDG_DATA_HOME": _private("data"),
    "XDG_RUNTIME_DIR": _private("runtime"),
    "XDG_STATE_HOME": _private("state"),
    "WIN_PD_OVERRIDE_APPDATA": _private("roaming"),
    "WIN_PD_OVERRIDE_LOCAL_APPDATA": _private("local"),
    "HF_HUB_OFFLINE": "1",
}
if sys.platform == "linux":
    os.environ["LC_ALL"] = "C.UTF-8"  # Qt warns of a locale without UTF-8, and warnings fail tests
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

    from tests.desktop.playback.audio_device import NULL

    (HOME / "asound.conf").write_text(NULL)
    os.environ["ALSA_CONFIG_PATH"] = str(HOME / "asound.conf")
