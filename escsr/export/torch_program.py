"""Networks as `torch.export` programs, which PyTorch loads without escsr.

A network itself cannot be exported for free sides: for speed it chooses how to compute by shapes.
Its graph makes no such choices, so the graph is exported, node by node.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from escsr.export.graph import FLOAT, HALF, INT

# A tensor, a number that may be symbolic, a shape, or whole numbers that are constant.
Value = Any
_TYPES: dict[int, torch.dtype] = {FLOAT: torch.float32, HALF: torch.float16, INT: torch.int64}


class TorchGraph(nn.Module):
    """An ONNX graph of `make_onnx`, computed by PyTorch.

    Args:
        proto: The model, of one scale.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        super().__init__()
        self._nodes = [_Node(node) for node in proto.graph.node]
        self._whole: dict[str, Value] = {}
        self._names: dict[str, str] = {}
        for number, constant in enumerate(proto.graph.initializer):
            array = numpy_helper.to_array(constant)
            if array.dtype == np.int64:
                self._whole[constant.name] = array
            else:
                self._names[constant.name] = f"constant_{number}"
                self.register_buffer(f"constant_{number}", torch.from_numpy(array.copy()))

    def forward(self, lq: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] to (N, 3, scale · H, scale · W)."""
        values: dict[str, Value] = {"input": lq, "": None, **self._whole}
        values.update((name, getattr(self, buffer)) for name, buffer in self._names.items())
        for node in self._nodes:
            inputs = [values[name] for name in node.inputs]
            values[node.output] = _OPERATORS[node.kind](*inputs, **node.attributes)
        return cast(Tensor, values["output"])


class _Node:
    """The computation, node by node."""

    def __init__(self, node: onnx.NodeProto) -> None:
        if node.op_type not in _OPERATORS:
            raise ValueError(
                f"this network cannot become a PyTorch program: {node.op_type} is unknown"
            )
        self.kind = node.op_type
        self.inputs = list(node.input)
        (self.output,) = node.output
        found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        self.attributes = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in found.items()
        }


# ---------------------------------------------------------------------------- operators


def _numbers(values: Value) -> list[Any]:
    """Constant whole numbers, or a shape, as a list."""
    return (
        [int(v) if isinstance(v, np.integer) else v for v in np.atleast_1d(values).tolist()]
        if (isinstance(values, np.ndarray))
        else list(values)
    )


def _arithmetic(
    of_numbers: Callable[[Any, Any], Any], of_tensors: Callable[[Any, Any], Any] | None = None
) -> Callable[[Value, Value], Value]:
    """An operator of tensors, of constants, or of numbers that may be symbolic."""

    def compute(a: Value, b: Value) -> Value:
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.ndim + b.ndim:
            return of_numbers(a, b)
        a, b = (int(v) if isinstance(v, np.ndarray) and v.ndim == 0 else v for v in (a, b))
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            return of_numbers(a, b)
        return (of_tensors or of_numbers)(a, b)

    return compute


def _minimum(a: Value, b: Value) -> Tensor:
    return torch.minimum(a, b) if isinstance(b, Tensor) else a.clamp(max=b)


def _reshape(x: Value, shape: Value) -> Value:
    if not isinstance(x, Tensor):
        return [x]
    sides = [x.shape[i] if side == 0 else side for i, side in enumerate(_numbers(shape))]
    return x.reshape(sides)


def _gather(x: Value, index: Value, axis: int = 0) -> Value:
    if not isinstance(x, Tensor):
        return x[int(index)]
    if isinstance(index, np.ndarray):
        index = torch.from_numpy(index.copy()).to(x.device)
    found = x.index_select(axis, index.flatten())
    if index.ndim == 1:
        return found
    return found.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _slice(x: Tensor, starts: Value, ends: Value, axes: Value) -> Tensor:
    for start, end, axis in zip(*map(_numbers, (starts, ends, axes)), strict=True):
        x = x[(slice(None),) * (axis % x.ndim) + (slice(start, end),)]
        if not isinstance(end, int):
            x = _laid_out(x)
    return x


def _laid_out(x: Tensor) -> Tensor:
    """The same, contiguous: convolutions depend on strides, and so on the number of windows."""
    return x.clone(memory_format=torch.contiguous_format)


def _pad(x: Tensor, pads: Value, _zero: Tensor | None = None, *, mode: str) -> Tensor:
    numbers = _numbers(pads)
    half = len(numbers) // 2
    pairs = list(zip(numbers[:half], numbers[half:], strict=True))
    while pairs and pairs[0] == (0, 0):  # PyTorch counts from the last side
        pairs.pop(0)
    flat = [number for pair in reversed(pairs) for number in pair]
    return F.pad(x, flat, mode={"edge": "replicate"}.get(mode, mode))


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    group: int = 1,
) -> Tensor:
    return F.conv2d(x, weight, bias, stride=list(strides), padding=list(pads[:2]), groups=group)


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor, *, axis: int, epsilon: float) -> Tensor:
    return F.layer_norm(x, weight.shape, weight, bias, epsilon)


def _resize(x: Tensor, _region: None, scales: Tensor, **_: Any) -> Tensor:
    factor = float(scales[-1])
    return F.interpolate(x, scale_factor=factor, mode="nearest")


def _grid_sample(x: Tensor, grid: Tensor, *, mode: str, padding_mode: str, **_: Any) -> Tensor:
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=padding_mode, align_corners=False)


def _cast(x: Value, to: int) -> Value:
    if isinstance(x, Tensor):
        return x.to(_TYPES[to])
    return torch.sym_float(x)


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    """A product without broadcasting, which would test whether there is more than one window."""
    if b.ndim == 2:
        return (a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1])
    made = torch.bmm(a.flatten(0, -3), b.flatten(0, -3))
    return made.reshape(*a.shape[:-1], b.shape[-1])


def _mean(x: Tensor, axes: Any, keepdims: int = 1) -> Tensor:
    return x.mean(dim=_numbers(axes), keepdim=bool(keepdims))


_OPERATORS: dict[str, Callable[..., Value]] = {
    "Add": _arithmetic(operator.add),
    "Cast": _cast,
    "Concat": lambda *parts, axis: torch.cat(parts, dim=axis),
    "Conv": _conv,
    "DepthToSpace": lambda x, blocksize, mode: F.pixel_shuffle(x, blocksize),
    "Div": _arithmetic(operator.floordiv, operator.truediv),
    "Erf": torch.erf,
    "Gather": _gather,
    "Gelu": F.gelu,
    "GridSample": _grid_sample,
    "Identity": lambda x: x,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda x, alpha: F.leaky_relu(x, alpha),
    "MatMul": _matmul,
    "Max": _arithmetic(torch.sym_max),
    "Min": _arithmetic(min, _minimum),
    "Mod": lambda x, period: torch.remainder(x, period),
    "Mul": _arithmetic(operator.mul),
    "Pad": _pad,
    "Range": lambda start, stop, step: torch.arange(int(start), _number(stop), int(step)),
    "ReduceMean": _mean,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda x: list(x.shape),
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "Softmax": lambda x, axis: x.softmax(axis),
    "Sub": _arithmetic(operator.sub),
    "Transpose": lambda x, perm: _laid_out(x.permute(list(perm))),
}


def _number(value: Value) -> Any:
    return int(value) if isinstance(value, np.ndarray) else value
