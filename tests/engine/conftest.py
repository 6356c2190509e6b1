"""What several tests of the engine begin with: a pack, sounds, libraries empty and filled, decode workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.commands import main
from engine.indexing.decode_pool import DecodePool
from tests.engine.command_line import Cli, make_sounds
from tests.engine.indexing.pools import OPTIONS
from tests.sounds import write_sparse
from tests.tiny_pack import make_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_pack(tmp_path_factory.mktemp("packs")).folder)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return make_sounds(tmp_path / "sounds")


@pytest.fixture
def cli(tmp_path: Path, pack: str, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(tmp_path / "library.foundsound", pack, capsys)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, pack: str) -> Path:
    """A folder with ``sounds`` and the ``library`` that has them indexed: not to be changed."""
    folder = tmp_path_factory.mktemp("ready")
    with pytest.raises(SystemExit) as ended:
        main(["index", str(make_sounds(folder / "sounds")), "--library", str(folder / "library"), "--pack", pack])
    assert ended.value.code == 0
    return folder


@pytest.fixture
def reader(ready: Path, pack: str, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(ready / "library", pack, capsys)


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(OPTIONS, workers=2)
    yield pool
    pool.close()


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A sound that takes minutes to decode."""
    return write_sparse(tmp_path / "endless.wav", 20 * 3600.0, 8_000)
