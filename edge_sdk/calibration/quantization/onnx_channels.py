"""Equal int8 ONNX graphs that engines compute faster: the same integers, in shapes their kernels are made for.

Kernels of int8 take channels by fours into a multiplication and by eights or sixteens out of it. What falls short is
computed by slower ones, or mostly on padding: ONNX Runtime 1.31.1 spends 304 of DeepSign's 1,054 microseconds on its
first layer, 4 % of the multiplications, for its single channel.

* A layer of stride 2 on a single channel reads 2 x 2 pixels as four channels (SpaceToDepth).
* A layer's channels are filled up to a multiple of :data:`MULTIPLE` with channels that nothing reads: weights of 0.
* An Expand that the operator behind it repeats by itself is left out, and with it what computes its shape.

Nothing is rounded elsewhere, and a sum of integers does not depend on their order: outputs are equal bit for bit.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

MULTIPLE = 8
"""Of channels. 16 costs more than it gains where layers are narrow (DeepSign nano: 7 channels become 16)."""

_MOST_PADDING = 0.25
"""What filling up may add to the channels of a layer, as a share of them; more costs more than it gains."""

_BY_CHANNEL = frozenset({"QuantizeLinear", "DequantizeLinear", "Relu", "LeakyRelu", "Clip", "MaxPool", "AveragePool"})
"""Operators that treat each channel alike, if what they take beside it is a single value."""

_STEPS = {"QuantizeLinear": ".q", "DequantizeLinear": ".dq"}

_BROADCASTING = frozenset({"Add", "Div", "Mul", "Sub"})


def rewritten(model: bytes) -> bytes:
    """Return a quantised ONNX model with equal outputs, bit for bit, that engines compute at least as fast.

    The model is as :func:`edge_sdk.calibration.quantization.onnx_int8.quantize` makes it: every constant has a single
    consumer. What is rewritten once is left as it is.
    """
    proto = onnx.load_from_string(model)
    _Graph(proto).without_expand()
    _Graph(proto).fold_single_channels()
    if _Graph(proto).fill_channels():
        _Graph(proto).shorten_names()
    onnx.checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


class _Graph:
    """The graph of a model, changed in place, with what its tensors are."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producers = {name: node for node in model.graph.node for name in node.output}
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            for name in node.input:
                self.consumers[name].append(node)
        self.results = {value.name for value in model.graph.output}
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self.shapes = {
            value.name: [size.dim_value or size.dim_param for size in value.type.tensor_type.shape.dim]
            for value in (*inferred.input, *inferred.value_info, *inferred.output)
        }

    def without_expand(self) -> None:
        """Leave out each Expand that makes no more of its reader's result than the other operand does."""
        for node in [node for node in self.graph.node if node.op_type == "Expand"]:
            name = node.output[0]
            readers = self._readers(node)
            if readers and all(self._is_as_large_without(reader, name) for reader in readers):
                for reader in readers:
                    reader.input[list(reader.input).index(name)] = node.input[0]
        self._remove_unused()

    def fold_single_channels(self) -> None:
        """Let layers of stride 2 on a single channel read 2 x 2 pixels as four channels."""
        for quantise in [node for node in self.graph.node if node.op_type == "QuantizeLinear"]:
            source = quantise.input[0]
            _, channels, *size = self.shapes.get(source) or [0, 0]
            if channels != 1 or len(size) != 2 or not all(isinstance(side, int) and side % 2 == 0 for side in size):
                continue
            readers = self._readers(quantise)
            layers = self._readers(readers[0]) if [node.op_type for node in readers] == ["DequantizeLinear"] else []
            pads = [self._folded_pads(layer, size) for layer in layers]
            if not layers or None in pads:
                continue
            for layer, widths in zip(layers, pads, strict=True):
                self._fold(layer, widths or [])
            folded = self._fresh(f"{source}_folded")
            node = helper.make_node("SpaceToDepth", [source], [folded], blocksize=2)
            self.graph.node.insert(list(self.graph.node).index(quantise), node)
            quantise.input[0] = folded

    def fill_channels(self) -> bool:
        """Fill up the channels of layers that only such layers read; return whether there are any to fill."""
        makers: dict[str, list[str]] = {}  # outputs of the layers that a tensor's channels come from, in order
        fixed = set(self.results)  # tensors whose number of channels has to stay
        before: dict[str, int] = {}
        for node in self.graph.node:
            name = node.output[0]
            if self._is_layer(node):
                makers[name] = [name]
                before[name] = len(self._weights(node))
            elif self._is_by_channel(node):
                makers[name] = makers.get(node.input[0], [])
            elif node.op_type == "Concat" and _given(node, "axis", 0) == 1 and all(map(makers.get, node.input)):
                makers[name] = [maker for part in node.input for maker in makers[part]]
            else:
                fixed.update(node.input)
        kept = {maker for name in fixed for maker in makers.get(name, [])}
        after = {name: count if name in kept else _filled(count) for name, count in before.items()}
        for name, count in before.items():
            layer = self.producers[name]
            read = makers.get(layer.input[0], [])
            if any(after[one] != before[one] for one in (name, *read)):
                self._fill(layer, after[name] - count, [(before[one], after[one]) for one in read])
        return before != after

    def shorten_names(self) -> None:
        """Shorten what the quantiser calls its steps, which saves the bytes that filling up adds to small models."""
        short: dict[str, str] = {}
        for node in self.graph.node:
            if node.op_type in _STEPS:
                node.ClearField("name")  # its output names it
                name = node.output[0]
                if name.endswith(f"_{node.op_type}_Output") and name not in self.results:
                    short[name] = self._fresh(name.removesuffix(f"_{node.op_type}_Output") + _STEPS[node.op_type])
        for node in self.graph.node:
            node.input[:] = [short.get(name, name) for name in node.input]
            node.output[:] = [short.get(name, name) for name in node.output]

    def _is_as_large_without(self, node: onnx.NodeProto, name: str) -> bool:
        """Whether the other of two operands is as large as the result. One free size at most: it is the batch."""
        others = [operand for operand in node.input if operand != name]
        if node.op_type not in _BROADCASTING or len(others) != 1:
            return False
        other, result = (
            [size if isinstance(size, int) else None for size in self.shapes.get(tensor, [None, None])]
            for tensor in (*others, node.output[0])
        )
        return other == result and other.count(None) <= 1

    def _folded_pads(self, layer: onnx.NodeProto, size: Sequence[int]) -> list[int] | None:
        """The padding of a layer once it reads blocks of 2 x 2 pixels, or None where it cannot."""
        out = self.shapes.get(layer.output[0], [])[2:]
        if (
            not self._is_layer(layer)
            or _given(layer, "strides", [1, 1]) != [2, 2]
            or _given(layer, "dilations", [1, 1]) != [1, 1]
            or _given(layer, "auto_pad", b"NOTSET") != b"NOTSET"
            or not all(isinstance(side, int) for side in out)
        ):
            return None
        pads, kernels = _given(layer, "pads", [0, 0, 0, 0]), self._weights(layer).shape[2:]
        if any(pad >= kernel for pad, kernel in zip(pads, 2 * kernels, strict=True)):  # windows of padding alone
            return None
        begin = [math.ceil(pad / 2) for pad in pads[:2]]
        end = [
            windows - 1 + _blocks(kernel, pad) - ahead - pixels // 2
            for windows, kernel, pad, ahead, pixels in zip(out, kernels, pads[:2], begin, size, strict=True)
        ]
        return [*begin, *end] if min(end) >= 0 else None

    def _fold(self, layer: onnx.NodeProto, pads: Sequence[int]) -> None:
        weights = self._weights(layer)
        count, _, height, width = weights.shape
        top, left = _given(layer, "pads", [0, 0, 0, 0])[:2]
        rows, columns = _blocks(height, top), _blocks(width, left)
        whole = np.zeros((count, 2 * rows, 2 * columns), weights.dtype)
        whole[:, top % 2 : top % 2 + height, left % 2 : left % 2 + width] = weights[:, 0]
        folded = whole.reshape(count, rows, 2, columns, 2).transpose(0, 2, 4, 1, 3).reshape(count, 4, rows, columns)
        self._store(self._constants(layer, 1)[0], folded)
        kept = [attribute for attribute in layer.attribute if attribute.name not in {"kernel_shape", "strides", "pads"}]
        del layer.attribute[:]
        layer.attribute.extend(kept)
        layer.attribute.append(helper.make_attribute("kernel_shape", [rows, columns]))
        layer.attribute.append(helper.make_attribute("pads", pads))

    def _fill(self, layer: onnx.NodeProto, extra: int, read: Sequence[tuple[int, int]]) -> None:
        """Give a layer more channels, and weights of 0 for those that the layers before it have now.

        read: Channels of each of those layers before and now; empty where there are none.
        """
        weights = self._weights(layer)
        parts = np.split(weights, np.cumsum([old for old, _ in read])[:-1], axis=1) if read else []
        if parts:
            weights = np.concatenate(
                [_with_zeros(part, 1, new - old) for part, (old, new) in zip(parts, read, strict=True)], axis=1
            )
        name, *of_weights = self._constants(layer, 1)
        self._store(name, _with_zeros(weights, 0, extra))
        for constants in (["", *of_weights], self._constants(layer, 2)):
            for position, constant in enumerate(constants):
                if constant:
                    values = numpy_helper.to_array(self.constants[constant])
                    mode = "edge" if position == 1 else "constant"  # 1: a scale, which may not be 0
                    self._store(constant, np.pad(values, (0, extra), mode=mode))  # type: ignore[call-overload]

    def _readers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """What reads the output of a node; nothing where it is one of the graph's."""
        return [] if node.output[0] in self.results else self.consumers[node.output[0]]

    def _is_layer(self, node: onnx.NodeProto) -> bool:
        """Whether a node is a convolution of one group and constants; quantised ones have a scale for each channel.

        Their zero points are 0, so that a weight of 0 is stored as 0.
        """
        return (
            node.op_type == "Conv"
            and _given(node, "group", 1) == 1
            and bool(self._constants(node, 1))
            and (len(node.input) < 3 or bool(self._constants(node, 2)))
            and not any(numpy_helper.to_array(self.constants[name]).any() for name in self._zero_points(node))
        )

    def _is_by_channel(self, node: onnx.NodeProto) -> bool:
        """Whether a node treats each channel alike, and by itself."""
        constants = [self.constants.get(name) for name in node.input[1:] if name]
        return (
            node.op_type in _BY_CHANNEL
            and len(node.output) == 1
            and all(constant is not None and math.prod(constant.dims) == 1 for constant in constants)
        )

    def _constants(self, layer: onnx.NodeProto, index: int) -> list[str]:
        """Names of the constant at an input: values, and where quantised scales and zero points, one for each channel.

        Empty where it is computed, or read by another node too.
        """
        if len(layer.input) <= index:
            return []
        names, reader = [layer.input[index]], layer
        source = self.producers.get(names[0])
        if source is not None and source.op_type == "DequantizeLinear" and _given(source, "axis", 1) == 0:
            if self.consumers[names[0]] != [layer]:
                return []
            names, reader = [name for name in source.input if name], source
        return names if all(name in self.constants and self.consumers[name] == [reader] for name in names) else []

    def _zero_points(self, layer: onnx.NodeProto) -> list[str]:
        """Names of the zero points of a layer's constants, where they are quantised and have some."""
        return [name for index in (1, 2) for name in self._constants(layer, index)[2:]]

    def _weights(self, layer: onnx.NodeProto) -> NDArray[np.generic]:
        """The weights of a layer, as they are stored: (channels, channels read, height, width)."""
        return numpy_helper.to_array(self.constants[self._constants(layer, 1)[0]])

    def _store(self, name: str, values: NDArray[np.generic]) -> None:
        self.constants[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))

    def _fresh(self, name: str) -> str:
        while name in self.producers or name in self.constants or name in self.shapes:
            name += "_"
        return name

    def _remove_unused(self) -> None:
        """Remove nodes, from the last on, and constants whose results nothing reads."""
        read = set(self.results)
        for node in reversed(list(self.graph.node)):
            if read.intersection(node.output):
                read.update(node.input)
            else:
                self.graph.node.remove(node)
        kept = [tensor for tensor in self.graph.initializer if tensor.name in read]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)


def _given(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _blocks(kernel: int, before: int) -> int:
    """Blocks of two that cover a kernel where its first window begins `before` pixels ahead of the picture."""
    return math.ceil((kernel + before % 2) / 2)


def _filled(channels: int) -> int:
    full = math.ceil(channels / MULTIPLE) * MULTIPLE
    return full if full - channels <= _MOST_PADDING * channels else channels


def _with_zeros(values: NDArray[np.generic], axis: int, extra: int) -> NDArray[np.generic]:
    return np.pad(values, [(0, extra if k == axis else 0) for k in range(values.ndim)])
