"""Names as their volume spells them: some volumes take names for equal that differ in case or normalisation."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path


def spelled(path: Path) -> Path:
    """An existing absolute path as its volume spells it; unchanged where nothing differs, or it does not exist.

    A name that its folder lists is right. One that it does not list, and that is there all the same, is listed in
    another spelling, such as another case on macOS and Windows.
    """
    found = Path(path.anchor)
    for name in path.parts[1:]:
        found /= _listed(found, name)
    return found


def _listed(folder: Path, name: str) -> str:
    """The name by which a folder lists what it has under this one."""
    try:
        if not os.path.lexists(folder / name):
            return name
        names = os.listdir(folder)  # noqa: PTH208 - a name may be a link that leads nowhere
    except OSError:  # which may be entered, but not listed
        return name
    if name in names:
        return name
    alike = [other for other in names if _key(other) == _key(name) and _is_same(folder / other, folder / name)]
    return alike[0] if len(alike) == 1 else name


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samestat(path.lstat(), other.lstat())
    except OSError:
        return False
