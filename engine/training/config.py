"""Training configurations: JSON in, checked dataclasses out."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from engine.errors import ErrorKind, KnownError
from engine.models.tied_layers import TiedConfig
from engine.training.losses import Negatives
from engine.unusable import describe

Config = TypeVar("Config")

KINDS: Mapping[object, str] = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text",
    tuple: "a list",
    Path: "a path",
}
"""What a field holds, as JSON has it."""


@dataclass(frozen=True)
class TrainConfig:
    """One training of tied layers, above encoders frozen or not. The defaults are the recipe of Koh & Chng 2022.

    Layers: ``kind``, ``dim``, ``layers``, ``heads``, ``feedforward``, ``dropout``, ``pooling`` as in ``TiedConfig``.

    Losses, summed: ``losses`` of ``"triplet"`` (with ``margin`` and ``negatives``) and ``"contrastive"`` (with
    ``temperature``, which ``learned_temperature`` makes the start of a learned one). ``soft_weight`` moves that share
    of the contrastive target from the known positives to sounds that the teacher's tags find alike (needs tag logits),
    ``caption_weight`` to captions that the frozen text encoder finds alike. ``tag_weight`` adds the loss between
    sounds and wordings of ``tags_per_step`` random tags (needs tag logits).

    Regularisation: ``frame_dropout`` zeroes features of the audio frames, ``token_dropout`` whole tokens,
    ``crop_frames`` takes a random crop of longer sounds (0: none), ``chain_chance`` puts a second sound and its caption
    after the first; frames are log-mel ones where the audio encoder is trained. ``average`` is the decay of the running
    mean of the weights that is evaluated and kept (0: none).

    Examples: ``draw`` ``"every"`` uses each caption of each sound once an epoch, ``"one"`` draws one caption a sound.
    ``balance`` draws sounds by their weights instead of each once.

    Course: Adam with ``learning_rate`` and ``weight_decay``, divided on a plateau of the mean of ``metrics`` (each
    ``<set>.<field of RetrievalMetrics>``) or, with ``schedule`` ``"cosine"``, warmed up and annealed over
    ``max_epochs``. ``reduced_precision`` runs the layers in bf16 where the processor is quick at it.

    Encoders that are trained: ``encoder_rate`` times the learning rate is theirs; ``keep_norms`` leaves the running
    statistics of the audio encoder's batch norms alone, as suits published weights and not a training from scratch.
    """

    kind: Literal["transformer", "linear", "none"] = "transformer"
    dim: int = 192
    layers: int = 2
    heads: int = 4
    feedforward: int = 768
    dropout: float = 0.2
    pooling: Literal["mean", "attention"] = "mean"
    losses: tuple[Literal["triplet", "contrastive"], ...] = ("triplet", "contrastive")
    margin: float = 1.0
    negatives: Negatives = "random"
    temperature: float = 0.07
    learned_temperature: bool = False
    soft_weight: float = 0.0
    caption_weight: float = 0.0
    tag_weight: float = 0.0
    tag_sharpness: float = 1.0
    tags_per_step: int = 128
    frame_dropout: float = 0.0
    token_dropout: float = 0.0
    crop_frames: int = 0
    chain_chance: float = 0.0
    average: float = 0.0
    draw: Literal["every", "one"] = "every"
    balance: bool = False
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["plateau", "cosine"] = "plateau"
    plateau_factor: float = 0.1
    plateau_patience: int = 5
    stop_patience: int = 12
    max_epochs: int = 150
    metrics: tuple[str, ...] = ("val.map_at_10",)
    reduced_precision: bool = False
    encoder_rate: float = 1.0
    keep_norms: bool = True
    seed: int = 0

    def tied(self, audio_dim: int, text_dim: int) -> TiedConfig:
        """The shape of the layers for encoders of these widths."""
        return TiedConfig(
            audio_dim,
            text_dim,
            text_dim if self.kind == "none" else self.dim,
            self.layers,
            self.heads,
            self.feedforward,
            self.dropout,
            self.kind,
            self.pooling,
        )


def read_config(kind: type[Config], path: Path) -> Config:
    """A JSON object as a (nested) config dataclass; fields left out keep their defaults.

    Raises:
        KnownError: ``config_missing`` when the file cannot be read, ``config_invalid`` when it is not JSON, has an
            unknown field, lacks one or has a value of the wrong type.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KnownError(
            ErrorKind.CONFIG_MISSING,
            f"{path} cannot be read: {error.strerror}.",
            "Check the path of the configuration.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise KnownError(
            ErrorKind.CONFIG_INVALID, f"{path} cannot be used: {describe(error)}.", "Correct it."
        ) from error
    return parse_config(kind, values, path)


def parse_config(kind: type[Config], values: object, source: Path) -> Config:
    """A parsed JSON object as a (nested) config dataclass; ``source`` is named in errors, ``config_invalid``."""
    try:
        return _build(kind, values, "")
    except (TypeError, ValueError) as error:
        raise KnownError(ErrorKind.CONFIG_INVALID, f"{source}: {error}.", "Correct that field.") from error


def _build(kind: type[Config], values: object, where: str) -> Config:
    if not isinstance(values, dict):
        raise TypeError(f"{where.rstrip('.') or 'the configuration'} must be an object")
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    known = [field.name for field in fields]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TypeError(f"unknown field {where}{unknown[0]} (known: {', '.join(known)})")
    given = {name: _value(hints[name], value, f"{where}{name}") for name, value in values.items()}
    missing = [field.name for field in fields if _is_required(field) and field.name not in given]
    if missing:
        raise TypeError(f"{where}{missing[0]} is missing")
    return kind(**given)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if value is None else _value(inner, value, where)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{where}.")  # type: ignore[arg-type]
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where} must be one of {', '.join(map(str, arguments))}, not {_shown(value)}")
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        if not value:  # it would be the folder that the command runs in
            raise ValueError(f"{where} is empty")
        return Path(value)
    if not isinstance(hint, type) or type(value) is not hint:
        raise TypeError(f"{where} must be {KINDS[origin or hint]}, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """A value as it stands in the file."""
    return json.dumps(value, ensure_ascii=False)
