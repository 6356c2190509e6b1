"""Stand-ins: always alike, of the kinds they stand for."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from engine.models.cnn import PANNS_CNN10, Cnn
from engine.models.text import TextEncoder
from engine.training.networks.stand_ins import make_stand_ins
from tests.engine.training.tiny import text_folder


def test_made_once_and_always_alike(tmp_path: Path) -> None:
    text = text_folder(tmp_path / "text")
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "cnn14-random.safetensors").touch()  # 300 MB, made like CNN10's
        make_stand_ins(folder, text)
    for name in ("bert-tiny/model.safetensors", "roberta-tiny/model.safetensors", "cnn10-random.safetensors"):
        first, second = (load_file(folder / name) for folder in folders)
        assert set(first) == set(second)
        assert all(torch.equal(value, second[weight]) for weight, value in first.items())
    changed = (folders[0] / "cnn10-random.safetensors").stat().st_mtime_ns
    make_stand_ins(folders[0], text)
    assert (folders[0] / "cnn10-random.safetensors").stat().st_mtime_ns == changed
    Cnn(PANNS_CNN10).load_state_dict(load_file(folders[0] / "cnn10-random.safetensors"))


def test_text_encoders_are_of_their_kinds(tmp_path: Path) -> None:
    text = text_folder(tmp_path / "text")
    folder = tmp_path / "stand-ins"
    folder.mkdir()
    (folder / "cnn14-random.safetensors").touch()
    make_stand_ins(folder, text)
    for kind in ("bert", "roberta"):
        encoder = TextEncoder.load(folder / f"{kind}-tiny")
        assert encoder.model.config.model_type == kind  # type: ignore[union-attr]
        states, lengths = encoder(["a dog barks", "rain " * 90])
        assert states.shape == (2, 64, 128)
        assert lengths.tolist() == [5, 64]
    words, original = TextEncoder.load(folder / "words"), TextEncoder.load(text)
    table = original.model.get_input_embeddings().weight  # type: ignore[operator]
    number = original.tokenizer.get_vocab()["dog"]  # type: ignore[attr-defined]
    with torch.inference_mode():
        states, _ = words(["dog"])
    torch.testing.assert_close(states[0, 0], table[number].detach())
