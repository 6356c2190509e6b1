"""An ONNX model as a torch module, so that a teacher runs on whatever device the student is on.

Only the operators that a convolutional tagger with its own front end is exported to; another one is a KnownError that
names it. Checked against ONNX's own reference evaluator in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ErrorKind, KnownError

Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Tensor | None], Attributes], Tensor]


class OnnxGraph(nn.Module):
    """Runs a model's nodes one after the other.

    Weights and activations live on the module's device; shapes and axes, which ONNX computes with as with any tensor,
    stay on the CPU, so that asking for them does not wait for the device.

    Args:
        path: The model.

    Raises:
        KnownError: ``teacher_unreadable`` when the file is no ONNX model or uses an operator that is unknown here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import numpy_helper

        try:
            graph = onnx.load(str(path)).graph
        except (OSError, DecodeError, onnx.checker.ValidationError) as error:
            raise KnownError(
                ErrorKind.TEACHER_UNREADABLE, f"{path} is no ONNX model: {error}.", "Name another one."
            ) from error
        self._nodes: list[tuple[Operator, list[str], str, dict[str, Any]]] = []
        self._numbers: dict[str, Tensor] = {}
        self._buffers_of: dict[str, str] = {}
        for tensor in graph.initializer:
            self._keep(tensor.name, torch.from_numpy(numpy_helper.to_array(tensor).copy()))
        for node in graph.node:
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type == "Constant" and "value" in attributes:
                self._keep(node.output[0], torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy()))
                continue
            operator, unknown = OPERATORS.get(node.op_type), _unknown(node.op_type, attributes)
            if operator is None or unknown or len(node.output) != 1 or node.domain:
                name = ".".join(filter(None, (node.domain, node.op_type)))
                raise KnownError(
                    ErrorKind.TEACHER_UNREADABLE,
                    f"{path} has the operator {name}{unknown}, which is unknown here.",
                    "Name a teacher without it, or add it to engine/training/networks/onnx_graph.py.",
                )
            self._nodes.append((operator, list(node.input), node.output[0], attributes))
        held = {*self._numbers, *self._buffers_of}
        self.inputs = [each.name for each in graph.input if each.name not in held]
        self.outputs = [each.name for each in graph.output]
        self._last_use = {name: index for index, (_, inputs, _, _) in enumerate(self._nodes) for name in inputs}

    def _keep(self, name: str, value: Tensor) -> None:
        if value.is_floating_point():
            held = f"constant_{len(self._buffers_of)}"
            self.register_buffer(held, value)
            self._buffers_of[name] = held
        else:
            self._numbers[name] = value

    @torch.no_grad()
    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The model's outputs, in its order, for its inputs in theirs."""
        known: dict[str, Tensor] = {**self._numbers, **dict(zip(self.inputs, inputs, strict=True))}
        known |= {name: self.get_buffer(held) for name, held in self._buffers_of.items()}
        for index, (operator, names, output, attributes) in enumerate(self._nodes):
            known[output] = operator([known[name] if name else None for name in names], attributes)
            for name in names:
                if self._last_use[name] == index and name not in self.outputs:
                    known.pop(name, None)
        return tuple(known[name] for name in self.outputs)


def _pads(value: Sequence[int]) -> list[int]:
    """ONNX's begins then ends, first axis first -> torch's pairs, last axis first."""
    axes = len(value) // 2
    return [pad for axis in reversed(range(axes)) for pad in (value[axis], value[axes + axis])]


def _conv(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, weight, *bias = inputs
    assert x is not None
    assert weight is not None
    axes = weight.dim() - 2
    pads = list(attributes.get("pads", [0] * 2 * axes))
    if pads[:axes] != pads[axes:]:
        x, pads = F.pad(x, _pads(pads)), [0] * 2 * axes
    convolve = F.conv1d if axes == 1 else F.conv2d
    return convolve(
        x,
        weight,
        bias[0] if bias else None,
        stride=tuple(attributes.get("strides", [1] * axes)),
        padding=tuple(pads[:axes]),
        dilation=tuple(attributes.get("dilations", [1] * axes)),
        groups=attributes.get("group", 1),
    )


def _gemm(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    a, b, *c = inputs
    assert a is not None
    assert b is not None
    a = a.T if attributes.get("transA") else a
    b = b.T if attributes.get("transB") else b
    alpha, beta = float(attributes.get("alpha", 1.0)), float(attributes.get("beta", 1.0))
    return alpha * (a @ b) if not c or c[0] is None else alpha * (a @ b) + beta * c[0]


def _axes(inputs: Sequence[Tensor | None], attributes: Attributes) -> tuple[int, ...]:
    """Of an operator that takes them as an attribute or, in newer models, as an input."""
    given = attributes.get("axes")
    if given is None and len(inputs) > 1 and inputs[1] is not None:
        given = inputs[1].tolist()
    return tuple(given or ())


def _reduce(how: Callable[..., Tensor]) -> Operator:
    def reduce(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
        x = inputs[0]
        assert x is not None
        axes = _axes(inputs, attributes)
        if not axes and attributes.get("noop_with_empty_axes"):
            return x
        axes = axes or tuple(range(x.dim()))
        return how(x, dim=axes, keepdim=bool(attributes.get("keepdims", 1)))

    return reduce


def _unsqueeze(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = inputs[0]
    assert x is not None
    axes = _axes(inputs, attributes)
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = inputs[0]
    assert x is not None
    return x.squeeze(_axes(inputs, attributes) or tuple(axis for axis, size in enumerate(x.shape) if size == 1))


def _reshape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, shape = inputs[:2]
    assert x is not None
    assert shape is not None
    keep = not attributes.get("allowzero")
    return x.reshape([x.shape[axis] if size == 0 and keep else size for axis, size in enumerate(shape.tolist())])


def _slice(inputs: Sequence[Tensor | None], _: Attributes) -> Tensor:
    x, starts, ends, axes, steps = [*inputs, None, None][:5]
    assert x is not None
    assert starts is not None
    assert ends is not None
    count = len(starts)
    for axis, start, end, step in zip(
        range(count) if axes is None else axes.tolist(),
        starts.tolist(),
        ends.tolist(),
        [1] * count if steps is None else steps.tolist(),
        strict=True,
    ):
        size = x.shape[axis]
        if step > 0:
            x = x[(slice(None),) * (axis % x.dim()) + (slice(start, min(end, size), step),)]
        else:  # torch slices forwards only
            chosen = range(size)[max(start, -size - 1) : max(end, -size - 1) : step]
            x = x.index_select(axis, torch.tensor(chosen, dtype=torch.int64, device=x.device))
    return x


def _pad(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, pads, value, axes = [*inputs, None, None][:4]
    assert x is not None
    assert pads is not None
    before, after = pads.reshape(2, -1).tolist()
    for axis, left, right in zip(range(x.dim()) if axes is None else axes.tolist(), before, after, strict=True):
        if left == right == 0:
            continue
        if attributes.get("mode", b"constant") == b"reflect":  # torch does so with some shapes only
            last = x.shape[axis] - 1
            at = torch.arange(-left, last + right + 1, device=x.device)
            x = x.index_select(axis, last - (last - at.abs()).abs())
        else:
            behind = x.dim() - 1 - axis % x.dim()
            x = F.pad(x, [0, 0] * behind + [left, right], value=0.0 if value is None else float(value))
    return x


def _flatten(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = inputs[0]
    assert x is not None
    axis = attributes.get("axis", 1)
    return x.reshape(x.shape[:axis].numel(), -1)


def _transpose(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = inputs[0]
    assert x is not None
    return x.permute(*attributes.get("perm", reversed(range(x.dim()))))


def _gather(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, indices = inputs
    assert x is not None
    assert indices is not None
    axis = attributes.get("axis", 0) % x.dim()
    found = x.index_select(axis, indices.reshape(-1).to(x.device) % x.shape[axis])
    return found.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def _constant_of_shape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    from onnx import numpy_helper

    shape = inputs[0]
    assert shape is not None
    value = torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy()) if "value" in attributes else None
    return torch.zeros(shape.tolist()) if value is None else value.reshape(()).repeat(shape.tolist())


def _cast(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    import onnx

    x = inputs[0]
    assert x is not None
    kind = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]).name
    return x.to(torch.bool if kind == "bool" else getattr(torch, kind))


def _shape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = inputs[0]
    assert x is not None
    return torch.tensor(x.shape[attributes.get("start", 0) : attributes.get("end")], dtype=torch.int64)


def _div(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _of(function: Callable[..., Tensor]) -> Operator:
    """An operator without attributes."""
    return lambda inputs, _: function(*inputs)


OPERATORS: dict[str, Operator] = {
    "Add": _of(torch.add),
    "Cast": _cast,
    "Concat": lambda inputs, attributes: torch.cat([x for x in inputs if x is not None], attributes["axis"]),
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "Div": _of(_div),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _of(lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True)),
    "HardSwish": _of(F.hardswish),
    "Log": _of(torch.log),
    "MatMul": _of(torch.matmul),
    "Mul": _of(torch.mul),
    "Pad": _pad,
    "Pow": _of(torch.pow),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "Relu": _of(F.relu),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": _of(torch.sigmoid),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

_KNOWN_VALUES = {"auto_pad": (b"NOTSET",), "mode": (b"constant", b"reflect")}
"""Of attributes that cannot have others here."""


def _unknown(operator: str, attributes: Attributes) -> str:
    """What of a node cannot be done, as a message says it behind the operator's name; "" when all can."""
    if operator == "Constant":
        return f" with {', '.join(attributes)}"
    wrong = [name for name, known in _KNOWN_VALUES.items() if attributes.get(name, known[0]) not in known]
    return f" with {wrong[0]} {attributes[wrong[0]].decode()}" if wrong else ""
