"""What the tests of the command line share: a pack, sounds, and libraries empty and filled."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.__main__ import main
from tests.engine.command_line import Cli, make_sounds
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
