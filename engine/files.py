"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a place to write to, which takes the place of ``path`` when the block ends without an exception."""
    partial = unfinished(path)
    yield partial
    partial.replace(path)


def unfinished(path: Path) -> Path:
    """Where :func:`whole` writes; a process that is killed meanwhile leaves it."""
    return path.with_name(f"{path.name}.tmp")
