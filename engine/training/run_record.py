"""``recipe.json`` in a run's folder: what the run is of, so that it is neither continued nor packed as another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import ErrorKind, KnownError
from engine.files import atomic_write
from engine.training.config import read_config
from engine.training.config_files import flatten
from engine.training.data.features import weights_hash
from engine.training.networks import checkpoints
from engine.training.networks.encoders import CNNS
from engine.training.networks.teacher import digest
from engine.training.recipe import Recipe

NAME = "recipe.json"


@dataclass(frozen=True)
class RunRecord:
    """A whole recipe, and the hash of what may change under the same name: the weights in ``encoders.weights``, or the
    teacher where its frames take their place.
    """

    recipe: Recipe
    weights_hash: str | None

    @classmethod
    def of(cls, recipe: Recipe) -> RunRecord:
        """The record of a recipe; the same weights count as the same in safetensors and in a ``.pth`` as published.

        Raises:
            KnownError: ``checkpoint_unreadable`` when its ``encoders.weights`` are damaged, ``checkpoint_mismatch``
                when they are a ``.pth`` that does not fit.
        """
        weights, cnn = recipe.encoders.weights, recipe.encoders.cnn
        if cnn == "teacher" and recipe.teacher is not None:
            return cls(recipe, digest(recipe.teacher.model))
        if weights is None or cnn not in CNNS:  # what takes no weights refuses them when it is loaded
            return cls(recipe, None)
        is_published = weights.suffix == ".pth"
        state = checkpoints.convert_cnn(weights, CNNS[cnn]) if is_published else checkpoints.tensors(weights)
        return cls(recipe, weights_hash(state))

    def write(self, run: Path) -> None:
        """Keep the record in a run's folder, before the run begins."""
        run.mkdir(parents=True, exist_ok=True)
        with atomic_write(run / NAME) as partial:
            text = json.dumps(asdict(self), indent=2, default=Path.as_posix)
            partial.write_text(text + "\n", encoding="utf-8", newline="\n")

    def check(self, run: Path) -> None:
        """Compare with the record in a run's folder; runs older than these records have none and pass.

        The seed may differ, and ``encoders.weights`` may have moved as long as they are the same weights.

        Raises:
            KnownError: ``config_changed`` naming the fields that differ; ``config_invalid`` when the record is damaged.
        """
        if not (run / NAME).is_file():
            return
        theirs, ours = read_config(RunRecord, run / NAME)._values(), self._values()
        changed = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
        if changed:
            raise KnownError(
                ErrorKind.CONFIG_CHANGED,
                f"{run} was trained with another configuration: {', '.join(changed)}.",
                "Name that configuration, or train into another folder or with --fresh.",
            )

    def _values(self) -> dict[str, object]:
        """What must be the same, by its name in the configuration."""
        values = dict(flatten(self.recipe))
        del values["train.seed"]
        return {**values, "encoders.weights": self.weights_hash}
