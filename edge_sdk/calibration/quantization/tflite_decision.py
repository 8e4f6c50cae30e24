"""Decisions in TFLite graphs whose every operator is integer: each place is judged, and then the mean is taken.

A decision layer is a dense one to a single value, a logit. Behind a mean over all places it takes values that are
rounded to 8 bits, and no others make up for that: where float may not be, it is most of what int8 costs. Both are
linear and may change places,

    w . mean_p x_p + b = mean_p (w . x_p + b),

so that each place is rounded by itself, and the mean of hundreds of roundings is hardly rounded at all. What is left is
the rounding of the logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.quantization import tflite_graph
from edge_sdk.calibration.quantization.tflite_graph import Model, constant, name, operator
from edge_sdk.extras import needs_extra

with needs_extra("tflite-export"):
    from ai_edge_litert import schema_py_generated as schema

_OVER_PLACES = [1, 2]
"""The axes of height and width."""


@dataclass(frozen=True, eq=False)
class PooledDecision:
    """A decision layer behind a mean over places.

    Attributes:
        maps: The tensor ``(1, H, W, C)`` that the mean is taken of.
        mean, dense: The two operators.
        weights, bias: Of the decision layer, ``(C,)`` and a number.
        output: The name of the logit.
    """

    maps: int
    mean: Any
    dense: Any
    weights: NDArray[np.float32]
    bias: np.float32
    output: str

    @property
    def by_place(self) -> str:
        """The name of what :func:`decide_by_place` computes of each place."""
        return f"{self.output}_by_place"

    def of_places(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of ``(1, H, W, C)`` the logits ``(1, H, W)`` whose mean is the decision."""
        logits: NDArray[np.float32] = maps @ self.weights + self.bias
        return logits


def pooled_decisions(model: Model) -> tuple[PooledDecision, ...]:
    """The decision layers that compute outputs of a float graph from means over places and nothing else."""
    graph = model.subgraphs[0]
    producers = {output: op for op in graph.operators for output in op.outputs}
    found = []
    for dense in graph.operators:
        if not tflite_graph.is_decision_layer(model, dense) or dense.outputs[0] not in graph.outputs:
            continue
        taken = producers.get(dense.inputs[0])
        while taken is not None and operator(model, taken) == "RESHAPE" and _used_once(graph, taken.outputs[0]):
            taken = producers.get(taken.inputs[0])
        if taken is None or operator(model, taken) != "MEAN" or not _used_once(graph, taken.outputs[0]):
            continue
        maps, axes = taken.inputs
        weights = constant(model, dense.inputs[1])
        bias = constant(model, dense.inputs[2]) if len(dense.inputs) > 2 and dense.inputs[2] >= 0 else np.zeros(1)
        places = len(graph.tensors[maps].shape) == 4 and _integers(model, axes) == _OVER_PLACES
        if places and weights is not None and bias is not None and not dense.builtinOptions.fusedActivationFunction:
            output = name(model, dense.outputs[0])
            found.append(PooledDecision(maps, taken, dense, weights.reshape(-1), np.float32(bias[0]), output))
    return tuple(found)


def decide_by_place(model: Model) -> None:
    """Let each of :func:`pooled_decisions` be a convolution of 1 x 1 and then the mean: the same function."""
    graph = model.subgraphs[0]
    if not (decisions := pooled_decisions(model)):
        return
    for decision in decisions:
        _, height, width, channels = graph.tensors[decision.maps].shape
        weights = _constant(model, f"{decision.output}_weights", decision.weights, [1, 1, 1, channels])
        bias = _constant(model, f"{decision.output}_bias", np.array([decision.bias]), [1])
        by_place = _tensor(model, decision.by_place, [1, height, width, 1], buffer=0)
        convolution = schema.OperatorT()
        convolution.opcodeIndex = _code(model, "CONV_2D")
        convolution.inputs, convolution.outputs = [decision.maps, weights, bias], [by_place]
        convolution.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        options = convolution.builtinOptions = schema.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
        graph.operators[graph.operators.index(decision.mean)] = convolution
        graph.operators[graph.operators.index(decision.dense)] = decision.mean
        decision.mean.inputs = [by_place, decision.mean.inputs[1]]
        decision.mean.outputs = [decision.dense.outputs[0]]
        decision.mean.builtinOptions.keepDims = False
    tflite_graph.cut(model, graph.outputs)


def _used_once(graph: Any, index: int) -> bool:
    return index not in graph.outputs and sum(list(op.inputs).count(index) for op in graph.operators) == 1


def _integers(model: Model, index: int) -> list[int]:
    """The values of an int32 constant, sorted; none for what is computed."""
    tensor = model.subgraphs[0].tensors[index]
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.INT32 or data is None:
        return []
    return sorted(np.frombuffer(bytes(data), "<i4").tolist())


def _constant(model: Model, label: str, values: NDArray[Any], shape: list[int]) -> int:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values, "<f4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    return _tensor(model, label, shape, buffer=len(model.buffers) - 1)


def _tensor(model: Model, label: str, shape: list[int], *, buffer: int) -> int:
    tensors = model.subgraphs[0].tensors
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = label.encode(), shape, schema.TensorType.FLOAT32, buffer
    tensors.append(tensor)
    return len(tensors) - 1


def _code(model: Model, kind: str) -> int:
    """The index of an operator's kind, which is added where the graph has none of it yet."""
    kinds = list(tflite_graph.versions(model))
    if kind not in kinds:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        model.operatorCodes.append(code)
        return len(kinds)
    return kinds.index(kind)
