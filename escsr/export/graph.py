"""Writing ONNX graphs node by node."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

FLOAT, HALF, INT, BOOL = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.INT64,
    TensorProto.BOOL,
)
# A slice to here ends where the tensor does.
END = 2**31 - 1
_NUMPY: dict[int, type[np.generic]] = {FLOAT: np.float32, HALF: np.float16, INT: np.int64}
_COMPARISONS = {"Less", "Greater", "Equal", "GreaterOrEqual"}


class Graph:
    """An ONNX graph that is being written.

    Values are referred to by name. Each keeps its number type, which constants used with it adopt,
    so part of a network can have a wider type than the rest if its input has.

    Args:
        opset: Version of the operators.
        half: Store weights in float16. They are cast when used with a float32 value.
        joint_means: Write a mean along several sides as one operator.
    """

    def __init__(self, *, opset: int, half: bool = False, joint_means: bool = False) -> None:
        self.opset = opset
        self.half = half
        self.joint_means = joint_means
        self.types: dict[str, int] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[bytes, onnx.TensorProto] = {}
        self._known: dict[tuple[object, ...], str] = {}
        self._scope: list[str] = []
        self._count = 0

    # ------------------------------------------------------------------ values

    def input(self, name: str, shape: Sequence[int | str], kind: int = FLOAT) -> str:
        """Declare an input; sides given by a name are free."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.types[name] = kind
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Declare a value as an output under a name."""
        kind = self.types[value]
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix the names of all nodes written in the block."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def op(self, kind: str, *inputs: str, type: int | None = None, **attributes: Any) -> str:
        """Write a node with one output.

        Args:
            kind: The operator.
            inputs: Values; "" leaves an optional one out.
            type: Number type of the output; by default that of the first input.
            attributes: Attributes of the operator.

        Returns:
            The output.
        """
        return self.ops(kind, *inputs, outputs=1, type=type, **attributes)[0]

    def ops(
        self, kind: str, *inputs: str, outputs: int, type: int | None = None, **attributes: Any
    ) -> list[str]:
        """Write a node with several outputs; see `op`."""
        self._count += 1
        name = "/".join([*self._scope, f"{kind}_{self._count}"])
        made = [name if not i else f"{name}:{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), made, name=name, **attributes))
        if type is None:
            type = BOOL if kind in _COMPARISONS else self.types[inputs[0]]
        self.types.update(dict.fromkeys(made, type))
        return made

    def once(self, kind: str, *inputs: str, type: int | None = None, **attributes: Any) -> str:
        """`op`, written only once for the same inputs and attributes."""
        key = (kind, inputs, type, *sorted((k, repr(v)) for k, v in attributes.items()))
        if key not in self._known:
            self._known[key] = self.op(kind, *inputs, type=type, **attributes)
        return self._known[key]

    # ------------------------------------------------------------------ constants

    def array(self, values: NDArray[Any]) -> str:
        """A constant; equal ones are stored once."""
        values = np.asarray(values, order="C")
        head = f"{values.dtype}{values.shape}".encode()
        key = hashlib.sha256(head + values.tobytes()).digest()
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(values, name)
            self.types[name] = self._constants[key].data_type
        return self._constants[key].name

    def ints(self, values: ArrayLike) -> str:
        """An int64 constant."""
        return self.array(np.asarray(values, dtype=np.int64))

    def number(self, value: float, like: str) -> str:
        """A single number of the type of another value."""
        return self.array(np.asarray(value, dtype=_NUMPY[self.types[like]]))

    def weight(self, tensor: Tensor, like: str) -> str:
        """A weight to be used with another value, in that value's type."""
        values = tensor.detach().cpu().numpy()
        constant = self.array(values.astype(np.float16 if self.half else np.float32))
        return self.cast(constant, self.types[like])

    def cast(self, value: str, kind: int) -> str:
        """A value cast to a number type."""
        if self.types[value] == kind:
            return value
        return self.once("Cast", value, type=kind, to=kind)

    # ------------------------------------------------------------------ frequent operators

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape; 0 keeps the side at that place, -1 is inferred from the others."""
        return self.op("Reshape", x, self.ints(shape))

    def transpose(self, x: str, *order: int) -> str:
        """Reorder the sides."""
        return self.op("Transpose", x, perm=list(order))

    def pad(self, x: str, pads: Sequence[int], mode: str = "constant") -> str:
        """Continue ``x`` by ``pads``, all starts before all ends; "constant" is by zeros."""
        # The zero and the mode are the defaults, but pnnx needs them to be explicit.
        value = [self.number(0, x)] if mode == "constant" else []
        return self.op("Pad", x, self.ints(pads), *value, mode=mode)

    def cut(self, x: str, axis: int, start: int, stop: "int | str") -> str:
        """The part of a side from ``start`` to ``stop``, which may be a scalar value."""
        end = self.ints([stop]) if isinstance(stop, int) else self.vector(stop)
        return self.op("Slice", x, self.ints([start]), end, self.ints([axis]))

    def vector(self, scalar: str) -> str:
        """A scalar value as a vector of one."""
        return self.once("Reshape", scalar, self.ints([1]))

    def length(self, x: str, axis: int) -> str:
        """The length of a side, a scalar."""
        shape = self.once("Shape", x, type=INT)
        return self.once("Gather", shape, self.ints(axis), axis=0)

    # ------------------------------------------------------------------ the end

    def model(self, name: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """The finished model, with facts about it."""
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", self.opset)]
        # The oldest file format with this opset, which most programs read.
        version = helper.find_min_ir_version_for(opsets)
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=version, producer_name="escsr"
        )
        helper.set_model_props(model, metadata)
        return model
