"""PortAudio's stream: kept, rested, replaced and given back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from desktop.playback import audio_output
from desktop.playback.audio_output import AudioOutput, OutputDevice
from desktop.playback.mixer import Mixer
from engine.errors import ErrorKind, KnownError
from tests.desktop.playback.audio_device import FIXED_RATE, NO_DEVICE, NULL, use_alsa


@pytest.fixture
def mixer() -> Mixer:
    return Mixer()


@pytest.fixture
def output(mixer: Mixer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AudioOutput]:
    use_alsa(monkeypatch, tmp_path, NULL + FIXED_RATE.format(pcm="{ type null }"))
    output = AudioOutput(mixer)
    yield output
    output.close()


@pytest.fixture
def streams(output: AudioOutput, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The streams that were opened, from first to last."""
    import sounddevice  # needs the devices that ``output`` made

    opened: list[Any] = []
    make = sounddevice.OutputStream

    def note_and_make(**options: Any) -> Any:
        opened.append(make(**options))
        return opened[-1]

    monkeypatch.setattr(sounddevice, "OutputStream", note_and_make)
    return opened


def test_an_idle_stream_rests_and_goes_on_when_it_is_needed(
    qtbot: QtBot, mixer: Mixer, output: AudioOutput, streams: list[Any]
) -> None:
    stream_format = output.prepare(44_100)
    qtbot.waitUntil(lambda: mixer.buffers > 10)
    output.rest()
    buffers = mixer.buffers
    qtbot.wait(50)
    assert mixer.buffers == buffers
    assert not output.lost
    assert output.prepare(44_100) is stream_format
    assert len(streams) == 1
    qtbot.waitUntil(lambda: mixer.buffers > buffers)


def test_a_stream_is_replaced_only_for_another_rate(output: AudioOutput, streams: list[Any]) -> None:
    first = output.prepare(44_100)
    assert (first.sample_rate_hz, first.channels) == (44_100, 2)
    assert 0 < first.latency_s < 0.2
    output.prepare(44_100)
    assert len(streams) == 1
    assert output.prepare(192_000).sample_rate_hz == 192_000
    assert [stream.closed for stream in streams] == [True, False]


def test_a_rate_that_the_device_refuses_is_asked_for_once(output: AudioOutput, streams: list[Any]) -> None:
    output.choose(OutputDevice("fixed", "ALSA", -1))
    assert output.prepare(44_100).sample_rate_hz == 48_000
    assert output.prepare(44_100).sample_rate_hz == 48_000
    assert output.prepare(48_000).sample_rate_hz == 48_000
    assert len(streams) == 1


@pytest.mark.parametrize("rate_hz", [1, 2_822_400])
def test_rates_that_no_device_is_made_for_are_not_tried(output: AudioOutput, rate_hz: int) -> None:
    assert output.prepare(rate_hz).sample_rate_hz == 44_100


def test_a_rescan_sees_what_came_and_what_went(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: AudioOutput
) -> None:
    output.rescan()
    assert {device.name for device in output.outputs.devices} == {"default", "fixed"}
    use_alsa(monkeypatch, tmp_path, NO_DEVICE)
    output.rescan()
    assert output.outputs.devices == ()
    with pytest.raises(KnownError, match="no device") as caught:
        output.prepare(48_000)
    assert caught.value.kind == "audio_no_device"
    use_alsa(monkeypatch, tmp_path, NULL)
    assert output.prepare(48_000).sample_rate_hz == 48_000  # looks by itself
    assert output.outputs.problem is None


def test_close_ends_portaudio_and_a_later_output_starts_it_again(mixer: Mixer, output: AudioOutput) -> None:
    output.prepare(48_000)
    import sounddevice  # now that PortAudio runs

    output.close()
    with pytest.raises(sounddevice.PortAudioError):
        sounddevice.query_devices()
    second = AudioOutput(mixer)
    second.prepare(48_000)
    assert sounddevice.query_devices()
    second.close()
    with pytest.raises(sounddevice.PortAudioError):
        sounddevice.query_devices()


def test_audio_that_does_not_answer_is_tried_again_only_at_a_rescan(
    mixer: Mixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials: list[KnownError] = []

    def wait_in_vain() -> None:
        trials.append(
            KnownError(ErrorKind.AUDIO_UNAVAILABLE, "The system's audio does not answer.", "Check its settings.")
        )
        raise trials[-1]

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(audio_output, "require_audio_to_start", wait_in_vain)
    output = AudioOutput(mixer)
    for _ in range(3):
        with pytest.raises(KnownError, match="does not answer"):
            output.prepare(48_000)
    assert len(trials) == 1
    output.rescan()
    assert len(trials) == 2
    assert output.outputs.problem is trials[1]
    with pytest.raises(KnownError, match="does not answer"):
        output.prepare(48_000)
    assert len(trials) == 2
