"""What stands for the ONNX teacher of a distillation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

FRAMES, WIDTH, CLASSES = 8, 6, 5


class Teacher:
    """8 frames of 6 numbers and 5 probabilities that follow the waveform's level."""

    def run(self, names: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        waveform = inputs["waveform"][0]
        parts = waveform[: len(waveform) // FRAMES * FRAMES].reshape(FRAMES, -1)
        level = np.abs(parts).mean(axis=1).astype(np.float32)
        frames = np.stack([level, 1 - level, level**2, -level, level + 1, 0 * level + 1], axis=1)
        answers = {"frames": frames[None], "probabilities": np.clip(level[None, :CLASSES], 0, 1)}
        return [answers[name] for name in names]


def install(monkeypatch: pytest.MonkeyPatch, teacher: Callable[[], Teacher] = Teacher) -> None:
    """Let every ``onnxruntime.InferenceSession`` be a teacher."""
    onnx: Any = ModuleType("onnxruntime")
    onnx.__spec__ = ModuleSpec("onnxruntime", None)
    onnx.SessionOptions = SimpleNamespace
    onnx.InferenceSession = lambda *_, **__: teacher()
    monkeypatch.setitem(sys.modules, "onnxruntime", onnx)
