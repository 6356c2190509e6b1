"""Windows over a stream of frames."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.indexing.segments import Segment, Windows

FRAME_S = 0.18575963718820862


def _cut(duration_s: float, chunk: int = 7) -> list[Segment]:
    frames = np.arange(max(1, int(duration_s / FRAME_S)), dtype=np.float32)[:, None]
    windows = Windows(10.0, 5.0, FRAME_S)
    segments: list[Segment] = []
    for start in range(0, len(frames), chunk):
        segments += windows.push(frames[start : start + chunk])
    return segments + windows.finish(duration_s)


def test_a_short_sound_is_one_segment_of_its_own_length() -> None:
    (segment,) = _cut(3.7)
    assert (segment.start_s, segment.end_s) == (0.0, 3.7)
    np.testing.assert_array_equal(segment.frames[:, 0], np.arange(19))


def test_a_long_sound_is_cut_into_windows_of_ten_seconds_every_five() -> None:
    segments = _cut(23.0)
    assert [(s.start_s, s.end_s) for s in segments] == [(0.0, 10.0), (5.0, 15.0), (10.0, 20.0), (15.0, 23.0)]
    for segment in segments:
        assert segment.frames[0, 0] * FRAME_S == pytest.approx(segment.start_s, abs=FRAME_S)
        assert segment.frames[-1, 0] * FRAME_S == pytest.approx(segment.end_s, abs=2 * FRAME_S)


def test_a_sliver_past_the_last_window_makes_no_segment() -> None:
    assert len(_cut(10.3)) == 1
    assert len(_cut(10.8)) == 2


@given(st.floats(0.01, 200.0), st.integers(1, 400))
def test_every_moment_is_covered_whatever_the_chunks(duration_s: float, chunk: int) -> None:
    segments = _cut(duration_s, chunk)
    assert segments[0].start_s == 0.0
    for before, after in pairwise(segments):
        assert after.start_s <= before.end_s
        assert after.end_s > before.end_s
    assert duration_s - segments[-1].end_s < 0.5
    assert all(len(segment.frames) and segment.end_s - segment.start_s <= 10.5 for segment in segments)
    whole = _cut(duration_s, 10_000)
    for one, other in zip(segments, whole, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
