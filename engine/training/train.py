"""Training of the tied layers above frozen encoders, over cached features."""

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.encoders.tied_layers import TiedLayers
from engine.errors import KnownError
from engine.training import losses
from engine.training.config import TrainConfig
from engine.training.metrics import RetrievalMetrics, retrieval_metrics

log = logging.getLogger(__name__)

Indices = NDArray[np.int64]
Encode = Callable[[Tensor, Tensor], Tensor]

PARTS = 6
"""A batch is encoded in at most this many parts of like length."""


class Rows(Protocol):
    """Padded batches of rows of features; ``engine.training.features.Ragged`` is one."""

    @property
    def lengths(self) -> Indices: ...

    @property
    def width(self) -> int: ...

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class TrainSet:
    """What is learned from.

    Attributes:
        frames: Audio frames, a row a sound.
        states: Token states, a row a caption.
        captions: For each sound the rows of its captions; a caption that occurs twice is twice as likely.
        groups: Sounds of one group (takes of one sound) are positives of each other; negative: of no group.
        weights: How often each sound is drawn when balancing.
        tag_logits: A teacher's logits (sounds, tags), where soft targets or the tag loss are used.
        wordings: For each tag of ``tag_logits`` the caption rows that word it; a tag without any is left out.
    """

    frames: Rows
    states: Rows
    captions: Sequence[Indices]
    groups: Indices
    weights: NDArray[np.float64]
    tag_logits: NDArray[np.float32] | None = None
    wordings: Sequence[Indices] = ()


@dataclass(frozen=True)
class EvalSet:
    """What is measured: every caption against every sound; ``relevant`` is (captions, sounds)."""

    frames: Rows
    states: Rows
    sounds: Indices
    captions: Indices
    relevant: NDArray[np.bool_]


@dataclass
class Batch:
    """Drawn examples: rows of sounds and captions, and which of them belong together."""

    sounds: Indices
    captions: Indices
    second_sounds: Indices
    positives: NDArray[np.bool_]


@dataclass
class Result:
    """The best weights, the epoch they are from, and the metrics of every epoch."""

    state: dict[str, Tensor]
    epoch: int
    best: float
    history: list[dict[str, Any]] = field(default_factory=list)


@torch.inference_mode()
def vectors(encode: Encode, rows: Rows, indices: Indices) -> NDArray[np.float32]:
    """Unit vectors (n, d) of rows, computed in batches of like length."""
    order = np.argsort(rows.lengths[indices], kind="stable")
    parts = [encode(*rows.batch(indices[part])) for part in np.array_split(order, math.ceil(len(order) / 64))]
    result = np.empty((len(indices), parts[0].shape[1]), np.float32)
    result[order] = torch.cat(parts).numpy()
    return result


def evaluate_set(model: TiedLayers, data: EvalSet) -> RetrievalMetrics:
    """Metrics of the model, in evaluation mode, on one set."""
    model.eval()
    audio = vectors(model.audio, data.frames, data.sounds)
    text = vectors(model.text, data.states, data.captions)
    return retrieval_metrics(text @ audio.T, data.relevant)


def train(
    config: TrainConfig,
    data: TrainSet,
    validation: Mapping[str, EvalSet],
    folder: Path,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Result:
    """Train until the mean of ``config.metrics`` stops rising; the best weights go to ``folder/tied.safetensors``.

    Also writes ``config.json``, ``history.jsonl`` (a line an epoch) and ``checkpoint.pt``; started again on the same
    folder with the same configuration it goes on after the last whole epoch and ends with the very same weights.

    Raises:
        KnownError: ``config_invalid`` when a metric names no validation set or field, or tag logits are missing;
            ``config_changed`` when the folder holds a run of another configuration.
    """
    trainer = Trainer(config, data, validation)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.resume(folder)
    while not trainer.finished:
        line = trainer.epoch()
        trainer.save(folder, line)
        if progress is not None:
            progress(line)
    save_file(trainer.result.state, folder / "tied.safetensors")
    return trainer.result


class Trainer:
    """One run: call :meth:`epoch` until :attr:`finished`."""

    def __init__(self, config: TrainConfig, data: TrainSet, validation: Mapping[str, EvalSet]) -> None:
        _check(config, data, validation)
        torch.manual_seed(config.seed)
        self.config = config
        self.data = data
        self.validation = validation
        self.model = TiedLayers(config.tied(data.frames.width, data.states.width))
        self.average = copy.deepcopy(self.model)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.temperature)))
        self.log_tag_temperature = nn.Parameter(torch.tensor(math.log(0.07)))
        parameters: list[dict[str, Any]] = [
            {"params": self.model.parameters()},
            {"params": [self.log_temperature, self.log_tag_temperature], "weight_decay": 0.0},
        ]
        make = torch.optim.AdamW if config.weight_decay > 0 else torch.optim.Adam
        self.optimiser = make(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimiser, mode="max", factor=config.plateau_factor, patience=config.plateau_patience
        )
        self.done_epochs = 0
        self.steps = 0
        self.result = Result(_state(self.model), 0, -math.inf)
        self._tags = np.array([index for index, rows in enumerate(data.wordings) if len(rows)], dtype=np.int64)

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
        totals: dict[str, float] = {}
        count = 0
        for batch in self._batches(rng):
            for name, value in self._step(batch, rng).items():
                totals[name] = totals.get(name, 0.0) + value
            count += 1
        self.done_epochs += 1
        metrics = {name: evaluate_set(self.average, data) for name, data in self.validation.items()}
        wanted = [metric.split(".") for metric in self.config.metrics]
        score = float(np.mean([getattr(metrics[name], measure) for name, measure in wanted]))
        if self.config.schedule == "plateau":
            self.plateau.step(score)
        if score > self.result.best:
            self.result.state, self.result.epoch, self.result.best = _state(self.average), self.done_epochs, score
        line: dict[str, Any] = {
            "epoch": self.done_epochs,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "temperature": round(math.exp(self.log_temperature.item()), 5),
            **{f"loss_{name}": round(value / count, 5) for name, value in totals.items()},
            **{name: {k: round(v, 5) for k, v in found.as_dict().items()} for name, found in metrics.items()},
        }
        self.result.history.append(line)
        return line

    def save(self, folder: Path, line: Mapping[str, Any]) -> None:
        """Write the checkpoint, whole or not at all, then add the history line."""
        state = {
            "config": json.dumps(asdict(self.config), sort_keys=True),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "temperatures": [self.log_temperature.detach(), self.log_tag_temperature.detach()],
            "optimiser": self.optimiser.state_dict(),
            "plateau": self.plateau.state_dict(),
            "done_epochs": self.done_epochs,
            "steps": self.steps,
            "best": {"state": self.result.state, "epoch": self.result.epoch, "best": self.result.best},
            "history": json.dumps(self.result.history),
        }
        torch.save(state, folder / "checkpoint.tmp")
        (folder / "checkpoint.tmp").replace(folder / "checkpoint.pt")
        if self.done_epochs == 1:
            (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n", encoding="utf-8")
        lines = "".join(json.dumps(entry) + "\n" for entry in self.result.history)
        (folder / "history.jsonl").write_text(lines, encoding="utf-8")
        log.debug("epoch %s: %s", self.done_epochs, line)

    def resume(self, folder: Path) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        checkpoint = folder / "checkpoint.pt"
        if not checkpoint.exists():
            return
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        if state["config"] != json.dumps(asdict(self.config), sort_keys=True):
            raise KnownError(
                "config_changed",
                f"{folder} holds a run of another configuration.",
                "Choose another output folder, or remove that one.",
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        with torch.no_grad():
            self.log_temperature.copy_(state["temperatures"][0])
            self.log_tag_temperature.copy_(state["temperatures"][1])
        self.optimiser.load_state_dict(state["optimiser"])
        self.plateau.load_state_dict(state["plateau"])
        self.done_epochs, self.steps = int(state["done_epochs"]), int(state["steps"])
        self.result = Result(**state["best"], history=json.loads(state["history"]))

    def _batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        data, config = self.data, self.config
        if config.draw == "every":
            sounds = np.repeat(np.arange(len(data.captions)), [len(rows) for rows in data.captions])
            captions = np.concatenate(list(data.captions))
        else:
            sounds = np.array([index for index, rows in enumerate(data.captions) if len(rows)], dtype=np.int64)
            if config.balance:
                chances = data.weights[sounds] / data.weights[sounds].sum()
                sounds = rng.choice(sounds, size=len(sounds), p=chances)
            captions = np.array([rng.choice(data.captions[int(index)]) for index in sounds])
        order = rng.permutation(len(sounds))
        for start in range(0, len(order), config.batch_size):
            part = order[start : start + config.batch_size]
            if len(part) > 1 or start == 0:
                yield self._batch(sounds[part], captions[part], rng)

    def _batch(self, sounds: Indices, captions: Indices, rng: np.random.Generator) -> Batch:
        groups = self.data.groups[sounds]
        same_sound = sounds[:, None] == sounds[None]
        same_group = (groups[:, None] == groups[None]) & (groups[:, None] >= 0)
        positives = same_sound | same_group | (captions[:, None] == captions[None])
        second = np.full(len(sounds), -1, dtype=np.int64)
        chained = rng.random(len(sounds)) < self.config.chain_chance
        if chained.any():
            second[chained] = rng.permutation(len(sounds))[chained]
            positives[chained] = positives[:, chained] = False
            np.fill_diagonal(positives, val=True)
        return Batch(sounds, captions, second, positives)

    def _step(self, batch: Batch, rng: np.random.Generator) -> dict[str, float]:
        config, data = self.config, self.data
        if config.schedule == "cosine":
            self._anneal(len(data.captions))
        frames, frame_lengths = self._frames(batch, rng)
        states, state_lengths = self._states(batch, rng)
        audio = self._encode(self.model.audio, frames, frame_lengths)
        text = self._encode(self.model.text, states, state_lengths)
        positives = torch.from_numpy(batch.positives)
        found: dict[str, Tensor] = {}
        if "triplet" in config.losses:
            found["triplet"] = losses.triplet_loss(audio, text, positives, config.margin, config.negatives)
        if "contrastive" in config.losses:
            temperature = self.log_temperature.exp() if config.learned_temperature else config.temperature
            targets = self._targets(batch, positives)
            found["contrastive"] = losses.soft_contrastive_loss(audio, text, targets, temperature)
        if config.tag_weight > 0:
            found["tag"] = config.tag_weight * self._tag_loss(audio, batch, rng)
        loss = torch.stack(list(found.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.steps += 1
        with torch.no_grad():
            self.log_temperature.clamp_(math.log(0.01), math.log(1.0))
            self.log_tag_temperature.clamp_(math.log(0.01), math.log(1.0))
            keep = min(config.average, (1 + self.steps) / (10 + self.steps))
            for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
                kept.lerp_(new, 1.0 - keep)
        return {name: value.item() for name, value in found.items()}

    def _frames(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        frames, lengths = self.data.frames.batch(batch.sounds)
        chained = batch.second_sounds >= 0
        if chained.any():
            frames, lengths = _concatenate(frames, lengths, batch.second_sounds)
        if self.config.crop_frames and frames.shape[1] > self.config.crop_frames:
            frames, lengths = _crop(frames, lengths, self.config.crop_frames, rng)
        return F.dropout(frames, self.config.frame_dropout), lengths

    def _states(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        states, lengths = self.data.states.batch(batch.captions)
        if (batch.second_sounds >= 0).any():
            states, lengths = _concatenate(states, lengths, batch.second_sounds)
        return _drop_tokens(states, lengths, self.config.token_dropout, rng)

    def _targets(self, batch: Batch, positives: Tensor) -> Tensor:
        """Contrastive targets (sounds, captions), rows summing to 1."""
        config = self.config
        known = positives.float() / positives.sum(dim=1, keepdim=True)
        if config.soft_weight > 0:
            logits = self._logits(batch)
            alike = F.normalize(logits.sigmoid().sqrt(), dim=1)
            soft = (alike @ alike.T / 0.1).softmax(dim=1)
            known = (1.0 - config.soft_weight) * known + config.soft_weight * soft
        if config.caption_weight > 0:
            states, lengths = self.data.states.batch(batch.captions)
            mean = F.normalize(states.sum(dim=1) / lengths[:, None], dim=1)
            soft = (mean @ mean.T / 0.1).softmax(dim=1)
            known = (1.0 - config.caption_weight) * known + config.caption_weight * soft
        return known

    def _logits(self, batch: Batch) -> Tensor:
        assert self.data.tag_logits is not None
        logits = self.data.tag_logits[batch.sounds]
        chained = batch.second_sounds >= 0
        others = logits[np.maximum(batch.second_sounds, 0)]
        return torch.from_numpy(np.where(chained[:, None], np.maximum(logits, others), logits))

    def _tag_loss(self, audio: Tensor, batch: Batch, rng: np.random.Generator) -> Tensor:
        tags = rng.permutation(self._tags)[: self.config.tags_per_step]
        rows = np.array([rng.choice(self.data.wordings[int(tag)]) for tag in tags])
        states, lengths = self.data.states.batch(rows)
        text = self._encode(self.model.text, *_drop_tokens(states, lengths, self.config.token_dropout, rng))
        logits = self._logits(batch)[:, tags]
        return losses.tag_loss(audio, text, logits, self.log_tag_temperature.exp(), self.config.tag_sharpness)

    def _encode(self, encode: Encode, rows: Tensor, lengths: Tensor) -> Tensor:
        """``encode`` in a few parts of like length, so that little padding is computed: unit vectors (batch, dim)."""
        order = lengths.argsort(stable=True)
        parts = []
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.config.reduced_precision):
            for part in order.tensor_split(max(1, min(PARTS, len(order) // 16))):
                longest = int(lengths[part].max())
                parts.append(encode(rows[part, :longest], lengths[part]).float())
        return torch.cat(parts)[order.argsort()]

    def _anneal(self, examples: int) -> None:
        total = self.config.max_epochs * max(1, examples // self.config.batch_size)
        warm = min(1.0, (self.steps + 1) / max(1, total // 20))
        factor = warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, self.steps / total))))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * factor


def _concatenate(rows: Tensor, lengths: Tensor, second: Indices) -> tuple[Tensor, Tensor]:
    """Row ``second[i]`` of the batch put after row i where ``second[i]`` is not negative."""
    followers = torch.from_numpy(second)
    added = torch.where(followers >= 0, lengths[followers.clamp_min(0)], 0)
    result = torch.zeros(len(rows), int((lengths + added).max()), rows.shape[2])
    result[:, : rows.shape[1]] = rows
    for index in followers.ge(0).nonzero().flatten().tolist():
        start, count = int(lengths[index]), int(added[index])
        result[index, start : start + count] = rows[followers[index], :count]
    return result, lengths + added


def _crop(rows: Tensor, lengths: Tensor, most: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A random run of at most ``most`` positions of each row."""
    starts = torch.from_numpy(np.floor(rng.random(len(rows)) * (np.maximum(lengths.numpy() - most, 0) + 1)).astype(int))
    positions = (starts[:, None] + torch.arange(most)).clamp_max(rows.shape[1] - 1)
    return rows.gather(1, positions[..., None].expand(-1, -1, rows.shape[2])), lengths.clamp_max(most)


def _drop_tokens(states: Tensor, lengths: Tensor, chance: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Rows without some of their tokens, but never without the first."""
    if chance == 0.0:
        return states, lengths
    kept = torch.from_numpy(rng.random(states.shape[:2]) >= chance)
    kept &= torch.arange(states.shape[1]) < lengths[:, None]
    kept[:, 0] = True
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    return states.gather(1, order[..., None].expand(-1, -1, states.shape[2])), kept.sum(dim=1)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}


def _check(config: TrainConfig, data: TrainSet, validation: Mapping[str, EvalSet]) -> None:
    measures = RetrievalMetrics.__annotations__
    known = {f"{name}.{measure}" for name in validation for measure in measures}
    unknown = [metric for metric in config.metrics if metric not in known]
    if unknown or not config.metrics:
        raise KnownError(
            "config_invalid",
            f"The metrics {', '.join(unknown) or '(none)'} name no validation set and measure.",
            f"Sets: {', '.join(validation)}; measures: {', '.join(measures)}.",
        )
    if not config.losses and config.tag_weight == 0:
        raise KnownError("config_invalid", "There is no loss to train with.", "Name triplet, contrastive or both.")
    if (config.soft_weight > 0 or config.tag_weight > 0) and data.tag_logits is None:
        raise KnownError(
            "config_invalid", "soft_weight and tag_weight need the logits of a teacher.", "Name one, or set them to 0."
        )
