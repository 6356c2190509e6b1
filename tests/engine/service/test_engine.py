"""The engine thread: real store, real workers, real (tiny) models."""

from __future__ import annotations

import itertools
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import soundfile

from engine.errors import ErrorKind, KnownError
from engine.library.query import Likeness, Query
from engine.library.sqlite.catalogue import SqliteCatalogue
from engine.library.sqlite.work import SqliteWorkQueue
from engine.library.types import IndexPhase, SoundState
from engine.models.source import EncoderSource
from engine.service import messages as m
from engine.service.engine import Engine
from tests.tiny_pack import make_pack

RATE_HZ = 16_000
WAIT_S = 60.0
RAIN = m.Find(Query("rain"))
T = TypeVar("T")


class Client:
    """An engine with what it says in a queue. While held, the engine waits at its first report of progress."""

    def __init__(self, library: Path, pack: str, engine: Engine | None = None) -> None:
        self.messages: queue.Queue[m.Reply | m.Event] = queue.Queue()
        self.seen: list[m.Reply | m.Event] = []
        self.engine = engine or Engine(library, pack)
        self._free = threading.Event()
        self._free.set()
        self._numbers = itertools.count(1)
        self.client = self.engine.connect(self._take)

    def hold(self) -> None:
        """Let the engine wait once something is indexed, until ``release``."""
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def send(self, request: m.Request) -> int:
        number = next(self._numbers)
        self.client.send(number, request)
        return number

    def ask(self, request: m.Request, kind: type[T]) -> T:
        """Send a request and wait for its reply, which must be of that kind."""
        number = self.send(request)
        outcome = self.wait(m.Reply, lambda reply: reply.request_id == number).outcome
        assert isinstance(outcome, kind), outcome
        return outcome

    def _take(self, message: m.Reply | m.Event) -> None:
        self.messages.put(message)
        if isinstance(message, m.Indexed) and message.progress.done > 0:
            assert self._free.wait(WAIT_S)

    def wait(self, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> T:
        """The next message of that kind; the engine stopping first is a failure."""
        while True:
            message = self.messages.get(timeout=WAIT_S)
            self.seen.append(message)
            if isinstance(message, kind) and where(message):
                return message
            if isinstance(message, m.EngineStopped) and message.error is not None:
                raise AssertionError("the engine stopped") from message.error

    def rest(self) -> list[m.Reply]:
        """All replies, once the engine has ended."""
        while not self.messages.empty():
            self.seen.append(self.messages.get())
        return [message for message in self.seen if isinstance(message, m.Reply)]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_pack(tmp_path_factory.mktemp("packs")).folder)


@pytest.fixture(autouse=True)
def every_step_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.service.loop.PROGRESS_INTERVAL_S", 0.0)


@pytest.fixture
def client(tmp_path: Path, pack: str) -> Iterator[Client]:
    client = Client(tmp_path / "library.foundsound", pack)
    client.engine.start()
    yield client
    assert client.engine.close(WAIT_S)


def test_a_folder_that_comes_back_is_scanned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pack: str) -> None:
    monkeypatch.setattr("engine.service.loop.FOLDERS_INTERVAL_S", 0.05)
    drive = _make_sounds(tmp_path / "drive", 2)
    first = Client(tmp_path / "library.foundsound", pack)
    first.engine.start()
    first.send(m.AddFolder(drive))
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
    client.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 12)))
    finished = client.wait(m.IndexFinished)
    assert (finished.summary.indexed, finished.summary.failed, finished.cancelled) == (12, 0, False)
    done = client.ask(m.Find(Query("glass breaking", limit=5)), m.Found)
    assert done.searched == 12
    assert [hit.rank for hit in done.hits] == [1, 2, 3, 4, 5]
    assert all(hit.peaks and hit.duration_s == pytest.approx(0.5) for hit in done.hits)
    like = Query(like=(Likeness(path=done.hits[0].path),))
    assert done.hits[0].path not in {hit.path for hit in client.ask(m.Find(like), m.Found).hits}


def test_folders_and_progress_are_reported(client: Client, tmp_path: Path) -> None:
    client.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 30)))
    client.wait(m.IndexFinished)
    phases = [event.progress.phase for event in client.seen if isinstance(event, m.Indexed)]
    assert IndexPhase.SCANNING in phases
    assert phases[-1] is IndexPhase.IDLE
    (folder,) = [event for event in client.seen if isinstance(event, m.FoldersChanged)][-1].folders
    assert (folder.path, folder.sounds, folder.indexed) == (tmp_path / "sounds", 30, 30)
    client.ask(m.RemoveFolder(folder.folder_id), m.Done)
    assert client.ask(m.ListFolders(), m.FoldersListed).folders == ()
    assert client.ask(RAIN, m.Found).hits == ()


def test_searches_are_answered_while_indexing(client: Client, tmp_path: Path) -> None:
    client.wait(m.EncoderReady)
    client.hold()
    client.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 40, seconds=15.0)))
    client.wait(m.Indexed, lambda event: event.progress.done > 0)
    number = client.send(RAIN)
    client.release()
    done = client.wait(m.Reply, lambda reply: reply.request_id == number).outcome
    assert isinstance(done, m.Found)
    assert not any(isinstance(event, m.IndexFinished) for event in client.seen)
    assert 0 < done.searched < 40
    client.wait(m.IndexFinished)


def test_pause_holds_and_resume_goes_on(client: Client, tmp_path: Path) -> None:
    client.wait(m.EncoderReady)
    client.send(m.Pause())
    client.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 20)))
    client.wait(m.Indexed, lambda event: event.progress.phase is IndexPhase.PAUSED)
    assert client.ask(RAIN, m.Found).searched == 0
    client.send(m.Resume())
    assert client.wait(m.IndexFinished).summary.indexed == 20


def test_cancel_keeps_what_is_done_and_resume_does_the_rest(client: Client, tmp_path: Path) -> None:
    client.wait(m.EncoderReady)
    client.hold()
    client.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 40, seconds=15.0)))
    client.wait(m.Indexed, lambda event: event.progress.done > 0)
    client.send(m.Cancel())
    client.release()
    cancelled = client.wait(m.IndexFinished)
    assert cancelled.cancelled
    assert 0 < cancelled.summary.indexed < 40
    client.send(m.Resume())
    assert client.wait(m.IndexFinished).summary.indexed == 40 - cancelled.summary.indexed


def test_of_waiting_searches_only_the_newest_is_answered(client: Client) -> None:
    numbers = [client.send(RAIN) for _ in range(5)]  # the encoder is still loading
    client.wait(m.Reply, lambda reply: isinstance(reply.outcome, m.Found))
    client.ask(m.ListFailures(), m.FailuresListed)
    outcomes = {reply.request_id: type(reply.outcome) for reply in client.rest()}
    assert [outcomes[number] for number in numbers] == [*[m.Superseded] * 4, m.Found]


def test_one_client_never_supersedes_another(client: Client, tmp_path: Path) -> None:
    other = Client(tmp_path / "library.foundsound", "", client.engine)
    for asker in (client, other, client):
        asker.send(RAIN)
    other.wait(m.Reply, lambda reply: isinstance(reply.outcome, m.Found))
    client.wait(m.Reply, lambda reply: isinstance(reply.outcome, m.Found))
    assert len(other.rest()) == 1
    assert [type(reply.outcome) for reply in client.rest()] == [m.Superseded, m.Found]


def test_a_client_that_comes_late_is_told_what_the_others_know(client: Client, tmp_path: Path) -> None:
    client.wait(m.EncoderReady)
    late = Client(tmp_path / "library.foundsound", "", client.engine)
    late.wait(m.LibraryOpened)
    late.wait(m.EncoderReady)
    late.client.close()
    client.ask(m.AddFolder(_make_sounds(tmp_path / "sounds", 2)), m.FolderAdded)
    client.wait(m.IndexFinished)
    assert late.messages.empty()


def test_what_needs_no_vector_is_served_before_the_model(
    tmp_path: Path, pack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load = threading.Event()
    load = EncoderSource._load

    def load_late(source: EncoderSource, loaded: Future[Any]) -> None:
        assert may_load.wait(WAIT_S)
        load(source, loaded)

    monkeypatch.setattr(EncoderSource, "_load", load_late)
    client = Client(tmp_path / "library.foundsound", pack)
    client.engine.start()
    waiting = client.send(RAIN)
    folder = _make_sounds(tmp_path / "sounds", 3)
    added = client.ask(m.AddFolder(folder), m.FolderAdded)
    assert [known.folder_id for known in client.ask(m.ListFolders(), m.FoldersListed).folders] == [added.folder_id]
    assert client.ask(m.ListFailures(), m.FailuresListed).failures == ()
    client.wait(m.Indexed, lambda event: event.progress.phase is IndexPhase.INDEXING)
    assert waiting not in {reply.request_id for reply in client.rest()}
    may_load.set()
    client.wait(m.Reply, lambda reply: reply.request_id == waiting)
    assert client.wait(m.IndexFinished).summary.indexed == 3
    assert client.engine.close(WAIT_S)


def test_a_model_that_cannot_be_loaded_refuses_searches_and_nothing_else(tmp_path: Path, pack: str) -> None:
    broken = shutil.copytree(pack, tmp_path / "broken")
    (broken / "audio.safetensors").write_bytes(b"nothing")
    client = Client(tmp_path / "library.foundsound", str(broken))
    client.engine.start()
    assert client.ask(RAIN, m.Refused).error.kind == "pack_wrong_hash"
    client.ask(m.AddFolder(_make_sounds(tmp_path / "sounds", 1)), m.FolderAdded)
    assert client.wait(m.ProblemOccurred).error.kind == "pack_wrong_hash"
    assert client.wait(m.IndexFinished).cancelled
    assert client.ask(m.ListFolders(), m.FoldersListed).folders[0].sounds == 1
    assert client.engine.close(WAIT_S)


def test_every_request_is_replied_to_when_the_engine_ends(tmp_path: Path, pack: str) -> None:
    client = Client(tmp_path / "library.foundsound", pack)
    numbers = [client.send(request) for request in (RAIN, m.ListFolders(), m.Pause())]
    client.engine.start()
    assert client.engine.close(WAIT_S)
    numbers += [client.send(m.ListFolders()), client.send(RAIN)]
    replies = client.rest()
    assert sorted(reply.request_id for reply in replies) == numbers
    assert [reply.outcome.error.kind for reply in replies[-2:] if isinstance(reply.outcome, m.Refused)] == [
        "engine_stopped"
    ] * 2


def test_a_bug_ends_the_engine_and_leaves_no_request_without_a_reply(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.wait(m.EncoderReady)
    monkeypatch.setattr(SqliteCatalogue, "failures", lambda *_: 1 // 0)
    numbers = [client.send(request) for request in (m.ListFailures(), m.ListFolders())]
    with pytest.raises(AssertionError) as caught:
        client.wait(m.EngineStopped, lambda event: event.error is None)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert sorted(reply.request_id for reply in client.rest()) == numbers


def test_a_failed_step_ends_the_run_and_says_so(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KnownError(ErrorKind.DISK_FULL, "The disk is full.", "Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteWorkQueue, "save_indexed", fail)
        client.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 3)))
        assert client.wait(m.ProblemOccurred).error.kind == "disk_full"
        assert client.wait(m.IndexFinished).cancelled
    client.send(m.Resume())
    assert client.wait(m.IndexFinished).summary.indexed == 3


def test_known_errors_are_refusals_and_the_engine_goes_on(client: Client, tmp_path: Path) -> None:
    assert client.ask(m.AddFolder(tmp_path / "nowhere"), m.Refused).error.kind == "folder_missing"
    assert client.ask(m.Find(Query("  ")), m.Refused).error.kind == "caption_empty"
    like = Query(like=(Likeness(path=tmp_path / "none.wav"),))
    assert client.ask(m.Find(like), m.Refused).error.kind == "sound_vanished"
    assert client.ask(m.RelinkFolder(99, tmp_path), m.Refused).error.kind == "folder_unknown"
    client.ask(RAIN, m.Found)


def test_a_folder_is_relinked(client: Client, tmp_path: Path) -> None:
    folder = _make_sounds(tmp_path / "sounds", 3)
    added = client.ask(m.AddFolder(folder), m.FolderAdded)
    client.wait(m.IndexFinished)
    folder.rename(tmp_path / "elsewhere")
    client.ask(m.RelinkFolder(added.folder_id, tmp_path / "elsewhere"), m.Done)
    summary = client.wait(m.IndexFinished).summary
    assert (summary.unchanged, summary.indexed, summary.moved, summary.missing) == (3, 0, 0, 0)
    assert {hit.path.parent for hit in client.ask(RAIN, m.Found).hits} == {tmp_path / "elsewhere"}


def test_failures_are_listed_and_retried(client: Client, tmp_path: Path) -> None:
    folder = _make_sounds(tmp_path / "sounds", 3)
    (folder / "bad.wav").write_text("text")
    client.send(m.AddFolder(folder))
    assert client.wait(m.IndexFinished).summary.failed == 1
    (failure,) = client.ask(m.ListFailures(), m.FailuresListed).failures
    assert failure.path == folder / "bad.wav"
    assert failure.kind == "sound_unreadable"
    client.send(m.RetryFailed())
    assert client.wait(m.IndexFinished).summary.failed == 1


def test_an_interrupted_run_goes_on_at_the_next_start(tmp_path: Path, pack: str) -> None:
    first = Client(tmp_path / "library.foundsound", pack)
    first.hold()
    first.engine.start()
    first.send(m.AddFolder(_make_sounds(tmp_path / "sounds", 40, seconds=15.0)))
    first.wait(m.Indexed, lambda event: event.progress.done > 0)
    assert not first.engine.close(0.0)  # it finds the request to stop when it goes on
    first.release()
    assert first.engine.close(WAIT_S)
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
    first.send(m.AddFolder(folder))
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


def test_every_request_is_replied_to_where_the_engine_never_started(tmp_path: Path, pack: str) -> None:
    client = Client(tmp_path / "library.foundsound", pack)
    numbers = [client.send(request) for request in (RAIN, m.ListFolders())]
    assert client.engine.close()
    replies = client.rest()
    assert [reply.request_id for reply in replies] == numbers
    assert all(isinstance(reply.outcome, m.Refused) for reply in replies)
    assert isinstance(client.seen[-1], m.EngineStopped)
    client.engine.start()
    assert client.engine.close(), "it stays closed"
    assert not (tmp_path / "library.foundsound").exists()


def test_a_folder_that_cannot_be_removed_does_not_end_the_run(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KnownError(ErrorKind.LIBRARY_LOCKED, "The library is in use.", "Try again.")

    client.wait(m.EncoderReady)
    client.send(m.Pause())
    added = client.ask(m.AddFolder(_make_sounds(tmp_path / "sounds", 3)), m.FolderAdded)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteCatalogue, "remove_folder", fail)
        assert client.ask(m.RemoveFolder(added.folder_id), m.Refused).error.kind == "library_locked"
    client.ask(m.Resume(), m.Done)
    assert client.wait(m.IndexFinished).summary.indexed == 3


def test_what_was_done_is_not_refused_because_it_cannot_be_reported(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KnownError(ErrorKind.LIBRARY_LOCKED, "The library is in use.", "Try again.")

    client.wait(m.EncoderReady)
    monkeypatch.setattr(SqliteCatalogue, "folders", fail)
    client.ask(m.Pause(), m.Done)
    assert [event.error.kind for event in client.seen if isinstance(event, m.ProblemOccurred)] == ["library_locked"]
