"""What the desktop knows of the library."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.bridge import EngineBridge
from desktop.library_state import Library, LibraryState
from engine.errors import ErrorKind, KnownError
from engine.library.types import IndexPhase, IndexProgress, IndexSummary
from engine.service.messages import EngineStopped, Event, FoldersChanged, Indexed, IndexFinished
from tests.fakes import READY, make_folder, opened


@pytest.fixture
def bridge() -> EngineBridge:
    def no_engine(_on_event: object) -> None:
        raise AssertionError

    return EngineBridge(no_engine)  # type: ignore[arg-type]


@pytest.fixture
def state(bridge: EngineBridge) -> LibraryState:
    return LibraryState(bridge)


def indexing(done: int) -> Event:
    return Indexed(IndexProgress(IndexPhase.INDEXING, done=done, total=10))


def test_opening(bridge: EngineBridge, state: LibraryState) -> None:
    assert state.library == Library()
    bridge.library_opened.emit(opened(make_folder(), read_only=True))
    assert state.library.opened
    assert state.library.read_only
    assert state.library.path == Path("/library.foundsound")
    assert state.library.roots == (Path("/sounds"),)
    before = state.library
    bridge.encoder_ready.emit(READY)
    assert (before.encoder_ready, state.library.encoder_ready) == (False, True)


def test_counts_are_sums_over_folders() -> None:
    folders = (make_folder(1, "/a", 10, 4, failed=1, missing=2), make_folder(2, "/b", 5, 5))
    library = Library(folders=folders)
    assert (library.indexed, library.failed, library.waiting) == (9, 1, 3)


def test_changes_are_told_once(bridge: EngineBridge, state: LibraryState) -> None:
    told: list[Library] = []
    state.changed.connect(told.append)
    bridge.folders_changed.emit(FoldersChanged((make_folder(),)))
    bridge.folders_changed.emit(FoldersChanged((make_folder(),)))
    assert len(told) == 1
    assert told[0].folders == (make_folder(),)


def test_a_run_of_indexing(bridge: EngineBridge, state: LibraryState) -> None:
    bridge.indexed.emit(indexing(1))
    during = state.library
    assert during.busy
    bridge.index_finished.emit(IndexFinished(IndexSummary(indexed=7), cancelled=True))
    assert not state.library.busy
    assert state.library.summary == IndexSummary(indexed=7)
    assert state.library.cancelled


def test_the_next_run_forgets_the_summary_of_the_last(bridge: EngineBridge, state: LibraryState) -> None:
    bridge.index_finished.emit(IndexFinished(IndexSummary(indexed=7), cancelled=True))
    bridge.indexed.emit(indexing(1))
    assert state.library.summary is None


def test_an_engine_that_stopped(bridge: EngineBridge, state: LibraryState) -> None:
    error = KnownError(ErrorKind.LIBRARY_LOCKED, "In use.")
    bridge.indexed.emit(indexing(1))
    bridge.engine_stopped.emit(EngineStopped(error))
    assert state.library.stopped is error
    assert not state.library.busy
    state.reset()
    assert state.library == Library()
