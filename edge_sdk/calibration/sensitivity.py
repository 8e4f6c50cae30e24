"""Which layers int8 hurts: the error of the model with one layer quantised and all others float.

One layer *quantised*, not one layer float: where two layers each ruin a model, keeping either of them float changes
little and would hide both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_sdk.calibration.observe import Observed
from edge_sdk.calibration.quantize import quantize
from edge_sdk.errors import UsageError
from edge_sdk.runtime.engines import onnxruntime


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The error that quantising this node alone, with its activation function, makes; lower is better."""

    node: str
    error: float


def sensitivity(
    observed: Observed,
    error: Callable[[bytes], float],
    *,
    method: str = "minmax",
    symmetric: bool = False,
    keep_float_ops: Collection[str] = (),
) -> tuple[Sensitivity, ...]:
    """The layers with weights, most harmful first; of equal ones the first in the graph first.

    error: of an int8 model, such as `distance_to_float`. The other arguments are those of `quantize`; layers named in
    keep_float_ops (nodes or operator types) are left out. Costs one quantisation and one `error` a layer. Raises
    UsageError for an error that is NaN.
    """
    graph = onnx.load_from_string(observed.model).graph
    candidates = [
        node.name
        for node in graph.node
        if node.name in observed.layers and not {node.name, node.op_type} & set(keep_float_ops)
    ]

    def measure(name: str) -> Sensitivity:
        others = {node.name for node in graph.node} - set(observed.layers[name])
        value = float(error(quantize(observed, method=method, symmetric=symmetric, keep_float_ops=others)))
        if np.isnan(value):
            raise UsageError(f"the error with only {name} quantised is NaN")
        return Sensitivity(name, value)

    return tuple(sorted(map(measure, candidates), key=lambda one: -one.error))


def distance_to_float(model: bytes, samples: NDArray[np.float32]) -> Callable[[bytes], float]:
    """An error in [0, 2]: the mean cosine distance of a model's outputs to those of the float `model`.

    samples: (N, ...) for the model's one input, run one at a time; each output of a sample is taken as one vector, one
    that is all zeros as orthogonal to any other. A value that is not finite makes the error NaN.
    """
    reference = _outputs(model, samples)

    def error(candidate: bytes) -> float:
        pairs = zip(reference, _outputs(candidate, samples), strict=True)
        return float(np.mean([1 - _cosine(first, second) for first, second in pairs]))

    return error


def _outputs(model: bytes, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Every output of every sample, flattened."""
    engine = onnxruntime.load(model, threads=1)
    try:
        name = engine.inputs[0].name
        return [
            values.ravel() for k in range(len(samples)) for values in engine.run({name: samples[k : k + 1]}).values()
        ]
    finally:
        engine.close()


def _cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(first @ second) / lengths if lengths else 0.0
