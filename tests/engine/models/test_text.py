"""The text encoder from a local Hugging Face folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import RobertaConfig, RobertaModel

from engine.errors import KnownError
from engine.models.text import TextEncoder
from tests.plain_words import assert_plain
from tests.tiny_pack import make_text_folder


def test_batch_rows_equal_single_runs(tmp_path: Path) -> None:
    encoder = TextEncoder.load(make_text_folder(tmp_path))
    captions = ["a dog barking", "rain", "glass breaking bell door"]
    with torch.inference_mode():
        states, lengths = encoder(captions)
        assert states.shape == (3, 4, encoder.width)
        assert lengths.tolist() == [3, 1, 4]
        for row, caption in enumerate(captions):
            alone, length = encoder([caption])
            torch.testing.assert_close(states[row, : length[0]], alone[0], atol=1e-5, rtol=1e-4)


def test_long_captions_are_cut_to_what_the_model_takes(tmp_path: Path) -> None:
    folder = make_text_folder(tmp_path)
    assert TextEncoder.load(folder, max_tokens=7)(["dog " * 10_000])[1].tolist() == [7]
    assert TextEncoder.load(folder, max_tokens=10_000)(["dog " * 10_000])[1].tolist() == [40]


def test_emoji_and_unknown_words_have_states(tmp_path: Path) -> None:
    states, lengths = TextEncoder.load(make_text_folder(tmp_path))(["🐕🔊", "qwertz"])
    assert torch.isfinite(states).all()
    assert (lengths > 0).all()


def _roberta_folder(folder: Path) -> Path:
    """A tiny RoBERTa with 40 positions, of which those up to the padding token's number, 1, are for no token."""
    make_text_folder(folder)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=10, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    weights = RobertaModel(config, add_pooling_layer=False).state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    return folder


def test_roberta_loads_too(tmp_path: Path) -> None:
    states, _ = TextEncoder.load(_roberta_folder(tmp_path), max_tokens=30)(["a dog", "rain"])
    assert states.shape == (2, 2, 16)


def test_long_captions_are_cut_to_the_positions_that_roberta_has_for_tokens(tmp_path: Path) -> None:
    encoder = TextEncoder.load(_roberta_folder(tmp_path), max_tokens=10_000)
    states, lengths = encoder(["dog " * 10_000, "rain"])
    assert lengths.tolist() == [38, 1]
    assert torch.isfinite(states).all()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("missing_weight", "weights missing or of the wrong shape: encoder.layer.0.output.dense.weight."),
        ("wrong_shape", "weights missing or of the wrong shape: embeddings.word_embeddings.weight."),
        ("truncated", "Transformers cannot load it: Error while deserializing header: "),
        ("no_tokenizer", "tokenizer.json: "),
        ("no_config", "config.json: No such file or directory."),
        ("no_model", "Transformers cannot load it: Error no file named model.safetensors found"),
        ("words", "its weights do not fit config.json ("),
        ("activation", "Transformers cannot load it: “zzz” is unknown to it."),
        ("width", "Transformers cannot load it: Validation error for field 'hidden_size'."),
    ],
)
def test_damage_is_a_known_error_and_logged_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str, reason: str
) -> None:
    folder = make_text_folder(tmp_path)
    path = folder / "model.safetensors"
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(path)
    if damage == "missing_weight":
        del weights["encoder.layer.0.output.dense.weight"]
        save_file(weights, path)
    elif damage == "wrong_shape":
        save_file({**weights, "embeddings.word_embeddings.weight": torch.zeros(3, 16)}, path)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "words":
        (folder / "config.json").write_text('{"model_type": "word_vectors", "vocab_size": 3, "hidden_size": 4}')
    elif damage == "activation":
        (folder / "config.json").write_text(json.dumps({**config, "hidden_act": "zzz"}))
    elif damage == "width":
        (folder / "config.json").write_text(json.dumps({**config, "hidden_size": "x"}))
    elif damage == "no_model":
        path.unlink()
    else:
        (folder / f"{damage.removeprefix('no_')}.json").unlink()
    with pytest.raises(KnownError) as caught:
        TextEncoder.load(folder)
    assert caught.value.kind == "pack_broken"
    assert f"cannot be loaded: {reason}" in str(caught.value)
    assert_plain(caught.value)
    (record,) = [record for record in caplog.records if record.name == "engine.models.text"]
    assert record.exc_info is not None
    assert record.exc_info[1] is caught.value.__cause__


def test_a_bug_is_not_taken_for_a_broken_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def misspelt(folder: Path) -> bool:
        raise AttributeError("no such attribute")

    monkeypatch.setattr("engine.models.text.is_word_vectors", misspelt)
    with pytest.raises(AttributeError):
        TextEncoder.load(make_text_folder(tmp_path))
