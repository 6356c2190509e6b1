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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from engine.encoders.cnn10 import Cnn
from engine.encoders.frontend import LogMel
from engine.encoders.tied_layers import TiedLayers
from engine.errors import KnownError
from engine.training import augment
from engine.training.audio_cache import AudioCache
from engine.training.checkpoints import resumable
from engine.training.features import weights_hash
from engine.training.student import Losses, Student
from engine.whole_files import unfinished, whole

log = logging.getLogger(__name__)

MAY_CHANGE = ("steps", "checkpoint_every", "workers")
"""Fields that may differ when a run is taken up again."""
REPORT_EVERY = 20


@dataclass(frozen=True)
class DistilConfig:
    """One distillation, as ``foundsound distil --config`` reads it.

    ``table`` is a manifest as ``engine.training.data.load_manifest`` takes it, of which the sounds of ``split`` are
    heard, and so are those of ``more`` such tables. A sound of twice the length is heard 2 ** ``length_power`` times as
    often. ``teacher`` is an ONNX model (``engine.training.teacher``) for sounds at ``teacher_rate_hz``. ``start`` holds
    weights of the CNN in safetensors; without it the CNN starts at random; its first ``frozen_blocks`` stay as they
    are. ``layers`` is the folder of a training above the teacher's frames. ``frontend`` and ``cnn`` are as in a
    training's ``encoders``.

    ``crop_s`` is the length of a scene. The learning rate warms up, holds, and falls over the last ``decay_fraction``
    of the steps; batch-norm statistics stay as they are for ``frozen_norm_steps``. ``tag_weight`` multiplies the
    cross-entropy, ``vector_weight`` the loss of vectors. The weights that are kept are a running mean with
    ``ema_decay``. ``workers`` processes make scenes and ask the teacher.
    """

    table: Path
    teacher: Path
    more: tuple[Path, ...] = ()
    start: Path | None = None
    layers: Path | None = None
    split: str = "train"
    frontend: Literal["panns", "aisfx", "koh_chng"] = "aisfx"
    cnn: Literal["panns", "aisfx"] = "aisfx"
    teacher_rate_hz: int = 32_000
    length_power: float = 0.0
    frozen_blocks: int = 0
    crop_s: float = 4.0
    batch_size: int = 32
    steps: int = 4000
    learning_rate: float = 5e-4
    warm_up_steps: int = 200
    decay_fraction: float = 0.4
    frozen_norm_steps: int = 400
    tag_weight: float = 2.0
    vector_weight: float = 2.0
    ema_decay: float = 0.999
    checkpoint_every: int = 100
    workers: int = 1
    seed: int = 0


@dataclass(frozen=True)
class DistilProgress:
    """How a distillation stands: losses are those of the last batch."""

    step: int
    frame_loss: float
    tag_loss: float
    vector_loss: float
    crops_per_s: float


class Scenes(IterableDataset[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]):
    """Endless (waveform, teacher frames, teacher probabilities) for augmented scenes."""

    def __init__(self, cache: AudioCache, config: DistilConfig, first_step: int) -> None:
        self.cache = cache
        self.config = config
        self.first_step = first_step

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        teacher = onnxruntime.InferenceSession(str(self.config.teacher), options, providers=["CPUExecutionProvider"])
        info = get_worker_info()
        rng = np.random.default_rng((self.config.seed, info.id if info else 0, self.first_step))
        rate = self.cache.sample_rate_hz
        samples = round(self.config.crop_s * rate)
        draw = drawing(self.cache, self.config.length_power)
        while True:
            waveform = augment.scene(lambda: draw(rng), samples, rate, rng)
            heard = soxr.resample(waveform, rate, self.config.teacher_rate_hz, quality="MQ")
            heard = heard / max(augment.peak(heard), 1e-6)
            frames, probabilities = teacher.run(["frames", "probabilities"], {"waveform": heard[None]})
            yield waveform, frames[0], probabilities[0]


def drawing(cache: AudioCache, length_power: float) -> Callable[[np.random.Generator], NDArray[np.float32]]:
    """A function that draws a random sound, one of twice the length 2 ** ``length_power`` times as often."""
    shares = np.cumsum(np.asarray(cache.samples, dtype=np.float64) ** length_power)

    def draw(rng: np.random.Generator) -> NDArray[np.float32]:
        return cache.waveform(int(np.searchsorted(shares, rng.random() * shares[-1], side="right")))

    return draw


def distil(
    frontend: LogMel,
    cnn: Cnn,
    cache: AudioCache,
    config: DistilConfig,
    output: Path,
    layers: TiedLayers | None = None,
    device: str = "cpu",
    progress: Callable[[DistilProgress], None] | None = None,
) -> Path:
    """Run or resume a distillation; returns ``output``, the safetensors file with the averaged student CNN.

    Given tied layers, they are written beside it as ``NAME.tied.safetensors``, with the student's audio projection.
    Beside it also stand a checkpoint, written every ``checkpoint_every`` steps, from which the same call goes on, and
    the losses, a JSON line every 20 steps, which ``progress`` is told as well. A run that goes on takes up weights,
    running mean, optimiser and schedule exactly, but hears other random scenes than it would have without the stop; so
    it ends with weights as good, not with the same ones.

    Args:
        frontend: The student's front end.
        cnn: The student, with the weights that it starts from.
        cache: The sounds that scenes are made of.
        config: The settings; ``table``, ``more``, ``start``, ``layers``, ``frontend`` and ``cnn`` have been followed by
            the caller.
        output: Where the weights go.
        layers: Tied layers trained on the teacher's frames.
        device: ``cpu``, ``cuda`` or ``mps``; the teacher always runs on the CPU.
        progress: Called every 20 steps.

    Raises:
        KnownError: ``checkpoint_mismatch`` when the layers are not for the teacher's frames; ``config_changed`` when
            the checkpoint is of another configuration or other layers, ``checkpoint_unreadable`` when it is damaged;
            ``distil_diverged`` when the loss or its gradient is no number any more, and the weights and the checkpoint
            last written stay as they are.
    """
    torch.manual_seed(config.seed)
    _, teacher_frames, probabilities = next(iter(Scenes(cache, config, 0)))
    output.parent.mkdir(parents=True, exist_ok=True)
    width = teacher_frames.shape[1]
    if layers is not None and layers.config.audio_dim != width:
        raise KnownError(
            "checkpoint_mismatch",
            f"The layers in {config.layers} are for frames {layers.config.audio_dim} wide, the teacher's are {width}.",
            'Name the folder of a training with "cnn": "teacher" as layers.',
        )
    student = Student(cnn, width, len(probabilities), layers, config.frozen_blocks)
    run = _Run(student, config, output, device)
    run.resume()
    frontend = frontend.to(device)
    judge = copy.deepcopy(layers).to(device).eval() if layers is not None else None
    loader = DataLoader(Scenes(cache, config, run.step), batch_size=config.batch_size, num_workers=config.workers)
    started, since = time.monotonic(), run.step
    batches: Iterator[tuple[Tensor, Tensor, Tensor]] = iter(loader)
    while run.step < config.steps:
        waveforms, frames, tags = next(batches)
        frames, tags = frames.to(device), tags.to(device)
        with torch.no_grad():
            log_mel, lengths = frontend(list(waveforms.numpy()))
            vectors = judge.audio(frames, torch.full((len(frames),), frames.shape[1])) if judge is not None else None
        losses = run.learn(log_mel, lengths, frames, tags, vectors)
        if run.step % REPORT_EVERY == 0 or run.step == config.steps:
            speed = (run.step - since) * config.batch_size / (time.monotonic() - started)
            frame, tag, vector = (loss.item() for loss in losses)
            run.report(DistilProgress(run.step, frame, tag, vector, speed), progress)
        if run.step % config.checkpoint_every == 0 or run.step == config.steps:
            run.save()
    return output


class _Run:
    """Student, running mean and optimiser on one device, and their checkpoint."""

    def __init__(self, student: Student, config: DistilConfig, output: Path, device: str) -> None:
        self.config = config
        self.output = output
        self.device = device
        self.student = student.to(device)
        student.cnn.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(student)
        learning = [value for value in student.cnn.parameters() if value.requires_grad]
        self.optimiser = torch.optim.AdamW(
            [{"params": learning, "scale": 1.0}, {"params": student.heads, "scale": 4.0}], weight_decay=1e-4
        )
        self.step = 0
        settings = {name: str(value) for name, value in asdict(config).items() if name not in MAY_CHANGE}
        if student.layers is not None:  # other ones may stand in the same folder by now
            settings["weights of layers"] = weights_hash(_shared(student.layers))
        self._settings = json.dumps(settings, sort_keys=True)

    def learn(self, log_mel: Tensor, lengths: Tensor, frames: Tensor, tags: Tensor, vectors: Tensor | None) -> Losses:
        """One step on a batch and what the teacher says of it; returns the losses.

        Raises:
            KnownError: ``distil_diverged``, before the step changes any weight.
        """
        config = self.config
        self.student.learning(norms=self.step >= config.frozen_norm_steps)
        rate = config.learning_rate * _schedule(self.step, config)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        losses = self.student.losses(log_mel, lengths, frames, tags, vectors)
        loss = losses.frames + config.tag_weight * losses.tags + config.vector_weight * losses.vectors
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        steepness = nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        if not math.isfinite(float(loss.detach() + steepness)):
            raise self._diverged()
        self.optimiser.step()
        _update_average(self.average, self.student, min(config.ema_decay, (1 + self.step) / (10 + self.step)))
        self.step += 1
        return Losses(*(loss.detach() for loss in losses))

    def report(self, state: DistilProgress, progress: Callable[[DistilProgress], None] | None) -> None:
        """Write a line of the history; tell the caller."""
        with self._beside(".jsonl").open("a", encoding="utf-8") as history:
            history.write(json.dumps({name: round(value, 5) for name, value in asdict(state).items()}) + "\n")
        if progress is not None:
            progress(state)

    def save(self) -> None:
        """Write the averaged student and then the checkpoint, each whole or not at all."""
        for model, path in ((self.average.cnn, self.output), (self.average.layers, self._beside(".tied.safetensors"))):
            if model is not None:
                with whole(path) as partial:
                    save_file({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, partial)
        state = {
            "settings": self._settings,
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        with whole(self._beside(".checkpoint.pt")) as partial:
            torch.save(state, partial)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        checkpoint = self._beside(".checkpoint.pt")
        if not checkpoint.exists():
            return
        state = resumable(checkpoint, self.device)
        if state.get("settings") != self._settings:
            raise KnownError(
                "config_changed",
                f"{checkpoint} is of another configuration.",
                "Choose another --output, or start over with --fresh.",
            )
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        log.info("resumed at step %d", self.step)

    def _diverged(self) -> KnownError:
        hint = "Start over with a lower learning_rate."
        if self._beside(".checkpoint.pt").exists():
            hint = f'Name {self.output} as "start", choose a lower learning_rate, and run it with another --output.'
        return KnownError("distil_diverged", f"The loss is no number any more at step {self.step + 1}.", hint)

    def _beside(self, suffix: str) -> Path:
        return self.output.with_suffix(suffix)


def run_files(output: Path) -> tuple[Path, ...]:
    """The files that a distillation to ``output`` writes, and what it leaves of them when it is killed meanwhile."""
    whole_ones = (output, output.with_suffix(".tied.safetensors"), output.with_suffix(".checkpoint.pt"))
    return (*whole_ones, *map(unfinished, whole_ones), output.with_suffix(".jsonl"))


def _shared(layers: TiedLayers) -> dict[str, Tensor]:
    """What of the layers is the teacher's as well as the student's."""
    return {name: value for name, value in layers.state_dict().items() if not name.startswith("audio_projection.")}


def _schedule(step: int, config: DistilConfig) -> float:
    """Warm up, hold, then decay linearly to 2 % over the last ``decay_fraction`` of the steps."""
    warm = min(1.0, (step + 1) / max(1, config.warm_up_steps))
    left = (config.steps - step) / max(1.0, config.decay_fraction * config.steps)
    return warm * max(0.02, min(1.0, left))


@torch.no_grad()
def _update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1.0 - decay)
        else:
            kept.copy_(new)
