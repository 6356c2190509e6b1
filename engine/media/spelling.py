"""How a volume spells a path: macOS, Windows and some folders on Linux find a file by names it does not have."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def spelled(path: Path) -> Path:
    """An absolute path as its volume spells it; unchanged where it is spelled so already, or nothing is there.

    Names that differ in case or in Unicode normalisation are one name on some volumes and two on others, so the volume
    is asked: only a name that its folder does not list, but under which something is there, is replaced. Where a
    folder may not be listed, its names stay as they are. Links are not followed.
    """
    if not _exists(path):
        return path
    here = Path(path.anchor[:1].upper() + path.anchor[1:])  # a drive letter
    for name in path.parts[1:]:
        here /= _listed_name(here, name)
    return here if str(here) != str(path) else path


def _listed_name(folder: Path, name: str) -> str:
    """The name under which a folder lists what is found in it under ``name``."""
    if name == "..":
        return name
    try:
        names = os.listdir(folder)  # noqa: PTH208 (names are all that is needed)
    except OSError:
        return name
    if name in names:
        return name
    equal = [other for other in names if _folded(other) == _folded(name)]
    for other in [*equal, *names]:  # Windows has short names too, equal to no listed one
        if _is_same(folder / other, folder / name):
            return other
    return name


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samestat(path.lstat(), other.lstat())
    except OSError:
        return False


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True
