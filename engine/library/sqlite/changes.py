"""Which contents may be found now, or not any more, since the vectors in memory last looked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.library.sqlite.file import LibraryFile

_MOST_NOTED = 50_000


class Changes:
    """Gathers what this process's writes change; the faces of one library share it.

    Attributes:
        contents: Those that changed.
        all: Whether any may have changed, so that noting each would be more work than looking anew.
    """

    def __init__(self, file: LibraryFile) -> None:
        self._file = file
        self.clear()

    def clear(self) -> None:
        """Forget what was noted."""
        self.contents: set[int] = set()
        self.all = False

    @contextmanager
    def writing(self) -> Iterator[set[int | None]]:
        """A transaction that gathers the contents it touches, and notes them once it is committed."""
        touched: set[int | None] = set()
        with self._file.writing():
            yield touched
        if not self.all:
            self.contents.update(content for content in touched if content is not None)
            if len(self.contents) > _MOST_NOTED:
                self.clear()
                self.all = True

    @contextmanager
    def writing_all(self) -> Iterator[None]:
        """A transaction that may touch any content."""
        with self._file.writing():
            yield
        self.all = True
