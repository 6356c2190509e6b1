"""A whole training from a configuration, on tiny encoders and real files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from engine.errors import KnownError
from engine.training import recipe as recipes
from engine.training.config import TrainConfig
from engine.training.data.captions import CaptionOptions
from engine.training.data.scenes import SceneOptions
from engine.training.measure.validation import vectors
from engine.training.networks.encoders import EncoderConfig
from engine.training.networks.model import layers_of_run
from engine.training.packing import pack_run
from engine.training.recipe import CaptionBook, DataConfig, Recipe, TeacherConfig, prepare
from engine.training.train import Trainer, train
from tests.engine.training.networks import teacher
from tests.engine.training.tiny import cnn_file, text_folder, tone

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


def test_sounds_of_more_tables_are_added(encoders: EncoderConfig, tmp_path: Path) -> None:
    tables = []
    for folder, rows in (("one", [("train", "rain"), ("val", "dog")]), ("two", [("train", "wind"), ("val", "cat")])):
        lines = ["file,split,source,seconds,caption,audioset_tags"]
        for index, (split, name) in enumerate(rows):
            tone(tmp_path / folder / f"{index}.wav", 300, 0.3)
            lines.append(f"{index}.wav,{split},source,2,{name},")
        tables.append(tmp_path / folder / "manifest.csv")
        tables[-1].write_text("\n".join(lines), encoding="utf-8")
    settings = DataConfig("manifest", table=tables[0], more=(tables[1],))
    data, validation = prepare(Recipe(settings, encoders, captions_per_clip=1, train=TRAIN), tmp_path / "cache")
    assert [len(each) for each in data.captions] == [1, 0, 1, 0]
    assert validation["names"].sounds.tolist() == [1, 3]


def test_written_captions_reach_their_sound_and_no_other(
    encoders: EncoderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    books: list[CaptionBook] = []

    class Noted(CaptionBook):
        def __init__(self) -> None:
            super().__init__()
            books.append(self)

    monkeypatch.setattr(recipes, "CaptionBook", Noted)
    tables = []
    for folder, files in (("one", ["a/0.wav", "b/0.wav", "val.wav"]), ("two", ["a/0.wav", "c/0.wav"])):
        lines = ["file,split,source,seconds,caption,audioset_tags"]
        for file in files:
            tone(tmp_path / folder / file, 300, 0.3)
            lines.append(f"{file},{'val' if file == 'val.wav' else 'train'},source,2,rain,")
        tables.append(tmp_path / folder / "manifest.csv")
        tables[-1].write_text("\n".join(lines), encoding="utf-8")
    captions = tmp_path / "captions.csv"
    rows = ["b/0.wav,drops on tin,a shower", "c/0.wav,far thunder,", "val.wav,a held out one,", "gone.wav,nothing,"]
    captions.write_text("\n".join(["file_name,caption_1,caption_2", *rows]), encoding="utf-8")
    settings = DataConfig("manifest", table=tables[0], more=(tables[1],), captions=captions)
    only = CaptionOptions(name=1e-6, sentence=0.0, category=0.0, prompt=0.0)
    recipe = Recipe(settings, encoders, captions=only, captions_per_clip=12, scenes=SceneOptions(30), train=TRAIN)
    data, validation = prepare(recipe, tmp_path / "cache")
    (book,) = books
    heard = [{book.captions[number] for number in rows} for rows in data.captions]
    assert heard[:5] == [{"rain"}, {"drops on tin", "a shower"}, set(), {"rain"}, {"far thunder"}]
    assert any("far thunder" in caption and "rain" in caption for captions in heard[5:] for caption in captions)
    assert not any(said in caption for caption in book.captions for said in ("held out", "nothing"))
    assert set(validation) == {"names"}


def test_written_captions_that_are_for_other_sounds_are_named(encoders: EncoderConfig, tmp_path: Path) -> None:
    table, captions = tmp_path / "manifest.csv", tmp_path / "captions.csv"
    rows = "a.wav,train,one,2,rain,\nb.wav,val,one,2,rain,"
    table.write_text(f"file,split,source,seconds,caption,audioset_tags\n{rows}", encoding="utf-8")
    captions.write_text("file_name,caption_1\nsounds/a.wav,drops on tin", encoding="utf-8")
    recipe = Recipe(DataConfig("manifest", table=table, captions=captions), encoders, train=TRAIN)
    with pytest.raises(KnownError, match=r"captions\.csv names none of the sounds in .*manifest\.csv") as caught:
        prepare(recipe, tmp_path / "cache")
    assert caught.value.kind == "data_missing"


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
    with pytest.raises(KnownError, match="does not fit"):
        prepare(Recipe(settings, wrong), tmp_path / "cache")


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([("train", "rain", "Rain=0.8")], "no sound of the split val"),
        ([("train", "dsitmbk", ""), ("val", "rain", "Rain=0.8")], "No sound of the split train .* caption"),
        ([("val", "rain", "Rain=0.8")], "No sound of the split train .* caption"),
        ([("train", "rain", "Rain=0.8"), ("val", "dsitmbk", "")], "No sound of the split val has"),
    ],
    ids=["no-val", "no-captions", "no-train", "no-queries"],
)
def test_splits_that_nothing_can_be_learned_from_are_named(
    encoders: EncoderConfig, tmp_path: Path, rows: list[tuple[str, str, str]], named: str
) -> None:
    lines = ["file,split,source,seconds,caption,audioset_tags"]
    for index, (split, name, tags) in enumerate(rows):
        tone(tmp_path / f"{index}.wav", 200, 0.3)
        lines.append(f"{index}.wav,{split},source,2,{name},{tags}")
    table = tmp_path / "manifest.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(KnownError, match=named) as caught:
        prepare(Recipe(DataConfig("manifest", table=table), encoders), tmp_path / "cache")
    assert caught.value.kind == "data_missing"


@pytest.fixture
def captioned(tmp_path: Path) -> DataConfig:
    """Four tones with two captions each, which are also the validation set."""
    lines = ["file_name,caption_1,caption_2"]
    for index, (first, second) in enumerate([("dog", "bark"), ("cat", "meow"), ("rain", "falls"), ("wind", "thunder")]):
        tone(tmp_path / f"{index}.wav", 300 * (index + 1), 0.4 + 0.1 * index)
        lines.append(f"{index}.wav,{first},{second}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    return DataConfig("captioned", table=table, audio=tmp_path, val_table=table, val_audio=tmp_path)


def _weights_of(path: Path) -> dict[str, Tensor]:
    return {name: value.float() for name, value in load_file(path).items()}


def test_encoders_are_trained_where_the_recipe_says_so(
    encoders: EncoderConfig, captioned: DataConfig, tmp_path: Path
) -> None:
    recipe = Recipe(captioned, replace(encoders, trainable=("audio", "text")), train=TRAIN)
    cache, run = tmp_path / "cache", tmp_path / "run"
    data, validation = prepare(recipe, cache)
    assert data.frames.width == 96
    assert data.states.width == 1
    assert not list(cache.glob("states-*"))
    train(recipe.train, data, validation, run)
    assert encoders.weights is not None
    before, after = _weights_of(encoders.weights), _weights_of(run / "audio.safetensors")
    assert not torch.equal(before["conv_block1.conv1.weight"], after["conv_block1.conv1.weight"])
    assert torch.equal(before["conv_block1.bn1.running_mean"], after["conv_block1.bn1.running_mean"])
    name = "encoder.layer.0.output.dense.weight"
    words = _weights_of(encoders.text / "model.safetensors"), _weights_of(run / "text" / "model.safetensors")
    assert not torch.equal(words[0][name], words[1][name])
    tuned = Recipe(captioned, EncoderConfig(run / "audio.safetensors", run / "text"), train=TRAIN)
    frozen, _ = prepare(tuned, cache)
    assert frozen.audio_encoder is None
    assert frozen.text_encoder is None
    assert frozen.frames.width == 512


@pytest.mark.parametrize("trainable", ["audio", "text"])
def test_what_is_frozen_is_cached_and_stays(
    encoders: EncoderConfig, captioned: DataConfig, tmp_path: Path, trainable: Literal["audio", "text"]
) -> None:
    recipe = Recipe(captioned, replace(encoders, trainable=(trainable,)), train=TRAIN)
    data, validation = prepare(recipe, tmp_path / "cache")
    assert (data.frames.width, data.states.width) == ((96, 16) if trainable == "audio" else (512, 1))
    train(recipe.train, data, validation, tmp_path / "run")
    assert (tmp_path / "run" / "audio.safetensors").exists() == (trainable == "audio")
    assert (tmp_path / "run" / "text").exists() == (trainable == "text")


def test_before_training_trained_encoders_give_what_frozen_ones_do(
    encoders: EncoderConfig, captioned: DataConfig, tmp_path: Path
) -> None:
    sets: list[NDArray[np.float32]] = []
    for trainable in ((), ("audio", "text")):
        recipe = Recipe(captioned, replace(encoders, trainable=trainable), train=TRAIN)
        data, validation = prepare(recipe, tmp_path / "cache")
        model = Trainer(recipe.train, data, validation).model.eval()
        held_out = validation["val"]
        audio = vectors(model.audio, held_out.frames, held_out.sounds)
        sets.append(np.concatenate([audio, vectors(model.text, held_out.states, held_out.captions)]))
    np.testing.assert_allclose(sets[1], sets[0], atol=0.02)


@pytest.fixture
def taught(captioned: DataConfig, tmp_path: Path, encoders: EncoderConfig) -> Recipe:
    """Layers above the frames of a teacher."""
    (tmp_path / "labels.txt").write_text("Dog\nRain\nCat\nWind\nThunder\n", encoding="utf-8")
    chosen = EncoderConfig(None, encoders.text, cnn="teacher")
    known = TeacherConfig(teacher.write(tmp_path / "teacher.onnx"), tmp_path / "labels.txt", 8_000)
    return Recipe(captioned, chosen, known, train=TRAIN)


def test_layers_above_the_teachers_frames(taught: Recipe, tmp_path: Path) -> None:
    data, validation = prepare(taught, tmp_path / "cache")
    assert data.frames.width == teacher.WIDTH
    train(taught.train, data, validation, tmp_path / "run")
    assert layers_of_run(tmp_path / "run").audio_projection.weight.shape == (16, teacher.WIDTH)
    with pytest.raises(KnownError, match="cannot go into a pack"):
        pack_run(taught, tmp_path / "run", "taught", {}, tmp_path / "pack", tmp_path / "cache")


def test_the_teachers_frames_need_a_teacher_and_are_not_trained(taught: Recipe, tmp_path: Path) -> None:
    with pytest.raises(KnownError, match="need a teacher"):
        prepare(replace(taught, teacher=None), tmp_path / "cache")
    with pytest.raises(KnownError, match="for manifests, not for captioned"):
        prepare(replace(taught, data=replace(taught.data, more=(tmp_path,))), tmp_path / "cache")
    with pytest.raises(KnownError, match=r"data\.captions is for manifests, not for captioned"):
        prepare(replace(taught, data=replace(taught.data, captions=tmp_path)), tmp_path / "cache")
    with pytest.raises(KnownError, match="as they are"):
        prepare(replace(taught, encoders=replace(taught.encoders, trainable=("audio",))), tmp_path / "cache")


def test_layers_to_start_from(encoders: EncoderConfig, captioned: DataConfig, tmp_path: Path) -> None:
    recipe = Recipe(captioned, encoders, train=TRAIN)
    data, validation = prepare(recipe, tmp_path / "cache")
    train(recipe.train, data, validation, tmp_path / "run")
    left = tmp_path / "run" / "tied.safetensors"
    again, _ = prepare(replace(recipe, start=left), tmp_path / "cache")
    state = Trainer(recipe.train, again, validation).model.tied.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in load_file(left).items())
    hopeless = replace(recipe.train, learning_rate=1e-9)
    kept = train(hopeless, again, validation, tmp_path / "kept")
    assert (kept.epoch, len(kept.history)) == (0, 1)
    left_again = load_file(tmp_path / "kept" / "tied.safetensors")
    assert all(torch.equal(value, left_again[name]) for name, value in load_file(left).items())
    with pytest.raises(KnownError, match="another shape") as caught:
        Trainer(replace(recipe.train, dim=8), again, validation)
    assert caught.value.kind == "checkpoint_mismatch"


def test_the_dcase_baseline(captioned: DataConfig, tmp_path: Path) -> None:
    words = tmp_path / "vectors.txt"
    words.write_text("dog 1 0 0 1\nrain 0 1 0 -1\ncat 0 0 1 1\nwind 1 1 0 0\nmeow 0 1 1 1\n", encoding="utf-8")
    chosen = EncoderConfig(None, words, "dcase_baseline", "crnn", trainable=("audio",))
    config = replace(TRAIN, kind="none", losses=("triplet",), keep_norms=False, max_epochs=2)
    recipe = Recipe(captioned, chosen, train=config)
    data, validation = prepare(recipe, tmp_path / "cache")
    result = train(config, data, validation, tmp_path / "run")
    assert len(result.history) == 2
    assert result.history[1]["loss_triplet"] > 0.0
    trained = load_file(tmp_path / "run" / "audio.safetensors")
    assert trained["recurrent.weight_ih_l0"].shape == (3 * 2, 128)
    assert trained["norms.1.running_mean"].any()
    assert not load_file(tmp_path / "run" / "tied.safetensors")
    with pytest.raises(KnownError, match="one width"):
        Trainer(config, replace(data, audio_encoder=None), validation)


def test_a_subset_of_the_sounds_and_of_their_length(
    encoders: EncoderConfig, captioned: DataConfig, tmp_path: Path
) -> None:
    data, validation = prepare(
        Recipe(replace(captioned, clips=2, seconds=0.3), encoders, train=TRAIN), tmp_path / "cache"
    )
    assert len(data.captions) == 2
    assert set(data.frames.lengths.tolist()) == {(1 + int(0.3 * 44_100) // 1024) // 8}
    assert validation["val"].relevant.shape == (8, 4)
