"""Workers end with their pool and with the app, and are modest while they live."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.indexing.decode_pool import NICENESS, DecodePool, Job
from tests.engine.indexing.pools import (
    OPTIONS,
    PATIENCE_S,
    is_running,
    linux_only,
    poll_until,
    run,
    wait_until,
)
from tests.sounds import noise, write_sound


@linux_only
@pytest.mark.parametrize("state", ["unused", "starting", "idle", "decoding", "held back", "hanging"])
def test_close_leaves_nothing_behind(endless: Path, tmp_path: Path, state: str) -> None:
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    pool = DecodePool(OPTIONS, workers=2, buffer_s=1 if state == "held back" else 240)
    short = write_sound(tmp_path / "a.wav", noise(0.1))
    if state == "starting":
        pool.submit(Job(0, short))
    elif state != "unused":
        run(pool, *(Job(i, short) for i in range(30)))
    if state in ("decoding", "held back", "hanging"):
        for i in range(5):
            pool.submit(Job(i, endless))
        poll_until(pool, lambda messages: bool(messages))
    pids = pool.worker_pids()
    if state == "hanging":
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    pool.close()
    pool.close()
    assert not any(is_running(pid) for pid in pids)
    assert pool.worker_pids() == []
    assert threading.active_count() == threads
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 1  # multiprocessing's resource tracker keeps one
    assert pool.poll(PATIENCE_S) == []
    with pytest.raises(RuntimeError):
        pool.submit(Job(1, short))


def test_a_pool_that_is_dropped_closes(tmp_path: Path) -> None:
    threads = threading.active_count()
    pool = DecodePool(OPTIONS, workers=2)
    run(pool, Job(1, write_sound(tmp_path / "a.wav", noise())))
    assert threading.active_count() == threads + 3, "two that talk to workers, and the watchdog"
    del pool
    assert threading.active_count() == threads


SCRIPT = """
import sys, time
from pathlib import Path
from engine.media.decode import DecodeOptions
from engine.indexing.decode_pool import DecodePool, Job

class Hang:
    def stat(self):
        time.sleep(1000)

if __name__ == "__main__":
    pool = DecodePool(DecodeOptions(8_000, 8_000), workers=2)
    for i in range(20):
        pool.submit(Job(i, Path(sys.argv[1])))
    while len(pool.worker_pids()) < 2 or not pool.poll(0.1):
        pass
    if sys.argv[2] == "hang":
        pool.close()
        pool = DecodePool(DecodeOptions(8_000, 8_000), workers=2)
        for i in range(2):
            pool.submit(Job(i, Path(__file__), fingerprint_only=True))
        while pool.in_flight:
            pool.poll(0.1)
        for i in range(2):
            pool.submit(Job(i, Hang()))
    print(*pool.worker_pids(), "torch" in sys.modules, flush=True)
    if sys.argv[2] != "end":
        time.sleep(1000)
"""


def start_script(tmp_path: Path, sound: Path, what: str) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(script), str(sound), what],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_interpreter_ends_in_peace_though_the_pool_was_not_closed(endless: Path, tmp_path: Path) -> None:
    process = start_script(tmp_path, endless, "end")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    first, second, torch_loaded = out.split()
    assert torch_loaded == "False"
    if sys.platform == "linux":
        assert not is_running(int(first))
        assert not is_running(int(second))


@linux_only
@pytest.mark.parametrize("work", ["decode", "hang"])
def test_workers_end_when_the_app_is_killed(endless: Path, tmp_path: Path, work: str) -> None:
    with start_script(tmp_path, endless, work) as process:
        assert process.stdout is not None
        first, second, _ = process.stdout.readline().split()
        assert is_running(int(first))
        process.kill()
        wait_until(lambda: not is_running(int(first)) and not is_running(int(second)))


@linux_only
def test_workers_are_modest(pool: DecodePool, tmp_path: Path) -> None:
    """They ignore Ctrl+C, which the terminal sends to all; give way to others; and never load torch or SQLite."""
    path = write_sound(tmp_path / "a.opus", noise(1.0, 48_000), 48_000)
    run(pool, *(Job(i, path) for i in range(20)))
    pids = pool.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGINT)
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
        loaded = Path(f"/proc/{pid}/maps").read_text()
        assert "soundfile" in loaded or "sndfile" in loaded
        assert "torch" not in loaded
        assert "sqlite" not in loaded
        assert "PySide6" not in loaded
    run(pool, *(Job(i, path) for i in range(20)))
    assert sorted(pool.worker_pids()) == sorted(pids)
