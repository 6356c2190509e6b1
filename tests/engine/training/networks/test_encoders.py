"""Encoders by name, and what is said of choices that cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.models.cnn import Cnn
from engine.training.config import read_config
from engine.training.networks.crnn import Crnn
from engine.training.networks.encoders import EncoderConfig, load_audio, load_frontend, load_text
from tests.engine.training.tiny import text_folder

SCRATCH = EncoderConfig(None, Path("text"), trainable=("audio",))


def test_every_audio_encoder_from_scratch() -> None:
    shapes = {"panns": (16, 512), "aisfx": (8, 512), "panns_cnn14": (32, 2048), "crnn": (4, 300)}
    for cnn, (stride, width) in shapes.items():
        audio = load_audio(replace(SCRATCH, cnn=cnn), 300)  # type: ignore[arg-type]
        assert isinstance(audio, Crnn if cnn == "crnn" else Cnn)
        assert (audio.config.time_stride, audio.width) == (stride, width)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"trainable": ()}, r"encoders\.weights\. Name a safetensors file or a published \.pth there"),
        ({"cnn": "crnn", "weights": Path("a.safetensors")}, "from scratch"),
        ({"weights": Path("a.safetensors")}, r"a\.safetensors"),
    ],
)
def test_weights_that_cannot_be(changes: dict[str, object], named: str) -> None:
    with pytest.raises(KnownError, match=named):
        load_audio(replace(SCRATCH, **changes), 300)  # type: ignore[arg-type]


def test_a_front_end_that_does_not_suit() -> None:
    config = replace(SCRATCH, cnn="panns")
    audio = load_audio(config, 300)
    assert audio is not None
    with pytest.raises(KnownError, match="96 mel bands, panns takes 64"):
        load_frontend(config, audio)


@pytest.mark.parametrize(("field", "value"), [("cnn", "cnn11"), ("frontend", "mfcc"), ("trainable", ["layers"])])
def test_unknown_values_are_named_with_those_that_are_known(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"weights": None, "text": "text", field: value}), encoding="utf-8")
    with pytest.raises(KnownError, match=rf"{field} must be one of") as caught:
        read_config(EncoderConfig, path)
    assert caught.value.kind == "config_invalid"


def test_word_vectors_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("dog 1 0\nrain 0 1\n", encoding="utf-8")
    config = replace(SCRATCH, text=path)
    assert load_text(config, tmp_path / "cache").width == 2
    (folder,) = (tmp_path / "cache").iterdir()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    load_text(config, tmp_path / "cache")
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert load_text(replace(config, text=text_folder(tmp_path / "bert")), tmp_path / "cache").width == 16
    with pytest.raises(KnownError, match="nowhere"):
        load_text(replace(config, text=tmp_path / "nowhere"), tmp_path / "cache")
