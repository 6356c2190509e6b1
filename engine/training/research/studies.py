"""What can be done to vectors after training: ``python -m engine.training.research.studies CONFIG RUN [RUN ...]``.

Prompt averaging at query time (Radford et al. 2021), whitening of the vectors (Su et al. 2021), and several trained
heads as one: vectors side by side, whose dot product is the mean of theirs, and the same brought back to the width of
one head by principal components. Every figure is on the hand-written queries of the configuration's validation sounds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.models.text import TextEncoder
from engine.models.tied_layers import TiedLayers
from engine.training.config import TrainConfig, read_config
from engine.training.data import features
from engine.training.data import tables as data
from engine.training.measure.metrics import RetrievalMetrics, retrieval_metrics
from engine.training.measure.validation import vectors
from engine.training.networks import checkpoints
from engine.training.recipe import Recipe, prepare

Vectors = NDArray[np.float32]

PROMPTS = ("{}", "the sound of {}", "a recording of {}")
SAMPLED = 2000
"""Training sounds that whitening and principal components are computed from."""


@dataclass(frozen=True)
class Head:
    """Vectors (n, d) that one run gives: of the validation sounds, of the queries under each prompt, and of a sample of
    what it learned from."""

    sounds: Vectors
    prompted: Sequence[Vectors]
    learned_sounds: Vectors
    learned_captions: Vectors

    @property
    def queries(self) -> Vectors:
        return self.prompted[0]


def unit(rows: NDArray[Any]) -> Vectors:
    """Rows (n, d) scaled to length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9), dtype=np.float32)


def side_by_side(parts: Sequence[Vectors]) -> Vectors:
    """Unit vectors (n, d1 + d2 + ...) whose dot product is the mean of the parts' dot products."""
    return np.concatenate(parts, axis=1) / np.float32(len(parts) ** 0.5)


def principal(rows: Vectors, dim: int) -> NDArray[np.float32]:
    """Projection (d, dim) that keeps most of the dot products between rows (n, d): no mean is taken away."""
    _, _, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[:dim].T, dtype=np.float32)


def whitener(rows: Vectors, strength: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (d,) and transform (d, d) that make rows (n, d) uncorrelated; ``strength`` 0 is none of it."""
    mean = rows.mean(axis=0)
    values, directions = np.linalg.eigh(np.cov((rows - mean).T))
    scale = (values.clip(1e-4) / values.mean()) ** (-0.5 * strength)
    return mean, np.asarray((directions * scale) @ directions.T, dtype=np.float32)


def studies(heads: Sequence[Head]) -> dict[str, tuple[Vectors, Vectors]]:
    """Sounds and queries under each treatment, by its name."""
    first = heads[0]
    found = {"as trained": (first.sounds, first.queries)}
    found[f"{len(PROMPTS)} prompts averaged"] = first.sounds, unit(np.mean(first.prompted, axis=0))
    for strength in (0.5, 1.0):
        by_sounds = whitener(first.learned_sounds, strength)
        by_captions = whitener(first.learned_captions, strength)
        found[f"whitened, strength {strength:g}"] = (
            unit((first.sounds - by_sounds[0]) @ by_sounds[1]),
            unit((first.queries - by_captions[0]) @ by_sounds[1]),
        )
    if len(heads) > 1:
        sounds, queries = (side_by_side([getattr(h, name) for h in heads]) for name in ("sounds", "queries"))
        learned = side_by_side([head.learned_sounds for head in heads])
        narrow = principal(learned, first.sounds.shape[1])
        found[f"{len(heads)} heads side by side, {sounds.shape[1]}-d"] = sounds, queries
        found[f"{len(heads)} heads, {narrow.shape[1]} principal components"] = (
            unit(sounds @ narrow),
            unit(queries @ narrow),
        )
    return found


def measure(config: Path, runs: Sequence[Path], cache: Path) -> Mapping[str, RetrievalMetrics]:
    """Metrics of each treatment.

    Raises:
        KnownError: As :func:`engine.training.recipe.prepare`; ``config_invalid`` when the recipe has no queries.
    """
    recipe = read_config(Recipe, config)
    if recipe.data.queries is None or recipe.data.table is None:
        raise KnownError(ErrorKind.CONFIG_INVALID, f"{config} names no queries.", "Set data.table and data.queries.")
    learned, validation = prepare(recipe, cache)
    judged = validation["queries"]
    written = data.load_queries(recipe.data.queries, recipe.data.table.parent)
    if len(written.captions) != len(judged.captions):
        raise KnownError(
            ErrorKind.CONFIG_INVALID, f"{recipe.data.queries} names sounds that are not held out.", "Take them out."
        )
    text = TextEncoder.load(recipe.encoders.text, recipe.encoders.max_tokens)
    rng = np.random.default_rng(0)
    sample = rng.permutation(np.array([i for i, rows in enumerate(learned.captions) if len(rows)]))[:SAMPLED]
    captions = np.array([rng.choice(learned.captions[int(index)]) for index in sample])
    heads = []
    for run in runs:
        settings = read_config(TrainConfig, run / "config.json")
        model = TiedLayers(settings.tied(learned.frames.width, learned.states.width)).eval()
        model.load_state_dict(checkpoints.tensors(run / "tied.safetensors"))
        prompted = []
        for prompt in PROMPTS:
            states = features.token_states([prompt.format(caption) for caption in written.captions], text, cache)
            prompted.append(vectors(model.text, states, np.arange(len(states))))
        heads.append(
            Head(
                vectors(model.audio, judged.frames, judged.sounds),
                prompted,
                vectors(model.audio, learned.frames, sample),
                vectors(model.text, learned.states, captions),
            )
        )
    return {
        name: retrieval_metrics(queries @ sounds.T, judged.relevant)
        for name, (sounds, queries) in studies(heads).items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each treatment."""
    parser = argparse.ArgumentParser(description="Measure what can be done to vectors after training.")
    parser.add_argument("config", type=Path, help="the configuration that the runs were trained with")
    parser.add_argument("runs", type=Path, nargs="+", metavar="run", help="output folder of a finished training")
    chosen = parser.parse_args(arguments)
    try:
        for name, found in measure(chosen.config, chosen.runs, Path("data", "cache")).items():
            print(f"{name:40} mAP {found.map_all:.3f}  R@10 {found.recall_at_10:.3f}  mAP@10 {found.map_at_10:.3f}")
    except KnownError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
