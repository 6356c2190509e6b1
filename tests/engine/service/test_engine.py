"""The engine thread: real store, real workers, real (tiny) models."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import soundfile

from engine.errors import KnownError
from engine.library.types import IndexPhase, SoundState
from engine.service import messages as m
from engine.service.engine import Engine
from tests.tiny_pack import make_pack

RATE_HZ = 16_000
WAIT_S = 60.0
T = TypeVar("T")


class Client:
    """An engine with its events in a queue. While ``held``, the engine waits at its first report of progress."""

    def __init__(self, library: Path, pack: str) -> None:
        self.events: queue.Queue[m.Event] = queue.Queue()
        self.seen: list[m.Event] = []
        self.engine = Engine(library, pack, self._take)
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        """Let the engine wait once something is indexed, until ``release``."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def _take(self, event: m.Event) -> None:
        self.events.put(event)
        if isinstance(event, m.Indexed) and event.progress.done > 0:
            assert self._free.wait(WAIT_S)

    def wait(self, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> T:
        """The next event of that kind; the engine stopping first is a failure."""
        while True:
            event = self.events.get(timeout=WAIT_S)
            self.seen.append(event)
            if isinstance(event, kind) and where(event):
                return event
            if isinstance(event, m.EngineStopped) and event.error is not None:
                raise AssertionError("the engine stopped") from event.error


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_pack(tmp_path_factory.mktemp("packs")).folder)


@pytest.fixture(autouse=True)
def every_step_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.service.engine.PROGRESS_INTERVAL_S", 0.0)


@pytest.fixture
def client(tmp_path: Path, pack: str) -> Iterator[Client]:
    client = Client(tmp_path / "library.foundsound", pack)
    client.engine.start()
    yield client
    assert client.engine.close(WAIT_S)


def test_a_folder_that_comes_back_is_scanned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pack: str) -> None:
    monkeypatch.setattr("engine.service.engine.FOLDERS_INTERVAL_S", 0.05)
    drive = _make_sounds(tmp_path / "drive", 2)
    first = Client(tmp_path / "library.foundsound", pack)
    first.engine.start()
    first.engine.send(m.AddFolder(drive))
    first.wait(m.IndexFinished)
    assert first.engine.close(WAIT_S)
    drive.rename(tmp_path / "unplugged")
    second = Client(tmp_path / "library.foundsound", pack)
    second.engine.start()
    assert not second.wait(m.LibraryOpened).folders[0].available
    _make_sounds(tmp_path / "unplugged", 3)
    (tmp_path / "unplugged").rename(drive)
    second.wait(m.FoldersChanged, lambda event: event.folders[0].available)
    assert second.wait(m.IndexFinished).summary.indexed == 1
    assert second.engine.close(WAIT_S)


def _make_sounds(folder: Path, count: int, seconds: float = 0.5) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        noise = np.random.default_rng(index).standard_normal(int(RATE_HZ * seconds)) * 0.1
        soundfile.write(folder / f"{index:03}.wav", noise, RATE_HZ)
    return folder


def test_opens_then_gets_ready_then_answers(client: Client, tmp_path: Path) -> None:
    opened = client.wait(m.LibraryOpened)
    assert opened.folders == ()
    assert not opened.read_only
    assert client.wait(m.EncoderReady).pack_id == "tiny"
    client.engine.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 12)))
    finished = client.wait(m.IndexFinished)
    assert (finished.summary.indexed, finished.summary.failed, finished.cancelled) == (12, 0, False)
    client.engine.send(m.Search(7, "glass breaking", limit=5))
    done = client.wait(m.SearchDone)
    assert done.request_id == 7
    assert done.searched == 12
    assert [hit.rank for hit in done.hits] == [1, 2, 3, 4, 5]
    assert all(hit.peaks and hit.duration_s == pytest.approx(0.5) for hit in done.hits)
    client.engine.send(m.FindSimilar(8, done.hits[0].path))
    assert done.hits[0].path not in {hit.path for hit in client.wait(m.SearchDone).hits}


def test_folders_and_progress_are_reported(client: Client, tmp_path: Path) -> None:
    client.engine.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 30)))
    client.wait(m.IndexFinished)
    phases = [event.progress.phase for event in client.seen if isinstance(event, m.Indexed)]
    assert IndexPhase.SCANNING in phases
    assert phases[-1] is IndexPhase.IDLE
    (folder,) = [event for event in client.seen if isinstance(event, m.FoldersChanged)][-1].folders
    assert (folder.path, folder.sounds, folder.indexed) == (tmp_path / "sounds", 30, 30)
    client.engine.send(m.RemoveFolder(folder.folder_id))
    assert client.wait(m.FoldersChanged).folders == ()
    client.engine.send(m.Search(1, "rain"))
    assert client.wait(m.SearchDone).hits == ()


def test_searches_are_answered_while_indexing(client: Client, tmp_path: Path) -> None:
    client.wait(m.EncoderReady)
    client.hold()
    client.engine.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 40, seconds=15.0)))
    client.wait(m.Indexed, lambda event: event.progress.done > 0)
    client.engine.send(m.Search(1, "rain"))
    client.release()
    done = client.wait(m.SearchDone)
    assert not any(isinstance(event, m.IndexFinished) for event in client.seen)
    assert 0 < done.searched < 40
    client.wait(m.IndexFinished)


def test_pause_holds_and_resume_goes_on(client: Client, tmp_path: Path) -> None:
    client.wait(m.EncoderReady)
    client.engine.send(m.Pause())
    client.engine.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 20)))
    client.wait(m.Indexed, lambda event: event.progress.phase is IndexPhase.PAUSED)
    client.engine.send(m.Search(1, "rain"))
    assert client.wait(m.SearchDone).searched == 0
    client.engine.send(m.Resume())
    assert client.wait(m.IndexFinished).summary.indexed == 20


def test_cancel_keeps_what_is_done_and_resume_does_the_rest(client: Client, tmp_path: Path) -> None:
    client.wait(m.EncoderReady)
    client.hold()
    client.engine.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 40, seconds=15.0)))
    client.wait(m.Indexed, lambda event: event.progress.done > 0)
    client.engine.send(m.Cancel())
    client.release()
    cancelled = client.wait(m.IndexFinished)
    assert cancelled.cancelled
    assert 0 < cancelled.summary.indexed < 40
    client.engine.send(m.Resume())
    assert client.wait(m.IndexFinished).summary.indexed == 40 - cancelled.summary.indexed


def test_of_waiting_searches_only_the_newest_is_answered(client: Client) -> None:
    for request_id in range(1, 6):
        client.engine.send(m.Search(request_id, "rain"))  # the encoder is still loading
    assert client.wait(m.SearchDone).request_id == 5
    client.engine.send(m.ListFailures())
    client.wait(m.FailuresListed)
    assert len([event for event in client.seen if isinstance(event, m.SearchDone)]) == 1


def test_known_errors_are_events_and_the_engine_goes_on(client: Client, tmp_path: Path) -> None:
    client.engine.send(m.AddFolder(tmp_path / "nowhere"))
    assert client.wait(m.ProblemOccurred).error.kind == "folder_missing"
    client.engine.send(m.Search(3, "  "))
    failed = client.wait(m.SearchFailed)
    assert (failed.request_id, failed.error.kind) == (3, "caption_empty")
    client.engine.send(m.FindSimilar(4, tmp_path / "none.wav"))
    assert client.wait(m.SearchFailed).error.kind == "sound_vanished"
    client.engine.send(m.Search(5, "rain"))
    assert client.wait(m.SearchDone).request_id == 5


def test_failures_are_listed_and_retried(client: Client, tmp_path: Path) -> None:
    folder = _make_sounds(tmp_path / "sounds", 3)
    (folder / "bad.wav").write_text("text")
    client.engine.send(m.AddFolder(folder))
    assert client.wait(m.IndexFinished).summary.failed == 1
    client.engine.send(m.ListFailures())
    (failure,) = client.wait(m.FailuresListed).failures
    assert failure.path == folder / "bad.wav"
    assert failure.kind == "sound_unreadable"
    client.engine.send(m.RetryFailed())
    assert client.wait(m.IndexFinished).summary.failed == 1


def test_an_interrupted_run_goes_on_at_the_next_start(tmp_path: Path, pack: str) -> None:
    first = Client(tmp_path / "library.foundsound", pack)
    first.hold()
    first.engine.start()
    first.engine.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 40, seconds=15.0)))
    first.wait(m.Indexed, lambda event: event.progress.done > 0)
    closing = threading.Thread(target=first.engine.close, args=[WAIT_S])
    closing.start()
    while first.engine._inbox.empty():  # until the engine finds the request to stop when it goes on
        pass
    first.release()
    closing.join()
    second = Client(tmp_path / "library.foundsound", pack)
    second.engine.start()
    kept = second.wait(m.LibraryOpened).status.counts[SoundState.INDEXED]
    assert 0 < kept < 40
    assert second.wait(m.IndexFinished).summary.indexed == 40 - kept
    assert second.engine.close(WAIT_S)


def test_what_changed_while_closed_is_found_at_the_next_start(tmp_path: Path, pack: str) -> None:
    folder = _make_sounds(tmp_path / "sounds", 3)
    first = Client(tmp_path / "library.foundsound", pack)
    first.engine.start()
    first.engine.send(m.AddFolder(folder))
    first.wait(m.IndexFinished)
    assert first.engine.close(WAIT_S)
    (folder / "000.wav").unlink()
    _make_sounds(folder / "more", 5, seconds=0.7)
    second = Client(tmp_path / "library.foundsound", pack)
    second.engine.start()
    summary = second.wait(m.IndexFinished).summary
    assert (summary.indexed, summary.unchanged, summary.missing) == (5, 2, 1)
    assert second.engine.close(WAIT_S)


def test_an_unknown_pack_stops_the_engine_with_its_reason(tmp_path: Path) -> None:
    client = Client(tmp_path / "library.foundsound", "nonsense")
    client.engine.start()
    with pytest.raises(AssertionError) as caught:
        client.wait(m.LibraryOpened)
    assert isinstance(caught.value.__cause__, KnownError)
    assert caught.value.__cause__.kind == "pack_unknown"
    assert client.engine.close(WAIT_S)
