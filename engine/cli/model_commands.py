"""The commands that make and measure models: train, evaluate, distil. Their work is in ``engine.training``."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import console
from engine.cli.progress import Phases, phases
from engine.errors import ErrorKind, KnownError
from engine.models.packs import find_pack
from engine.paths import DEFAULT_PACK

if TYPE_CHECKING:
    from engine.training.distil import DistilConfig
    from engine.training.measure.evaluate import Evaluation
    from engine.training.recipe import Recipe

RUNS = Path("data", "runs")
CACHE = Path("data", "cache")
RESULTS = ("tied.safetensors", "audio.safetensors", "text", "history.png", "pack")
CONFIG, PROGRESS, RECORD = "config.json", ("history.jsonl", "checkpoint.pt"), "recipe.json"
SHOWN_FAILURES = 5

ConfigFile = Annotated[
    Path, typer.Option("--config", help="JSON configuration: a file, or the name of a shipped one.", show_default=False)
]
Fresh = Annotated[bool, typer.Option("--fresh/--resume", help="Start over, or go on where an earlier run stopped.")]
Cache = Annotated[Path, typer.Option(help="Folder for decoded sounds and encoder outputs, computed once.")]


class Device(StrEnum):
    """Where to compute; ``auto`` takes CUDA or MPS where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (train, evaluate, distil):
        app.command()(command)


def require_training(*modules: str) -> None:
    """Complain in one line where this edition has no training, or lacks a module that it needs.

    Raises:
        KnownError: ``training_left_out`` or ``training_needs_more``.
    """
    if importlib.util.find_spec("engine.training") is None:
        raise KnownError(
            ErrorKind.TRAINING_LEFT_OUT,
            "This edition of Foundsound has no training.",
            "Install Foundsound from its source, as its README.md says.",
        )
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise KnownError(
            ErrorKind.TRAINING_NEEDS_MORE,
            f"This needs {' and '.join(missing)}, which is not installed.",
            'Install it with: python -m pip install -c constraints.txt -e ".[train]"',
        )


def train(
    config: ConfigFile,
    output: Annotated[
        Path | None, typer.Option(help="Folder for weights, history and pack; by default data/runs/NAME.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the configuration's.")] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    fresh: Fresh = False,
    cache: Cache = CACHE,
) -> None:
    """Train tied layers above the encoders that a configuration names; ends with a pack."""
    require_training()
    from engine.training.config_files import about, find_config
    from engine.training.packing import pack_run
    from engine.training.recipe import prepare
    from engine.training.run_record import RunRecord
    from engine.training.train import train as run_training

    path = find_config(config)
    recipe, chosen = read_recipe(path), _available(device)
    if seed is not None:
        recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, seed=seed))
    folder = output or RUNS / (path.stem if seed is None else f"{path.stem}-seed{seed}")
    with _working(folder):
        if fresh:
            is_run = (folder / CONFIG).is_file() and any((folder / name).is_file() for name in (*PROGRESS, RECORD))
            _forget([folder / name for name in (*RESULTS, *PROGRESS, CONFIG)], is_run)
        record, begun = RunRecord.of(recipe), (folder / "checkpoint.pt").exists()
        if begun:
            record.check(folder)
        with phases() as shown:
            shown.say(f"Preparing sounds and captions (cached in {cache})")
            data, validation = prepare(recipe, cache, shown.show, chosen)
            captions = sum(len(rows) for rows in data.captions)
            sets = ", ".join(f"{name} ({len(each.captions)} captions)" for name, each in validation.items())
            shown.say(
                f"Training on {sum(map(bool, map(len, data.captions)))} sounds with {captions} captions into {folder}"
            )
            shown.say(f"Validating on {len(next(iter(validation.values())).sounds)} sounds: {sets}")
            if not begun:
                record.write(folder)
            told = _Epochs(recipe, folder, shown).show
            result = run_training(recipe.train, data, validation, folder, told, chosen)
        _plot(result.history, folder / "history.png")
        metrics = " and ".join(recipe.train.metrics)
        console.write(f"Best after epoch {result.epoch} of {len(result.history)}: {metrics} {result.best:.4f}")
        try:
            known = about(path, path.stem, str(recipe.encoders.weights))
            pack = pack_run(recipe, folder, path.stem, known, folder / "pack", cache)
        except KnownError as error:
            if error.kind != ErrorKind.PACK_UNSUPPORTED:
                raise
            console.note(f"warning: {error}")
            return
    console.write(f"Pack      {pack.folder} ({pack.pack_hash[:12]})")
    console.write(f"Use it    foundsound packs use {pack.folder}")


def evaluate(
    audio: Annotated[Path, typer.Option(help="Folder that the table's file names start from.", show_default=False)],
    captions: Annotated[
        Path, typer.Option(help="CSV: file_name, caption_1 ... (Clotho) or caption, file_name.", show_default=False)
    ],
    pack: Annotated[str, typer.Option("--pack", help="Model pack: its name, or its folder.")] = DEFAULT_PACK,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how well captions find their sounds: R@1, R@5, R@10, mAP@10 as in DCASE 2022 task 6b."""
    require_training()
    from engine.models.encoder import Encoder
    from engine.training.data.tables import load_evaluation
    from engine.training.measure.evaluate import evaluate as run_evaluation

    with _working(audio, "Stopped."), phases() as shown:
        wanted = load_evaluation(captions, audio)
        chosen = find_pack(pack)
        encoder = Encoder.load(chosen)
        found = run_evaluation(wanted, encoder, lambda done, total: shown.show("Sounds", done, total))
    _warn_of_lost(found, len(wanted.files))
    many = any(len(relevant) > 1 for relevant in wanted.relevant)
    values = {"pack": chosen.pack_id, "pack_hash": chosen.pack_hash, **_figures(found, many)}
    if as_json:
        lost = {"missing": len(found.missing), "undecodable": len(found.failed)}
        console.write_json({**values, **lost})
        return
    console.write(f"Pack      {chosen.pack_id} ({chosen.pack_hash[:12]})")
    console.write(f"Captions  {found.metrics.captions}, over {found.metrics.files} sounds")
    for name, label in LABELS.items():
        if name in values:
            console.write(f"{label:9} {values[name]:.4f}")


LABELS = {
    "recall_at_1": "R@1",
    "recall_at_5": "R@5",
    "recall_at_10": "R@10",
    "map_at_10": "mAP@10",
    "class_map": "class mAP",
    "precision_at_10": "P@10",
}


def distil(
    config: ConfigFile,
    output: Annotated[
        Path | None, typer.Option(help="Safetensors file; by default data/runs/NAME/cnn10.safetensors.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.AUTO,
    fresh: Fresh = False,
    cache: Cache = CACHE,
) -> None:
    """Distil a tagging teacher into a CNN, the audio encoder of a pack."""
    require_training("onnx")
    from engine.models.frontend import LogMel
    from engine.training import distil as distilling
    from engine.training.config_files import find_config
    from engine.training.data.audio_cache import AudioCache
    from engine.training.data.tables import load_manifest
    from engine.training.networks.encoders import FRONTENDS
    from engine.training.networks.model import layers_of_run

    path = find_config(config)
    settings = read_distillation(path)
    target = output or RUNS / path.stem / "cnn10.safetensors"
    if target.suffix != ".safetensors":  # what else a run writes is named after it
        raise KnownError(
            ErrorKind.OUTPUT_NOT_SAFETENSORS, f"{target} is no name for weights.", "End --output with .safetensors."
        )
    chosen = _available(device)
    frontend, cnn = LogMel(FRONTENDS[settings.frontend]), distilling.first_cnn(settings)
    layers = layers_of_run(settings.layers) if settings.layers is not None else None
    tables = (settings.table, *settings.more)
    sounds = [clip.path for table in tables for clip in load_manifest(table, settings.split)]
    unheard = [clip.path for clip in load_manifest(settings.table, settings.held_out)] if settings.held_out else []
    if known := {each.resolve() for each in sounds} & {each.resolve() for each in unheard}:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"{path}: held_out names sounds that are learned from, {min(known).as_posix()} first.",
            "Name another split there, or take them out of more.",
        )
    with _working(target.parent), phases() as shown:
        if fresh:
            _, *records = written = distilling.run_files(target)
            _forget(written, any(path.is_file() for path in records))
        shown.say(f"Decoding {len(sounds)} sounds (cached in {cache})")

        def decoded(name: str, sounds: Sequence[Path]) -> AudioCache:
            rate = frontend.config.sample_rate_hz
            return AudioCache.build(cache / name, sounds, rate, lambda done, total: shown.show("Decoding", done, total))

        audio = decoded(f"distil-{path.stem}", sounds)
        held_out = decoded(f"distil-{path.stem}/held-out", unheard) if unheard else None
        shown.say(f"Distilling {settings.teacher.name} on {chosen} into {target}")

        def show(state: distilling.DistilProgress) -> None:
            losses = f"frame loss {state.frame_loss:.4f}, tag loss {state.tag_loss:.5f}"
            if layers is not None:
                losses += f", vector loss {state.vector_loss:.4f}"
            detail = f"{losses}, {state.crops_per_s:.0f} crops/s"
            shown.show("Steps", state.step, settings.steps, detail)
            if state.is_checkpoint:
                if state.held_out_frame_loss is not None:
                    detail += f"; held out: frame loss {state.held_out_frame_loss:.4f}"
                if state.held_out_vector_loss is not None:
                    detail += f", vector loss {state.held_out_vector_loss:.4f}"
                shown.say(f"step {state.step}: {detail}")

        distilling.distil(frontend, cnn, audio, settings, target, layers, chosen, show, held_out)
    console.write(f"Weights   {target}")
    if layers is not None:
        console.write(f"Layers    {target.with_suffix('.tied.safetensors')}")
    console.write("Next      name them as encoders.weights (and start) in a configuration for “foundsound train”")


def read_recipe(path: Path) -> Recipe:
    """A training's configuration, checked before anything long starts.

    Raises:
        KnownError: As ``engine.training.config_files.load_config``; ``training_needs_more`` when a teacher is named but
            cannot run here.
    """
    from engine.training.config_files import load_config
    from engine.training.recipe import Recipe

    recipe = load_config(Recipe, path)
    layers = recipe.train
    if layers.kind == "transformer" and layers.dim % layers.heads:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"{path}: train.dim {layers.dim} is no multiple of train.heads {layers.heads}.",
            "Change one of the two.",
        )
    if recipe.teacher is not None:
        require_training("onnx")
    return recipe


def read_distillation(path: Path) -> DistilConfig:
    """A distillation's configuration, checked before anything long starts.

    Raises:
        KnownError: As ``engine.training.config_files.load_config``; ``config_invalid`` when a scene of ``crops_s`` is
            too short for a teacher, or ``frozen_blocks`` is more than the CNN has.
    """
    from engine.training.config_files import load_config
    from engine.training.distil import DistilConfig
    from engine.training.networks.encoders import CNNS
    from engine.training.networks.teacher import SHORTEST_S

    settings = load_config(DistilConfig, path)
    if min(settings.crops_s) < SHORTEST_S:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"{path}: crops_s has {min(settings.crops_s):g} s, too short for a teacher.",
            f"Write no less than {SHORTEST_S:g} there.",
        )
    if settings.frozen_blocks > (blocks := len(CNNS[settings.cnn].pools)):
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"{path}: frozen_blocks is {settings.frozen_blocks}, and the CNN has {blocks} blocks.",
            "Write a smaller number there.",
        )
    return settings


class _Epochs:
    """Tells of each epoch: its losses and the figures that decide."""

    def __init__(self, recipe: Recipe, folder: Path, shown: Phases) -> None:
        self._metrics = recipe.train.metrics
        self._epochs = recipe.train.max_epochs
        self._shown = shown
        if (folder / "checkpoint.pt").exists():
            shown.say(f"Going on with {folder}")

    def show(self, line: Mapping[str, Any]) -> None:
        losses = ", ".join(
            f"{name.removeprefix('loss_')} {value:.3f}" for name, value in line.items() if name.startswith("loss_")
        )
        figures = ", ".join(
            f"{metric} {line[metric.split('.')[0]][metric.split('.')[1]]:.4f}" for metric in self._metrics
        )
        self._shown.show("Epochs", line["epoch"], self._epochs)
        self._shown.say(f"epoch {line['epoch']}: {losses}; {figures}")


def _figures(found: Evaluation, many: bool) -> dict[str, float | int]:
    """Figures under their published names; those of classes only where a caption has several files."""
    metrics = found.metrics
    names = ("captions", "files", "recall_at_1", "recall_at_5", "recall_at_10", "map_at_10")
    figures: dict[str, float | int] = {name: getattr(metrics, name) for name in names}
    if many:
        figures |= {"class_map": metrics.map_all, "precision_at_10": metrics.precision_at_10}
    return {name: round(value, 6) for name, value in figures.items()}


def _warn_of_lost(found: Evaluation, files: int) -> None:
    if found.missing:
        console.note(f"warning: {len(found.missing)} of {files} sounds are not there, {found.missing[0]} first.")
    if found.failed:
        console.note(f"warning: {len(found.failed)} of {files} sounds cannot be decoded:")
        for _, error in found.failed[:SHOWN_FAILURES]:
            console.note(f"  {error.detail}")


def _plot(history: list[dict[str, Any]], path: Path) -> None:
    from engine.training.measure.plot import plot_history

    try:
        plot_history(history, path)
    except KnownError as error:
        console.note(f"warning: {error}")


def _available(device: Device) -> str:
    """The device's name in torch; KnownError ``device_unavailable`` where there is no such device."""
    from engine.training.networks.devices import available

    return available(device.value)


def _forget(paths: Sequence[Path], ours: bool) -> None:
    """Delete what an earlier run wrote, and nothing else.

    Args:
        paths: What a run writes; what tells that it was one comes last, so that a deletion cut short can be repeated.
        ours: Whether such a run is there: the user's own files may have the same names.

    Raises:
        KnownError: ``run_unknown`` when something is there that was not ours.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if there and not ours:
        raise KnownError(
            ErrorKind.RUN_UNKNOWN,
            f"{there[0]} is not known to be of an earlier run, so it is not deleted.",
            "Name another --output, or move it away.",
        )
    for path in there:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _working(
    folder: Path, stopped: str = "Stopped. The same command goes on from the last checkpoint."
) -> Iterator[None]:
    """Ctrl+C and files that cannot be read or written are no bugs."""
    try:
        yield
    except KeyboardInterrupt:
        console.note(stopped)
        raise typer.Exit(130) from None
    except OSError as error:
        raise KnownError(
            ErrorKind.TRAINING_FILE_FAILED,
            f"{error.filename or folder} cannot be used: {error.strerror or error}.",
            "Check the path, its rights and the room on its disk.",
        ) from error
