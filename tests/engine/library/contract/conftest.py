"""The implementations that the contract is tested on, and the libraries the tests begin with.

A store joins by one line in ``IMPLEMENTATIONS``: a function that opens (and makes) a library at a path.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from engine.library.protocols import Library
from tests.engine.library.library import PACK, FakeVolumes, open_library


class Open(Protocol):
    """Opens the library at a path, for a pack with vectors of length ``DIM``."""

    def __call__(
        self,
        path: Path,
        pack_hash: str = PACK,
        read_only: bool = False,
        busy_timeout_s: float = 0.1,
        volumes: FakeVolumes | None = None,
        lease_s: float = 120.0,
    ) -> Library: ...


IMPLEMENTATIONS: dict[str, Open] = {"sqlite": open_library}


@pytest.fixture(params=IMPLEMENTATIONS)
def open_store(request: pytest.FixtureRequest) -> Open:
    return IMPLEMENTATIONS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the library of the test lies."""
    return tmp_path / "library.foundsound"


@pytest.fixture
def store(open_store: Open, path: Path) -> Iterator[Library]:
    """An empty library."""
    with ExitStack() as stack:
        store = open_store(path)
        stack.callback(store.close)
        yield store


@pytest.fixture
def other(store: Library, open_store: Open, path: Path) -> Iterator[Library]:
    """The same library, open once more."""
    assert store.catalogue
    with ExitStack() as stack:
        other = open_store(path)
        stack.callback(other.close)
        yield other
