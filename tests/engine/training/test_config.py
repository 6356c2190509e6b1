"""Configurations: defaults are the paper's, mistakes are named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.training.config import TrainConfig, read_config
from engine.training.distil import DistilConfig
from engine.training.recipe import Recipe
from engine.training.research.debian_sounds import Selection

CONFIGS = Path(__file__).parents[3] / "engine" / "training" / "configs"


def _write(tmp_path: Path, values: object) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_the_default_is_the_papers_recipe(tmp_path: Path) -> None:
    """Koh & Chng 2022: triplet and contrastive loss summed, batch 32, Adam 1e-3, no weight decay, 2 layers of 192."""
    config = read_config(TrainConfig, _write(tmp_path, {}))
    assert config == TrainConfig()
    assert config.losses == ("triplet", "contrastive")
    assert (config.batch_size, config.learning_rate, config.weight_decay) == (32, 1e-3, 0.0)
    assert (config.schedule, config.plateau_factor, config.plateau_patience, config.max_epochs) == (
        "plateau",
        0.1,
        5,
        150,
    )
    assert (config.kind, config.layers, config.dim) == ("transformer", 2, 192)
    assert config.tied(512, 384).audio_dim == 512


def test_values_are_read(tmp_path: Path) -> None:
    values = {"losses": ["contrastive"], "kind": "linear", "dim": 300, "learning_rate": 1, "learned_temperature": True}
    config = read_config(TrainConfig, _write(tmp_path, values))
    assert config.losses == ("contrastive",)
    assert (config.kind, config.dim, config.learning_rate, config.learned_temperature) == ("linear", 300, 1.0, True)
    assert isinstance(config.learning_rate, float)


@pytest.mark.parametrize(
    ("values", "mention"),
    [
        ({"batchsize": 3}, "batchsize"),
        ({"batch_size": "3"}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 3.5}, "batch_size"),
        ({"kind": "recurrent"}, "transformer, linear"),
        ({"losses": ["tripel"]}, "triplet, contrastive"),
        ([], "object"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, values: object, mention: str) -> None:
    with pytest.raises(KnownError, match=mention) as caught:
        read_config(TrainConfig, _write(tmp_path, values))
    assert caught.value.kind == "config_invalid"


def test_nested_fields_are_checked_with_their_path(tmp_path: Path) -> None:
    values: dict[str, dict[str, object]] = {
        "data": {"kind": "clotho", "audio": "clotho"},
        "encoders": {"weights": "cnn10.safetensors", "text": "bert"},
        "train": {"dims": 96},
    }
    with pytest.raises(KnownError, match=r"train\.dims"):
        read_config(Recipe, _write(tmp_path, values))
    del values["train"]
    recipe = read_config(Recipe, _write(tmp_path, values))
    assert recipe.data.audio == Path("clotho")
    assert recipe.scenes is None
    del values["data"]["kind"]
    with pytest.raises(KnownError, match=r"data\.kind is missing"):
        read_config(Recipe, _write(tmp_path, values))
    del values["encoders"], values["data"]
    with pytest.raises(KnownError, match="data is missing"):
        read_config(Recipe, _write(tmp_path, values))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(KnownError) as caught:
        read_config(TrainConfig, tmp_path / "none.json")
    assert caught.value.kind == "config_missing"
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    with pytest.raises(KnownError) as caught:
        read_config(TrainConfig, tmp_path / "broken.json")
    assert caught.value.kind == "config_invalid"


RECIPES = sorted(path for path in CONFIGS.glob("*.json") if not path.stem.endswith(("-about", "-distil", "-sources")))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_committed_configs_are_valid(path: Path) -> None:
    read_config(Recipe, path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*-distil.json")), ids=lambda path: path.stem)
def test_committed_distillations_are_valid(path: Path) -> None:
    assert read_config(DistilConfig, path).split == "train"


def test_the_committed_selection_of_packages_is_valid() -> None:
    selection = read_config(Selection, CONFIGS / "debian-sources.json")
    assert len(set(selection.packages)) == len(selection.packages) > 50
    assert re.compile(selection.leave_out, re.IGNORECASE).search("/usr/share/games/warmux/Music/menu.ogg")
