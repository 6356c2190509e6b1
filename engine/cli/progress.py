"""Progress bars of the command line, on stderr; where that is no terminal, a line for each phase."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID


class Phases:
    """One bar for each phase of a long command, told of by name."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def show(self, phase: str, done: float, total: float, detail: str = "") -> None:
        """A phase, new or known by its name, has come so far."""
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=total, detail=detail)
            if not self._bar.console.is_terminal:
                self.say(f"{phase} …")
        self._bar.update(self._tasks[phase], completed=done, total=total, detail=detail)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def phases(*columns: ProgressColumn) -> Iterator[Phases]:
    """Bars while the block runs; ``columns`` replace the count of things done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    shown = columns or (MofNCompleteColumn(),)
    detail = TextColumn("{task.fields[detail]}")
    layout = (TextColumn("{task.description}"), BarColumn(), *shown, detail, TimeRemainingColumn())
    with Progress(*layout, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Phases(bar)
