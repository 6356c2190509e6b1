"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a place to write to, which takes the place of ``path`` when the block ends without an exception."""
    partial = partial_path(path)
    yield partial
    partial.replace(path)


def partial_path(path: Path) -> Path:
    """Where :func:`atomic_write` writes; a process that is killed meanwhile leaves it."""
    return path.with_name(f"{path.name}.tmp")
