"""The pool decodes in other processes, and neither crashes nor hangs of theirs cost more than a file."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from engine import processes
from engine.errors import KnownError
from engine.indexing import decode_pool as workers
from engine.indexing.decode_pool import JOBS_AHEAD, DecodePool, Job, _work
from engine.media.decode import Block, DecodeOptions, SoundInfo, decode, fingerprint_file
from tests.engine.indexing.pools import (
    OPTIONS,
    PATIENCE_S,
    ends,
    is_running,
    linux_only,
    poll_until,
    posix_only,
    run,
    wait_until,
)
from tests.sounds import noise, write_sound, write_sparse, write_text


def test_results_are_those_of_decode(pool: DecodePool, tmp_path: Path) -> None:
    jobs = [
        Job(10 + i, write_sound(tmp_path / f"{i}.wav", noise(0.5 + i, seed=i, channels=1 + i % 2))) for i in range(6)
    ]
    results = run(pool, *jobs)
    assert sorted(results) == [10, 11, 12, 13, 14, 15]
    for job in jobs:
        *blocks, info = decode(job.path, OPTIONS)
        assert results[job.job_id][-1] == info
        assert [block.index for block in results[job.job_id][:-1]] == list(range(len(blocks)))
        for got, block in zip(results[job.job_id], blocks, strict=False):
            np.testing.assert_array_equal(got.waveform, cast("Block", block).waveform)


def test_fingerprint_only(pool: DecodePool, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise())
    assert run(pool, Job(1, path, fingerprint_only=True)) == {1: [fingerprint_file(path)]}


def test_a_bad_file_is_a_message(pool: DecodePool, tmp_path: Path) -> None:
    good, bad = write_sound(tmp_path / "good.wav", noise()), write_text(tmp_path / "bad.wav")
    results = run(pool, Job(1, bad), Job(2, good), Job(3, tmp_path / "gone.wav", fingerprint_only=True))
    assert [result.kind for result in results[1]] == ["sound_unreadable"]
    assert isinstance(results[2][-1], SoundInfo)
    assert [result.kind for result in results[3]] == ["sound_vanished"]


def test_capacity_keeps_some_jobs_ahead(pool: DecodePool, tmp_path: Path) -> None:
    assert (pool.capacity, pool.in_flight) == (2 * JOBS_AHEAD, 0)
    path = write_sound(tmp_path / "a.wav", noise(0.01))
    for i in range(2 * JOBS_AHEAD):
        pool.submit(Job(i, path))
    assert pool.in_flight == 2 * JOBS_AHEAD
    wait_until(lambda: pool.capacity == 2 * JOBS_AHEAD)
    assert pool.in_flight == 2 * JOBS_AHEAD  # decoded, not collected
    poll_until(pool, lambda messages: len(messages) == 4 * JOBS_AHEAD)
    assert pool.in_flight == 0


def test_a_long_sound_does_not_hold_up_those_after_it(pool: DecodePool, endless: Path, tmp_path: Path) -> None:
    short = write_sound(tmp_path / "a.wav", noise(0.1))
    pool.submit(Job(0, endless))
    for i in range(1, 20):
        pool.submit(Job(i, short))
    messages = poll_until(pool, lambda messages: all(ends(messages, i) for i in range(1, 20)))
    assert not ends(messages, 0)


def test_workers_wait_when_nobody_collects(tmp_path: Path) -> None:
    pool = DecodePool(OPTIONS, workers=2, buffer_s=5)
    endless = write_sparse(tmp_path / "endless.wav", 20 * 3600.0, 8_000)
    short = write_sound(tmp_path / "a.wav", noise(0.1))
    pool.submit(Job(0, endless))
    for i in range(1, 1_000):
        pool.submit(Job(i, short, fingerprint_only=True))
    wait_until(lambda: pool.capacity == 2 * JOBS_AHEAD - 1)  # the other worker hashed a thousand files meanwhile
    for _ in range(3):
        blocks = [result for _, result in pool.poll(PATIENCE_S) if isinstance(result, Block)]
        assert 1 <= len(blocks) <= 5
    pool.close()


@posix_only
def test_a_crash_costs_one_sound(endless: Path, tmp_path: Path) -> None:
    pool = DecodePool(OPTIONS, workers=1)
    jobs = [Job(i, write_sound(tmp_path / f"{i}.wav", noise(0.1, seed=i))) for i in range(1, 5)]
    pool.submit(Job(0, endless))
    for job in jobs:
        pool.submit(job)
    messages = poll_until(pool, lambda messages: bool(messages))
    (pid,) = pool.worker_pids()
    os.kill(pid, signal.SIGSEGV)
    messages += poll_until(pool, lambda _: pool.in_flight == 0)
    (error,) = ends(messages, 0)
    assert error.kind == "sound_crashed"
    assert str(endless) in error.detail
    for job in jobs:
        assert isinstance(ends(messages, job.job_id)[0], SoundInfo)
    assert pool.worker_pids() != [pid]
    pool.close()


@linux_only
@pytest.mark.parametrize("seen", [True, False])
def test_a_worker_that_dies_idle_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, seen: bool
) -> None:
    """Whether its death shows before the next job is handed to it or only then."""
    pool = DecodePool(OPTIONS, workers=1)
    path = write_sound(tmp_path / "a.wav", noise())
    run(pool, Job(1, path))
    (pid,) = pool.worker_pids()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
    if not seen:
        monkeypatch.setattr(SpawnProcess, "is_alive", lambda _: True)
    assert isinstance(run(pool, Job(2, path))[2][-1], SoundInfo)
    assert pool.worker_pids() != [pid]
    assert ("ended with exit code -9 before" in caplog.text) != seen
    pool.close()


@posix_only
@pytest.mark.parametrize("last", [signal.SIGKILL, None], ids=["dies", "hangs"])
def test_a_worker_that_never_takes_a_job_does_not_cost_it(tmp_path: Path, last: signal.Signals | None) -> None:
    pool = DecodePool(OPTIONS, workers=1, time_limit_s=3.0)
    path = write_sound(tmp_path / "a.wav", noise())
    run(pool, Job(1, path))
    (pid,) = pool.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    pool.submit(Job(2, path))
    assert pool.poll(0.5) == []  # the job lies in the pipe
    if last is not None:
        os.kill(pid, last)
    assert isinstance(run(pool)[2][-1], SoundInfo)
    assert pool.worker_pids() != [pid]
    pool.close()


def test_workers_that_never_take_a_job_are_no_fault_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_work", _work_never)
    pool = DecodePool(OPTIONS, workers=1)
    pool.submit(Job(1, write_sound(tmp_path / "a.wav", noise())))
    with pytest.raises(KnownError, match="ended with exit code 4") as caught:
        poll_until(pool, lambda _: False)
    assert caught.value.kind == "workers_unavailable"
    pool.close()


def _work_never(connection: Connection, _: DecodeOptions) -> None:
    """Life of a process that ends as soon as there is something to do."""
    connection.send(None)
    connection.poll(PATIENCE_S)
    os._exit(4)


@posix_only
def test_a_worker_that_is_killed_while_it_starts_costs_at_most_one_sound(tmp_path: Path) -> None:
    """As the system does where memory is short; which moment of its start the kill hits does not matter."""
    sounds = [write_sound(tmp_path / f"{number}.wav", noise()) for number in range(3)]
    pool = DecodePool(OPTIONS, workers=1)
    for number, sound in enumerate(sounds):
        pool.submit(Job(number, sound))
    wait_until(lambda: bool(pool.worker_pids()))
    os.kill(pool.worker_pids()[0], signal.SIGKILL)
    messages = poll_until(pool, lambda messages: sum(len(ends(messages, number)) for number in range(3)) == 3)
    assert all(isinstance(ends(messages, number)[0], SoundInfo) for number in (1, 2))
    pool.close()


@posix_only
def test_a_hang_costs_one_sound(endless: Path, tmp_path: Path) -> None:
    pool = DecodePool(OPTIONS, workers=1, time_limit_s=3.0)
    path = write_sound(tmp_path / "a.wav", noise())
    pool.submit(Job(1, endless))
    poll_until(pool, bool)
    (pid,) = pool.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    results = run(pool, Job(2, path))
    assert results[1][-1].kind == "sound_timeout"
    assert "3 second" in results[1][-1].detail
    assert isinstance(results[2][-1], SoundInfo)
    if sys.platform == "linux":
        assert not is_running(pid)
    pool.close()


@posix_only
def test_a_worker_that_stops_in_mid_message_costs_one_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sound(tmp_path / "a.wav", noise())
    with monkeypatch.context() as patch:
        patch.setattr(workers, "_work", _work_until_mid_message)
        pool = DecodePool(OPTIONS, workers=1, time_limit_s=1.0)
        pool.submit(Job(1, path))
        messages = poll_until(pool, lambda messages: bool(ends(messages, 1)))
    assert [result.kind for result in ends(messages, 1)] == ["sound_timeout"]
    assert isinstance(run(pool, Job(2, path))[2][-1], SoundInfo)
    pool.close()


def _work_until_mid_message(connection: Connection, _: DecodeOptions) -> None:
    """Life of a process that takes a job, begins to answer, and stops."""
    connection.send(None)
    connection.recv()
    connection.send(None)
    os.write(connection.fileno(), struct.pack("!i", 10_000_000) + bytes(1000))
    signal.pause()


def test_silence_is_no_fault_while_nobody_takes_what_a_worker_says(endless: Path) -> None:
    pool = DecodePool(OPTIONS, workers=1, time_limit_s=1.0, buffer_s=1)
    pool.submit(Job(1, endless))
    poll_until(pool, bool)
    (pid,) = pool.worker_pids()
    time.sleep(2.0)  # twice the limit, in which the worker can say nothing: the buffer is full
    messages = poll_until(pool, lambda messages: len(messages) > 3)
    assert not ends(messages, 1)
    assert pool.worker_pids() == [pid]
    pool.close()


@pytest.mark.parametrize("fingerprint_only", [False, True])
def test_slow_work_gives_signs_of_life(endless: Path, tmp_path: Path, fingerprint_only: bool) -> None:
    """A block or a hash may take longer than the limit, as on a slow network drive, while reading goes on."""
    if fingerprint_only:
        with endless.open("r+b") as file:
            file.truncate(20 * 2**30)
    context = multiprocessing.get_context("spawn")
    connection, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, DecodeOptions(8_000, 10**10)))
    process.start()
    theirs.close()
    assert connection.poll(PATIENCE_S)
    assert connection.recv() is None  # ready
    connection.send(Job(1, endless, fingerprint_only))
    for _ in range(3):  # taken, and two signs of life
        assert connection.poll(PATIENCE_S)
        assert connection.recv() is None
    connection.close()
    process.kill()
    process.join()
    process.close()


def test_a_bug_is_logged_with_its_traceback_and_costs_one_sound(
    pool: DecodePool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = write_sound(tmp_path / "good.wav", noise())
    with caplog.at_level(logging.ERROR):
        results = run(pool, Job(1, cast("Path", "no Path")), Job(2, good))
    assert [result.kind for result in results[1]] == ["sound_crashed"]
    assert isinstance(results[2][-1], SoundInfo)
    assert "AttributeError: 'str' object has no attribute" in caplog.text


class Deadly:
    """Options that end the process that unpickles them."""

    sample_rate_hz = 8_000

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (3,)


def test_workers_that_cannot_start_are_no_fault_of_a_file(tmp_path: Path) -> None:
    pool = DecodePool(cast("DecodeOptions", Deadly()), workers=1)
    pool.submit(Job(1, tmp_path / "a.wav"))
    with pytest.raises(KnownError, match="exit code 3") as caught:
        poll_until(pool, lambda _: False)
    assert caught.value.kind == "workers_unavailable"
    pool.close()


def test_where_no_process_can_be_started_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: SpawnProcess) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(SpawnProcess, "start", fail)
    pool = DecodePool(OPTIONS, workers=2)
    pool.submit(Job(1, tmp_path / "a.wav"))
    with pytest.raises(KnownError, match="Too many open files") as caught:
        poll_until(pool, lambda _: False)
    assert caught.value.kind == "workers_unavailable"
    pool.close()
    assert pool.worker_pids() == []


def test_processes_start_and_end_one_at_a_time_in_all_of_the_app(tmp_path: Path) -> None:
    """multiprocessing polls all children when it starts one: no other thread may be ending one meanwhile."""
    pools = [DecodePool(OPTIONS, workers=1) for _ in range(2)]
    path = write_sound(tmp_path / "a.wav", noise(0.1))
    with processes.LOCK:
        for pool in pools:
            pool.submit(Job(0, path))
            assert pool.poll(0.1) == []
            assert pool.worker_pids() == []
    for pool in pools:
        assert list(run(pool)) == [0]
        pool.close()
