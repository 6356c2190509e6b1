"""Distil a teacher's frame features and tag probabilities into a CNN (``foundsound distil``).

The teacher hears the very same augmented waveform as the student ("consistent teaching", Beyer et al. 2022). The loss
is one minus the cosine between a linear projection of the student's frames and the teacher's frames, plus the binary
cross-entropy between the student's clip probabilities and the teacher's.
"""

from __future__ import annotations

import copy
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from engine.encoders.cnn10 import Cnn
from engine.encoders.frontend import LogMel
from engine.training import augment
from engine.training.audio_cache import AudioCache

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DistilConfig:
    """One distillation run.

    ``teacher`` is an ONNX model: ``waveform`` (batch, samples) at ``teacher_rate_hz`` in, ``frames`` (batch, t, width)
    and ``probabilities`` (batch, classes) out. ``start`` is a state dict of the CNN in safetensors.
    """

    teacher: Path
    start: Path
    output: Path
    teacher_rate_hz: int = 32_000
    crop_s: float = 4.0
    batch_size: int = 32
    steps: int = 4000
    learning_rate: float = 5e-4
    warm_up_steps: int = 200
    decay_fraction: float = 0.4
    frozen_norm_steps: int = 400
    tag_weight: float = 2.0
    ema_decay: float = 0.999
    checkpoint_every: int = 100
    workers: int = 1
    seed: int = 0


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

        def draw() -> NDArray[np.float32]:
            return self.cache.waveform(int(rng.integers(len(self.cache))))

        while True:
            waveform = augment.scene(draw, samples, rate, rng)
            heard = soxr.resample(waveform, rate, self.config.teacher_rate_hz, quality="MQ")
            heard = heard / max(augment.peak(heard), 1e-6)
            frames, probabilities = teacher.run(["frames", "probabilities"], {"waveform": heard[None]})
            yield waveform, frames[0], probabilities[0]


class Student(nn.Module):
    """The CNN and the two linear heads that exist only while distilling."""

    def __init__(self, cnn: Cnn, teacher_width: int, classes: int) -> None:
        super().__init__()
        self.cnn = cnn
        width = cnn.config.widths[-1]
        self.to_frames = nn.Linear(width, teacher_width)
        self.to_tags = nn.Linear(width, classes)

    def forward(self, log_mel: Tensor, lengths: Tensor, teacher_frames: int) -> tuple[Tensor, Tensor]:
        """-> teacher-like frames (batch, teacher_frames, teacher_width), tag logits (batch, classes)."""
        frames, _ = self.cnn(log_mel, lengths)
        aligned = F.adaptive_avg_pool1d(frames.transpose(1, 2), teacher_frames).transpose(1, 2)
        return self.to_frames(aligned), self.to_tags(frames.mean(dim=1))


def distil(frontend: LogMel, cnn: Cnn, cache: AudioCache, config: DistilConfig) -> Path:
    """Run or resume a distillation; returns the safetensors file with the averaged student CNN.

    A checkpoint is written every ``checkpoint_every`` steps beside ``output``; starting again goes on from it.
    """
    torch.manual_seed(config.seed)
    first = next(iter(Scenes(cache, config, 0)))
    student = Student(cnn, first[1].shape[1], first[2].shape[0])
    cnn.load_state_dict({name: value.float() for name, value in load_file(config.start).items()}, strict=False)
    average = copy.deepcopy(student)
    heads = [*student.to_frames.parameters(), *student.to_tags.parameters()]
    optimiser = torch.optim.AdamW(
        [{"params": cnn.parameters(), "scale": 1.0}, {"params": heads, "scale": 4.0}], weight_decay=1e-4
    )
    checkpoint = config.output.with_suffix(".checkpoint.pt")
    step = 0
    if checkpoint.exists():
        state: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        student.load_state_dict(state["student"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step = int(state["step"])
        log.info("resumed at step %d", step)
    loader = DataLoader(Scenes(cache, config, step), batch_size=config.batch_size, num_workers=config.workers)
    batches = iter(loader)
    history = config.output.with_suffix(".jsonl").open("a", encoding="utf-8")
    started, since = time.monotonic(), step
    while step < config.steps:
        waveforms, teacher_frames, probabilities = next(batches)
        with torch.no_grad():
            log_mel, lengths = frontend(list(waveforms.numpy()))
        student.train()
        if step < config.frozen_norm_steps:
            _freeze_norms(student)
        rate = config.learning_rate * _schedule(step, config)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        with torch.autocast(log_mel.device.type, dtype=torch.bfloat16):
            frames, logits = student(log_mel, lengths, teacher_frames.shape[1])
        frame_loss = 1.0 - F.cosine_similarity(frames.float(), teacher_frames, dim=-1).mean()
        tag_loss = F.binary_cross_entropy_with_logits(logits.float(), probabilities)
        loss = frame_loss + config.tag_weight * tag_loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        _update_average(average, student, min(config.ema_decay, (1 + step) / (10 + step)))
        step += 1
        if step % 20 == 0:
            speed = (step - since) * config.batch_size / (time.monotonic() - started)
            line = {"step": step, "frame": round(frame_loss.item(), 4), "tag": round(tag_loss.item(), 5)}
            history.write(json.dumps({**line, "crops_per_s": round(speed, 1)}) + "\n")
            history.flush()
        if step % config.checkpoint_every == 0 or step == config.steps:
            state = {
                "student": student.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
            }
            torch.save(state, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
            save_file({k: v.contiguous() for k, v in average.cnn.state_dict().items()}, config.output)
    history.write(json.dumps({"config": {k: str(v) for k, v in asdict(config).items()}}) + "\n")
    history.close()
    return config.output


def _schedule(step: int, config: DistilConfig) -> float:
    """Warm up, hold, then decay linearly to 2 % over the last ``decay_fraction`` of the steps."""
    warm = min(1.0, (step + 1) / max(1, config.warm_up_steps))
    left = (config.steps - step) / max(1.0, config.decay_fraction * config.steps)
    return warm * max(0.02, min(1.0, left))


def _freeze_norms(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@torch.no_grad()
def _update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1.0 - decay)
        else:
            kept.copy_(new)
