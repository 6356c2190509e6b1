"""Which page stands in place of the results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from desktop.library_state import Library
from desktop.search.pages import EXAMPLES, Page, PageAction, page_for
from desktop.search.search_session import Answer, like_sound
from engine.errors import ErrorKind, KnownError
from engine.library.query import Query
from engine.library.types import IndexPhase, IndexProgress
from tests.fakes import make_folder, make_hits

READY = Library(opened=True, encoder_ready=True, folders=(make_folder(),))
RAIN = Query("rain")
FOUND = Answer(RAIN, make_hits(2), 100, 0.01)
NOTHING = Answer(RAIN, (), 0, 0.01)
ERROR = KnownError(ErrorKind.SOUND_VANISHED, "a.wav is gone.", "Look for changes.")


def page(library: Library, query: Query = RAIN, answer: Answer | None = None, error: KnownError | None = None) -> Page:
    found = page_for(library, query, answer, error)
    assert found is not None
    return found


def test_results_need_no_page() -> None:
    assert page_for(READY, RAIN, FOUND, None) is None


def test_an_answer_on_its_way_needs_no_page() -> None:
    assert page_for(READY, RAIN, None, None) is None


def test_a_library_being_opened() -> None:
    assert page(Library()).busy


def test_no_folders_yet() -> None:
    empty = page(replace(READY, folders=()), Query())
    assert empty.action is PageAction.ADD_FOLDER
    assert "Drop a folder" in empty.body


def test_no_folders_and_nothing_found_is_still_no_folders() -> None:
    assert page(replace(READY, folders=()), RAIN, NOTHING).action is PageAction.ADD_FOLDER


def test_an_empty_read_only_library_offers_nothing_it_cannot_do() -> None:
    assert page(replace(READY, folders=(), read_only=True), Query()).action is PageAction.NONE


def test_nothing_asked_yet() -> None:
    start = page(READY, Query())
    assert start.examples == EXAMPLES
    assert "100 sounds" in start.body


def test_the_model_is_loading() -> None:
    loading = page(replace(READY, encoder_ready=False))
    assert loading.busy
    assert "model" in loading.title


def test_results_from_before_stay_while_another_model_loads() -> None:
    assert page_for(replace(READY, encoder_ready=False), RAIN, FOUND, None) is None


def test_nothing_found() -> None:
    assert page(READY, answer=NOTHING).title == "Nothing found"


def test_nothing_found_because_indexing_has_just_begun() -> None:
    busy = replace(READY, progress=IndexProgress(IndexPhase.SCANNING, found=3))
    assert page(busy, answer=NOTHING).busy


def test_nothing_found_because_nothing_could_be_read() -> None:
    failed = replace(READY, folders=(make_folder(sounds=3, indexed=0, failed=3),))
    assert page(failed, answer=NOTHING).action is PageAction.SHOW_FAILURES


def test_a_search_that_failed_says_why_and_what_to_do() -> None:
    failed = page(READY, like_sound(Path("/a.wav")), None, ERROR)
    assert "a.wav is gone." in failed.body
    assert "Look for changes." in failed.body
    assert failed.action is PageAction.SEARCH_AGAIN


def test_results_outlive_a_failed_refresh() -> None:
    assert page_for(READY, RAIN, FOUND, ERROR) is None


def test_an_engine_that_stopped_for_a_known_reason() -> None:
    stopped = page(
        replace(READY, stopped=KnownError(ErrorKind.LIBRARY_LOCKED, "In use.", "Close the other.")), answer=FOUND
    )
    assert stopped.title == "The library is in use"
    assert "Close the other." in stopped.body
    assert stopped.action is PageAction.RESTART


def test_an_engine_that_stopped_by_a_bug() -> None:
    stopped = page(replace(READY, stopped=ZeroDivisionError("division by zero")))
    assert "ZeroDivisionError" in stopped.body
    assert "log" in stopped.body
    assert stopped.action is PageAction.RESTART
