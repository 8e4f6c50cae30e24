"""Static int8 quantisation: float ONNX bytes in, int8 ONNX bytes (QDQ) out, by ONNX Runtime's quantiser.

Two artifacts come from one float model: unsigned activations for CPUs, where signed ones are three times slower than
float on x86, and a symmetric one (zero points 0, no quantised bias), which TensorRT and most NPUs require. Weights are
signed, one scale an output channel. The end of the graph, from global pooling or the L2 norm on, stays float: a unit
embedding of 128 values averages 0.09 a value, of which int8 would leave 11 steps. So does a decision layer, a
dense one to a single value (a logit), and the pooling before it: no other values make up for its rounding, and float
costs no time there. L2 pools stay float from the square to the root
(:mod:`edge_sdk.calibration.quantization.onnx_pools`), and so do transposed convolutions of groups, whose channels the
quantiser gives one scale (``findings/onnxruntime_grouped_transposed_convolution.sh``).
"""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_sdk.calibration.quantization.activation_statistics import (
    WEIGHTED,
    ActivationStatistics,
    Ranges,
    collect_statistics,
)
from edge_sdk.calibration.quantization.onnx_pools import root_of_squares
from edge_sdk.errors import UsageError
from edge_sdk.manifest import CalibrationProvenance
from edge_sdk.runtime.engines.telemetry import without_onnxruntime_telemetry

with without_onnxruntime_telemetry():
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorData, TensorsData
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

_ON_MAPS = frozenset({"Relu", "LeakyRelu", "Clip", "Concat", "MaxPool", "AveragePool"})
"""Stay int8 behind the last layer with weights: they work on whole feature maps, and lose nothing."""


def quantize(
    model: bytes | ActivationStatistics,
    samples: NDArray[np.float32] | None = None,
    *,
    method: str = "minmax",
    symmetric: bool = False,
    keep_float_ops: Collection[str] = (),
) -> bytes:
    """Quantise a float ONNX model with one input to a single-file int8 QDQ model; equal arguments give equal bytes.

    model: ONNX with its calibration `samples` (N, ...) float32, pre-processed; or, for several artifacts from one pass,
    what `collect_statistics` made of the two. method: one of `ranges.METHODS`. symmetric: for TensorRT and NPUs.
    keep_float_ops: names of nodes, or of operator types, that stay float besides those after the last weighted layer;
    an activation function stays float with its layer. Raises UsageError for an unknown method or name, several inputs,
    or no samples.
    """
    statistics = _statistics(model, samples)
    ranges = statistics.ranges(method, "symmetric" if symmetric else "affine")
    with tempfile.TemporaryDirectory(prefix="edge-sdk-") as folder:
        source, result = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(statistics.model)
        prepared = load_model_with_shape_infer(source)
        ranges = _shared_by_concatenation(prepared.graph, _kept_by_padding(prepared.graph, ranges))
        tail, bare = _float_tail(prepared.graph)
        kept = tail | root_of_squares(prepared.graph)
        kept |= _named(statistics, prepared.graph, {*keep_float_ops, *_grouped_transposed(prepared.graph)})
        if symmetric:
            # TensorRT fuses a layer with its activation function if nothing stands between them. What follows
            # quantises its own input, so nothing is quantised between two float layers either.
            bare = set(WEIGHTED)
            kept.update(name for layer in statistics.layers.values() for name in layer[1:])
        quantizer = QDQQuantizer(
            prepared,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            tensors_range=TensorsData(
                CalibrationMethod.MinMax,
                {
                    name: TensorData(lowest=np.float32(low), highest=np.float32(high))
                    for name, (low, high) in ranges.items()
                },
            ),
            nodes_to_quantize=[],
            nodes_to_exclude=sorted(kept),
            op_types_to_quantize=sorted({*QLinearOpsRegistry, *QDQRegistry}),
            extra_options={
                "ActivationSymmetric": symmetric,
                "WeightSymmetric": True,
                "QuantizeBias": not symmetric,
                "OpTypesToExcludeOutputQuantization": sorted(bare),
            },
        )
        quantizer.quantize_model()
        quantizer.model.save_model_to_file(str(result), use_external_data_format=False)
        return _finished(result.read_bytes(), ranges)


@dataclass(frozen=True)
class OnnxQuantizer:
    """A `Quantizer`: one of the two int8 ONNX artifacts."""

    statistics: ActivationStatistics
    symmetric: bool = False

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the nodes with weights."""
        return tuple(self.statistics.layers)

    def quantize(self, method: str, keep_float: Collection[str] = ()) -> bytes:
        """See `quantize`."""
        return quantize(self.statistics, method=method, symmetric=self.symmetric, keep_float_ops=keep_float)

    def quantize_only(self, layer: str, method: str) -> bytes:
        """See `Quantizer`."""
        nodes = {node.name for node in onnx.load_from_string(self.statistics.model).graph.node}
        return self.quantize(method, nodes - set(self.statistics.layers[layer]))


def provenance(
    samples: NDArray[np.float32], *, data: str, method: str, seed: int, float_nodes: Sequence[str] = ()
) -> CalibrationProvenance:
    """The manifest's record of a calibration; the digest is the SHA-256 of the samples' shape and values."""
    shape = ",".join(map(str, samples.shape)).encode()
    digest = hashlib.sha256(shape + np.ascontiguousarray(samples, dtype="<f4").tobytes()).hexdigest()
    return CalibrationProvenance(
        data=data, count=len(samples), digest=digest, method=method, seed=seed, float_nodes=tuple(float_nodes)
    )


def _statistics(model: bytes | ActivationStatistics, samples: NDArray[np.float32] | None) -> ActivationStatistics:
    if isinstance(model, ActivationStatistics) != (samples is None):
        raise UsageError("a model is given with its calibration samples, statistics without them")
    return model if isinstance(model, ActivationStatistics) else collect_statistics(model, np.asarray(samples))


def _float_tail(graph: onnx.GraphProto) -> tuple[set[str], set[str]]:
    """(nodes at the end that stay float, dense operator types that feed only such nodes and so hand out float)."""
    weighted = {node.name for node in graph.node if node.op_type in WEIGHTED} - _decision_layers(graph)
    leads_on: set[str] = set()  # tensors that a layer with weights still follows
    for node in reversed(graph.node):  # ONNX graphs are sorted
        if node.name in weighted or leads_on.intersection(node.output):
            leads_on.update(node.input)
    tail: set[str] = set()
    tensors: set[str] = set()
    for node in graph.node:
        if node.name in weighted or leads_on.intersection(node.output):
            continue
        if node.op_type not in _ON_MAPS or tensors.intersection(node.input):
            tail.add(node.name)
            tensors.update(node.output)
    dense = [node for node in graph.node if node.op_type in {"Gemm", "MatMul"}]
    inner = {node.op_type for node in dense if leads_on.intersection(node.output)}
    return tail, {node.op_type for node in dense} - inner


def _grouped_transposed(graph: onnx.GraphProto) -> set[str]:
    """Names of the transposed convolutions of several groups, which the quantiser gets wrong or fails on."""
    return {
        node.name
        for node in graph.node
        if node.op_type == "ConvTranspose" and any(a.name == "group" and a.i > 1 for a in node.attribute)
    }


def _decision_layers(graph: onnx.GraphProto) -> set[str]:
    """Names of the dense layers that give a single value."""
    sides = {tensor.name: tensor.dims for tensor in graph.initializer}
    names = set()
    for node in graph.node:
        if node.op_type in {"Gemm", "MatMul"} and node.input[1] in sides:
            turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            if sides[node.input[1]][0 if turned else -1] == 1:
                names.add(node.name)
    return names


def _shared_by_concatenation(graph: onnx.GraphProto, ranges: Ranges) -> Ranges:
    """What is concatenated gets the range of the result, so that nothing is rounded twice.

    With ranges of their own ONNX Runtime rounds the branches a second time and OpenVINO does not: their embeddings of
    one picture were 13 times as far apart (DeepSign: 0.0037 of unit length, against 0.0003), which turned 2 in 1000
    decisions.
    """
    shared = dict(ranges)
    for node in reversed(graph.node):  # ONNX graphs are sorted: the last of nested concatenations comes first
        if node.op_type == "Concat" and node.output[0] in shared:
            shared.update((name, shared[node.output[0]]) for name in node.input if name in shared)
    return shared


def _kept_by_padding(graph: onnx.GraphProto, ranges: Ranges) -> Ranges:
    """What is padded with zeros, which are in every range, keeps its range, so that nothing is rounded twice."""
    kept = dict(ranges)
    for node in graph.node:
        if node.op_type == "Pad" and len(node.input) == 2 and node.input[0] in kept:
            kept[node.output[0]] = kept[node.input[0]]
    return kept


def _finished(model: bytes, ranges: Ranges) -> bytes:
    """The quantiser's result without unused tensors and inferred shapes, and with its float layers guarded."""
    proto = onnx.load_from_string(model)
    _guard_float_layers(proto.graph, ranges)
    # A quantised copy of a bias that is then kept float stays behind; ONNX Runtime warns about such.
    used = {name for node in proto.graph.node for name in node.input} | {value.name for value in proto.graph.output}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name in used]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    _unshare_constants(proto.graph)
    del proto.graph.value_info[:]  # every engine infers them; a tenth of the smallest models
    onnx.checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


def _guard_float_layers(graph: onnx.GraphProto, ranges: Ranges) -> None:
    """Put a Clip that clips nothing between a DequantizeLinear and a layer with float weights.

    Without it ONNX Runtime quantises those weights when it loads the model, with one scale for the whole tensor, if
    the output is quantised again: its WeightBiasQuantization takes every such layer for one forgotten.
    """
    constants = {tensor.name for tensor in graph.initializer}
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    values = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        tensor = values.get(sources.get(node.input[0], "")) if node.op_type in WEIGHTED else None
        if tensor is not None and node.input[1] in constants:
            bounds = [f"{node.name}_lowest", f"{node.name}_highest"]
            for name, bound in zip(bounds, ranges[tensor], strict=True):
                # Twice the range, for rounding may leave it by half a step.
                graph.initializer.append(onnx.numpy_helper.from_array(np.array(2 * bound, np.float32), name))
            guarded = f"{node.name}_guarded"
            nodes.append(onnx.helper.make_node("Clip", [node.input[0], *bounds], [guarded], f"{node.name}_guard"))
            node.input[0] = guarded
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _unshare_constants(graph: onnx.GraphProto) -> None:
    """Give each consumer of a quantised constant its own DequantizeLinear, and each of those its own initialisers.

    ONNX Runtime 1.31.1 rewrites weights layer by layer for its exact kernels on x86 without VNNI, and refuses a model
    in which it meets an initialiser twice. A graph that shares nothing is left as it is.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    names = {*constants, *(name for node in graph.node for name in node.output)}
    owned: set[str] = set()

    def fresh(name: str) -> str:
        number = next(k for k in itertools.count(2) if f"{name}_{k}" not in names)
        names.add(f"{name}_{number}")
        return f"{name}_{number}"

    def own(name: str) -> str:
        if name in owned:
            copy = onnx.TensorProto()
            copy.CopyFrom(constants[name])
            copy.name = name = fresh(name)
            graph.initializer.append(copy)
            constants[name] = copy
        owned.add(name)
        return name

    dequantised: dict[str, onnx.NodeProto] = {}
    consumed: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            node.input[:] = [own(name) for name in node.input]
            dequantised[node.output[0]] = node
        for index, name in enumerate(node.input):
            if name in consumed:
                copy = onnx.NodeProto()
                copy.CopyFrom(dequantised[name])
                copy.input[:] = [own(constant) for constant in copy.input]
                copy.output[:] = [fresh(name)]
                copy.name = fresh(copy.name)
                nodes.append(copy)
                node.input[index] = copy.output[0]
            elif name in dequantised:
                consumed.add(name)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _named(statistics: ActivationStatistics, graph: onnx.GraphProto, wanted: Collection[str]) -> set[str]:
    missing = set(wanted) - {n.name for n in graph.node} - {n.op_type for n in graph.node}
    if missing:
        raise UsageError(f"no such node or operator: {', '.join(sorted(missing))}")
    chosen = [n.name for n in graph.node if n.name in wanted or n.op_type in wanted]
    return {name for node in chosen for name in statistics.layers.get(node, (node,))}
