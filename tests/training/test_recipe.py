"""A whole training from a configuration, on tiny encoders and real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import KnownError
from engine.training.config import TrainConfig
from engine.training.recipe import DataConfig, EncoderConfig, Recipe, prepare
from engine.training.scenes import SceneOptions
from engine.training.train import train
from tests.training.tiny import cnn_file, text_folder, tone

TRAIN = TrainConfig(dim=16, layers=1, heads=2, feedforward=16, max_epochs=1, batch_size=4)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> EncoderConfig:
    folder = tmp_path_factory.mktemp("encoders")
    return EncoderConfig(cnn_file(folder / "cnn10.safetensors"), text_folder(folder / "text"))


def test_manifest_with_scenes(encoders: EncoderConfig, tmp_path: Path) -> None:
    rows = [
        ("train", "dog bark 1", "Dog=0.9"),
        ("train", "dog bark 2", "Bark=0.9"),
        ("val", "dog bark", "Dog=0.9"),
        ("train", "rain", "Rain=0.8"),
        ("train", "dsitmbk", ""),
        ("val", "rain", "Rain=0.7"),
    ]
    lines = ["file,split,source,seconds,caption,audioset_tags"]
    for index, (split, name, tags) in enumerate(rows):
        tone(tmp_path / "sounds" / f"{index}.wav", 200 + 100 * index, 0.5)
        lines.append(f"{index}.wav,{split},source,2,{name},{tags}")
    table = tmp_path / "sounds" / "manifest.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    queries = tmp_path / "queries.csv"
    queries.write_text("caption,file_name\na dog barks,2.wav\n", encoding="utf-8")
    recipe = Recipe(
        DataConfig("manifest", table=table, queries=queries),
        encoders,
        captions_per_clip=3,
        scenes=SceneOptions(count=5),
        train=TRAIN,
    )
    data, validation = prepare(recipe, tmp_path / "cache")
    assert [len(each) for each in data.captions[:6]] == [3, 3, 0, 3, 0, 0]
    assert len(data.captions) == 6 + 5
    assert data.groups[0] == data.groups[1] != data.groups[3]
    assert data.groups[4] == -1
    assert data.weights[4] == 0.0
    assert set(validation) == {"names", "tags", "queries"}
    assert validation["queries"].relevant.tolist() == [[True, False]]
    assert validation["queries"].sounds.tolist() == [2, 5]
    again, _ = prepare(recipe, tmp_path / "cache")
    assert all(np.array_equal(one, two) for one, two in zip(data.captions, again.captions, strict=True))


def test_clotho_layout_end_to_end(encoders: EncoderConfig, tmp_path: Path) -> None:
    for split in ("development", "validation"):
        lines = ["file_name," + ",".join(f"caption_{number}" for number in range(1, 6))]
        for index in range(3):
            tone(tmp_path / split / f"{split}{index}.wav", 300 * (index + 1), 0.4)
            lines.append(f"{split}{index}.wav,dog,cat,rain,wind,thunder {index}")
        (tmp_path / f"clotho_captions_{split}.csv").write_text("\n".join(lines), encoding="utf-8")
    recipe = Recipe(DataConfig("clotho", audio=tmp_path), encoders, train=TRAIN)
    data, validation = prepare(recipe, tmp_path / "cache")
    assert [len(each) for each in data.captions] == [5, 5, 5]
    assert validation["val"].relevant.shape == (15, 3)
    assert validation["val"].relevant.sum() == 15
    result = train(recipe.train, data, validation, tmp_path / "run")
    assert result.epoch == 1


def test_missing_fields_and_wrong_weights_are_named(encoders: EncoderConfig, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match=r"data\.table"):
        prepare(Recipe(DataConfig("manifest"), encoders), tmp_path)
    tone(tmp_path / "1.wav", 200, 0.3)
    table = tmp_path / "t.csv"
    table.write_text("file_name,caption\n1.wav,rain\n", encoding="utf-8")
    settings = DataConfig("captioned", table=table, audio=tmp_path, val_table=table, val_audio=tmp_path)
    wrong = EncoderConfig(encoders.weights, encoders.text, "panns", "panns")
    with pytest.raises(KnownError, match="does not fit panns"):
        prepare(Recipe(settings, wrong), tmp_path / "cache")
