"""The ring keeps every frame, in order, also between two threads."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from desktop.playback.ring import Ring


def frames(start: int, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.arange(start, start + count, dtype=np.float32)[:, np.newaxis] * np.ones((1, 2), dtype=np.float32)


@given(capacity=st.integers(1, 20), moves=st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=40))
def test_behaves_like_a_bounded_queue(capacity: int, moves: list[tuple[bool, int]]) -> None:
    ring = Ring(capacity, 2)
    written = consumed = 0
    for writes, count in moves:
        if writes:
            accepted = ring.write(frames(written, count))
            assert accepted == min(count, capacity - (written - consumed))
            written += accepted
        else:
            out = np.full((count, 2), -1, dtype=np.float32)
            got = ring.read_into(out)
            assert got == min(count, written - consumed)
            np.testing.assert_array_equal(out[:got], frames(consumed, got))
            assert (out[got:] == -1).all()
            consumed += got
        assert (ring.readable, ring.writable) == (written - consumed, capacity - written + consumed)
        assert ring.consumed == consumed


def test_one_thread_writes_while_another_reads() -> None:
    total = 200_000
    ring = Ring(997, 2)

    def write() -> None:
        position = 0
        while position < total:
            position += ring.write(frames(position, min(313, total - position)))

    writer = threading.Thread(target=write)
    writer.start()
    position = 0
    out = np.zeros((101, 2), dtype=np.float32)
    while position < total:
        got = ring.read_into(out)
        np.testing.assert_array_equal(out[:got], frames(position, got))
        position += got
    writer.join()
