"""train, evaluate, distil and packs build on the command line, with tiny encoders and real files."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.cli.commands import main
from engine.models import encoder
from engine.models.packs import Pack
from engine.training import recipe
from engine.training import train as training
from engine.training.networks.encoders import CNNS
from tests.engine.command_line import posix_only
from tests.engine.training.networks import teacher
from tests.engine.training.tiny import TINY_CNN, text_folder, tiny_cnn, tone
from tests.plain_words import assert_plain
from tests.tiny_pack import make_pack

Json = dict[str, Any]


class Cli:
    """Runs commands in this process, in a folder of their own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        self.out, self.err = self._capsys.readouterr()
        assert caught.value.code == expect, self.err
        return self.out

    def refused(self, *arguments: str) -> str:
        """The one line that the command dies with."""
        self(*arguments, expect=1)
        (line,) = [line for line in self.err.splitlines() if line.startswith("foundsound: ")]
        assert "Traceback" not in self.err
        return line


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli(capsys)


@pytest.fixture(autouse=True)
def narrow_cnn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CNN10 of a few channels in the place of the whole one."""
    monkeypatch.setitem(CNNS, "aisfx", TINY_CNN)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Json:
    folder = tmp_path_factory.mktemp("encoders")
    save_file(tiny_cnn().state_dict(), folder / "cnn10.safetensors")
    return {"weights": str(folder / "cnn10.safetensors"), "text": str(text_folder(folder / "text"))}


def _clotho(folder: Path, split: str, count: int = 3) -> None:
    lines = ["file_name," + ",".join(f"caption_{number}" for number in range(1, 6))]
    for index in range(count):
        tone(folder / split / f"{index}.wav", 300 * (index + 1), 0.4)
        lines.append(f"{index}.wav,dog,cat,rain,wind,thunder {index}")
    (folder / f"clotho_captions_{split}.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path, encoders: Json) -> Json:
    for split in ("development", "validation"):
        _clotho(tmp_path / "clotho", split)
    layers = {"dim": 16, "layers": 1, "heads": 2, "feedforward": 16, "max_epochs": 2, "batch_size": 8}
    return {"data": {"kind": "clotho", "audio": "clotho"}, "encoders": dict(encoders), "train": layers}


def _write(config: Json, name: str = "mine.json") -> str:
    Path(name).write_text(json.dumps(config), encoding="utf-8")
    return name


def test_train_ends_with_a_pack_that_evaluates(cli: Cli, config: Json) -> None:
    printed = cli("train", "--config", _write(config))
    assert "Training on 3 sounds with 15 captions" in cli.err
    assert "epoch 1: triplet" in cli.err
    assert "Best after epoch" in printed
    run = Path("data", "runs", "mine")
    assert set(load_file(run / "tied.safetensors"))
    assert len((run / "history.jsonl").read_text().splitlines()) == 2
    if importlib.util.find_spec("matplotlib"):
        assert (run / "history.png").read_bytes().startswith(b"\x89PNG")
    pack = Pack.read(run / "pack")
    pack.verify()
    assert (pack.pack_id, pack.dim, pack.manifest["trained"]) == ("mine", 16, {"seed": 0, "epochs": 2})
    table = Path("clotho", "clotho_captions_validation.csv")
    found = json.loads(
        cli("evaluate", "--audio", "clotho/validation", "--captions", str(table), "--pack", str(run / "pack"), "--json")
    )
    assert (found["pack"], found["captions"], found["files"]) == ("mine", 15, 3)
    assert found["recall_at_5"] == found["recall_at_10"] == 1.0
    assert 0.0 < found["map_at_10"] <= 1.0
    assert "class_map" not in found
    assert (found["missing"], found["undecodable"]) == (0, 0)


def test_train_computes_on_the_best_device_or_where_it_is_told(
    cli: Cli, config: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            *others, device = arguments
            told.append(device)
            return function(*others, "cpu")

        return call

    monkeypatch.setattr(encoder, "best_device", lambda: "cuda")
    monkeypatch.setattr(recipe, "prepare", noted(recipe.prepare))
    monkeypatch.setattr(training, "train", noted(training.train))
    name = _write(config)
    cli("train", "--config", name, "--output", "best")
    cli("train", "--config", name, "--output", "told", "--device", "cpu")
    assert told == ["cuda", "cuda", "cpu", "cpu"]


def test_train_goes_on_or_starts_over(cli: Cli, config: Json) -> None:
    name = _write(config)
    cli("train", "--config", name, "--output", "run")
    cli("train", "--config", name, "--output", "run")
    assert "Going on with run" in cli.err
    assert "epoch 1:" not in cli.err
    config["train"]["max_epochs"] = 1
    assert "--fresh" in cli.refused("train", "--config", _write(config), "--output", "run")
    cli("train", "--config", name, "--output", "run", "--fresh")
    assert len(Path("run", "history.jsonl").read_text().splitlines()) == 1
    assert json.loads(Path("run", "config.json").read_text())["max_epochs"] == 1
    Path("run", "checkpoint.pt").write_bytes(b"cut short")
    assert "checkpoint.pt is damaged. Start over with --fresh." in cli.refused(
        "train", "--config", name, "--output", "run"
    )
    Path("taken").write_text("a file")
    assert "taken" in cli.refused("train", "--config", name, "--output", "taken")
    cli("train", "--config", name, "--seed", "3")
    assert json.loads(Path("data/runs/mine-seed3/config.json").read_text())["seed"] == 3


def test_a_run_is_neither_continued_nor_packed_with_another_cnn(cli: Cli, config: Json) -> None:
    name = _write(config)
    cli("train", "--config", name, "--output", "run")
    save_file(tiny_cnn(seed=1).state_dict(), "other.safetensors")
    shutil.copy(config["encoders"]["weights"], "moved.safetensors")
    config["encoders"]["weights"] = "other.safetensors"
    other = _write(config, "other.json")
    assert "another configuration: encoders.weights." in cli.refused("train", "--config", other, "--output", "run")
    assert "another configuration: encoders.weights." in cli.refused(
        "packs", "build", "--config", other, "--weights", "run", "--output", "packs/other"
    )
    assert not Path("packs", "other").exists()
    config["encoders"]["weights"] = "moved.safetensors"
    cli("packs", "build", "--config", _write(config), "--weights", "run", "--output", "packs/moved")
    config["data"]["seconds"] = 1.0
    assert "configuration: data.seconds." in cli.refused("train", "--config", _write(config), "--output", "run")
    Path("run", "recipe.json").unlink()
    cli("packs", "build", "--config", other, "--weights", "run", "--output", "packs/older")
    cli("train", "--config", other, "--output", "run")
    assert not Path("run", "recipe.json").exists(), "nobody knows what an older run began with"
    cli("train", "--config", other, "--output", "run", "--fresh")
    cli("packs", "build", "--config", other, "--weights", "run", "--output", "packs/other")


def test_a_checkpoint_as_published_is_trained_above_and_packed(cli: Cli, config: Json) -> None:
    def publish(name: str, seed: int) -> str:
        state = tiny_cnn(seed).state_dict()
        torch.save(({f"embedding_net.{key}": value for key, value in state.items()}, {}), name)
        return name

    config["encoders"]["weights"] = publish("checkpoint.pth", seed=0)
    name = _write(config)
    cli("train", "--config", name, "--output", "run")
    cli("train", "--config", name, "--output", "run")
    assert "Going on with run" in cli.err
    packed = load_file("run/pack/audio.safetensors")["conv_block1.conv1.weight"]
    assert packed.equal(tiny_cnn().state_dict()["conv_block1.conv1.weight"].half())
    Path("checkpoint.pth").rename("moved.pth")
    config["encoders"]["weights"] = "moved.pth"
    build = ("packs", "build", "--config", _write(config), "--weights", "run", "--output", "packs/mine")
    cli(*build)
    publish("moved.pth", seed=1)
    assert "another configuration: encoders.weights." in cli.refused(*build)
    save_file(tiny_cnn(seed=0).state_dict(), "same.safetensors")
    config["encoders"]["weights"] = "same.safetensors"
    _write(config)
    cli(*build)
    Path("damaged.pth").write_bytes(Path("moved.pth").read_bytes()[:-100])
    config["encoders"]["weights"] = "damaged.pth"
    _write(config)
    for command in (("train", "--config", name, "--output", "new"), build):
        assert "The checkpoint damaged.pth is damaged" in cli.refused(*command)
    assert not Path("new").exists()


def test_what_stopped_before_its_first_epoch_ended_can_be_taken_up_or_begun_anew(cli: Cli, config: Json) -> None:
    config["train"]["metrics"] = ["val.none"]
    cli.refused("train", "--config", _write(config), "--output", "run")
    assert [path.name for path in Path("run").iterdir()] == ["recipe.json"]
    del config["train"]["metrics"]
    name = _write(config)
    cli("train", "--config", name, "--output", "run", "--fresh")
    for left in ("checkpoint.pt", "history.jsonl", "tied.safetensors"):
        Path("run", left).unlink()
    config["train"]["max_epochs"] = 1
    cli("train", "--config", _write(config), "--output", "run", "--fresh")
    assert json.loads(Path("run", "recipe.json").read_text())["recipe"]["train"]["max_epochs"] == 1
    Path("run", "checkpoint.pt").unlink()
    config["train"]["max_epochs"] = 2
    cli("train", "--config", _write(config), "--output", "run")
    assert json.loads(Path("run", "config.json").read_text())["max_epochs"] == 2


def test_starting_over_deletes_nothing_that_is_not_of_a_run(cli: Cli, config: Json) -> None:
    for name in ("text", "pack"):
        Path("mine", name).mkdir(parents=True)
        Path("mine", name, "notes").write_text("years of work")
    Path("mine", "config.json").write_text("{}")
    refused = cli.refused("train", "--config", _write(config), "--output", "mine", "--fresh")
    assert "is not deleted" in refused
    assert "--output" in refused
    assert all(Path("mine", name, "notes").is_file() for name in ("text", "pack"))
    assert Path("mine", "config.json").is_file()


@posix_only
def test_starting_over_follows_no_link_out_of_the_run(cli: Cli, config: Json) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere", "notes").write_text("years of work")
    Path("run").mkdir()
    for name in ("config.json", "history.jsonl"):
        Path("run", name).touch()
    Path("run", "text").symlink_to(Path("elsewhere").resolve())
    config["train"]["max_epochs"] = 1
    cli("train", "--config", _write(config), "--output", "run", "--fresh")
    assert Path("elsewhere", "notes").is_file()
    assert not Path("run", "text").exists()


def test_what_cannot_be_deleted_is_a_known_error(cli: Cli, config: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    for name in ("config.json", "history.jsonl", "pack/pack.json"):
        Path("run", name).parent.mkdir(parents=True, exist_ok=True)
        Path("run", name).touch()
    monkeypatch.setattr(shutil, "rmtree", fail)
    assert "pack cannot be used: Permission denied" in cli.refused(
        "train", "--config", _write(config), "--output", "run", "--fresh"
    )


@pytest.mark.parametrize(
    ("section", "change", "mention"),
    [
        ("train", {"dims": 3}, "train.dims"),
        ("train", {"batch_size": 0}, "train.batch_size must be more than 0"),
        ("train", {"dropout": 1.5}, "train.dropout must be 0 or more and at most 1"),
        ("train", {"plateau_factor": 1.0}, "train.plateau_factor must be 0 or more and below 1"),
        ("train", {"soft_weight": 1.5}, "train.soft_weight must be 0 or more and at most 1"),
        ("train", {"caption_weight": 1.5}, "train.caption_weight must be 0 or more and at most 1"),
        ("train", {"margin": float("inf")}, "train.margin must be 0 or more and finite"),
        ("train", {"learning_rate": float("nan")}, "train.learning_rate must be more than 0"),
        ("train", {"learning_rate": "fast"}, "train.learning_rate"),
        ("train", {"dim": 15}, "train.heads"),
        ("train", {"metrics": ["val.recall_at_3"]}, "val.recall_at_3"),
        ("encoders", {"weights": "none.safetensors"}, "encoders.weights is none.safetensors"),
        ("encoders", {"weights": "clotho"}, "encoders.weights is clotho, a folder. Name a file there."),
        ("encoders", {"text": ""}, "encoders.text is empty"),
        ("data", {"audio": "nowhere"}, "data.audio is nowhere"),
        ("data", {"audio": "mine.json"}, "data.audio is mine.json, a file. Name a folder there."),
        ("data", {"kind": "manifest"}, "data.table"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(cli: Cli, config: Json, section: str, change: Json, mention: str) -> None:
    config[section] = {**config[section], **change}
    assert mention in cli.refused("train", "--config", _write(config))


def test_unreadable_configs_and_weights(cli: Cli, config: Json, tmp_path: Path) -> None:
    assert "none.json" in cli.refused("train", "--config", "none.json")
    Path("broken.json").write_text("{")
    assert "is not JSON" in cli.refused("train", "--config", "broken.json")
    Path("weights.safetensors").write_bytes(b"cut short")
    config["encoders"] = {**config["encoders"], "weights": "weights.safetensors"}
    assert "weights.safetensors" in cli.refused("train", "--config", _write(config))
    assert "data.audio is data" in cli.refused("train", "--config", "clotho-paper.json"), "a shipped one, found by name"


def test_a_crnn_is_trained_but_goes_into_no_pack(cli: Cli, config: Json) -> None:
    config["encoders"] |= {"weights": None, "cnn": "crnn", "frontend": "dcase_baseline", "trainable": ["audio"]}
    config["train"] |= {"kind": "none", "max_epochs": 1, "losses": ["triplet"]}
    assert "Best after epoch 1" in cli("train", "--config", _write(config), "--output", "run")
    assert "warning: The CRNN of the DCASE 2022 baseline cannot go into a pack" in cli.err
    assert load_file("run/audio.safetensors")
    assert not Path("run", "pack").exists()


def test_trained_encoders_go_into_the_pack(cli: Cli, config: Json) -> None:
    config["encoders"] |= {"trainable": ["audio", "text"]}
    config["train"] |= {"max_epochs": 1}
    cli("train", "--config", _write(config), "--output", "run")
    for name in ("audio", "text/model"):
        packed, kept = load_file(f"run/pack/{name}.safetensors"), load_file(f"run/{name}.safetensors")
        shared = set(packed) & set(kept)
        assert len(shared) > 10
        assert all(torch.equal(packed[each], kept[each].half()) for each in shared)


def test_packs_build_from_a_finished_run(cli: Cli, config: Json) -> None:
    name = _write(config)
    assert "no finished training" in cli.refused("packs", "build", "--config", name, "--weights", "run")
    cli("train", "--config", name, "--output", "run")
    Path("mine-about.json").write_text(json.dumps({"name": "Mine", "version": "2", "licence": "CC0"}))
    cli("packs", "build", "--config", name, "--weights", "run", "--id", "other", "--output", "packs/other")
    pack = Pack.read(Path("packs/other"))
    assert (pack.pack_id, pack.manifest["name"], pack.manifest["licence"]) == ("other", "Mine", "CC0")
    assert "cannot be named" in cli.refused("packs", "build", "--config", name, "--weights", "run", "--id", "../x")
    config["train"]["dropout"] = 0.1
    assert "dropout" in cli.refused("packs", "build", "--config", _write(config), "--weights", "run")


def test_a_pack_of_damaged_or_foreign_files_is_refused_in_plain_words(cli: Cli, config: Json) -> None:
    name = _write(config)
    cli("train", "--config", name, "--output", "whole")
    Path("file").touch()
    tied = load_file("whole/tied.safetensors")

    def misshapen() -> None:
        save_file({**tied, "audio_projection.weight": torch.zeros(2, 2)}, "run/tied.safetensors")

    for damage, mention in (
        (misshapen, "of another shape: audio_projection.weight"),
        (lambda: Path("run", "tied.safetensors").write_text("cut"), "tied.safetensors"),
        (lambda: Path("run", "config.json").write_text("{"), "config.json cannot be used: it is not JSON"),
        (lambda: Path("run", "config.json").write_text('{"dim": "x"}'), 'dim must be a whole number, not "x"'),
        (lambda: Path("run", "config.json").write_text('{"losses": 3}'), "losses must be a list, not 3"),
        (lambda: Path("run", "recipe.json").write_text('{"recipe": 3}'), "recipe must be an object"),
        (lambda: Path("run", "history.jsonl").unlink(), "history.jsonl is not there"),
        (lambda: Path("mine-about.json").write_bytes(b"\xff"), "mine-about.json cannot be used: it is not JSON"),
    ):
        shutil.rmtree("run", ignore_errors=True)
        shutil.copytree("whole", "run")
        damage()
        refused = cli.refused("packs", "build", "--config", name, "--weights", "run", "--output", "out")
        assert mention in refused
        assert_plain(refused)
    Path("mine-about.json").unlink()
    refused = cli.refused("packs", "build", "--config", name, "--weights", "whole", "--output", "file")
    assert str(Path("file", "text")) in refused
    assert_plain(refused)


def test_evaluate_with_many_files_a_caption_and_some_lost(cli: Cli, tmp_path: Path) -> None:
    pack = str(make_pack(tmp_path / "packs").folder)
    for index in range(4):
        tone(Path("sounds", f"{index}.wav"), 300 * (index + 1), 0.4, 8000)
    Path("sounds", "broken.wav").write_bytes(b"RIFF nothing")
    rows = ["a dog,0.wav", "a dog,1.wav", "rain,2.wav", "rain,gone.wav", "bell,3.wav", "door,broken.wav"]
    Path("queries.csv").write_text("\n".join(["caption,file_name", *rows]), encoding="utf-8")
    found = json.loads(cli("evaluate", "--audio", "sounds", "--captions", "queries.csv", "--pack", pack, "--json"))
    assert (found["captions"], found["files"], found["missing"], found["undecodable"]) == (3, 4, 1, 1)
    assert found["precision_at_10"] == pytest.approx((2 + 1 + 1) / 30, abs=1e-6)
    assert found["recall_at_5"] == 1.0
    assert 0.0 < found["class_map"] <= 1.0
    assert "1 of 6 sounds are not there" in cli.err
    assert "1 of 6 sounds cannot be decoded" in cli.err
    assert "class mAP" in cli("evaluate", "--audio", "sounds", "--captions", "queries.csv", "--pack", pack)
    assert "None of the 6 sounds" in cli.refused(
        "evaluate", "--audio", "elsewhere", "--captions", "queries.csv", "--pack", pack
    )
    assert "queriez.csv" in cli.refused("evaluate", "--audio", "sounds", "--captions", "queriez.csv", "--pack", pack)


@pytest.fixture
def distillation(encoders: Json, tmp_path: Path) -> Json:
    rows = ["file,split,source,seconds,caption,audioset_tags"]
    for index, split in enumerate(["train", "train", "val"]):
        tone(tmp_path / "sounds" / f"{index}.wav", 200 + 300 * index, 0.5)
        rows.append(f"{index}.wav,{split},here,0.5,tone,")
    (tmp_path / "sounds" / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    teacher.write(tmp_path / "teacher.onnx")
    return {
        "table": "sounds/manifest.csv",
        "teacher": "teacher.onnx",
        "start": encoders["weights"],
        "crops_s": [0.5],
        "batch_s": 1.0,
        "steps": 4,
        "warm_up_steps": 1,
        "checkpoint_every": 2,
    }


def test_distil_learns_resumes_and_leaves_weights_for_training(cli: Cli, distillation: Json) -> None:
    name = _write(distillation)
    arguments = ("distil", "--config", name, "--output", "run/cnn.safetensors", "--device", "cpu")
    cli(*arguments)
    assert "step 4: frame loss" in cli.err
    weights = load_file("run/cnn.safetensors")
    start = load_file(distillation["start"])
    assert set(start) == set(weights)
    assert (weights["conv_block1.conv1.weight"] != start["conv_block1.conv1.weight"]).any()
    history = [json.loads(line) for line in Path("run/cnn.jsonl").read_text().splitlines()]
    assert [line["step"] for line in history] == [2, 4]
    cli(*arguments)
    assert len(Path("run/cnn.jsonl").read_text().splitlines()) == 2, "nothing was left to do"
    cli("distil", "--config", _write({**distillation, "steps": 6}), *arguments[3:])
    assert [json.loads(line)["step"] for line in Path("run/cnn.jsonl").read_text().splitlines()] == [2, 4, 6]
    changed = _write({**distillation, "learning_rate": 0.1}, "changed.json")
    assert "--fresh" in cli.refused("distil", "--config", changed, *arguments[3:])
    cli("distil", "--config", changed, *arguments[3:], "--fresh")
    assert [json.loads(line)["step"] for line in Path("run/cnn.jsonl").read_text().splitlines()] == [2, 4]


def test_distil_tells_how_it_does_on_sounds_that_are_held_out(cli: Cli, distillation: Json) -> None:
    name = _write({**distillation, "held_out": "val"})
    cli("distil", "--config", name, "--output", "run/cnn.safetensors", "--device", "cpu")
    assert "Decoding 2 sounds" in cli.err
    losses = [json.loads(line)["held_out_frame_loss"] for line in Path("run/cnn.jsonl").read_text().splitlines()]
    printed = re.findall(r"step \d: .*crops/s; held out: frame loss ([\d.]+)\n", cli.err)
    assert [float(loss) for loss in printed] == pytest.approx(losses, abs=1e-4)
    assert len(losses) == 2


def test_a_student_takes_the_place_of_the_teacher_under_its_layers(cli: Cli, distillation: Json, config: Json) -> None:
    """Layers above the teacher's frames, a student that learns their vectors, and a training that goes on from both."""
    Path("labels.txt").write_text("Dog\nRain\nCat\nWind\nThunder\n", encoding="utf-8")
    known = {"model": "teacher.onnx", "labels": "labels.txt", "sample_rate_hz": 8_000}
    above = {**config, "teacher": known, "encoders": {**config["encoders"], "weights": None, "cnn": "teacher"}}
    cli("train", "--config", _write(above), "--output", "taught")
    assert "cannot go into a pack" in cli.err
    teacher.write(Path("teacher.onnx"), seed=1)
    assert "encoders.weights" in cli.refused("train", "--config", "mine.json", "--output", "taught")
    shutil.copytree("sounds", "others")
    learned = {**distillation, "layers": "taught", "more": ["others/manifest.csv"], "held_out": "val"}
    printed = cli("distil", "--config", _write(learned), "--output", "run/cnn.safetensors", "--device", "cpu")
    assert "Decoding 4 sounds" in cli.err
    assert re.search(r", vector loss [\d.]+, .*; held out: frame loss [\d.]+, vector loss [\d.]+\n", cli.err)
    assert str(Path("run", "cnn.tied.safetensors")) in printed
    encoders = {**config["encoders"], "weights": "run/cnn.safetensors"}
    last = {**config, "encoders": encoders, "start": "run/cnn.tied.safetensors"}
    cli("train", "--config", _write(last), "--output", "last")
    Pack.read(Path("last", "pack")).verify()
    wrong = _write({**learned, "layers": "last"})
    refused = cli.refused("distil", "--config", wrong, "--output", "new/cnn.safetensors", "--device", "cpu")
    assert f"the teacher's are {teacher.WIDTH}" in refused


def test_distilling_anew_deletes_nothing_that_is_not_of_a_run(cli: Cli, distillation: Json) -> None:
    arguments = ("distil", "--config", _write(distillation), "--device", "cpu", "--fresh", "--output")
    Path("folder.safetensors").mkdir()
    Path("folder.safetensors", "notes").write_text("years of work")
    Path("mine.safetensors").write_text("years of work")
    for name in ("folder.safetensors", "mine.safetensors"):
        assert f"{name} is not known to be of an earlier run" in cli.refused(*arguments, name)
    assert Path("folder.safetensors", "notes").read_text() == Path("mine.safetensors").read_text() == "years of work"


@pytest.mark.parametrize("command", ["train", "distil"])
@pytest.mark.parametrize(("device", "module"), [("cuda", torch.cuda), ("mps", torch.backends.mps)])
def test_a_device_that_is_not_there(
    cli: Cli,
    config: Json,
    distillation: Json,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    device: str,
    module: ModuleType,
) -> None:
    monkeypatch.setattr(module, "is_available", lambda: False)
    name = _write(config if command == "train" else distillation)
    refused = cli.refused(command, "--config", name, "--device", device)
    assert f"PyTorch finds no {device.upper()} device" in refused


def test_a_cnn_that_starts_at_random_follows_from_the_seed(cli: Cli, distillation: Json) -> None:
    name = _write({**distillation, "start": None, "steps": 2})
    for folder in ("one", "two"):
        cli("distil", "--config", name, "--device", "cpu", "--output", f"{folder}/cnn.safetensors")
    assert Path("one/cnn.safetensors").read_bytes() == Path("two/cnn.safetensors").read_bytes()


def test_what_is_distilled_goes_to_safetensors(cli: Cli, distillation: Json) -> None:
    Path("mine.txt").write_text("years of work")
    for name in ("mine.txt", "mine.jsonl", "mine"):
        refused = cli.refused("distil", "--config", _write(distillation), "--output", name, "--fresh")
        assert f"{name} is no name for weights" in refused
    assert Path("mine.txt").read_text() == "years of work"


def test_distil_refuses_what_is_wrong(cli: Cli, distillation: Json) -> None:
    for change, mention in (
        ({"steps": 0}, "steps must be more than 0"),
        ({"batch_s": 0}, "batch_s must be more than 0"),
        ({"crops_s": [1.0, 0.0]}, "crops_s must be more than 0"),
        ({"crops_s": []}, "crops_s must hold a number"),
        ({"crops_s": [1.0, 0.49]}, "crops_s has 0.49 s, too short for a teacher. Write no less than 0.5"),
        ({"teacher": "gone.onnx"}, "teacher is gone.onnx"),
        ({"teacher": "sounds/manifest.csv"}, "sounds/manifest.csv is no ONNX model"),
        ({"teacher": "sounds"}, "teacher is sounds, a folder"),
        ({"table": "sounds"}, "table is sounds, a folder"),
        ({"more": ["sounds"]}, "more is sounds, a folder"),
        ({"start": "sounds"}, "start is sounds, a folder"),
        ({"layers": "teacher.onnx"}, "layers is teacher.onnx, a file"),
        ({"layers": ""}, "layers is empty"),
        ({"more": [""]}, "more is empty"),
        ({"cnn": "panns", "frontend": "panns"}, "cnn10.safetensors"),
        ({"more": ["sounds/manifest.csv", "gone.csv"]}, "more is gone.csv"),
        ({"held_out": "tset"}, "manifest.csv names no sound of the split “tset”. Its splits are train, val."),
        ({"frozen_blocks": 5}, "frozen_blocks is 5, and the CNN has 4 blocks"),
        ({"held_out": "train"}, "held_out names sounds that are learned from, "),
        ({"teachr": 1}, "unknown field teachr"),
    ):
        assert mention in cli.refused("distil", "--config", _write({**distillation, **change}))


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["train", "--config", "x.json"], "This edition of Foundsound has no training."),
        (["evaluate", "--audio", "x", "--captions", "x.csv"], "This edition of Foundsound has no training."),
        (["distil", "--config", "x.json"], "This edition of Foundsound has no training."),
        (["packs", "install", "paper"], "This edition of Foundsound has no training."),
        (["packs", "build", "--config", "x.json", "--weights", "x"], "This edition of Foundsound has no training."),
    ],
)
def test_an_edition_without_training_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str], mention: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "engine.training" else find(name, *rest)
    )
    assert mention in cli.refused(*arguments)


def test_the_commands_load_neither_torch_nor_training_until_they_run() -> None:
    probe = (
        "import sys, engine.cli.commands; print(*[n for n in ('torch', 'engine.training', 'rich') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, encoding="utf-8", check=True, env={**os.environ}
    )
    assert result.stdout.strip() == ""
