"""Pools in TFLite graphs that need care in int8: maxima over padding, and L2 pools that stay float."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_sdk.calibration.quantization.tflite_graph import Model, constant, name, operator
from edge_sdk.extras import needs_extra

with needs_extra("tflite-export"):
    from ai_edge_litert import schema_py_generated as schema

_BETWEEN = frozenset({"ADD", "AVERAGE_POOL_2D", "MEAN", "MUL", "PAD", "RELU", "SUM"})
"""What may stand between the squares of an L2 pool and their root; products and sums are with constants."""


def root_of_squares(model: Model) -> set[str]:
    """Names of what L2 pools compute, from the square to the root, as in the ONNX artifacts. It stays float."""
    graph = model.subgraphs[0]
    producers = {output: op for op in graph.operators for output in op.outputs}
    found: set[str] = set()
    for op in graph.operators:
        if operator(model, op) != "SQRT":
            continue
        path = [op]
        inner = producers.get(op.inputs[0])
        while inner is not None and not _is_square(model, inner):
            computed = [index for index in inner.inputs if index in producers]
            if operator(model, inner) not in _BETWEEN or len(computed) != 1:
                break
            path.append(inner)
            inner = producers[computed[0]]
        else:
            if inner is not None:
                found.update(name(model, one.outputs[0]) for one in [*path, inner])
    return found


def _is_square(model: Model, op: object) -> bool:
    kind = operator(model, op)
    inputs = list(op.inputs)  # type: ignore[attr-defined]  # the generated classes have no types
    return kind == "SQUARE" or (kind == "MUL" and inputs[0] == inputs[1])


def padded_below(model: Model) -> dict[int, int]:
    """{result: source} of what is padded with minus infinity, as the converter does before a maximum."""
    found = {}
    for op in model.subgraphs[0].operators:
        if operator(model, op) == "PADV2":
            value = constant(model, op.inputs[2])
            if value is not None and np.isneginf(value).all():
                found[op.outputs[0]] = op.inputs[0]
    return found


def pad_with_lowest(model: Model, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Pad with the lowest value that 8 bits can hold instead of minus infinity: a maximum is the same.

    Args:
        ranges: Of the activations by name.
    """
    graph = model.subgraphs[0]
    below = padded_below(model)
    for op in graph.operators:
        if op.outputs[0] not in below or operator(model, op) != "PADV2":
            continue
        low = np.array([min(0.0, ranges[name(model, op.inputs[0])][0])], "<f4")
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(low.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.name = name(model, op.outputs[0]).encode() + b"_value"
        tensor.shape, tensor.type, tensor.buffer = [], schema.TensorType.FLOAT32, len(model.buffers) - 1
        graph.tensors.append(tensor)
        op.inputs = [*op.inputs[:2], len(graph.tensors) - 1]
