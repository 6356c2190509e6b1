"""Other processes that use a library, and are killed at it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def python(code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs code with ``path``-like names already imported; killed at the end if still there."""
    header = "import os, signal, sqlite3, sys\nfrom pathlib import Path\nfrom tests.engine.library.library import *\n"
    process = subprocess.Popen(
        [sys.executable, "-c", header + code], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = process.stdout.readline().strip()
    assert text, "the other process ended early"
    return text


def kill_with_work_in_the_log(library: Path) -> None:
    """Leave the library as a killed process does."""
    with python(f"""
store = open_library(Path({str(library)!r}))
connection = sqlite3.connect({str(library)!r}, isolation_level=None)
connection.execute("UPDATE content SET peaks = x'00'")
print("written", flush=True)
sys.stdin.read()
""") as process:
        assert line(process) == "written"
        process.kill()
        process.wait()
    assert library.with_name(library.name + "-wal").stat().st_size > 0
