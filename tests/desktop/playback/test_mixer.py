"""The callback's work, frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from desktop.playback.mixer import FADE_OUT_S, VOLUME_RAMP_S, Mixer
from desktop.playback.track import StreamFormat, Track

FORMAT = StreamFormat(sample_rate_hz=10_000, channels=2, latency_s=0.0)
FADE_FRAMES = round(FADE_OUT_S * FORMAT.sample_rate_hz)


def ready_track(level: float, frames: int = 20_000, complete: bool = False) -> Track:
    track = Track(Path("a.wav"), 0.0, None)
    track.attach(FORMAT).write(np.full((frames, 2), level, dtype=np.float32))
    track.ready = True
    track.complete = complete
    return track


def fill(mixer: Mixer, frames: int, block: int = 64) -> NDArray[np.float32]:
    out = np.full((frames, 2), np.nan, dtype=np.float32)
    for start in range(0, frames, block):
        mixer.fill(out[start : start + block])
    return out


@pytest.fixture
def mixer() -> Mixer:
    mixer = Mixer()
    mixer.configure(FORMAT)
    return mixer


def test_nothing_wanted_is_silence(mixer: Mixer) -> None:
    assert not fill(mixer, 5000, block=5000).any()


def test_a_track_waits_in_silence_until_it_is_ready(mixer: Mixer) -> None:
    mixer.wanted = track = ready_track(0.5)
    track.ready = False
    assert not fill(mixer, 100).any()
    assert track.gaps == 0
    track.ready = True
    assert (fill(mixer, 100) == 0.5).all()


def test_a_track_for_another_stream_is_not_heard_at_the_wrong_pitch(mixer: Mixer) -> None:
    mixer.wanted = track = Track(Path("a.wav"), 0.0, None)
    track.attach(StreamFormat(20_000, 2, 0.0)).write(np.ones((100, 2), dtype=np.float32))
    track.ready = True
    assert not fill(mixer, 100).any()


@pytest.mark.parametrize("block", [1, 7, 64, 5000])
def test_the_old_track_fades_out_before_the_new_one(mixer: Mixer, block: int) -> None:
    mixer.wanted = ready_track(0.5)
    fill(mixer, 10)
    mixer.wanted = ready_track(-0.25)
    heard = fill(mixer, 200, block)[:, 0]
    np.testing.assert_allclose(heard[:FADE_FRAMES], np.linspace(0.5, 0, FADE_FRAMES), atol=1e-6)
    assert (heard[FADE_FRAMES:] == -0.25).all()


def test_while_one_fades_out_only_the_latest_wanted_follows(mixer: Mixer) -> None:
    mixer.wanted = ready_track(0.5)
    fill(mixer, 10)
    mixer.wanted = ready_track(0.75)
    fill(mixer, FADE_FRAMES // 2, block=4)
    quiet_midway = mixer.quiet
    mixer.wanted = ready_track(-0.25)
    heard = fill(mixer, 200)[:, 0]
    assert (quiet_midway, mixer.quiet) == (False, True)
    assert heard.max() < 0.5
    assert (heard[FADE_FRAMES // 2 :] == -0.25).all()


def test_gaps_are_silent_and_counted_and_the_end_is_no_gap(mixer: Mixer) -> None:
    mixer.wanted = track = ready_track(0.5, frames=50)
    heard = fill(mixer, 100, block=100)
    assert (heard[:50] == 0.5).all()
    assert not heard[50:].any()
    assert track.gaps == 1
    assert not track.is_over(float("inf"))
    assert track.ring is not None
    track.ring.write(np.full((50, 2), 0.25, dtype=np.float32))
    track.complete = True
    heard = fill(mixer, 200, block=100)
    assert (heard[:50] == 0.25).all()
    assert not heard[50:].any()
    assert track.gaps == 1
    assert track.finished_at_s is not None
    assert track.is_over(track.finished_at_s)
    assert not track.is_over(track.finished_at_s - 0.001)


@pytest.mark.parametrize("block", [1, 64, 5000])
def test_volume_moves_in_a_straight_line_of_the_same_slope_for_any_block(mixer: Mixer, block: int) -> None:
    mixer.wanted = ready_track(1.0)
    fill(mixer, 10)
    mixer.gain = 0.5
    ramp_frames = round(VOLUME_RAMP_S * FORMAT.sample_rate_hz / 2)
    heard = fill(mixer, 2 * ramp_frames, block)[:, 1]
    np.testing.assert_allclose(np.diff(heard[:ramp_frames]), -0.5 / ramp_frames, atol=1e-5)
    assert (heard[ramp_frames + 1 :] == 0.5).all()
    mixer.gain = 1.0
    assert (fill(mixer, 2 * ramp_frames, block)[ramp_frames + 1 :] == 1.0).all()


def test_a_track_is_over_once_its_last_frame_has_been_heard() -> None:
    track = Track(Path("a.wav"), 0.0, None)
    track.attach(StreamFormat(10_000, 2, latency_s=0.05)).write(np.ones((100, 2), dtype=np.float32))
    track.ready = track.complete = True
    mixer = Mixer()
    mixer.configure(FORMAT)
    mixer.wanted = track
    fill(mixer, 200, block=200)
    assert track.finished_at_s is not None
    assert not track.is_over(track.finished_at_s + 0.04)  # taken by the device, and still on its way to the ear
    assert track.is_over(track.finished_at_s + 0.06)


def test_position_follows_the_frames_and_the_clock_less_latency() -> None:
    track = Track(Path("a.wav"), 3.0, None)
    assert track.heard_s(0.0) == 3.0
    track.attach(StreamFormat(10_000, 2, latency_s=0.05)).write(np.ones((3000, 2), dtype=np.float32))
    track.ready = True
    mixer = Mixer()
    mixer.configure(FORMAT)
    mixer.wanted = track
    fill(mixer, 2000, block=1000)
    assert track.block is not None
    at_s = track.block.time_s
    assert track.heard_s(at_s) == pytest.approx(3.05)  # frame 1000 began, less 50 ms
    assert track.heard_s(at_s + 0.02) == pytest.approx(3.07)
    assert track.heard_s(at_s + 9.0) == pytest.approx(3.2)  # never beyond what the callback took
