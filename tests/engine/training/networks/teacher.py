"""What stands for the teacher of a distillation: a real ONNX model, of a few numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

WIDTH, CLASSES = 6, 5
HOP = 1_600
"""Samples to a frame."""


def write(path: Path, seed: int = 0) -> Path:
    """A model whose frames are weighted sums of 1,600 squared samples each, and whose probabilities follow their mean.

    Args:
        path: Where it goes.
        seed: Of its weights.
    """
    rng = np.random.default_rng(seed)
    weights = {
        "two": np.array(2.0),
        "weight": rng.standard_normal((WIDTH, 1, HOP)) * 0.05,
        "bias": rng.standard_normal(WIDTH),
        "to_tags": rng.standard_normal((CLASSES, WIDTH)),
        "tag_bias": rng.standard_normal(CLASSES),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "one"], ["channel"]),
        helper.make_node("Pow", ["channel", "two"], ["power"]),
        helper.make_node("Conv", ["power", "weight", "bias"], ["bands"], strides=[HOP]),
        helper.make_node("Transpose", ["bands"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("GlobalAveragePool", ["bands"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["clip"]),
        helper.make_node("Gemm", ["clip", "to_tags", "tag_bias"], ["logits"], transB=1),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [
            helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", "t", WIDTH]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", CLASSES]),
        ],
        [
            numpy_helper.from_array(np.array([1]), "one"),
            *(numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def answers(model: Path, waveforms: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What ONNX's own evaluator says of waveforms (batch, samples): frames and probabilities."""
    frames, probabilities = ReferenceEvaluator(str(model)).run(None, {"waveform": waveforms})
    return np.asarray(frames), np.asarray(probabilities)
