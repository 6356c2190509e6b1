"""The mean of several sets of weights that began as one: ``python -m engine.training.soup OUT WEIGHTS WEIGHTS ...``.

A "model soup" (Wortsman et al. 2022): it often does better than its ingredients and costs nothing more to run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import KnownError
from engine.training import checkpoints


def soup(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the floating-point weights in safetensors files, as float32; counters are left out.

    Raises:
        KnownError: ``weights_differ`` when the files do not hold the same names and shapes, ``checkpoint_unreadable``
            when one is missing or damaged.
    """
    ingredients = [
        {name: value.float() for name, value in checkpoints.tensors(path).items() if value.dtype.is_floating_point}
        for path in paths
    ]
    shapes = [{name: value.shape for name, value in each.items()} for each in ingredients]
    for path, each in zip(paths, shapes, strict=True):
        if each != shapes[0]:
            raise KnownError(
                "weights_differ", f"{path} and {paths[0]} hold weights of different shapes.", "Name weights of one CNN."
            )
    return {name: torch.stack([each[name] for each in ingredients]).mean(dim=0) for name in shapes[0]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the mean of the named files."""
    parser = argparse.ArgumentParser(description="Write the mean of several sets of weights that began as one.")
    parser.add_argument("out", type=Path, help="safetensors file to write")
    parser.add_argument("weights", type=Path, nargs="+", help="safetensors files to take the mean of")
    chosen = parser.parse_args(arguments)
    try:
        mean = soup(chosen.weights)
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        save_file(mean, chosen.out)
    except (KnownError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
