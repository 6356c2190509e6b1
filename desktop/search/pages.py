"""Decides what stands in place of the results when there are none to show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop.library_state import Library
from desktop.search.search_session import Answer
from desktop.wording import error_title, quantity
from engine.errors import KnownError
from engine.library.query import Query


class PageAction(StrEnum):
    """What the button of a page does."""

    NONE = ""
    ADD_FOLDER = "Add a folder…"
    RESTART = "Try again"
    SEARCH_AGAIN = "Search again"
    SHOW_FAILURES = "Show sounds that could not be read…"


EXAMPLES = (
    "heavy wooden door creaks open slowly",
    "rain on a tin roof",
    "glass breaking",
    "dog barking far away",
    "footsteps on gravel",
    "deep spaceship engine hum",
)


@dataclass(frozen=True)
class Page:
    """A message in place of the results. ``busy`` shows that something is under way."""

    icon: str
    title: str
    body: str = ""
    action: PageAction = PageAction.NONE
    busy: bool = False
    examples: tuple[str, ...] = ()


def page_for(library: Library, query: Query, answer: Answer | None, error: KnownError | None) -> Page | None:
    """The page to show, or None when there are results, or will be in a moment."""
    if library.stopped is not None:
        return _stopped(library.stopped)
    if not library.opened:
        return Page("wave", "Opening the library", busy=True)
    if not query.asks:
        return _start(library)
    if error is not None and answer is None:
        return Page("warning", error_title(error.kind), f"{error.detail}\n{error.hint}", PageAction.SEARCH_AGAIN)
    if not library.encoder_ready and answer is None:
        return Page("wave", "Loading the model", "Your search runs as soon as it is ready.", busy=True)
    if answer is not None and not answer.hits:
        return _nothing(library)
    return None


def _stopped(error: Exception) -> Page:
    if isinstance(error, KnownError):
        return Page("warning", error_title(error.kind), f"{error.detail}\n{error.hint}", PageAction.RESTART)
    body = (
        f"{type(error).__name__}: {error}\nYour library is safe. The details are in the log, which the Help menu opens."
    )
    return Page("warning", "The search engine stopped unexpectedly", body, PageAction.RESTART)


def _start(library: Library) -> Page:
    if library.folders:
        known = f"\n{quantity(library.indexed, 'sound')} to search." if library.indexed else ""
        return Page("wave", "What are you listening for?", f"Describe it in your own words.{known}", examples=EXAMPLES)
    if library.read_only:
        return Page("lock", "This library is empty and read-only", "Open one that can be written to add folders.")
    body = "Drop a folder anywhere in this window, or choose one.\nEvery sound stays where it is, and on this computer."
    return Page("folder-add", "Add a folder of sounds", body, PageAction.ADD_FOLDER)


def _nothing(library: Library) -> Page:
    if not library.folders:
        return _start(library)
    if library.busy:
        return Page(
            "wave", "Nothing to find yet", "The first sounds appear here as soon as they are indexed.", busy=True
        )
    if library.failed and not library.indexed:
        body = f"None of the {quantity(library.failed, 'sound')} in this library could be read."
        return Page("warning", "Nothing to search", body, PageAction.SHOW_FAILURES)
    return Page("search", "Nothing found", "Try other words, or add more folders to the library.")
