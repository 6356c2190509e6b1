"""Run a piece of Python as a user who may do less: root, who runs many a test, may read anything."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65_534

needs_permissions = pytest.mark.skipif(os.name == "nt", reason="Windows has no such file permissions")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that all users may read; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


def run_unprivileged(imports: str, code: str, *arguments: Path) -> list[str]:
    """Lines that ``code`` prints; ``imports`` run before privileges are dropped, ``arguments`` are in ``sys.argv``."""
    drop = f"import os\nif os.geteuid() == 0:\n    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\n{imports}\n{drop}{code}", *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()
