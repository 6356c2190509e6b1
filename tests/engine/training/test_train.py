"""Training of the tied layers on a small made-up problem."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from engine.errors import KnownError
from engine.models.encoder import best_device
from engine.models.tied_layers import TiedLayers
from engine.training.config import TrainConfig, read_config
from engine.training.data.examples import TrainSet, batch_of, batches, batches_per_epoch
from engine.training.data.features import Held, Ragged, View, written
from engine.training.measure.validation import EvalSet, vectors
from engine.training.train import Trainer, train
from tests.engine.training.tiny import Memory

CLASSES = 6
CONFIG = TrainConfig(
    dim=16,
    layers=1,
    heads=2,
    feedforward=16,
    dropout=0.1,
    batch_size=8,
    learning_rate=3e-3,
    max_epochs=3,
    metrics=("val.map_all",),
)


@pytest.fixture(scope="module")
def problem() -> tuple[TrainSet, dict[str, EvalSet]]:
    """Six classes: frames scatter about the class's direction, captions are two tokens about another direction."""
    rng = np.random.default_rng(0)
    of_sound, of_text = rng.standard_normal((CLASSES, 12)), rng.standard_normal((CLASSES, 10))

    def rows(directions: NDArray[np.float64], counts: Sequence[int]) -> list[NDArray[np.float32]]:
        return [
            (directions[index % CLASSES] + 0.5 * rng.standard_normal((count, directions.shape[1]))).astype(np.float32)
            for index, count in enumerate(counts)
        ]

    frames = Memory(rows(of_sound, rng.integers(1, 9, size=60).tolist()))
    states = Memory(rows(of_text, rng.integers(1, 4, size=24).tolist()))
    learned = np.arange(48)
    captions = [np.array([index % CLASSES, index % CLASSES + CLASSES]) for index in learned]
    logits = np.where(np.arange(CLASSES) == np.arange(60)[:, None] % CLASSES, 2.0, -4.0).astype(np.float32)
    wordings = [np.array([index, index + CLASSES]) for index in range(CLASSES)]
    data = TrainSet(frames, states, captions, learned % CLASSES, np.ones(48), logits[:48], wordings)
    relevant = np.arange(CLASSES)[:, None] == np.arange(48, 60)[None] % CLASSES
    return data, {"val": EvalSet(frames, states, np.arange(48, 60), np.arange(18, 24), relevant)}


Problem = tuple[TrainSet, dict[str, EvalSet]]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"losses": ("triplet",), "negatives": "hardest"},
        {"losses": ("contrastive",), "learned_temperature": True, "kind": "linear"},
        {"losses": (), "tag_weight": 1.0, "tags_per_step": 4},
        {
            "losses": ("contrastive",),
            "tag_weight": 0.5,
            "soft_weight": 0.3,
            "caption_weight": 0.2,
            "frame_dropout": 0.2,
            "token_dropout": 0.2,
            "crop_frames": 4,
            "chain_chance": 0.3,
            "average": 0.9,
            "draw": "one",
            "balance": True,
            "schedule": "cosine",
            "weight_decay": 0.01,
            "pooling": "attention",
            "reduced_precision": True,
        },
    ],
    ids=["paper", "triplet", "contrastive", "tags", "everything"],
)
def test_every_kind_of_training_learns(problem: Problem, tmp_path: Path, changes: dict[str, Any]) -> None:
    config = replace(CONFIG, max_epochs=15, **changes)
    untrained = Trainer(config, *problem)
    before = untrained.model.tied.state_dict()
    result = train(config, *problem, tmp_path)
    assert result.best > 0.75, [line["val"]["map_all"] for line in result.history]
    saved = load_file(tmp_path / "tied.safetensors")
    assert set(saved) == set(before)
    model = TiedLayers(config.tied(12, 10))
    model.load_state_dict(saved)
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert history == result.history
    assert max(line["val"]["map_all"] for line in history) == pytest.approx(result.best, abs=1e-5)


def _cached(problem: Problem, folder: Path) -> Problem:
    """The same with frames and states as features that were cached."""
    data, validation = problem
    views = []
    for name, rows in (("frames", data.frames), ("states", data.states)):
        with written(folder / name) as add:
            for index in range(len(rows.lengths)):
                add([rows.batch(np.array([index]))[0][0].numpy().astype(np.float16)])
        views.append(View.joined([Ragged(folder / name)]))
    frames, states = views
    sets = {name: replace(each, frames=frames, states=states) for name, each in validation.items()}
    return replace(data, frames=frames, states=states), sets


EVERYTHING: dict[str, Any] = {
    "losses": ("triplet", "contrastive"),
    "tag_weight": 0.5,
    "soft_weight": 0.3,
    "caption_weight": 0.2,
    "chain_chance": 0.3,
    "crop_frames": 5,
    "token_dropout": 0.2,
}


def test_held_features_are_learned_from_as_cached_ones(problem: Problem, tmp_path: Path) -> None:
    data, sets = _cached(problem, tmp_path)
    assert isinstance(data.frames, View)
    assert isinstance(data.states, View)
    in_memory = replace(data, frames=Held(data.frames, "cpu"), states=Held(data.states, "cpu"))
    config = replace(CONFIG, **EVERYTHING)
    one, two = (Trainer(config, each, sets) for each in (data, in_memory))
    assert one.epoch() == two.epoch()
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name])


@pytest.mark.skipif(best_device() == "cpu", reason="no GPU here")
def test_a_gpu_learns_and_a_cpu_goes_on(problem: Problem, tmp_path: Path) -> None:
    config = replace(CONFIG, max_epochs=15, reduced_precision=True, **EVERYTHING)
    problem = _cached(problem, tmp_path / "cache")
    begun = Trainer(config, *problem, best_device())
    line = begun.epoch()
    begun.save(tmp_path, line)
    result = train(config, *problem, tmp_path)
    assert result.history[0] == line
    assert result.best > 0.75


@pytest.mark.parametrize("draw", ["one", "every"])
@pytest.mark.parametrize("batch_size", [2, 3, 5, 7, 64])
def test_batches_are_counted_as_they_are_drawn(
    problem: Problem, draw: Literal["one", "every"], batch_size: int
) -> None:
    config = replace(CONFIG, draw=draw, batch_size=batch_size)
    drawn = list(batches(config, problem[0], np.random.default_rng(0)))
    assert batches_per_epoch(config, problem[0]) == len(drawn)


@pytest.mark.parametrize("draw", ["one", "every"])
def test_the_cosine_ends_with_the_last_epoch(problem: Problem, tmp_path: Path, draw: Literal["one", "every"]) -> None:
    config = replace(CONFIG, max_epochs=4, stop_patience=4, batch_size=4, schedule="cosine", draw=draw)
    rates = [line["learning_rate"] / config.learning_rate for line in train(config, *problem, tmp_path).history]
    assert rates == sorted(rates, reverse=True)
    assert rates[1] == pytest.approx(0.51, abs=0.06)
    assert rates[-1] == pytest.approx(0.02, abs=0.02)


def test_the_same_seed_gives_the_same_weights(problem: Problem, tmp_path: Path) -> None:
    runs = [train(CONFIG, *problem, tmp_path / name).state for name in ("one", "two")]
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    other = train(replace(CONFIG, seed=1), *problem, tmp_path / "three").state
    assert not all(torch.equal(runs[0][name], other[name]) for name in other)


def test_a_stopped_run_goes_on_and_ends_with_the_same_weights(problem: Problem, tmp_path: Path) -> None:
    whole = train(CONFIG, *problem, tmp_path / "whole")

    class StoppedError(Exception):
        pass

    def stop(line: dict[str, Any]) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        train(CONFIG, *problem, tmp_path / "stopped", stop)
    epochs: list[int] = []
    resumed = train(CONFIG, *problem, tmp_path / "stopped", lambda line: epochs.append(line["epoch"]))
    assert epochs == [2, 3]
    assert resumed.history == whole.history
    assert all(torch.equal(resumed.state[name], whole.state[name]) for name in whole.state)


def test_a_run_killed_at_any_write_can_still_be_packed(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that a file can be is old or new, and the configuration is there before the first checkpoint."""
    replace_file, killed_at = Path.replace, 0

    class KilledError(Exception):
        pass

    def kill(partial: Path, target: Path) -> Path:
        nonlocal killed_at
        killed_at -= 1
        if killed_at == 0:
            raise KilledError
        return replace_file(partial, target)

    monkeypatch.setattr(Path, "replace", kill)
    config = replace(CONFIG, max_epochs=1)
    names = ["config.json", "checkpoint.pt", "history.jsonl", "tied.safetensors"]
    for count, name in enumerate(names):
        folder, killed_at = tmp_path / name, count + 1
        with pytest.raises(KilledError):
            train(config, *problem, folder)
        assert {path.name for path in folder.iterdir()} == {*names[:count], f"{name}.tmp"}
        train(config, *problem, folder)
        assert {path.name for path in folder.iterdir()} == set(names)
    (folder / "config.json").unlink()
    train(config, *problem, folder)
    assert read_config(TrainConfig, folder / "config.json") == config


def test_a_finished_run_is_not_run_again(problem: Problem, tmp_path: Path) -> None:
    first = train(CONFIG, *problem, tmp_path)
    again = train(CONFIG, *problem, tmp_path, lambda line: pytest.fail("trained again"))
    assert again.history == first.history


def test_another_configuration_does_not_continue_a_run(problem: Problem, tmp_path: Path) -> None:
    train(replace(CONFIG, max_epochs=1), *problem, tmp_path)
    with pytest.raises(KnownError) as caught:
        train(replace(CONFIG, max_epochs=1, dim=32), *problem, tmp_path)
    assert caught.value.kind == "config_changed"


def test_stops_when_nothing_gets_better(problem: Problem, tmp_path: Path) -> None:
    config = replace(CONFIG, learning_rate=1e-9, average=0.0, max_epochs=50, stop_patience=2)
    result = train(config, *problem, tmp_path)
    assert len(result.history) <= result.epoch + 2


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": ("test.map_all",)},
        {"metrics": ("val.r1",)},
        {"metrics": ()},
        {"losses": ()},
        {"tag_weight": 1.0},
        {"soft_weight": 0.5},
    ],
)
def test_what_cannot_be_trained_is_refused(problem: Problem, tmp_path: Path, changes: dict[str, Any]) -> None:
    data = replace(problem[0], tag_logits=None)
    with pytest.raises(KnownError) as caught:
        train(replace(CONFIG, **changes), data, problem[1], tmp_path)
    assert caught.value.kind == "config_invalid"


def test_tags_without_wordings_cannot_be_learned(problem: Problem, tmp_path: Path) -> None:
    nothing = np.zeros(0, dtype=np.int64)
    for wordings in ((), [nothing] * CLASSES):
        with pytest.raises(KnownError, match=r"train\.tag_weight needs wordings") as caught:
            train(replace(CONFIG, tag_weight=1.0), replace(problem[0], wordings=wordings), problem[1], tmp_path)
        assert caught.value.kind == "config_invalid"


def test_vectors_do_not_depend_on_the_batch(problem: Problem) -> None:
    data, _ = problem
    model = TiedLayers(CONFIG.tied(12, 10)).eval()
    together = vectors(model.audio, data.frames, np.arange(20))
    alone = np.concatenate([vectors(model.audio, data.frames, np.array([index])) for index in range(20)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_groups_and_shared_captions_are_positives(problem: Problem) -> None:
    data = replace(problem[0], groups=np.array([0, 0, -1, -1, *range(1, 45)]))
    batch = batch_of(CONFIG, data, np.array([0, 1, 2, 3]), np.array([0, 1, 2, 2]), np.random.default_rng(0))
    wanted = np.eye(4, dtype=np.bool_)
    wanted[0, 1] = wanted[1, 0] = wanted[2, 3] = wanted[3, 2] = True
    np.testing.assert_array_equal(batch.positives, wanted)
