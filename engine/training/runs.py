"""Whole runs, from a checked configuration to weights on disk: what the commands ``train`` and ``distil`` do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from engine.errors import ErrorKind, KnownError
from engine.models.frontend import LogMel
from engine.training import distil as distilling
from engine.training import recipe as recipes
from engine.training import train as training
from engine.training.data.audio_cache import AudioCache
from engine.training.data.tables import load_manifest
from engine.training.networks.encoders import FRONTENDS
from engine.training.networks.model import layers_of_run
from engine.training.run_record import RunRecord

RESULTS = ("tied.safetensors", "audio.safetensors", "text", "history.png", "pack")
CONFIG, PROGRESS, RECORD = "config.json", ("history.jsonl", "checkpoint.pt"), "recipe.json"


class Report(Protocol):
    """Is told how far a run has come."""

    def show(self, phase: str, done: float, total: float, detail: str = "") -> None:
        """A phase, new or known by its name, has come so far."""

    def say(self, line: str) -> None:
        """Something happened that is worth a line."""


def run_recipe(
    recipe: recipes.Recipe,
    folder: Path,
    cache: Path,
    device: str,
    fresh: bool,
    report: Report,
    on_epoch: Callable[[Mapping[str, Any]], None],
) -> training.Result:
    """Train what a recipe describes into a folder, going on where an earlier run stopped unless ``fresh``.

    Raises:
        KnownError: ``run_unknown`` when ``fresh`` would delete what is no run's; ``config_changed`` when the earlier
            run was another; and as :func:`engine.training.recipe.prepare` and :func:`engine.training.train.train`.
    """
    if fresh:
        is_run = (folder / CONFIG).is_file() and any((folder / name).is_file() for name in (*PROGRESS, RECORD))
        _forget([folder / name for name in (*RESULTS, *PROGRESS, CONFIG)], is_run)
    record, begun = RunRecord.of(recipe), (folder / "checkpoint.pt").exists()
    if begun:
        record.check(folder)
    report.say(f"Preparing sounds and captions (cached in {cache})")
    data, validation = recipes.prepare(recipe, cache, report.show, device)
    captions = sum(len(rows) for rows in data.captions)
    sets = ", ".join(f"{name} ({len(each.captions)} captions)" for name, each in validation.items())
    report.say(f"Training on {sum(map(bool, map(len, data.captions)))} sounds with {captions} captions into {folder}")
    report.say(f"Validating on {len(next(iter(validation.values())).sounds)} sounds: {sets}")
    if not begun:
        record.write(folder)
    if begun:
        report.say(f"Going on with {folder}")
    return training.train(recipe.train, data, validation, folder, on_epoch, device)


def run_distillation(
    settings: distilling.DistilConfig, path: Path, target: Path, cache: Path, device: str, fresh: bool, report: Report
) -> bool:
    """Distil what a configuration describes into ``target``, going on where an earlier run stopped unless ``fresh``.

    Args:
        settings: The configuration.
        path: Its file, which names the cache.
        target: Where the weights go, with the suffix .safetensors.
        cache: Folder for decoded sounds.
        device: A device of torch.
        fresh: Start over.
        report: Is told how far it has come.

    Returns:
        Whether layers were learned too, which then lie beside ``target``.

    Raises:
        KnownError: ``output_not_safetensors``, ``config_invalid`` when sounds are both learned from and held out, and
            as :func:`engine.training.distil.distil`.
    """
    if target.suffix != ".safetensors":  # what else a run writes is named after it
        raise KnownError(
            ErrorKind.OUTPUT_NOT_SAFETENSORS, f"{target} is no name for weights.", "End --output with .safetensors."
        )
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
    if fresh:
        _, *records = written = distilling.run_files(target)
        _forget(written, any(path.is_file() for path in records))
    report.say(f"Decoding {len(sounds)} sounds (cached in {cache})")

    def decoded(name: str, sounds: Sequence[Path]) -> AudioCache:
        rate = frontend.config.sample_rate_hz
        return AudioCache.build(cache / name, sounds, rate, lambda done, total: report.show("Decoding", done, total))

    audio = decoded(f"distil-{path.stem}", sounds)
    held_out = decoded(f"distil-{path.stem}/held-out", unheard) if unheard else None
    report.say(f"Distilling {settings.teacher.name} on {device} into {target}")

    def show(state: distilling.DistilProgress) -> None:
        losses = f"frame loss {state.frame_loss:.4f}, tag loss {state.tag_loss:.5f}"
        if layers is not None:
            losses += f", vector loss {state.vector_loss:.4f}"
        detail = f"{losses}, {state.crops_per_s:.0f} crops/s"
        report.show("Steps", state.step, settings.steps, detail)
        if state.is_checkpoint:
            if state.held_out_frame_loss is not None:
                detail += f"; held out: frame loss {state.held_out_frame_loss:.4f}"
            if state.held_out_vector_loss is not None:
                detail += f", vector loss {state.held_out_vector_loss:.4f}"
            report.say(f"step {state.step}: {detail}")

    distilling.distil(frontend, cnn, audio, settings, target, layers, device, show, held_out)
    return layers is not None


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
