"""Configuration files on disk: those shipped by name, and checks that say which field is wrong before work starts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import ErrorKind, KnownError
from engine.training.config import read_config
from engine.unusable import UNREADABLE, UnusableError, describe

Config = TypeVar("Config")

CONFIGS = Path(__file__).parent / "configs"

POSITIVE = frozenset(
    "batch_s batch_size checkpoint_every crops_s decay_fraction dim feedforward heads layers learning_rate longest_s "
    "max_epochs max_tokens sample_rate_hz steps stop_patience teacher_rate_hz temperature".split()
)
"""Numbers that must be more than 0; all others may be 0 as well."""
SHARES = frozenset(
    "alone average caption_weight chain_chance decay_fraction dropout ema_decay frame_dropout in_turn min_tag prompt "
    "soft_weight token_dropout".split()
)
"""Numbers that may be 1 at most."""
BELOW_ONE = frozenset({"plateau_factor"})
"""Numbers that must stay below 1."""
FOLDERS = frozenset({"audio", "layers", "val_audio"})
"""Paths that must be of a folder; all others must be of a file."""
EITHER = frozenset({"text"})
"""Paths that may be of a file or a folder."""


def find_config(path: Path) -> Path:
    """A configuration file, or the shipped one of that name where there is none at ``path``."""
    shipped = CONFIGS / path.name
    return shipped if not path.exists() and path.parent == Path() and shipped.is_file() else path


def load_config(kind: type[Config], path: Path) -> Config:
    """A configuration whose values make sense and whose files are there.

    Raises:
        KnownError: As :func:`engine.training.config.read_config`; ``config_invalid`` naming the field of a number
            out of range, or of a file where a folder is wanted or the other way round; ``config_path_missing`` naming
            the field whose file or folder is not there.
    """
    config = read_config(kind, path)
    for name, value in flatten(config):
        field = name.rpartition(".")[2]
        if value == () and field in POSITIVE:
            raise KnownError(ErrorKind.CONFIG_INVALID, f"{path}: {name} must hold a number.", "Write one there.")
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Path):
                _check_path(path, name, field, each)
            if isinstance(each, int | float) and not isinstance(each, bool):
                _check_range(path, name, field, each)
    return config


def about(config: Path, title: str, encoders: str) -> dict[str, Any]:
    """What ``pack.json`` says of a pack: ``<config>-about.json`` beside the configuration, or the little that is known.

    Raises:
        KnownError: ``config_invalid`` when that file is no JSON object.
    """
    path = config.with_name(f"{config.stem}-about.json")
    if not path.is_file():
        return {
            "name": title,
            "description": f"Trained with {config.name} above {encoders}.",
            "licence": "that of the encoders and of the sounds it was trained on",
        }
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise UnusableError("it is not an object")
    except UNREADABLE as error:
        raise KnownError(
            ErrorKind.CONFIG_INVALID, f"{path} cannot be used: {describe(error)}.", "Correct it or remove it."
        ) from error
    return values


def _check_path(path: Path, name: str, field: str, value: Path) -> None:
    if not value.exists():
        raise KnownError(
            ErrorKind.CONFIG_PATH_MISSING,
            f"{path}: {name} is {value}, which is not there.",
            "Paths count from the folder the command runs in; correct the field or bring the data there.",
        )
    if field not in EITHER and value.is_dir() != (field in FOLDERS):
        wanted, found = ("folder", "file") if field in FOLDERS else ("file", "folder")
        raise KnownError(ErrorKind.CONFIG_INVALID, f"{path}: {name} is {value}, a {found}.", f"Name a {wanted} there.")


def _check_range(path: Path, name: str, field: str, value: float) -> None:
    lowest = "more than 0" if field in POSITIVE else "0 or more"
    highest, fits = " and finite", value < math.inf
    if field in SHARES:
        highest, fits = " and at most 1", value <= 1.0
    elif field in BELOW_ONE:
        highest, fits = " and below 1", value < 1.0
    if not fits or not value >= 0.0 or (value == 0 and field in POSITIVE):
        raise KnownError(
            ErrorKind.CONFIG_INVALID, f"{path}: {name} must be {lowest}{highest}, not {value}.", "Correct that field."
        )


def flatten(config: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every field that is no configuration itself."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from flatten(value, f"{where}{field.name}.")
        else:
            yield f"{where}{field.name}", value
