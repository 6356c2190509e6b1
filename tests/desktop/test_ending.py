"""The process ends with its status, whether or not the engine has stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import atexit, logging, sys, threading
from desktop.ending import ENGINE_THREAD, end_process
logging.basicConfig(filename=sys.argv[1])
atexit.register(print, "unwound", flush=True)
ready, busy = threading.Event(), sys.argv[2] == "busy"
def work():
    ready.set()
    if busy:
        threading.Event().wait()
thread = threading.Thread(target=work, name=ENGINE_THREAD, daemon=True)
thread.start()
ready.wait()
if not busy:
    thread.join()
end_process(3)
"""


@pytest.mark.parametrize("state", ["busy", "stopped"])
def test_python_is_unwound_only_when_the_engine_has_stopped(tmp_path: Path, state: str) -> None:
    log = tmp_path / "log"
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, log, state],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (3, "")
    assert result.stdout == ("" if state == "busy" else "unwound\n")
    assert ("still busy" in log.read_text()) == (state == "busy")
