"""The commands that make and measure models: train, evaluate, distil. Their work is in ``engine.training``."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator, Mapping
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
    from engine.training.measure.evaluate import Evaluation
    from engine.training.recipe import Recipe

RUNS = Path("data", "runs")
CACHE = Path("data", "cache")
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
    from engine.training.runs import run_recipe

    path = find_config(config)
    recipe, chosen = read_recipe(path), _available(device)
    if seed is not None:
        recipe = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, seed=seed))
    folder = output or RUNS / (path.stem if seed is None else f"{path.stem}-seed{seed}")
    with _working(folder):
        with phases() as shown:
            result = run_recipe(recipe, folder, cache, chosen, fresh, shown, _Epochs(recipe, shown).show)
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
    from engine.training.config_files import find_config
    from engine.training.reading import read_distillation
    from engine.training.runs import run_distillation

    path = find_config(config)
    settings = read_distillation(path)
    target = output or RUNS / path.stem / "cnn10.safetensors"
    chosen = _available(device)
    with _working(target.parent), phases() as shown:
        with_layers = run_distillation(settings, path, target, cache, chosen, fresh, shown)
    console.write(f"Weights   {target}")
    if with_layers:
        console.write(f"Layers    {target.with_suffix('.tied.safetensors')}")
    console.write("Next      name them as encoders.weights (and start) in a configuration for “foundsound train”")


def read_recipe(path: Path) -> Recipe:
    """A training's configuration, checked before anything long starts.

    Raises:
        KnownError: As ``engine.training.reading.read_recipe``; ``training_needs_more`` when a teacher is named but
            cannot run here.
    """
    from engine.training import reading

    recipe = reading.read_recipe(path)
    if recipe.teacher is not None:
        require_training("onnx")
    return recipe


class _Epochs:
    """Tells of each epoch: its losses and the figures that decide."""

    def __init__(self, recipe: Recipe, shown: Phases) -> None:
        self._metrics = recipe.train.metrics
        self._epochs = recipe.train.max_epochs
        self._shown = shown

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
