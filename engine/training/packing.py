"""A finished training -> a pack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engine.errors import ErrorKind, KnownError
from engine.models.encoder import Encoder
from engine.models.packs import Pack
from engine.models.text import TextEncoder
from engine.training.config import TrainConfig, read_config
from engine.training.export import PackParts, build_pack
from engine.training.networks import checkpoints
from engine.training.networks.encoders import CNNS, FRONTENDS, load_text
from engine.training.recipe import Recipe
from engine.training.run_record import RunRecord


def pack_run(recipe: Recipe, run: Path, pack_id: str, about: Mapping[str, Any], folder: Path, cache: Path) -> Pack:
    """Build a pack of the encoders and the tied layers that ``train`` used and left in ``run``, and load it once.

    Args:
        recipe: The recipe; its seed may differ from the run's.
        run: The training's output folder.
        pack_id: The pack's name.
        about: Name, description, licences and the like for ``pack.json``.
        folder: Where the pack goes.
        cache: The cache that the training used.

    Raises:
        KnownError: ``training_unfinished`` when the run has no weights yet, ``config_changed`` when it is of another
            recipe, ``pack_unsupported`` when it is of an encoder that packs do not know; ``pack_broken`` and the like
            when the weights cannot be used.
    """
    weights, settings, history = run / "tied.safetensors", run / "config.json", run / "history.jsonl"
    lost = [path.name for path in (weights, settings, history) if not path.is_file()]
    if lost:
        raise KnownError(
            ErrorKind.TRAINING_UNFINISHED,
            f"{run} holds no finished training: {' and '.join(lost)} {'are' if len(lost) > 1 else 'is'} not there.",
            "Run “foundsound train” with that output folder; a stopped training goes on.",
        )
    trained = read_config(TrainConfig, settings)
    if replace(trained, seed=recipe.train.seed) != recipe.train:
        changed = [name for name, value in asdict(recipe.train).items() if value != getattr(trained, name)]
        raise KnownError(
            ErrorKind.CONFIG_CHANGED,
            f"{run} was trained with another configuration: {', '.join(name for name in changed if name != 'seed')}.",
            "Name the configuration that it was trained with.",
        )
    RunRecord.of(recipe).check(run)
    encoders = recipe.encoders
    if encoders.cnn == "crnn":
        raise KnownError(
            ErrorKind.PACK_UNSUPPORTED,
            "The CRNN of the DCASE 2022 baseline cannot go into a pack: the app runs CNN10 and CNN14.",
            "Its figures are in the training's history.",
        )
    if encoders.cnn == "teacher":
        raise KnownError(
            ErrorKind.PACK_UNSUPPORTED,
            "The teacher's frames cannot go into a pack: the app runs CNN10 and CNN14.",
            "Name the training's folder as layers of a distillation.",
        )
    shape = CNNS[encoders.cnn]
    audio = run / "audio.safetensors" if "audio" in encoders.trainable else encoders.weights
    assert audio is not None, "a frozen encoder without weights is refused when it is loaded"
    text = run / "text" if "text" in encoders.trainable else encoders.text
    if text.is_file():
        text = run / "text"
        load_text(encoders, cache).save(text)
    parts = PackParts(
        pack_id=pack_id,
        frontend=FRONTENDS[encoders.frontend],
        cnn=shape,
        cnn_weights=checkpoints.convert_cnn(audio, shape),
        tied=trained.tied(shape.widths[-1], TextEncoder.load(text).width),
        tied_weights=checkpoints.tensors(weights),
        text_folder=text,
        about={**about, "trained": {"seed": trained.seed, "epochs": history.read_bytes().count(b"\n")}},
        max_tokens=encoders.max_tokens,
    )
    pack = build_pack(parts, folder)
    Encoder.load(pack, "cpu")
    return pack
