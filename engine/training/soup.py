"""The mean of several sets of weights that began as one: ``python -m engine.training.soup OUT WEIGHTS WEIGHTS ...``.

A "model soup" (Wortsman et al. 2022): it often does better than its ingredients and costs nothing more to run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load, save_file
from torch import Tensor

from engine.errors import KnownError


def soup(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the floating-point weights in safetensors files, as float32; counters are left out.

    Raises:
        KnownError: ``weights_differ`` when the files do not hold the same names and shapes.
    """
    ingredients = [
        {name: value.float() for name, value in load(path.read_bytes()).items() if value.dtype.is_floating_point}
        for path in paths
    ]
    shapes = [{name: value.shape for name, value in each.items()} for each in ingredients]
    for path, each in zip(paths, shapes, strict=True):
        if each != shapes[0]:
            raise KnownError(
                "weights_differ", f"{path} and {paths[0]} hold weights of different shapes.", "Name weights of one CNN."
            )
    return {name: torch.stack([each[name] for each in ingredients]).mean(dim=0) for name in shapes[0]}


def main(arguments: Sequence[str]) -> None:
    """Write the mean of the named files."""
    out, *paths = map(Path, arguments)
    try:
        weights = soup(paths)
    except (KnownError, OSError) as error:
        sys.exit(str(error))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, out)


if __name__ == "__main__":
    main(sys.argv[1:])
