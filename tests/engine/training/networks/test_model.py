"""What is trained beneath the tied layers, and how fast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.errors import KnownError
from engine.models.text import TextEncoder
from engine.training.config import TrainConfig
from engine.training.data.examples import TrainSet
from engine.training.data.features import Tokens
from engine.training.measure.validation import EvalSet
from engine.training.networks.model import RetrievalModel, layers_of_run
from engine.training.train import Trainer
from tests.engine.training.tiny import WORDS, Memory, text_folder, tiny_cnn

CONFIG = TrainConfig(
    dim=16, layers=1, heads=2, feedforward=16, batch_size=4, losses=("contrastive",), metrics=("val.map_all",)
)


@pytest.fixture
def data(tmp_path: Path) -> TrainSet:
    """Eight noises as log-mel frames with a word each, and the encoders to train on them."""
    rng = np.random.default_rng(0)
    frames = Memory([rng.standard_normal((length, 96)).astype(np.float32) for length in range(16, 24)])
    text = TextEncoder.load(text_folder(tmp_path / "text"))
    captions = [np.array([index]) for index in range(8)]
    states, groups = Tokens(WORDS[:8], text), np.full(8, -1)
    return TrainSet(frames, states, captions, groups, np.ones(8), audio_encoder=tiny_cnn(), text_encoder=text)


def _trainer(config: TrainConfig, data: TrainSet) -> Trainer:
    places = np.arange(8)
    return Trainer(config, data, {"val": EvalSet(data.frames, data.states, places, places, np.eye(8, dtype=np.bool_))})


def _changed(trainer: Trainer) -> set[str]:
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.epoch()
    after = trainer.model.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def test_everything_named_learns_and_the_given_encoders_stay(data: TrainSet) -> None:
    assert data.audio_encoder is not None
    given = {name: value.clone() for name, value in data.audio_encoder.state_dict().items()}
    changed = _changed(_trainer(CONFIG, data))
    for name in ("tied.audio_projection.weight", "audio_encoder.conv_block1.conv1.weight"):
        assert name in changed
    assert any(name.startswith("text_encoder.model.encoder.layer") for name in changed)
    assert all(torch.equal(value, given[name]) for name, value in data.audio_encoder.state_dict().items())


def test_norms_keep_their_statistics_unless_told_otherwise(data: TrainSet) -> None:
    name = "audio_encoder.conv_block1.bn1.running_mean"
    assert name not in _changed(_trainer(CONFIG, data))
    assert name in _changed(_trainer(replace(CONFIG, keep_norms=False), data))


def test_encoders_learn_at_their_own_rate(data: TrainSet) -> None:
    changed = _changed(_trainer(replace(CONFIG, encoder_rate=0.0), data))
    assert changed
    assert all(name.startswith("tied.") for name in changed)
    annealed = _trainer(replace(CONFIG, encoder_rate=0.5, schedule="cosine"), data)
    annealed.epoch()
    rates = [group["lr"] for group in annealed.optimiser.param_groups]
    assert rates[2] == pytest.approx(0.5 * rates[0])


def test_the_running_mean_is_of_weights_and_statistics_alike(data: TrainSet) -> None:
    trainer = _trainer(replace(CONFIG, keep_norms=False, average=0.9, batch_size=8), data)
    first = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.epoch()  # of one step
    kept, last = trainer.average.state_dict(), trainer.model.state_dict()
    for name in ("audio_encoder.conv_block1.bn1.running_mean", "tied.audio_projection.bias"):
        assert ((kept[name] - first[name]) * (last[name] - kept[name]) > 0.0).all(), f"{name} is not in between"


def test_padding_changes_no_vector(data: TrainSet) -> None:
    model = RetrievalModel(CONFIG, data).eval()
    with torch.inference_mode():
        together = model.audio(*data.frames.batch(np.arange(8)))
        words = model.text(*data.states.batch(np.arange(8)))
        for index in range(8):
            alone = np.array([index])
            torch.testing.assert_close(model.audio(*data.frames.batch(alone))[0], together[index], atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(model.text(*data.states.batch(alone))[0], words[index], atol=1e-5, rtol=1e-4)


def test_caption_weight_needs_frozen_text(data: TrainSet) -> None:
    with pytest.raises(KnownError, match="frozen text encoder"):
        _trainer(replace(CONFIG, caption_weight=0.2), data)


def test_layers_that_do_not_fit_are_named(tmp_path: Path, data: TrainSet) -> None:
    trainer = _trainer(CONFIG, data)
    trainer.begin(tmp_path)
    trainer.model.save(trainer.model.state_dict(), tmp_path)
    assert layers_of_run(tmp_path).config.dim == 16
    (tmp_path / "config.json").write_text('{"dim": 8, "layers": 1, "heads": 2, "feedforward": 16}', encoding="utf-8")
    with pytest.raises(KnownError, match=r"not as its config\.json says") as caught:
        layers_of_run(tmp_path)
    assert caught.value.kind == "checkpoint_mismatch"
    save_file({"weight": torch.zeros(2)}, tmp_path / "tied.safetensors")
    with pytest.raises(KnownError, match="no layers with projections"):
        layers_of_run(tmp_path)
