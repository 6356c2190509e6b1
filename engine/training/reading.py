"""Configurations of whole runs, checked before anything long starts."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ErrorKind, KnownError
from engine.training.config_files import load_config
from engine.training.distil import DistilConfig
from engine.training.networks.encoders import CNNS
from engine.training.networks.teacher import SHORTEST_S
from engine.training.recipe import Recipe


def read_recipe(path: Path) -> Recipe:
    """A training's configuration.

    Raises:
        KnownError: As :func:`engine.training.config_files.load_config`; ``config_invalid`` when heads do not divide the
            width.
    """
    recipe = load_config(Recipe, path)
    layers = recipe.train
    if layers.kind == "transformer" and layers.dim % layers.heads:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"{path}: train.dim {layers.dim} is no multiple of train.heads {layers.heads}.",
            "Change one of the two.",
        )
    return recipe


def read_distillation(path: Path) -> DistilConfig:
    """A distillation's configuration.

    Raises:
        KnownError: As :func:`engine.training.config_files.load_config`; ``config_invalid`` when a scene of ``crops_s``
            is too short for a teacher, or ``frozen_blocks`` is more than the CNN has.
    """
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
