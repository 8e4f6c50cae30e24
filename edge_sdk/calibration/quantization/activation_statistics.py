"""One pass of the calibration samples through the float ONNX model, from which every int8 ONNX artifact is made."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_sdk.calibration.quantization.onnx_pools import plain_pools
from edge_sdk.calibration.quantization.ranges import Grid, Histogram, choose_range, require_samples
from edge_sdk.errors import UsageError
from edge_sdk.runtime.engines import onnxruntime
from edge_sdk.runtime.engines.telemetry import without_onnxruntime_telemetry

with without_onnxruntime_telemetry():
    from onnxruntime.quantization.shape_inference import quant_pre_process

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "Clip", "Sigmoid"})

Ranges: TypeAlias = Mapping[str, tuple[float, float]]
"""(low, high) by tensor."""


@dataclass(frozen=True, slots=True, eq=False)
class ActivationStatistics:
    """A float model, ready to be quantised, and what its tensors held while it ran on the calibration samples.

    model: ONNX, constants folded, every node named. histograms: by tensor. layers: for each node with weights, in the
    graph's order, the nodes that are quantised or kept float together: itself, and the activation function that alone
    takes its output.
    """

    model: bytes
    histograms: Mapping[str, Histogram]
    layers: Mapping[str, tuple[str, ...]]
    _chosen: dict[tuple[str, Grid], Ranges] = field(default_factory=dict, init=False, repr=False)

    def ranges(self, method: str, grid: Grid) -> Ranges:
        """The range of each tensor, chosen once; see `choose_range`."""
        key = method, grid
        if key not in self._chosen:
            self._chosen[key] = MappingProxyType(
                {name: choose_range(histogram, method, grid) for name, histogram in self.histograms.items()}
            )
        return self._chosen[key]


def collect_statistics(model: bytes, samples: NDArray[np.float32]) -> ActivationStatistics:
    """Run a float ONNX model with one input on the samples (N, ...), pre-processed float32, one at a time.

    Memory holds the tensors of one sample. Raises UsageError for several inputs, no samples, or a value that is not
    finite.
    """
    require_samples(samples)
    proto = _prepared(model)
    graph = proto.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise UsageError(f"quantisation needs a model with one input, this one has {', '.join(inputs)}")
    ready, layers = proto.SerializeToString(deterministic=True), _layers(graph)

    results = {value.name for value in graph.output}
    inner = [name for node in graph.node for name in node.output if name and name not in results]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)  # ONNX Runtime infers the types
    engine = onnxruntime.load(proto.SerializeToString(), threads=1)
    floats = [output.name for output in engine.outputs if output.dtype == "float32"]
    histograms = {name: Histogram() for name in (*inputs, *floats)}
    for k in range(len(samples)):
        tensors = {inputs[0]: samples[k : k + 1]}
        tensors |= engine.run(tensors)
        for name, histogram in histograms.items():
            histogram.add(tensors[name])
    return ActivationStatistics(ready, MappingProxyType(histograms), MappingProxyType(layers))


def _prepared(model: bytes) -> onnx.ModelProto:
    """Shapes inferred, constants folded, average pools made plain, every node named."""
    with tempfile.TemporaryDirectory(prefix="edge-sdk-") as folder:
        source, prepared = Path(folder, "float.onnx"), Path(folder, "prepared.onnx")
        source.write_bytes(model)  # from a path, for a ModelProto makes the pre-processing write external data
        with contextlib.redirect_stdout(io.StringIO()):
            quant_pre_process(source, str(prepared), skip_symbolic_shape=True)
        proto = onnx.load(prepared)
    plain_pools(proto)
    for k, node in enumerate(proto.graph.node):
        node.name = node.name or f"{node.op_type}_{k}"  # names are how nodes are kept float
    return proto


def _layers(graph: onnx.GraphProto) -> dict[str, tuple[str, ...]]:
    takers: dict[str, list[onnx.NodeProto]] = {value.name: [] for value in graph.output}
    results = set(takers)
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)

    def layer(node: onnx.NodeProto) -> tuple[str, ...]:
        following = takers.get(node.output[0], [])
        alone = len(following) == 1 and node.output[0] not in results
        return (node.name, following[0].name) if alone and following[0].op_type in _ACTIVATIONS else (node.name,)

    return {node.name: layer(node) for node in graph.node if node.op_type in WEIGHTED}
