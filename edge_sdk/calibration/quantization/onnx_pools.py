"""Pools in ONNX graphs that every engine computes alike, and L2 pools that stay float."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx

_BETWEEN = frozenset(
    {"Add", "AveragePool", "Cast", "Clip", "GlobalAveragePool", "Mul", "Pad", "ReduceMean", "ReduceSum", "Relu"}
)
"""What may stand between the squares of an L2 pool and their root; products and sums are with constants."""


FIRST_OPSET = 11
"""From which on Pad takes its widths as an input."""


def plain_pools(model: onnx.ModelProto) -> None:
    """Write pools as equal ones that no engine gets wrong, in place; those of unknown size are left alone.

    Zeros that count become a Pad before the pool: OpenVINO 2026.4.1 takes them for the lowest value in int8, where a
    zero point other than 0 makes that another one. ``ceil_mode`` becomes padding at the end that does not count: ONNX
    Runtime 1.31.1 divides by the whole window in int8, and OpenVINO does so in float too where there is padding. Of
    maxima OpenVINO computes a row too many where the last window would begin behind the picture.
    """
    if next((entry.version for entry in model.opset_import if not entry.domain), 0) < FIRST_OPSET:
        return
    graph = model.graph
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim][2:]
        for value in (*graph.input, *graph.value_info)
    }
    names = {name for node in graph.node for name in (*node.input, *node.output)}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type in ("AveragePool", "MaxPool"):
            pad = _plain(graph, node, sizes.get(node.input[0], []), names)
            nodes += [pad] if pad else []
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _plain(graph: onnx.GraphProto, node: onnx.NodeProto, sizes: list[int], names: set[str]) -> onnx.NodeProto | None:
    """Change one pool; the Pad that has to stand before it, if any."""
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "MaxPool" and not given.get("ceil_mode"):
        return None
    kernel = given["kernel_shape"]
    axes = len(kernel)
    if given.get("auto_pad", b"NOTSET") != b"NOTSET" or len(sizes) != axes or not all(sizes):
        return None
    if any(step != 1 for step in given.get("dilations", [])):
        return None
    pads, strides = given.get("pads", [0] * 2 * axes), given.get("strides", [1] * axes)
    begin, end = pads[:axes], pads[axes:]
    beyond = [0] * axes
    if given.get("ceil_mode"):
        geometry = zip(sizes, kernel, strides, begin, end, strict=True)
        beyond = [_beyond(size, k, step, before, after) for size, k, step, before, after in geometry]
    pad = None
    if given.get("count_include_pad") and any(pads):
        pad = _pad(graph, node, pads, names)
        begin, end = [0] * axes, [0] * axes
    end = [after + more for after, more in zip(end, beyond, strict=True)]
    kept = [a for a in node.attribute if a.name not in {"pads", "ceil_mode", "count_include_pad"}]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("pads", [*begin, *end])])
    return pad


def _beyond(size: int, kernel: int, stride: int, before: int, after: int) -> int:
    """Pixels behind the padding that the last window covers, if the number of windows is rounded up."""
    windows = math.ceil((size + before + after - kernel) / stride) + 1
    if (windows - 1) * stride >= size + before:  # one that would begin behind the picture is left out
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - before - after)


def _pad(graph: onnx.GraphProto, node: onnx.NodeProto, pads: Sequence[int], names: set[str]) -> onnx.NodeProto:
    axes = len(pads) // 2
    source = node.input[0]
    padded = _fresh(f"{source}_padded", names)
    widths = _fresh(f"{padded}_by", names)
    whole = np.array([0, 0, *pads[:axes], 0, 0, *pads[axes:]], np.int64)
    graph.initializer.append(onnx.numpy_helper.from_array(whole, widths))
    node.input[0] = padded
    return onnx.helper.make_node("Pad", [source, widths], [padded], _fresh(f"{node.name or padded}_pad", names))


def _fresh(name: str, names: set[str]) -> str:
    while name in names:
        name += "_"
    names.add(name)
    return name


def root_of_squares(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes of L2 pools, from the square to the root: ``sqrt(k * mean(x * x))``.

    They stay float. The mean of squares, rounded to 255 steps, has few of them where values are small, and the root
    makes large errors of that: a sixth of the range by ONNX Runtime's static quantisation.
    """
    producers = {name: node for node in graph.node for name in node.output if node.op_type != "Constant"}
    twos = {t.name for t in graph.initializer if onnx.numpy_helper.to_array(t).ravel().tolist() == [2]}
    found: set[str] = set()
    for node in graph.node:
        if node.op_type != "Sqrt":
            continue
        path = [node.name]
        inner = producers.get(node.input[0])
        while inner is not None and not _is_square(inner, twos):
            computed = [name for name in inner.input if name in producers]
            if inner.op_type not in _BETWEEN or len(computed) != 1:
                break
            path.append(inner.name)
            inner = producers[computed[0]]
        else:
            if inner is not None:
                found.update([*path, inner.name])
    return found


def _is_square(node: onnx.NodeProto, twos: set[str]) -> bool:
    if node.op_type == "Mul":
        return node.input[0] == node.input[1]
    return node.op_type == "Pow" and node.input[1] in twos
