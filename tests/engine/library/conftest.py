"""Sounds and libraries that the store's tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.library.connections import connections as connections
from tests.engine.library.library import index_folder, open_library, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with three different sounds."""
    for name in ("creak.wav", "doors/slam.wav", "rain.wav"):
        write(tmp_path / "sounds" / name, f"the sound of {name}")
    return tmp_path / "sounds"


@pytest.fixture
def dozen(tmp_path: Path) -> Path:
    """A folder with twelve different sounds."""
    for number in range(12):
        write(tmp_path / "sounds" / f"{number:02d}.wav", f"the sound of number {number}")
    return tmp_path / "sounds"


@pytest.fixture
def library(tmp_path: Path, dozen: Path) -> Path:
    """A library with the dozen, closed."""
    path = tmp_path / "library.foundsound"
    store = open_library(path)
    index_folder(store, dozen)
    store.close()
    return path
