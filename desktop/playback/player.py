"""Plays one sound at a time: what the rest of the desktop sees of audio.

Three threads stand behind it. A reader thread opens and reads files (they may lie on a slow drive), one audio thread
owns PortAudio, and PortAudio's own thread runs the callback. None of them calls into Qt: a timer looks how far they
came about 30 times a second while there is something to see.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from enum import StrEnum
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from desktop.playback.audio_output import AudioOutput, OutputDevice, Outputs
from desktop.playback.mixer import Mixer
from desktop.playback.sound_reader import SoundReader
from desktop.playback.track import StreamFormat, Track
from desktop.playback.worker import Worker
from engine.errors import ErrorKind, KnownError

LOOK_MS: Final = 33
LOOK_LOADING_MS: Final = 10
IDLE_S: Final = 5.0  # the stream runs on for so long, so that the next sound of an audition starts at once
STALL_S: Final = 3.0
STUCK_S: Final = 1.0
CLOSE_WAIT_S: Final = 2.0

log = logging.getLogger(__name__)


class PlayerState(StrEnum):
    """What the player is doing. LOADING lasts from ``play`` until the first frame is heard."""

    STOPPED = "stopped"
    LOADING = "loading"
    PLAYING = "playing"


class Player(QObject):
    """Plays sounds on an output device. Every method returns at once; there is to be one Player in a process.

    PortAudio is loaded when the event loop first runs, in the background; ``devices_changed`` tells when that is done.

    Signals:
        state_changed: the new PlayerState.
        position_changed: where in the file the play head is, in seconds.
        failed: a KnownError that ended or prevented playing: ``audio_unavailable`` (no PortAudio), ``audio_no_device``,
            ``audio_device_failed``, or one of ``engine.media.audio_file.open_audio``.
        devices_changed: ``devices()``, ``available`` or ``problem`` may be different now.

    Args:
        parent: The Qt object that owns the player.
        idle_s: How long the stream goes on after the last sound.
    """

    state_changed = Signal(PlayerState)
    position_changed = Signal(float)
    failed = Signal(KnownError)
    devices_changed = Signal()

    def __init__(self, parent: QObject | None = None, *, idle_s: float = IDLE_S) -> None:
        super().__init__(parent)
        self._state = PlayerState.STOPPED
        self._volume = 1.0
        self._track: Track | None = None
        self._position_s: float | None = None
        self._device: OutputDevice | None = None
        self._refresh_due = False
        self._closed = False
        self._buffers_seen = 0
        self._still_looks = 0

        self._mixer = Mixer()
        self._output = AudioOutput(self._mixer)
        self._outputs_seen: Outputs = self._output.outputs
        self._reader = SoundReader(self._open_stream)
        self._audio_thread = Worker("audio")
        self._jobs: list[Future[None]] = []

        self._look_timer = QTimer(self, interval=LOOK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._look_timer.timeout.connect(self._look)
        self._idle_timer = QTimer(self, interval=round(idle_s * 1000), singleShot=True)
        self._idle_timer.timeout.connect(self._rest)
        QTimer.singleShot(0, self, self.refresh_devices)

    # What there is to see

    @property
    def state(self) -> PlayerState:
        """What the player is doing."""
        return self._state

    @property
    def position_s(self) -> float | None:
        """Where the play head is, None while stopped."""
        return self._position_s

    @property
    def volume(self) -> float:
        """The volume that was set last, 0 to 1."""
        return self._volume

    @property
    def available(self) -> bool:
        """Whether sound can be played as far as is known; True until PortAudio was loaded."""
        return self.problem is None

    @property
    def problem(self) -> KnownError | None:
        """Why nothing can be played: ``audio_unavailable`` or ``audio_no_device``."""
        return self._output.outputs.problem

    def devices(self) -> tuple[OutputDevice, ...]:
        """The devices that can play; empty until PortAudio was loaded."""
        return self._output.outputs.devices

    # What to do

    def play(self, path: Path, start_s: float, duration_s: float | None = None) -> None:
        """Play a file from ``start_s``, for ``duration_s`` or to its end, in place of what plays now."""
        if self._closed:
            return
        self._idle_timer.stop()
        self._leave_track()
        if self._reader.stuck_s() > STUCK_S:
            log.warning("A drive does not answer; reading on in a new thread")
            self._reader.close()
            self._reader = SoundReader(self._open_stream)
        track = Track(path, max(start_s, 0.0), duration_s)
        self._track = self._mixer.wanted = track
        self._still_looks = 0
        self._reader.feed(track)
        self._set_state(PlayerState.LOADING)
        self._watch()
        self._set_position(track, track.start_s)

    def stop(self) -> None:
        """Stop playing."""
        if self._track is None:
            return
        self._leave_track()
        self._track = self._mixer.wanted = None
        self._idle_timer.start()
        self._set_state(PlayerState.STOPPED)

    def set_volume(self, volume: float) -> None:
        """Set the volume, 0 (silent) to 1 (as in the file). Cubic, so that equal steps sound about equal."""
        self._volume = min(max(volume, 0.0), 1.0)
        self._mixer.gain = self._volume**3

    def set_device(self, device: OutputDevice | None) -> None:
        """Play on this device from now on; None is the system's default. What plays now goes on there."""
        if self._closed or device == self._device:
            return
        self._device = device
        self._run(lambda: self._output.choose(device))
        track, position_s = self._track, self._position_s
        if track is not None and position_s is not None:
            left_s = None if track.duration_s is None else max(track.start_s + track.duration_s - position_s, 0.0)
            self.play(track.path, position_s, left_s)

    def refresh_devices(self) -> None:
        """Look for devices anew, once nothing plays: PortAudio can do so only without an open stream."""
        if self._closed:
            return
        if self._track is not None:
            self._refresh_due = True
            return
        self._refresh_due = False
        self._run(self._output.rescan)

    def close(self) -> None:
        """Stop, and give the device back. The player is of no use afterwards."""
        if self._closed:
            return
        self.stop()
        self._closed = True
        self._idle_timer.stop()
        self._look_timer.stop()
        self._reader.close()
        closing = self._audio_thread.submit(self._output.close)
        self._audio_thread.close()
        if wait([closing], timeout=CLOSE_WAIT_S).not_done:
            log.warning("The output device does not answer; leaving it open")
            self._output.abandon()
        else:
            closing.result()

    # Behind the scenes

    def _open_stream(self, track: Track, sample_rate_hz: int) -> StreamFormat | None:
        """The reader's way to the audio thread."""

        def prepare() -> StreamFormat | None:
            return None if track.cancelled.is_set() else self._output.prepare(sample_rate_hz)

        return None if track.cancelled.is_set() else self._audio_thread.submit(prepare).result()

    def _run(self, job: Callable[[], None]) -> None:
        """Run a job on the audio thread."""
        self._jobs.append(self._audio_thread.submit(job))
        self._watch()

    def _rest(self) -> None:
        self._run(self._output.rest)

    def _watch(self) -> None:
        self._look_timer.start(LOOK_LOADING_MS if self._state is PlayerState.LOADING or self._jobs else LOOK_MS)

    def _look(self) -> None:
        """See how far the other threads came, and tell."""
        self._look_at_jobs()
        if self._track is not None:
            self._look_at(self._track)
        if self._track is not None or self._jobs:
            self._watch()
        elif self._refresh_due:
            self.refresh_devices()
        else:
            self._look_timer.stop()
        if self._output.outputs is not self._outputs_seen:
            self._outputs_seen = self._output.outputs
            self.devices_changed.emit()

    def _look_at_jobs(self) -> None:
        done = [job for job in self._jobs if job.done()]
        self._jobs = [job for job in self._jobs if job not in done]
        for job in done:
            job.result()

    def _look_at(self, track: Track) -> None:
        now_s = time.perf_counter()
        error = track.error or self._mixer.bug or self._device_error(track)
        if error is not None:
            self._fail(error)
            return
        if track.block is not None:
            self._set_state(PlayerState.PLAYING)
            self._set_position(track, track.heard_s(now_s))
        if track.is_over(now_s) and self._track is track:
            self.stop()

    def _device_error(self, track: Track) -> KnownError | None:
        """The device failed if PortAudio ended the stream, or if it asks for no more frames."""
        if track.format is None or track.finished_at_s is not None:
            return None
        moved = self._mixer.buffers != self._buffers_seen
        self._buffers_seen = self._mixer.buffers
        self._still_looks = 0 if moved else self._still_looks + 1
        # Counted in looks, not by the clock, which goes on while the computer sleeps.
        if not self._output.lost and self._still_looks * self._look_timer.interval() < STALL_S * 1000:
            return None
        self._run(self._output.drop)
        return KnownError(
            ErrorKind.AUDIO_DEVICE_FAILED,
            "The output device stopped playing; it may have been disconnected.",
            "Check its connection or choose another output device, then play the sound again.",
        )

    def _fail(self, error: Exception) -> None:
        self._mixer.bug = None
        self.stop()
        if not isinstance(error, KnownError):
            raise error
        self.failed.emit(error)

    def _leave_track(self) -> None:
        self._position_s = None
        if self._track is not None:
            self._track.cancelled.set()
            if self._track.gaps:
                log.info("Playing %s ran dry %d times", self._track.path, self._track.gaps)

    def _set_state(self, state: PlayerState) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)

    def _set_position(self, track: Track, position_s: float) -> None:
        """Tell how far the track came, unless a slot replaced it meanwhile. Within one track it never goes back."""
        if self._track is track and (self._position_s is None or position_s > self._position_s):
            self._position_s = position_s
            self.position_changed.emit(position_s)
