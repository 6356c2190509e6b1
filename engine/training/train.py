"""Training of the tied layers, and of encoders that are not frozen, from features and configuration to weights."""

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import ErrorKind, KnownError
from engine.files import atomic_write
from engine.training.config import TrainConfig
from engine.training.data.examples import Batch, TrainSet, batches, batches_per_epoch
from engine.training.data.features import to_device
from engine.training.ema import update_ema
from engine.training.measure.metrics import RetrievalMetrics
from engine.training.measure.validation import EvalSet, evaluate_sets
from engine.training.networks.checkpoints import resumable
from engine.training.networks.model import RetrievalModel
from engine.training.objective import Objective

log = logging.getLogger(__name__)


@dataclass
class Result:
    """The best weights, the epoch they are from, and the metrics of every epoch."""

    state: dict[str, Tensor]
    epoch: int
    best: float
    history: list[dict[str, Any]] = field(default_factory=list)


def train(
    config: TrainConfig,
    data: TrainSet,
    validation: Mapping[str, EvalSet],
    folder: Path,
    progress: Callable[[dict[str, Any]], None] | None = None,
    device: str = "cpu",
) -> Result:
    """Train until the mean of ``config.metrics`` stops rising; the best weights go to ``folder/tied.safetensors``.

    Those of encoders that are trained too go to ``folder/audio.safetensors`` and ``folder/text``. Also writes
    ``config.json``, ``history.jsonl`` (a line an epoch) and ``checkpoint.pt``; started again on the same folder with
    the same configuration it goes on after the last whole epoch and ends, on a CPU, with the very same weights.

    ``device`` is ``cpu``, ``cuda`` or ``mps``: where the layers and encoders that are trained run.

    Raises:
        KnownError: ``config_invalid`` when a metric names no validation set or field, or tag logits are missing;
            ``checkpoint_mismatch`` when the layers to start from are of another shape;
            ``config_changed`` when the folder holds a run of another configuration, ``checkpoint_unreadable`` when its
            checkpoint is damaged.
    """
    trainer = Trainer(config, data, validation, device)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.resume(folder)
    trainer.begin(folder)
    while not trainer.finished:
        line = trainer.epoch()
        trainer.save(folder, line)
        if progress is not None:
            progress(line)
    trainer.average.save(trainer.result.state, folder)
    return trainer.result


class Trainer:
    """One run: call :meth:`epoch` until :attr:`finished`."""

    def __init__(
        self, config: TrainConfig, data: TrainSet, validation: Mapping[str, EvalSet], device: str = "cpu"
    ) -> None:
        _check(config, data, validation)
        torch.manual_seed(config.seed)
        if torch.device(device).type != "cpu":
            # what an encoder that is trained takes is large, and next to its own work the copy is nothing
            frames = data.frames if data.audio_encoder is not None else to_device(data.frames, device)
            states = data.states if data.text_encoder is not None else to_device(data.states, device)
            data = replace(data, frames=frames, states=states)
        self.config = config
        self.data = data
        self.validation = validation
        self.model = RetrievalModel(config, data).to(device)
        self.average = copy.deepcopy(self.model)
        self.objective = Objective(config, data).to(device)
        parameters: list[dict[str, Any]] = [
            {"params": self.model.tied.parameters(), "share": 1.0},
            {"params": self.objective.parameters(), "share": 1.0, "weight_decay": 0.0},
        ]
        if encoders := self.model.encoder_parameters():
            rate = config.learning_rate * config.encoder_rate
            parameters.append({"params": encoders, "share": config.encoder_rate, "lr": rate})
        make = torch.optim.AdamW if config.weight_decay > 0 else torch.optim.Adam
        self.optimiser = make(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser, mode="max", factor=config.plateau_factor, patience=config.plateau_patience
        )
        self.done_epochs = 0
        self.steps = 0
        begun_with = -math.inf if data.start is None else self._score(evaluate_sets(self.average, validation))
        self.result = Result(_state(self.model), 0, begun_with)

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done or ``stop_patience`` epochs brought nothing better."""
        waited = self.done_epochs - self.result.epoch
        return self.done_epochs >= self.config.max_epochs or waited >= self.config.stop_patience

    def epoch(self) -> dict[str, Any]:
        """One pass over the data and one evaluation; returns the line for the history."""
        rng = np.random.default_rng((self.config.seed, self.done_epochs))
        torch.manual_seed(int(rng.integers(2**31)))
        self.model.train()
        losses: dict[str, list[Tensor]] = {}
        for batch in batches(self.config, self.data, rng):
            for name, value in self._step(batch, rng).items():
                losses.setdefault(name, []).append(value)
        self.done_epochs += 1
        metrics = evaluate_sets(self.average, self.validation)
        score = self._score(metrics)
        if self.config.schedule == "plateau":
            self.plateau.step(score)
        if score > self.result.best:
            self.result.state, self.result.epoch, self.result.best = _state(self.average), self.done_epochs, score
        line: dict[str, Any] = {
            "epoch": self.done_epochs,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "temperature": round(math.exp(self.objective.log_temperature.item()), 5),
            **{f"loss_{name}": round(torch.stack(each).mean().item(), 5) for name, each in losses.items()},
            **{name: {k: round(v, 5) for k, v in found.as_dict().items()} for name, found in metrics.items()},
        }
        self.result.history.append(line)
        return line

    def begin(self, folder: Path) -> None:
        """Write the configuration, and what a run that was killed after a checkpoint did not get to write."""
        if self.done_epochs == 0 or not (folder / "config.json").is_file():
            with atomic_write(folder / "config.json") as partial:
                partial.write_text(json.dumps(asdict(self.config), indent=2) + "\n", encoding="utf-8")
        if self.done_epochs > 0:
            self._write_history(folder)

    def save(self, folder: Path, line: Mapping[str, Any]) -> None:
        """Write the checkpoint, then the history, each whole or not at all."""
        state = {
            "config": json.dumps(asdict(self.config), sort_keys=True),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "plateau": self.plateau.state_dict(),
            "done_epochs": self.done_epochs,
            "steps": self.steps,
            "best": {"state": self.result.state, "epoch": self.result.epoch, "best": self.result.best},
            "history": json.dumps(self.result.history),
        }
        with atomic_write(folder / "checkpoint.pt") as partial:
            torch.save(state, partial)
        self._write_history(folder)
        log.debug("epoch %s: %s", self.done_epochs, line)

    def resume(self, folder: Path) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        checkpoint = folder / "checkpoint.pt"
        if not checkpoint.exists():
            return
        state = resumable(checkpoint)
        if state["config"] != json.dumps(asdict(self.config), sort_keys=True):
            raise KnownError(
                ErrorKind.CONFIG_CHANGED,
                f"{folder} holds a run of another configuration.",
                "Choose another output folder, or start over with --fresh.",
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.objective.load_state_dict(state["objective"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.plateau.load_state_dict(state["plateau"])
        self.done_epochs, self.steps = int(state["done_epochs"]), int(state["steps"])
        self.result = Result(**state["best"], history=json.loads(state["history"]))

    def _write_history(self, folder: Path) -> None:
        lines = "".join(json.dumps(entry) + "\n" for entry in self.result.history)
        with atomic_write(folder / "history.jsonl") as partial:
            partial.write_text(lines, encoding="utf-8")

    def _step(self, batch: Batch, rng: np.random.Generator) -> dict[str, Tensor]:
        if self.config.schedule == "cosine":
            self._anneal(batches_per_epoch(self.config, self.data))
        found = self.objective(self.model, batch, rng)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.objective.clamp()
        update_ema(self.average, self.model, self.config.average, self.steps)
        self.steps += 1
        return {name: value.detach() for name, value in found.items()}

    def _score(self, metrics: Mapping[str, RetrievalMetrics]) -> float:
        """What decides which epoch is the best."""
        wanted = [metric.split(".") for metric in self.config.metrics]
        return float(np.mean([getattr(metrics[name], measure) for name, measure in wanted]))

    def _anneal(self, batches_per_epoch: int) -> None:
        total = self.config.max_epochs * batches_per_epoch
        warm = min(1.0, (self.steps + 1) / max(1, total // 20))
        factor = warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, self.steps / total))))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * group["share"] * factor


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}


def _check(config: TrainConfig, data: TrainSet, validation: Mapping[str, EvalSet]) -> None:
    measures = RetrievalMetrics.__annotations__
    known = {f"{name}.{measure}" for name in validation for measure in measures}
    unknown = [metric for metric in config.metrics if metric not in known]
    if unknown or not config.metrics:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"The metrics {', '.join(unknown) or '(none)'} name no validation set and measure.",
            f"Sets: {', '.join(validation)}; measures: {', '.join(measures)}.",
        )
    if not config.losses and config.tag_weight == 0:
        raise KnownError(
            ErrorKind.CONFIG_INVALID, "There is no loss to train with.", "Name triplet, contrastive or both."
        )
    audio, text = data.widths
    if config.kind == "none" and audio != text:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            f"Without tied layers both encoders must be of one width, not {audio} and {text}.",
            "Set kind to transformer or linear.",
        )
    if config.caption_weight > 0 and data.text_encoder is not None:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            "caption_weight needs a frozen text encoder.",
            "Set it to 0, or do not train the text.",
        )
    if config.tag_weight > 0 and data.tag_logits is not None and not any(map(len, data.wordings)):
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            "train.tag_weight needs wordings of the teacher's tags, which only data of the kind manifest has.",
            "Set it to 0, or train on a manifest with a teacher that knows AudioSet's labels.",
        )
    if (config.soft_weight > 0 or config.tag_weight > 0) and data.tag_logits is None:
        raise KnownError(
            ErrorKind.CONFIG_INVALID,
            "soft_weight and tag_weight need the logits of a teacher.",
            "Name one, or set them to 0.",
        )
