"""dlib's face network, ``dlib_face_recognition_resnet_model_v1.dat``, as an ONNX model.

The file is a sequence of layers from the picture to the embedding, each a name, sizes, and weights as float32 in
little-endian order. Which layers follow from which is not in it but in dlib's example ``dnn_face_recognition_ex.cpp``:
a 7 x 7 convolution, a maximum pool, residual blocks of two 3 x 3 convolutions, the mean over the picture, and a matrix.
A block of stride 2 has a mean pool beside it; where channels or rows differ dlib fills up with zeros before it adds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_sdk.errors import TrainingError

SIDE = 150
"""Height and width of its picture."""
_LAYERS = re.compile(rb"\x01(?:\x05(con_4)|\x07(affine_)|\x04(fc_2))")


@dataclass(frozen=True)
class Convolution:
    """A convolution and the scale and shift of each channel behind it, as one.

    Attributes:
        weights: ``(K, C, side, side)``.
        bias: ``(K,)``.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    padding: int

    def size(self, size: int) -> int:
        """Of its output, from that of its input."""
        return (size + 2 * self.padding - self.weights.shape[2]) // self.stride + 1


def read(content: bytes) -> onnx.ModelProto:
    """From pictures ``(N, 3, 150, 150)`` to ``(N, 128)``: RGB, mean subtracted, divided by 256.

    Raises:
        TrainingError: It is another file of dlib, or none.
    """
    try:
        convolutions, matrix = _decode(content)
        return _Graph().model(convolutions, matrix)
    except (IndexError, ValueError, KeyError) as error:
        raise TrainingError(f"this is not dlib's face recognition network: {error}") from error


class _Reader:
    """Numbers of a dlib file, from a position on."""

    def __init__(self, content: bytes, position: int) -> None:
        self.content, self.position = content, position

    def integer(self) -> int:
        """The number of bytes, then those, lowest first. None here is negative."""
        count = self.content[self.position]
        start = self.position + 1
        self.position = start + count
        return int.from_bytes(self.content[start : self.position], "little")

    def integers(self, count: int) -> list[int]:
        return [self.integer() for _ in range(count)]

    def tensor(self) -> NDArray[np.float32]:
        """A version, four sizes, then the values; flat."""
        if self.integer() != 2:
            raise ValueError("a tensor of another version")
        size = int(np.prod(self.integers(4)))
        values = np.frombuffer(self.content, "<f4", size, self.position)
        self.position += 4 * size
        return values.astype(np.float32)


def _decode(content: bytes) -> tuple[list[Convolution], NDArray[np.float32]]:
    layers = [
        (match.group().decode("latin-1")[2:], _Reader(content, match.end())) for match in _LAYERS.finditer(content)
    ]
    convolutions = []
    for (name, reader), (_, behind) in pairwise(layers):
        if name == "con_4":
            values = reader.tensor()
            count, height, width, stride, _, padding, _ = reader.integers(7)
            kernel, bias = values[:-count].reshape(count, -1, height, width), values[-count:]
            scale, shift = behind.tensor().reshape(2, count)
            convolutions.append(Convolution(kernel * scale[:, None, None, None], bias * scale + shift, stride, padding))
    name, reader = layers[-1]
    outputs, inputs = reader.integers(2)
    return convolutions, reader.tensor().reshape(inputs, outputs)


@dataclass
class _Graph:
    """Nodes so far."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def model(self, convolutions: list[Convolution], matrix: NDArray[np.float32]) -> onnx.ModelProto:
        first, *blocks = convolutions
        value = self.add("Relu", self.convolution("picture", first))
        value = self.add("MaxPool", value, kernel_shape=[3, 3], strides=[2, 2])
        size = (first.size(SIDE) - 3) // 2 + 1
        for one, two in zip(blocks[::2], blocks[1::2], strict=True):
            value, size = self.block(value, size, one, two)
        value = self.add("Flatten", self.add("GlobalAveragePool", value))
        output = self.add("Gemm", value, self.constant(matrix), self.constant(np.zeros(matrix.shape[1], np.float32)))
        graph = helper.make_graph(
            self.nodes,
            "dlib_face_recognition_resnet_model_v1",
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", matrix.shape[1]])],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)

    def block(self, value: str, size: int, one: Convolution, two: Convolution) -> tuple[str, int]:
        """A residual block, and the size of what comes out."""
        made = self.convolution(self.add("Relu", self.convolution(value, one)), two)
        if one.stride == 1:
            return self.add("Relu", self.add("Add", made, value)), size
        pooled = self.add("AveragePool", value, kernel_shape=[2, 2], strides=[2, 2])
        channels = two.weights.shape[0] - one.weights.shape[1]
        beside, inside = size // 2, one.size(size)
        made = self.filled(made, 0, max(beside - inside, 0))
        pooled = self.filled(pooled, channels, max(inside - beside, 0))
        return self.add("Relu", self.add("Add", made, pooled)), max(beside, inside)

    def convolution(self, value: str, layer: Convolution) -> str:
        weights, bias = self.constant(layer.weights), self.constant(layer.bias)
        return self.add("Conv", value, weights, bias, strides=[layer.stride] * 2, pads=[layer.padding] * 4)

    def filled(self, value: str, channels: int, rows: int) -> str:
        """Zeros behind the channels, below the rows, and right of the columns."""
        pads = np.array([0, 0, 0, 0, 0, channels, rows, rows])
        return self.add("Pad", value, self.constant(pads)) if pads.any() else value

    def constant(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"weights{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output
