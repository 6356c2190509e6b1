"""What the tests of the decode workers share: waiting for results, and looking after processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.indexing.decode_pool import DecodePool, Job, Message
from engine.media.decode import Block, DecodeOptions

OPTIONS = DecodeOptions(sample_rate_hz=8_000, block_samples=8_000)
PATIENCE_S = 100.0

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def poll_until(pool: DecodePool, condition: Callable[[list[Message]], bool]) -> list[Message]:
    """All messages until they satisfy a condition."""
    messages: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while not condition(messages):
        assert time.monotonic() < deadline
        messages += pool.poll(1.0)
    return messages


def run(pool: DecodePool, *jobs: Job) -> dict[int, list[Any]]:
    """Submit jobs, wait for all of them, and sort their results by job."""
    for job in jobs:
        pool.submit(job)
    results: dict[int, list[Any]] = {}
    for job_id, result in poll_until(pool, lambda _: pool.in_flight == 0):
        results.setdefault(job_id, []).append(result)
    return results


def ends(messages: list[Message], job_id: int) -> list[Any]:
    return [result for number, result in messages if number == job_id and not isinstance(result, Block)]


def is_running(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
