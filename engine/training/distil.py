"""Distil a teacher's frame features and tag probabilities into a CNN (``foundsound distil``).

The teacher hears the very same augmented waveform as the student ("consistent teaching", Beyer et al. 2022). The loss
is one minus the cosine between a linear projection of the student's frames and the teacher's frames, plus the binary
cross-entropy between the student's clip probabilities and the teacher's. Where tied layers have been trained on the
teacher's frames, one minus the cosine between the vectors of both is added: what matters for search counts for more.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.errors import ErrorKind, KnownError
from engine.files import atomic_write, partial_path
from engine.models.cnn import Cnn
from engine.models.frontend import LogMel
from engine.models.tied_layers import TiedLayers
from engine.training.data.audio_cache import AudioCache
from engine.training.data.features import key_of, weights_hash
from engine.training.data.scene_batches import SceneBatches, normalise, rate_divisor, resample
from engine.training.ema import update_ema
from engine.training.networks import checkpoints
from engine.training.networks.encoders import CNNS
from engine.training.networks.student import Examples, Losses, Student
from engine.training.networks.teacher import Teacher

log = logging.getLogger(__name__)

MAY_CHANGE = ("steps", "checkpoint_every")
"""Fields that may differ when a run is taken up again."""
REPORT_EVERY = 20


@dataclass(frozen=True)
class DistilConfig:
    """One distillation, as ``foundsound distil --config`` reads it.

    ``table`` is a manifest as ``load_manifest`` takes it, of which the sounds of ``split`` are
    heard, and so are those of ``more`` such tables. Those of the split ``held_out`` of ``table`` are not learned from
    ("": there are none): at each checkpoint it is told how far the student is from the teacher on them, and the weights
    that are kept in the end are those of the nearest checkpoint. A sound of twice the length is heard
    2 ** ``length_power`` times as often. ``teacher`` is an ONNX model for sounds at
    ``teacher_rate_hz``. ``start`` holds weights of the CNN, in safetensors or a ``.pth`` as published; without it the
    CNN starts at random; its first ``frozen_blocks`` stay as they are. ``layers`` is the folder of a training above the
    teacher's frames. ``frontend`` and ``cnn`` are as in a training's ``encoders``.

    Each step hears ``batch_s`` seconds in scenes of one of the lengths ``crops_s``, drawn at random: the app meets
    sounds of any length up to its segments'. The learning rate warms up, holds, and falls over the last
    ``decay_fraction`` of the steps; batch-norm statistics stay as they are for ``frozen_norm_steps``. ``tag_weight``
    multiplies the cross-entropy, ``vector_weight`` the loss of vectors. The weights that are kept are a running mean
    with ``ema_decay``.
    """

    table: Path
    teacher: Path
    more: tuple[Path, ...] = ()
    start: Path | None = None
    layers: Path | None = None
    split: str = "train"
    held_out: str = ""
    frontend: Literal["panns", "aisfx", "koh_chng"] = "aisfx"
    cnn: Literal["panns", "aisfx"] = "aisfx"
    teacher_rate_hz: int = 32_000
    length_power: float = 0.0
    frozen_blocks: int = 0
    crops_s: tuple[float, ...] = (4.0,)
    batch_s: float = 128.0
    steps: int = 4000
    learning_rate: float = 5e-4
    warm_up_steps: int = 200
    decay_fraction: float = 0.4
    frozen_norm_steps: int = 400
    tag_weight: float = 2.0
    vector_weight: float = 2.0
    ema_decay: float = 0.999
    checkpoint_every: int = 100
    seed: int = 0


@dataclass(frozen=True)
class DistilProgress:
    """How a distillation stands: losses are those of the last batch, at a checkpoint also of the held-out sounds."""

    step: int
    frame_loss: float
    tag_loss: float
    vector_loss: float
    crops_per_s: float
    is_checkpoint: bool = False
    held_out_frame_loss: float | None = None
    held_out_vector_loss: float | None = None

    @property
    def distance(self) -> float | None:
        """From the teacher on held-out sounds, where that was measured: by vectors, or else by frames."""
        return self.held_out_frame_loss if self.held_out_vector_loss is None else self.held_out_vector_loss


def first_cnn(config: DistilConfig) -> Cnn:
    """The CNN that a distillation starts from: ``config.start``, or one at random that follows from the seed.

    Raises:
        KnownError: ``checkpoint_unreadable`` or ``checkpoint_mismatch`` for weights that cannot be read or do not fit.
    """
    torch.manual_seed(config.seed)
    cnn = Cnn(CNNS[config.cnn])
    if config.start is not None:
        cnn.load_state_dict(checkpoints.convert_cnn(config.start, cnn.config))
    return cnn


def distil(
    frontend: LogMel,
    cnn: Cnn,
    cache: AudioCache,
    config: DistilConfig,
    output: Path,
    layers: TiedLayers | None = None,
    device: str = "cpu",
    progress: Callable[[DistilProgress], None] | None = None,
    held_out: AudioCache | None = None,
) -> Path:
    """Run or resume a distillation; returns ``output``, the safetensors file with the averaged student CNN.

    Given tied layers, they are written beside it as ``NAME.tied.safetensors``, with the student's audio projection.
    Beside it also stand a checkpoint, written every ``checkpoint_every`` steps, from which the same call goes on, and
    the losses, a JSON line every 20 steps and at checkpoints, which ``progress`` is told as well. A run that goes on
    takes up weights, running mean, optimiser, schedule and random scenes as if it had not been stopped.

    Args:
        frontend: The student's front end.
        cnn: The student, with the weights that it starts from.
        cache: The sounds that scenes are made of.
        config: The settings; ``table``, ``more``, ``start``, ``layers``, ``frontend`` and ``cnn`` have been followed by
            the caller.
        output: Where the weights go.
        layers: Tied layers trained on the teacher's frames.
        device: ``cpu``, ``cuda`` or ``mps``: where the sounds are kept, scenes made (for ``mps`` on the CPU), teacher
            and student run.
        progress: Called every 20 steps and at each checkpoint.
        held_out: Sounds to measure the running mean on, and to choose by which of its checkpoints is kept.

    Raises:
        KnownError: ``checkpoint_mismatch`` when the layers are not for the teacher's frames; ``config_changed`` when
            the checkpoint is of another configuration or other layers, ``checkpoint_unreadable`` when it is damaged;
            ``distil_diverged`` when the loss, its gradient or the distance on held-out sounds is no number any more,
            and the weights and the checkpoint last written stay as they are.
    """
    torch.manual_seed(config.seed)
    listening = _Listening(cache, config, device)
    width, classes = listening.widths
    output.parent.mkdir(parents=True, exist_ok=True)
    if layers is not None and layers.config.audio_dim != width:
        raise KnownError(
            ErrorKind.CHECKPOINT_MISMATCH,
            f"The layers in {config.layers} are for frames {layers.config.audio_dim} wide, the teacher's are {width}.",
            'Name the folder of a training with "cnn": "teacher" as layers.',
        )
    student = Student(cnn, width, classes, layers, config.frozen_blocks)
    run = _Run(student, config, output, device, held_out)
    run.resume()
    frontend = frontend.to(device)
    judge = copy.deepcopy(layers).to(device).eval() if layers is not None else None
    reference = _HeldOut(held_out, listening, frontend, judge) if held_out is not None else None
    started, heard = time.monotonic(), 0
    while run.step < config.steps:
        waveforms, frames, tags = listening.batch(run.step)
        losses = run.learn(_examples(waveforms, frames, tags, frontend, judge))
        heard += len(frames)
        is_checkpoint = run.step % config.checkpoint_every == 0 or run.step == config.steps
        if is_checkpoint or run.step % REPORT_EVERY == 0:
            frame, tag, vector = (loss.item() for loss in losses)
            speed = heard / (time.monotonic() - started)
            told = DistilProgress(run.step, frame, tag, vector, speed, is_checkpoint)
            if reference is not None and is_checkpoint:
                unheard = reference.losses(run.average)
                told = replace(told, held_out_frame_loss=unheard[0], held_out_vector_loss=unheard[1])
            run.report(told, progress)
    return output


@torch.no_grad()
def _examples(waveforms: Tensor, frames: Tensor, tags: Tensor, frontend: LogMel, judge: TiedLayers | None) -> Examples:
    """What the student is to learn of waveforms (batch, samples), given the teacher's frames and probabilities."""
    log_mel = frontend.of_batch(waveforms)
    vectors = judge.audio(frames, _full(frames)) if judge is not None else None
    return Examples(log_mel, _full(log_mel), frames, tags, vectors)


class _Listening:
    """Scenes, and what the teacher answers to them."""

    def __init__(self, cache: AudioCache, config: DistilConfig, device: str) -> None:
        self.config = config
        self.device = device
        self._scenes = SceneBatches(cache, config.length_power, device)
        self._teacher = Teacher(config.teacher).to(device).eval()

    @property
    def widths(self) -> tuple[int, int]:
        """Width of the teacher's frames and number of its classes."""
        frames, tags = self.answers(self._scenes.draw(1, self.samples(self.config.crops_s[0]), 0))
        return frames.shape[2], tags.shape[1]

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Waveforms (batch, samples), the teacher's frames (batch, t, width) and probabilities (batch, classes)."""
        rng = np.random.default_rng((self.config.seed, step))
        crop_s = float(rng.choice(self.config.crops_s))
        count = max(1, round(self.config.batch_s / crop_s))
        waveforms = self._scenes.draw(count, self.samples(crop_s), int(rng.integers(2**62)))
        return waveforms, *self.answers(waveforms)

    def samples(self, crop_s: float) -> int:
        """Of a scene of this length, a whole number for student and teacher."""
        rate = self._scenes.sample_rate_hz
        step = rate_divisor(rate, self.config.teacher_rate_hz)
        return max(1, round(crop_s * rate / step)) * step

    def answers(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """The teacher's frames and probabilities for waveforms (batch, samples)."""
        heard = resample(waveforms, self._scenes.sample_rate_hz, self.config.teacher_rate_hz)
        frames, tags = self._teacher(normalise(heard))
        return frames, tags


class _HeldOut:
    """Sounds that are not learned from, as they are: the start of each, as long as the longest crop that it fills."""

    def __init__(self, cache: AudioCache, listening: _Listening, frontend: LogMel, judge: TiedLayers | None) -> None:
        lengths = sorted(listening.samples(crop_s) for crop_s in listening.config.crops_s)
        starts: dict[int, list[Tensor]] = {length: [] for length in lengths}
        for index in range(len(cache)):
            sound = torch.from_numpy(cache.waveform(index))
            length = max((each for each in lengths if each <= len(sound)), default=lengths[0])
            starts[length].append(F.pad(sound[:length], (0, max(0, length - len(sound)))))
        samples = listening.config.batch_s * cache.sample_rate_hz
        self._batches = []
        for length, sounds in starts.items():
            at_once = max(1, round(samples / length))
            for first in range(0, len(sounds), at_once):
                waveforms = torch.stack(sounds[first : first + at_once]).to(listening.device)
                self._batches.append(_examples(waveforms, *listening.answers(waveforms), frontend, judge))
        self._count = len(cache)

    @torch.no_grad()
    def losses(self, student: Student) -> tuple[float, float | None]:
        """Frame loss and, given tied layers, vector loss: means over the sounds."""
        student.eval()
        found = [[len(each.frames) * loss.item() for loss in student.losses(each)] for each in self._batches]
        frames, _, vectors = (sum(column) / self._count for column in zip(*found, strict=True))
        return frames, vectors if student.layers is not None else None


def _full(rows: Tensor) -> Tensor:
    """Lengths (batch,) of rows (batch, time, width) without padding."""
    return torch.full((len(rows),), rows.shape[1])


class _Run:
    """Student, running mean and optimiser on one device, and their checkpoint."""

    def __init__(
        self, student: Student, config: DistilConfig, output: Path, device: str, held_out: AudioCache | None = None
    ) -> None:
        self.config = config
        self.output = output
        self.student = student.to(device)
        student.cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(student)
        learning = [value for value in student.cnn.parameters() if value.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [{"params": learning, "scale": 1.0}, {"params": student.heads, "scale": 4.0}], weight_decay=1e-4
        )
        self.step = 0
        self._nearest = math.inf
        self._kept: dict[str, Tensor] = {}
        self._history: list[dict[str, float]] = []
        settings = {name: str(value) for name, value in asdict(config).items() if name not in MAY_CHANGE}
        if student.layers is not None:  # other ones may stand in the same folder by now
            settings["weights of layers"] = weights_hash(_shared(student.layers))
        if held_out is not None:  # distances from other sounds are not to be compared
            settings["held out"] = key_of(held_out.files)
        self._settings = json.dumps(settings, sort_keys=True)

    def learn(self, examples: Examples) -> Losses:
        """One step on a batch and what the teacher says of it; returns the losses.

        Raises:
            KnownError: ``distil_diverged``, before the step changes any weight.
        """
        config = self.config
        self.student.learning(norms=self.step >= config.frozen_norm_steps)
        rate = config.learning_rate * _schedule(self.step, config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        losses = self.student.losses(examples)
        loss = losses.frames + config.tag_weight * losses.tags + config.vector_weight * losses.vectors
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        steepness = nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        if not math.isfinite(float(loss.detach() + steepness)):
            raise self._diverged("loss", self.step + 1)
        self.optimiser.step()
        update_ema(self.average, self.student, config.ema_decay, self.step)
        self.step += 1
        return Losses(*(loss.detach() for loss in losses))

    def report(self, state: DistilProgress, progress: Callable[[DistilProgress], None] | None) -> None:
        """Keep the state in the history; at a checkpoint write everything; tell the caller.

        Raises:
            KnownError: ``distil_diverged`` when the distance from the teacher is no number.
        """
        told = {name: value for name, value in asdict(state).items() if value is not None and name != "is_checkpoint"}
        self._history.append({name: round(value, 5) for name, value in told.items()})
        if state.is_checkpoint:
            self._save(state.distance)
        else:
            with self._beside(".jsonl").open("a", encoding="utf-8") as history:
                history.write(json.dumps(self._history[-1]) + "\n")
        if progress is not None:
            progress(state)

    def _save(self, distance: float | None) -> None:
        """Keep the running mean unless an earlier one was nearer to the teacher; write the checkpoint, then the rest.

        ``distance`` is None where it is not measured.
        """
        if distance is not None and not math.isfinite(distance):
            raise self._diverged("distance on held-out sounds", self.step)
        if distance is None or distance < self._nearest:
            self._nearest = math.inf if distance is None else distance
            average = self.average.state_dict().items()
            self._kept = {name: value.cpu().clone() for name, value in average if name.startswith(("cnn.", "layers."))}
        state = {
            "settings": self._settings,
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "nearest": self._nearest,
            "kept": self._kept,
            "history": json.dumps(self._history),
        }
        with atomic_write(self._beside(".checkpoint.pt")) as partial:
            torch.save(state, partial)
        self._write_results()

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one, and write what a run that was killed after it did not get to."""
        checkpoint = self._beside(".checkpoint.pt")
        if not checkpoint.exists():
            self._beside(".jsonl").unlink(missing_ok=True)  # of a run that came to no checkpoint
            return
        state = checkpoints.resumable(checkpoint)
        if state.get("settings") != self._settings:
            raise KnownError(
                ErrorKind.CONFIG_CHANGED,
                f"{checkpoint} is of another configuration.",
                "Choose another --output, or start over with --fresh.",
            )
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self._nearest, self._kept = int(state["step"]), float(state["nearest"]), state["kept"]
        self._history = json.loads(state["history"])
        self._write_results()
        log.info("resumed at step %d", self.step)

    def _write_results(self) -> None:
        """The weights that are kept and the history, each whole or not at all."""
        parts = {"cnn.": self.output}
        if self.average.layers is not None:
            parts["layers."] = self._beside(".tied.safetensors")
        for part, path in parts.items():
            state = {name.removeprefix(part): value for name, value in self._kept.items() if name.startswith(part)}
            with atomic_write(path) as partial:
                save_file({name: value.contiguous() for name, value in state.items()}, partial)
        with atomic_write(self._beside(".jsonl")) as partial:
            partial.write_text("".join(json.dumps(line) + "\n" for line in self._history), encoding="utf-8")

    def _diverged(self, what: str, step: int) -> KnownError:
        hint = "Start over with a lower learning_rate."
        if self._beside(".checkpoint.pt").exists():
            hint = f'Name {self.output} as "start", choose a lower learning_rate, and run it with another --output.'
        return KnownError(ErrorKind.DISTIL_DIVERGED, f"The {what} is no number any more at step {step}.", hint)

    def _beside(self, suffix: str) -> Path:
        return self.output.with_suffix(suffix)


def run_files(output: Path) -> tuple[Path, ...]:
    """The files that a distillation to ``output`` writes, and what it leaves of them when it is killed meanwhile."""
    written = tuple(map(output.with_suffix, (output.suffix, ".tied.safetensors", ".checkpoint.pt", ".jsonl")))
    return (*written, *map(partial_path, written))


def _shared(layers: TiedLayers) -> dict[str, Tensor]:
    """What of the layers is the teacher's as well as the student's."""
    return {name: value for name, value in layers.state_dict().items() if not name.startswith("audio_projection.")}


def _schedule(step: int, config: DistilConfig) -> float:
    """Warm up, hold, then decay linearly to 2 % over the last ``decay_fraction`` of the steps."""
    warm = min(1.0, (step + 1) / max(1, config.warm_up_steps))
    left = (config.steps - step) / max(1.0, config.decay_fraction * config.steps)
    return warm * max(0.02, min(1.0, left))
