"""The way to the loudspeaker: PortAudio's devices and one output stream that a Mixer fills.

PortAudio is not thread-safe and on Windows its devices belong to the thread that initialised it. So every method of
AudioOutput is called from one thread, which is not the UI thread: loading the library, listing devices and opening a
stream can each take a second.
"""

from __future__ import annotations

import atexit
import logging
import platform
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from desktop.playback.audio_trial import require_audio_to_start
from desktop.playback.mixer import Mixer
from desktop.playback.track import StreamFormat
from engine.errors import ErrorKind, KnownError

LATENCY_S: Final = 0.05  # short enough to feel immediate, long enough for a Python callback beside busy threads
QUIET_WAIT_S: Final = 0.1
NATIVE_RATES_HZ: Final = range(8_000, 192_001)
MAX_CHANNELS: Final = 2

# Windows shows each device once per sound system; these three are the older ways to reach what WASAPI offers.
PREFERRED_HOST: Final = "Windows WASAPI"
SUPERSEDED_HOSTS: Final = frozenset({"MME", "Windows DirectSound", "Windows WDM-KS"})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutputDevice:
    """A device that can play, known by name and sound system; ``id`` is PortAudio's number for it until a rescan."""

    name: str
    host: str
    id: int = field(compare=False)


@dataclass(frozen=True)
class Outputs:
    """What there is to play on: devices, or the reason why there is none."""

    devices: tuple[OutputDevice, ...] = ()
    problem: KnownError | None = None


class AudioOutput:
    """Owns PortAudio and the output stream.

    ``outputs`` and ``lost`` may be read, and ``abandon`` called, from any thread.

    Args:
        mixer: Fills the stream's buffers on PortAudio's own thread.
    """

    def __init__(self, mixer: Mixer) -> None:
        self.outputs = Outputs()
        self.lost = False
        self._mixer = mixer
        self._sd: Any = None
        self._trial_failed = False
        self._chosen: OutputDevice | None = None
        self._stream: Any = None
        self._stream_id = -1
        self._stream_format: StreamFormat | None = None
        self._known_rates_hz: dict[tuple[int, int], int] = {}  # (device, asked for) -> opened at
        self._stopping = False

    def rescan(self) -> None:
        """Look for devices anew, loading PortAudio if need be. Closes the stream. ``outputs`` tells the result."""
        self._close_stream()
        self._known_rates_hz.clear()
        self._trial_failed = False
        try:
            self._restart_portaudio()
            devices = self._list_devices()
        except KnownError as problem:
            self.outputs = Outputs(problem=problem)
        else:
            self.outputs = Outputs(devices, problem=None if devices else _no_device())

    def choose(self, device: OutputDevice | None) -> None:
        """Play on ``device`` from the next ``prepare`` on; None means the system's default."""
        self._chosen = device

    def prepare(self, sample_rate_hz: int) -> StreamFormat:
        """Have a stream running on the chosen device, at this rate if the device takes it.

        A stream that fits is kept. Devices come and go, so a failure is believed only after a rescan. But audio that
        failed its trial, which may take long, is tried again only by ``rescan``.

        Raises:
            KnownError: ``audio_unavailable``, ``audio_no_device`` or ``audio_device_failed``.
        """
        if not self._trial_failed and (self._sd is None or self.lost or self.outputs.problem):
            self.rescan()
        try:
            return self._run_stream(sample_rate_hz)
        except KnownError as error:
            if error.kind != ErrorKind.AUDIO_DEVICE_FAILED:
                raise
            log.info("Looking for devices again: %s", error.detail)
        self.rescan()
        return self._run_stream(sample_rate_hz)

    def rest(self) -> None:
        """Stop the stream, so that an idle app uses no processor and lets the device sleep; ``prepare`` goes on."""
        if self._stream is not None:
            self._stop_stream()

    def drop(self) -> None:
        """Give up the stream after its device failed. The next ``prepare`` begins with a rescan."""
        self._close_stream()
        self.lost = True

    def close(self) -> None:
        """Close the stream and PortAudio."""
        self._close_stream()
        if self._sd is not None:
            while self._sd._initialized:
                self._sd._terminate()

    def abandon(self) -> None:
        """After ``close`` hung: keep the end of the program from waiting for the device as well."""
        if self._sd is not None:
            atexit.unregister(self._sd._exit_handler)

    def _restart_portaudio(self) -> None:
        """Initialise PortAudio, which is the only time when it looks for devices."""
        if self._sd is None and "sounddevice" not in sys.modules:
            self._try_audio()
        try:
            import sounddevice  # here, because importing it loads and initialises PortAudio

            self._sd = sounddevice
            while sounddevice._initialized:
                sounddevice._terminate()
            sounddevice._initialize()
        except OSError as error:
            detail = f"The sound library PortAudio is missing or does not load: {error}."
            raise KnownError(ErrorKind.AUDIO_UNAVAILABLE, detail, _how_to_get_portaudio()) from error
        except Exception as error:
            if type(error).__name__ != "PortAudioError":  # raised by the import itself, the class cannot be had
                raise
            detail = f"The system's audio does not start: {error}."
            raise KnownError(
                ErrorKind.AUDIO_UNAVAILABLE, detail, "Restart the computer's audio and try again."
            ) from error

    def _try_audio(self) -> None:
        try:
            require_audio_to_start()
        except KnownError:
            self._trial_failed = True
            raise

    def _list_devices(self) -> tuple[OutputDevice, ...]:
        hosts = [host["name"] for host in self._sd.query_hostapis()]
        found = [
            OutputDevice(device["name"], hosts[device["hostapi"]], device["index"])
            for device in self._sd.query_devices()
            if device["max_output_channels"] > 0
        ]
        if any(device.host == PREFERRED_HOST for device in found):
            found = [device for device in found if device.host not in SUPERSEDED_HOSTS]
        return tuple(found)

    def _find_chosen(self) -> int:
        """PortAudio's number of the device to play on."""
        if self.outputs.problem is not None:
            raise self.outputs.problem
        chosen = self._chosen
        if chosen is None:
            return self._find_default()
        if chosen in self.outputs.devices:
            return self.outputs.devices[self.outputs.devices.index(chosen)].id
        raise KnownError(
            ErrorKind.AUDIO_DEVICE_FAILED,
            f"The output device “{chosen.name}” is not there.",
            "Connect it or choose another output device.",
        )

    def _find_default(self) -> int:
        listed = {device.id for device in self.outputs.devices}
        hosts = sorted(self._sd.query_hostapis(), key=lambda host: bool(host["name"] != PREFERRED_HOST))
        defaults = [self._sd.default.device["output"], *(host["default_output_device"] for host in hosts)]
        return next((int(number) for number in defaults if number in listed), self.outputs.devices[0].id)

    def _run_stream(self, sample_rate_hz: int) -> StreamFormat:
        device_id = self._find_chosen()
        rate_hz = self._known_rates_hz.get((device_id, sample_rate_hz), sample_rate_hz)
        stream_format = self._stream_format
        if stream_format is None or (self._stream_id, stream_format.sample_rate_hz) != (device_id, rate_hz):
            self._close_stream()
            stream_format = self._open_stream(device_id, rate_hz)
            self._known_rates_hz[device_id, sample_rate_hz] = stream_format.sample_rate_hz
        if not self._stream.active:
            self._start_stream()
        return stream_format

    def _open_stream(self, device_id: int, rate_hz: int) -> StreamFormat:
        """Open a stream at ``rate_hz``, or else at the device's own rate."""
        info = self._sd.query_devices(device_id)
        channels = min(MAX_CHANNELS, info["max_output_channels"])
        default_hz = round(info["default_samplerate"])
        candidates_hz = (rate_hz, default_hz) if rate_hz in NATIVE_RATES_HZ else (default_hz,)
        for candidate_hz in candidates_hz:
            try:
                self._stream = self._sd.OutputStream(
                    samplerate=candidate_hz,
                    device=device_id,
                    channels=channels,
                    dtype="float32",
                    latency=LATENCY_S,
                    callback=self._fill,
                    finished_callback=self._on_finished,
                )
            except self._sd.PortAudioError as error:
                log.info("%s does not open at %d Hz: %s", info["name"], candidate_hz, error)
                reason = error
            else:
                self._stream_id = device_id
                self._stream_format = StreamFormat(candidate_hz, channels, self._stream.latency)
                self._mixer.configure(self._stream_format)
                return self._stream_format
        raise _device_failed(info["name"], reason)

    def _start_stream(self) -> None:
        self.lost = False
        self._stopping = False
        try:
            if not self._stream.stopped:
                self._stream.stop()
            self._stream.start()
        except self._sd.PortAudioError as error:
            name = self._sd.query_devices(self._stream_id)["name"]
            self._close_stream()
            raise _device_failed(name, error) from error

    def _stop_stream(self) -> None:
        """Stop without a click: first let the mixer fade out and let what it wrote be heard."""
        if self._stream.active:
            give_up_s = time.perf_counter() + QUIET_WAIT_S
            while not self._mixer.quiet and time.perf_counter() < give_up_s:
                time.sleep(0.002)
            unheard_s = self._mixer.sounded_at_s + self._stream.latency - time.perf_counter()
            time.sleep(min(max(unheard_s, 0.0), QUIET_WAIT_S))
        self._stopping = True
        self._stream.abort()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stop_stream()
            self._stream.close()
            self._stream = None
            self._stream_format = None

    def _fill(self, out: NDArray[np.float32], _frames: int, _time: Any, _status: Any) -> None:
        """PortAudio's callback, on PortAudio's thread: never locks, waits, or reads a file."""
        try:
            self._mixer.fill(out)
        except Exception as bug:
            self._mixer.bug = bug
            raise self._sd.CallbackAbort from bug

    def _on_finished(self) -> None:
        """PortAudio calls this when the stream has ended, whoever stopped it."""
        self.lost = not self._stopping


def _no_device() -> KnownError:
    return KnownError(
        ErrorKind.AUDIO_NO_DEVICE,
        "This computer has no device to play sound on.",
        "Connect headphones or a loudspeaker and try again.",
    )


def _device_failed(name: str, reason: Exception) -> KnownError:
    return KnownError(
        ErrorKind.AUDIO_DEVICE_FAILED,
        f"The output device “{name}” does not work: {reason}.",
        "Check its connection or choose another output device.",
    )


def _how_to_get_portaudio() -> str:
    if platform.system() == "Linux":
        return "Install libportaudio2 (on Debian: sudo apt install libportaudio2) and start Foundsound again."
    return "Install Foundsound again; searching works without it."
