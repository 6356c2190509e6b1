"""The mean of weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import KnownError
from engine.training.soup import main, soup


def test_the_mean_of_half_and_single_precision_without_counters(tmp_path: Path) -> None:
    save_file({"w": torch.tensor([1.0, 2.0]).half()}, tmp_path / "a")
    save_file({"w": torch.tensor([3.0, 5.0]), "steps": torch.tensor(7)}, tmp_path / "b")
    main([str(tmp_path / name) for name in ("new/out", "a", "b")])
    found = load_file(tmp_path / "new" / "out")
    assert {name: value.tolist() for name, value in found.items()} == {"w": [2.0, 3.5]}


def test_weights_of_different_networks_are_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "a")
    save_file({"w": torch.zeros(3)}, tmp_path / "b")
    with pytest.raises(KnownError, match="different shapes"):
        soup([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("content", [None, b"", b"cut short"])
def test_weights_that_cannot_be_read_are_named_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "a")
    if content is not None:
        (tmp_path / "b").write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / name) for name in ("out", "a", "b")])
    assert f"{tmp_path / 'b'} cannot be read" in str(caught.value.code)
    assert not (tmp_path / "out").exists()


def test_too_few_arguments_are_a_matter_of_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], [str(tmp_path / "out")]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        assert "weights" in capsys.readouterr().err
