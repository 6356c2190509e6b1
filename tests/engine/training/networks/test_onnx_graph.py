"""Every operator of an ONNX model against ONNX's own reference evaluator, and models that cannot be run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from engine.errors import KnownError
from engine.training.networks.onnx_graph import OPERATORS, OnnxGraph

Array = NDArray[Any]
Given = tuple[int, ...] | list[int] | Array | None
"""An input: the shape of random floats, integers such as axes, an array, or nothing."""

OPSET = 17
"""What the teacher was exported to; from 18 on, the axes to reduce are an input."""
IMAGE = (2, 3, 5, 7)
TO_THE_END = 2**63 - 1
"""As exporters write it."""


def _case(operator: str, *inputs: Given, opset: int = OPSET, **attributes: Any) -> Any:
    shown = [str(each) for each in inputs if not isinstance(each, np.ndarray)]
    shown += [f"{name}={value}" for name, value in attributes.items() if not isinstance(value, TensorProto)]
    return pytest.param(operator, inputs, opset, attributes, id=" ".join([operator, *shown, f"opset={opset}"]))


def _positive(*shape: int) -> Array:
    return np.random.default_rng(1).uniform(0.1, 3.0, shape).astype(np.float32)


def _value(number: float, kind: type[np.generic]) -> TensorProto:
    return numpy_helper.from_array(np.array([number], kind))


CASES = [
    *(_case(name, (2, 3, 4), other) for name in ("Add", "Div", "Mul") for other in [(2, 3, 4), (3, 1), (1,), ()]),
    *(_case(name, [7, 12, 30], [2]) for name in ("Add", "Div", "Mul")),
    *(_case("Cast", np.array([-2.7, 0.0, 3.5], np.float32), to=to) for to in (6, 7, 9, 10, 11)),
    *(_case("Cast", [-2, 0, 3], to=to) for to in (1, 6, 9)),
    *(_case("Concat", (2, 3, 4), (2, 3, 4), axis=axis) for axis in (0, 2, -1, -3)),
    _case("Concat", (2, 3), axis=1),
    _case("Concat", (2, 1), (2, 4), (2, 2), axis=1),
    _case("Concat", [1, 2], [3], axis=0),
    _case("ConstantOfShape", [2, 3]),
    _case("ConstantOfShape", [2, 3], value=_value(1.5, np.float32)),
    _case("ConstantOfShape", [4], value=_value(7, np.int64)),
    _case("ConstantOfShape", np.zeros(0, np.int64), value=_value(7, np.int64)),
    _case("Conv", (2, 3, 20), (4, 3, 5)),
    _case("Conv", (2, 3, 20), (4, 3, 5), (4,), strides=[3], pads=[2, 2]),
    _case("Conv", (2, 3, 20), (4, 3, 5), (4,), pads=[0, 3], dilations=[2]),
    _case("Conv", (1, 4, 20), (6, 2, 3), (6,), group=2, pads=[1, 1]),
    _case("Conv", IMAGE, (4, 3, 3, 3), (4,), strides=[2, 1], pads=[1, 1, 1, 1]),
    _case("Conv", IMAGE, (4, 3, 3, 3), (4,), pads=[0, 1, 2, 3]),
    _case("Conv", IMAGE, (3, 1, 3, 3), None, group=3, pads=[1, 1, 1, 1], strides=[2, 2]),
    _case("Conv", IMAGE, (4, 3, 1, 2), dilations=[1, 3], auto_pad="NOTSET"),
    *(_case("Flatten", (2, 3, 4, 5), axis=axis) for axis in (0, 1, 2, 4, -1, -3)),
    _case("Flatten", (2, 3, 4)),
    *(_case("Gather", (3, 4, 5), [0, -1, 2], axis=axis) for axis in (0, 1, -1, -2)),
    *(_case("Gather", (3, 4, 5), np.array([[0, 1], [-1, -3]], kind), axis=1) for kind in (np.int32, np.int64)),
    _case("Gather", (3, 4), np.array(1)),
    _case("Gather", (3, 4), np.array(-1), axis=-1),
    _case("Gather", [5, 6, 7], np.array(2)),
    _case("Gemm", (3, 4), (4, 5)),
    _case("Gemm", (3, 4), (4, 5), (5,)),
    _case("Gemm", (3, 4), (5, 4), (3, 1), transB=1, alpha=0.5, beta=2.0),
    _case("Gemm", (4, 3), (5, 4), (), transA=1, transB=1, beta=0.5),
    _case("GlobalAveragePool", IMAGE),
    _case("GlobalAveragePool", (2, 3, 9)),
    _case("HardSwish", (4, 50)),
    _case("Log", _positive(3, 4)),
    _case("MatMul", (3, 4), (4, 5)),
    _case("MatMul", (2, 1, 3, 4), (6, 4, 5)),
    _case("MatMul", (4,), (2, 4, 5)),
    *(_case("Pad", IMAGE, [0, 0, 1, 2, 0, 0, 3, 0], mode=mode) for mode in ("constant", "reflect")),
    *(_case("Pad", (2, 1, 1, 9), [0, 0, 0, 4, 0, 0, 0, 8], mode=mode) for mode in ("constant", "reflect")),
    *(_case("Pad", (9,), [4, 3], mode=mode) for mode in ("constant", "reflect")),
    *(_case("Pad", (3, 4), [1, 0, 2, 0], mode=mode) for mode in ("constant", "reflect")),
    _case("Pad", (3, 4), [0, 1, 2, 0], np.array(-1.5, np.float32)),
    _case("Pad", (3, 4, 9), [1, 2], None, [-1], opset=18, mode="reflect"),
    _case("Pad", (3, 4, 9), [1, 5, 2, 6], np.array(2.5, np.float32), [2, 0], opset=18),
    _case("Pad", [1, 2, 3], [1, 2], np.array(9)),
    _case("Pow", _positive(3, 4), np.array(2.0, np.float32)),
    _case("Pow", (3, 4), np.array(2)),
    _case("Pow", _positive(3, 4), (4,)),
    *(
        _case(name, IMAGE, axes=axes, keepdims=keep)
        for name in ("ReduceMax", "ReduceMean")
        for axes in ([2, 3], [-1], [0], [1, -2])
        for keep in (0, 1)
    ),
    *(
        _case(name, IMAGE, axes, opset=18, keepdims=keep)
        for name in ("ReduceMax", "ReduceMean")
        for axes in ([2, 3], [-1])
        for keep in (0, 1)
    ),
    *(_case(name, IMAGE) for name in ("ReduceMax", "ReduceMean")),
    *(_case(name, IMAGE, opset=18, keepdims=0) for name in ("ReduceMax", "ReduceMean")),
    *(_case(name, IMAGE, opset=18, noop_with_empty_axes=1) for name in ("ReduceMax", "ReduceMean")),
    _case("Relu", (3, 4)),
    *(_case("Reshape", (2, 3, 4), shape) for shape in ([6, 4], [0, -1], [2, 0, 2, 2], [-1], [0, 0, 4])),
    _case("Reshape", np.zeros((0, 3), np.float32), [3, 0], allowzero=1),
    _case("Reshape", (2, 3), [-1, 2], allowzero=0),
    _case("Shape", IMAGE),
    _case("Shape", ()),
    *(_case("Shape", IMAGE, start=start, end=end) for start, end in ((1, 3), (-2, 9), (0, -1), (3, 1))),
    _case("Sigmoid", (3, 4)),
    _case("Slice", (6, 7), [1, 2], [4, 6]),
    _case("Slice", (6, 7), [1], [TO_THE_END], [-1]),
    _case("Slice", (6, 7), [-3, 0], [-1, 99], [1, 0], [1, 2]),
    _case("Slice", (6, 7), [9], [12], [0]),
    _case("Slice", (6, 7), [-99], [4], [1]),
    _case("Slice", (6, 7), [-1], [-TO_THE_END], [0], [-1]),
    _case("Slice", (6, 7), [4, 99], [1, -99], [0, -1], [-1, -2]),
    _case("Slice", (6, 7), [1], [4], [0], [-1]),
    _case("Slice", [4, 5, 6], [0], [2], [0]),
    _case("Squeeze", (2, 1, 3, 1), [1]),
    _case("Squeeze", (2, 1, 3, 1), [-1, 1]),
    _case("Squeeze", (2, 1, 3, 1)),
    _case("Squeeze", (2, 1, 3, 1), opset=11, axes=[1, -1]),
    _case("Squeeze", (2, 1, 3, 1), opset=11),
    _case("Transpose", (2, 3, 4), perm=[0, 2, 1]),
    _case("Transpose", (2, 3, 4), perm=[2, 0, 1]),
    _case("Transpose", (2, 3, 4)),
    *(_case("Unsqueeze", (2, 3), axes) for axes in ([0], [-1], [0, -1], [3, 1], [2, 0])),
    *(_case("Unsqueeze", (2, 3), opset=11, axes=axes) for axes in ([1], [0, -1])),
    _case("Unsqueeze", np.array(5), [0]),
]


def _write(
    path: Path, nodes: list[NodeProto], inputs: Mapping[str, Array], held: Mapping[str, Array], opset: int = OPSET
) -> Path:
    """A model that computes ``y``; ``held`` are its initialisers."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
            for name, value in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _agree(path: Path, inputs: Mapping[str, Array]) -> None:
    (expected,) = ReferenceEvaluator(str(path)).run(None, dict(inputs))
    expected = np.asarray(expected)
    graph = OnnxGraph(path)
    assert (graph.inputs, graph.outputs) == (list(inputs), ["y"])
    (found,) = graph(*(torch.from_numpy(value.copy()) for value in inputs.values()))
    assert (found.numpy().shape, found.numpy().dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("operator", "inputs", "opset", "attributes"), CASES)
def test_operators(
    tmp_path: Path, operator: str, inputs: tuple[Given, ...], opset: int, attributes: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Array] = {}
    for number, each in enumerate(inputs):
        if isinstance(each, tuple):
            arrays[f"x{number}"] = np.asarray(3.0 * rng.standard_normal(each), dtype=np.float32)
        elif each is not None:
            arrays[f"x{number}"] = np.asarray(each)
    names = ["" if each is None else f"x{number}" for number, each in enumerate(inputs)]
    node = helper.make_node(operator, names, ["y"], **attributes)
    _agree(_write(tmp_path / "all.onnx", [node], arrays, {}, opset), arrays)
    first = {"x0": arrays.pop("x0")}
    _agree(_write(tmp_path / "held.onnx", [node], first, arrays, opset), first)


def test_every_operator_is_tried() -> None:
    assert {case.values[0] for case in CASES} == set(OPERATORS)


def test_nodes_hand_on_what_they_make_and_weights_follow_the_module(tmp_path: Path) -> None:
    """Sizes are computed with as weights are, but stay whole numbers on the CPU."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Constant", [], ["last"], value=_value(1, np.int64)),
        helper.make_node("Gather", ["shape", "last"], ["samples"]),
        helper.make_node("Div", ["samples", "four"], ["hops"]),
        helper.make_node("Concat", ["minus", "hops", "four"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["parts"]),
        helper.make_node("MatMul", ["parts", "weight"], ["product"]),
        helper.make_node("Add", ["product", "parts"], ["y"]),
    ]
    weight = np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)
    held = {"weight": weight, "four": np.array([4]), "minus": np.array([-1])}
    inputs = {"x": np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)}
    path = _write(tmp_path / "model.onnx", nodes, inputs, held)
    _agree(path, inputs)
    graph = OnnxGraph(path)
    (found,) = graph.double()(torch.from_numpy(inputs["x"]).double())
    parts = inputs["x"].reshape(3, 5, 4).astype(np.float64)
    np.testing.assert_allclose(found, parts @ weight.astype(np.float64) + parts, rtol=1e-12)
    assert [(buffer.device.type, buffer.shape) for buffer in graph.to("meta").buffers()] == [("meta", (4, 4))]


def test_what_a_model_holds_is_no_input_though_old_ones_list_it_as_one(tmp_path: Path) -> None:
    held = {"weight": np.ones((2, 6), np.float32), "shape": np.array([3, 2])}
    inputs = {"x": np.arange(6, dtype=np.float32)}
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["z"]), helper.make_node("MatMul", ["z", "weight"], ["y"])]
    graph = OnnxGraph(_write(tmp_path / "model.onnx", nodes, inputs | held, held))
    assert graph.inputs == ["x"]
    (found,) = graph(torch.arange(6.0))
    assert found.tolist() == [[value] * 6 for value in (1.0, 5.0, 9.0)]


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (helper.make_node("LSTM", ["x"], ["y"]), "the operator LSTM"),
        (helper.make_node("MaxPool", ["x"], ["y", "indices"], kernel_shape=[2]), "the operator MaxPool"),
        (helper.make_node("Constant", [], ["y"], value_float=1.0), "the operator Constant with value_float"),
        (helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER"), "the operator Conv with auto_pad"),
        (helper.make_node("Pad", ["x", "w"], ["y"], mode="wrap"), "the operator Pad with mode"),
        (helper.make_node("Relu", ["x"], ["y"], domain="com.example"), "the operator com.example.Relu"),
    ],
    ids=lambda value: value.op_type if isinstance(value, NodeProto) else "",
)
def test_an_operator_that_is_unknown_is_named(tmp_path: Path, node: NodeProto, named: str) -> None:
    inputs = {"x": np.zeros((1, 2, 3), np.float32), "w": np.zeros((1, 2, 1), np.float32)}
    path = _write(tmp_path / "model.onnx", [node], inputs, {})
    with pytest.raises(KnownError, match=named) as caught:
        OnnxGraph(path)
    assert caught.value.kind == "teacher_unreadable"
    assert "model.onnx" in caught.value.detail


@pytest.mark.parametrize("damage", ["cut short", "another format", "gone", "weights gone"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    held = {"w": np.ones((30, 30), np.float32)}
    inputs = {"x": np.ones((1, 30), np.float32)}
    path = _write(tmp_path / "model.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], inputs, held)
    OnnxGraph(path)
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "another format":
        path.write_bytes(b"RIFF nothing that anyone could run")
    elif damage == "gone":
        path.unlink()
    else:
        onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="weights", size_threshold=0)
        (tmp_path / "weights").unlink()
    with pytest.raises(KnownError, match=r"model\.onnx") as caught:
        OnnxGraph(path)
    assert caught.value.kind == "teacher_unreadable"
