"""The command line run in this process, for its tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.cli.commands import main

RATE_HZ = 16_000

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files or names")


def make_sounds(folder: Path) -> Path:
    """A folder with three short sounds and a long one, two of them in a folder inside."""
    (folder / "sub").mkdir(parents=True)
    for index, name in enumerate(["bell.wav", "sub/rain.flac", "sub/door é🚪.ogg"]):
        soundfile.write(
            folder / name, np.random.default_rng(index).standard_normal(RATE_HZ * (index + 1)) * 0.1, RATE_HZ
        )
    soundfile.write(folder / "long.wav", np.random.default_rng(9).standard_normal(RATE_HZ * 47) * 0.1, RATE_HZ)
    return folder


class Cli:
    """Runs commands in this process on one library and pack."""

    def __init__(self, library: Path, pack: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.library = library
        self._options = ["--library", str(library), "--pack", pack]
        self._capsys = capsys

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        with pytest.raises(SystemExit) as caught:
            main([*arguments, *self._options])
        self.out, self.err = self._capsys.readouterr()
        assert caught.value.code == expect, self.err
        return self.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))
