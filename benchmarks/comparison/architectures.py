"""Published networks with random weights, as ONNX: what they cost, where their weights cannot be had. No accuracy.

The layers are those of the papers, and of the tables of channels that their authors publish: MiniFASNetV2 (Minivision,
Silent-Face-Anti-Spoofing, Apache-2.0), MobileFaceNet (Chen et al., 2018, table 1), RetinaFace on MobileNetV1 of a
quarter of the width (Deng et al., 2019), and ArcFace's ResNet-50 (Deng et al., 2018). Normalisations are folded into
the convolutions, as exporters do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Grows a graph layer by layer; tensors are known by name, and their channels are kept."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape
        self._rng = np.random.default_rng(0)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._channels = {"input": shape[1]}

    def weights(self, *shape: int, scale: float | None = None) -> str:
        """A tensor of random values that keeps the size of what passes through."""
        name = f"w{len(self._weights)}"
        deviation = 1 / math.sqrt(math.prod(shape[1:])) if scale is None else scale
        values = (deviation * self._rng.standard_normal(shape)).astype(np.float32)
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def constant(self, values: Sequence[int]) -> str:
        """A tensor of whole numbers."""
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], channels: int, **attributes: Any) -> str:
        """Add a node with one output."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        self._channels[name] = channels
        return name

    def conv(
        self, x: str, out: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, pad: int | None = None
    ) -> str:
        """A convolution with a bias."""
        weights = self.weights(out, self._channels[x] // groups, kernel, kernel)
        around = kernel // 2 if pad is None else pad
        return self.node(
            "Conv",
            [x, weights, self.weights(out, scale=0.0)],
            out,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[around] * 4,
            group=groups,
        )

    def depthwise(self, x: str, kernel: int = 3, stride: int = 1, pad: int | None = None) -> str:
        """A convolution of each channel by itself."""
        return self.conv(x, self._channels[x], kernel, stride, groups=self._channels[x], pad=pad)

    def prelu(self, x: str) -> str:
        """A slope of its own for each channel."""
        return self.node("PRelu", [x, self.weights(self._channels[x], 1, 1, scale=0.1)], self._channels[x])

    def relu(self, x: str) -> str:
        """Without negative values."""
        return self.node("Relu", [x], self._channels[x])

    def add(self, x: str, y: str) -> str:
        """The sum."""
        return self.node("Add", [x, y], self._channels[x])

    def dense(self, x: str, size: int, out: int) -> str:
        """A fully connected layer on all values."""
        flat = self.node("Flatten", [x], size)
        return self.node("Gemm", [flat, self.weights(out, size), self.weights(out, scale=0.0)], out, transB=1)

    def finish(self, **outputs: str) -> bytes:
        """The model's bytes."""
        names = []
        for name, tensor in outputs.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [name]))
            names.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        given = [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(self.shape))]
        graph = helper.make_graph(self._nodes, "network", given, names, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        content: bytes = onnx.shape_inference.infer_shapes(model).SerializeToString()
        return content


def minifasnet_v2() -> bytes:
    """80 x 80 pixels to three classes, 0.43 million parameters."""
    g = Graph(1, 3, 80, 80)
    x = g.prelu(g.conv("input", 32, 3, 2))
    x = g.prelu(g.depthwise(x))

    def bottleneck(x: str, wide: int, out: int, stride: int = 1) -> str:
        made = g.prelu(g.conv(x, wide))
        made = g.conv(g.prelu(g.depthwise(made, 3, stride)), out)
        return made if stride > 1 else g.add(x, made)

    x = bottleneck(x, 103, 64, 2)
    for wide in (13, 13, 13, 13):
        x = bottleneck(x, wide, 64)
    x = bottleneck(x, 231, 128, 2)
    for wide in (231, 52, 26, 77, 26, 26):
        x = bottleneck(x, wide, 128)
    x = bottleneck(x, 308, 128, 2)
    for wide in (26, 26):
        x = bottleneck(x, wide, 128)
    x = g.prelu(g.conv(x, 512))
    x = g.dense(g.depthwise(x, 5, pad=0), 512, 128)
    return g.finish(output=g.dense(x, 128, 3))


def mobilefacenet() -> bytes:
    """112 x 112 pixels to 512 values."""
    g = Graph(1, 3, 112, 112)
    x = g.prelu(g.depthwise(g.prelu(g.conv("input", 64, 3, 2))))
    channels = 64
    for factor, out, count, stride in ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)):
        for step in (stride, *[1] * (count - 1)):
            wide = g.prelu(g.conv(x, factor * channels))
            made = g.conv(g.prelu(g.depthwise(wide, 3, step)), out)
            x = g.add(x, made) if step == 1 and channels == out else made
            channels = out
    x = g.depthwise(g.prelu(g.conv(x, 512)), 7, pad=0)
    return g.finish(output=g.dense(x, 512, 512))


def retinaface_quarter(side: int = 640) -> bytes:
    """A square of pixels to boxes, confidences and points at three scales, two anchors a cell; never sure of a face."""
    g = Graph(1, 3, side, side)

    def separable(x: str, out: int, stride: int = 1) -> str:
        return g.relu(g.conv(g.relu(g.depthwise(x, 3, stride)), out))

    x = g.relu(g.conv("input", 8, 3, 2))
    levels = []
    for widths in (((16, 1), (32, 2), (32, 1), (64, 2), (64, 1)), ((128, 2), *[(128, 1)] * 5), ((256, 2), (256, 1))):
        for out, stride in widths:
            x = separable(x, out, stride)
        levels.append(x)
    first, second, third = (g.relu(g.conv(level, 64)) for level in levels)

    def merged(lower: str, upper: str) -> str:
        scales = g.node("Constant", [], 0, value_floats=[1.0, 1.0, 2.0, 2.0])
        larger = g.node("Resize", [upper, "", scales], 64, mode="nearest")
        return g.relu(g.conv(g.add(lower, larger), 64, 3))

    second = merged(second, third)
    first = merged(first, second)
    outputs: dict[str, list[str]] = {"loc": [], "conf": [], "landmarks": []}
    for level in (first, second, third):
        three = g.conv(level, 32, 3)
        start = g.relu(g.conv(level, 16, 3))
        five = g.conv(start, 16, 3)
        seven = g.conv(g.relu(g.conv(start, 16, 3)), 16, 3)
        context = g.relu(g.node("Concat", [three, five, seven], 64, axis=1))
        for name, values in (("loc", 4), ("conf", 2), ("landmarks", 10)):
            rows = g.node("Transpose", [g.conv(context, 2 * values)], 0, perm=[0, 2, 3, 1])
            outputs[name].append(g.node("Reshape", [rows, g.constant([1, -1, values])], 0))
    joined = {name: g.node("Concat", parts, 0, axis=1) for name, parts in outputs.items()}
    sure = g.node("Softmax", [joined["conf"]], 0, axis=-1)
    joined["conf"] = g.node("Mul", [sure, g.node("Constant", [], 0, value_floats=[0.1])], 0)
    return g.finish(**joined)


def arcface_resnet50() -> bytes:
    """112 x 112 pixels to 512 values, 43.6 million parameters."""
    g = Graph(1, 3, 112, 112)
    x = g.prelu(g.conv("input", 64, 3))
    for out, count in ((64, 3), (128, 4), (256, 14), (512, 3)):
        for number in range(count):
            stride = 2 if number == 0 else 1
            made = g.conv(g.prelu(g.conv(x, out, 3)), out, 3, stride)
            x = g.add(g.conv(x, out, 1, stride, pad=0) if number == 0 else x, made)
    return g.finish(output=g.dense(x, 512 * 7 * 7, 512))


NETWORKS: dict[str, Callable[[], bytes]] = {
    "minifasnet_v2": minifasnet_v2,
    "mobilefacenet": mobilefacenet,
    "retinaface_quarter": retinaface_quarter,
    "arcface_resnet50": arcface_resnet50,
}
