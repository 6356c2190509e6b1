"""Stand-ins for the parts of the app that are slow or need hardware, and makers of sample data."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from PySide6.QtCore import QObject, Signal

from desktop.playback.audio_output import OutputDevice
from desktop.playback.player import Player, PlayerState
from engine.errors import KnownError
from engine.library.types import Folder, Hit, LibraryStatus, SoundState
from engine.service.messages import EncoderReady, Event, LibraryOpened, Outcome, Reply, Request

T = TypeVar("T")
Answer = Callable[[Request], Outcome]
OnMessage = Callable[[Reply | Event], None]


class FakeEngine:
    """Has the interface of ``engine.service.engine.Engine`` and a thread of its own, and answers from a script.

    Args:
        opening: Events at the start.
        answers: For a type of request, the outcome of its reply; others get no reply.
    """

    def __init__(self, opening: Sequence[Event] = (), answers: dict[type, Answer] | None = None) -> None:
        self.requests: list[Request] = []
        self.closed = False
        self.thread = threading.Thread(target=self._run, name="fake engine", daemon=True)
        self.on_message: OnMessage = lambda message: None
        self._opening = opening
        self._answers = answers or {}
        self._inbox: queue.Queue[Reply | Event | tuple[int, Request] | None] = queue.Queue()

    def connect(self, on_message: OnMessage) -> FakeEngine:
        """Itself, as the only client."""
        self.on_message = on_message
        return self

    def start(self) -> None:
        """Start the thread, which emits the opening events."""
        self.thread.start()

    def send(self, request_id: int, request: Request) -> None:
        """Note a request and answer it on the thread."""
        self.requests.append(request)
        self._inbox.put((request_id, request))

    def emit(self, message: Reply | Event) -> None:
        """Say something on the fake's thread."""
        self._inbox.put(message)

    def close(self) -> bool:
        """End the thread."""
        self.closed = True
        self._inbox.put(None)
        self.thread.join()
        return True

    def sent(self, kind: type[T]) -> list[T]:
        """The requests of a type, in order."""
        return [request for request in self.requests if isinstance(request, kind)]

    def _run(self) -> None:
        for event in self._opening:
            self.on_message(event)
        while (item := self._inbox.get()) is not None:
            if isinstance(item, tuple):
                number, request = item
                answer = self._answers.get(type(request))
                if answer is not None:
                    self.on_message(Reply(number, answer(request)))
            else:
                self.on_message(item)


class FakePlayer(QObject):
    """Has the interface of ``desktop.playback.player.Player``, makes no sound, and notes what it was asked to play."""

    state_changed = Signal(PlayerState)
    position_changed = Signal(float)
    failed = Signal(KnownError)
    devices_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.played: list[tuple[Path, float]] = []
        self.state = PlayerState.STOPPED
        self.volume = 1.0
        self.device: OutputDevice | None = None
        self.problem: KnownError | None = None
        self.found: tuple[OutputDevice, ...] = ()
        self.refreshed = 0
        self.closed = False

    @property
    def available(self) -> bool:
        """Whether there is no problem."""
        return self.problem is None

    def play(self, path: Path, start_s: float, duration_s: float | None = None) -> None:
        """Pretend to play at once."""
        self.played.append((path, start_s))
        self._become(PlayerState.PLAYING)
        self.position_changed.emit(start_s)

    def stop(self) -> None:
        """Pretend to stop."""
        self._become(PlayerState.STOPPED)

    def set_volume(self, volume: float) -> None:
        """Note the volume."""
        self.volume = volume

    def devices(self) -> tuple[OutputDevice, ...]:
        """What ``found`` says."""
        return self.found

    def set_device(self, device: OutputDevice | None) -> None:
        """Note the device."""
        self.device = device

    def refresh_devices(self) -> None:
        """Count, and tell."""
        self.refreshed += 1
        self.devices_changed.emit()

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def as_player(self) -> Player:
        """Itself, for parameters typed as Player."""
        return cast("Player", self)

    def _become(self, state: PlayerState) -> None:
        if state is not self.state:
            self.state = state
            self.state_changed.emit(state)


def make_hit(
    sound_id: int = 1,
    path: str = "/sounds/door.wav",
    score: float = 0.5,
    start_s: float = 0.0,
    end_s: float = 2.0,
    duration_s: float = 2.0,
) -> Hit:
    """A hit; by default all of a sound of two seconds."""
    peaks = bytes((-i % 256 if even else i) for i in range(0, 100, 2) for even in (True, False))
    return Hit(sound_id, sound_id, Path(path), score, start_s, end_s, duration_s, 48_000, 2, peaks)


def make_hits(count: int) -> tuple[Hit, ...]:
    """Hits with falling scores and different names, folders, lengths and segments."""
    return tuple(
        make_hit(
            sound_id=i + 1,
            path=f"/sounds/folder {i % 3}/sound {i:03d}.wav",
            score=0.9 - 0.8 * i / max(1, count),
            start_s=float(i % 5),
            end_s=i % 5 + 10.0,
            duration_s=20.0 + i,
        )
        for i in range(count)
    )


def make_folder(
    folder_id: int = 1,
    path: str = "/sounds",
    sounds: int = 100,
    indexed: int = 100,
    failed: int = 0,
    missing: int = 0,
    available: bool = True,
) -> Folder:
    """A folder, by default wholly indexed."""
    return Folder(folder_id, Path(path), sounds, indexed, failed, missing, available)


def make_status(indexed: int = 100) -> LibraryStatus:
    """Counts of a library."""
    return LibraryStatus(Path("/library.foundsound"), "pack", "0" * 64, {SoundState.INDEXED: indexed}, indexed, 4096)


def opened(*folders: Folder, read_only: bool = False) -> LibraryOpened:
    """The event of an open library with these folders."""
    return LibraryOpened(make_status(sum(folder.indexed for folder in folders)), folders, read_only)


READY = EncoderReady("pack", "cpu")
