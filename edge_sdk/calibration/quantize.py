"""Static int8 quantisation: float ONNX bytes in, int8 ONNX bytes (QDQ) out, by ONNX Runtime's quantiser.

Two artifacts come from one float model: unsigned activations for CPUs, where signed ones are three times slower than
float on x86, and a symmetric one (zero points 0, no quantised bias), which TensorRT and most NPUs require. Weights are
signed, one scale an output channel. The end of the graph, from global pooling or the L2 norm on, stays float: a unit
embedding of 128 values averages 0.09 a value, of which int8 would leave 11 steps.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge_sdk.errors import UsageError
from edge_sdk.manifest import CalibrationProvenance

METHODS: Mapping[str, tuple[CalibrationMethod, dict[str, Any]]] = MappingProxyType(
    {
        "minmax": (CalibrationMethod.MinMax, {}),
        "percentile_99.9": (CalibrationMethod.Percentile, {"CalibPercentile": 99.9}),
        "percentile_99.99": (CalibrationMethod.Percentile, {"CalibPercentile": 99.99}),
        "entropy": (CalibrationMethod.Entropy, {}),
    }
)
"""How the range of an activation is chosen: all that was seen, all but the rarest values, or least information lost."""

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_ON_MAPS = frozenset({"Relu", "LeakyRelu", "Clip", "Concat", "MaxPool", "AveragePool"})
"""Stay int8 behind the last layer with weights: they work on whole feature maps, and lose nothing."""

_HANDING_ON = frozenset({"Concat", "MaxPool", "Reshape", "Transpose"})
"""Give out the int8 values that they take, so that their scales are not free."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One calibration method tried by `choose`: the measured error (lower is better) and the file's size in bytes."""

    method: str
    error: float
    size: int


def quantize(
    model: bytes,
    samples: NDArray[np.float32],
    *,
    method: str = "minmax",
    symmetric: bool = False,
    keep_float_ops: Collection[str] = (),
) -> bytes:
    """Quantise a float ONNX model with one input to a single-file int8 QDQ model; equal arguments give equal bytes.

    samples: (N, ...) float32, pre-processed inputs to calibrate with; each is run alone, so memory does not grow with
    N. method: a key of `METHODS`. symmetric: for TensorRT and NPUs. keep_float_ops: names of nodes, or of operator
    types, that stay float besides those after the last weighted layer. Raises UsageError for an unknown method or
    name, several inputs, or no samples.
    """
    if method not in METHODS:
        raise UsageError(f"unknown calibration method {method!r}; there are {', '.join(METHODS)}")
    if samples.dtype != np.float32 or samples.ndim < 2 or not len(samples) or not np.isfinite(samples).all():
        raise UsageError(f"calibration needs finite float32 samples (N, ...), got {samples.dtype} {samples.shape}")
    calibration, options = METHODS[method]
    with tempfile.TemporaryDirectory(prefix="edge-sdk-") as folder:
        source, prepared, result = (Path(folder, f"{name}.onnx") for name in ("float", "prepared", "int8"))
        source.write_bytes(model)  # from a path, for a ModelProto makes the pre-processing write external data
        with contextlib.redirect_stdout(io.StringIO()):  # the calibrators print
            quant_pre_process(source, str(prepared), skip_symbolic_shape=True)
            graph = onnx.load(prepared).graph
            initializers = {tensor.name for tensor in graph.initializer}
            inputs = [value.name for value in graph.input if value.name not in initializers]
            if len(inputs) != 1:
                raise UsageError(f"quantisation needs a model with one input, this one has {', '.join(inputs)}")
            kept, bare = _float_tail(graph)
            quantize_static(
                prepared,
                result,
                _Reader(inputs[0], samples),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=sorted(kept | _named(graph, keep_float_ops)),
                calibrate_method=calibration,
                extra_options={
                    "ActivationSymmetric": symmetric,
                    "WeightSymmetric": True,
                    "QuantizeBias": not symmetric,
                    "CalibTensorRangeSymmetric": symmetric,
                    "CalibStridedMinMax": 1,
                    "OpTypesToExcludeOutputQuantization": sorted(bare),
                    **options,
                },
            )
        return _without_leftovers(_with_shared_scales(onnx.load(result)))


def choose(
    model: bytes,
    samples: NDArray[np.float32],
    error: Callable[[bytes], float],
    methods: Sequence[str] = tuple(METHODS),
    *,
    symmetric: bool = False,
    keep_float_ops: Collection[str] = (),
) -> tuple[bytes, tuple[Trial, ...]]:
    """Quantise by each method and keep the one of least measured `error`; on a tie the first one named.

    Returns the int8 model, and the trials from best to worst. Raises UsageError for no methods or an error that is NaN.
    """
    if not methods:
        raise UsageError("no calibration methods to choose from")
    tried: list[tuple[Trial, bytes]] = []
    for method in methods:
        candidate = quantize(model, samples, method=method, symmetric=symmetric, keep_float_ops=keep_float_ops)
        trial = Trial(method, float(error(candidate)), len(candidate))
        if np.isnan(trial.error):
            raise UsageError(f"the error of calibration method {method} is NaN")
        tried.append((trial, candidate))
    tried.sort(key=lambda pair: pair[0].error)
    return tried[0][1], tuple(trial for trial, _ in tried)


def provenance(samples: NDArray[np.float32], *, data: str, method: str, seed: int) -> CalibrationProvenance:
    """The manifest's record of a calibration; the digest is the SHA-256 of the samples' shape and values."""
    shape = ",".join(map(str, samples.shape)).encode()
    digest = hashlib.sha256(shape + np.ascontiguousarray(samples, dtype="<f4").tobytes()).hexdigest()
    return CalibrationProvenance(data=data, count=len(samples), digest=digest, method=method, seed=seed)


class _Reader(CalibrationDataReader):
    def __init__(self, name: str, samples: NDArray[np.float32]) -> None:
        self._name, self._samples = name, samples
        self._items: Iterator[NDArray[np.float32]] = iter(())

    def __len__(self) -> int:
        return len(self._samples)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._items = (self._samples[k : k + 1] for k in range(start_index, end_index))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        sample = next(self._items, None)
        return None if sample is None else {self._name: sample}


def _float_tail(graph: onnx.GraphProto) -> tuple[set[str], set[str]]:
    """(nodes at the end that stay float, dense operator types that feed only such nodes and so hand out float)."""
    leads_on: set[str] = set()  # tensors that a layer with weights still follows
    for node in reversed(graph.node):  # ONNX graphs are sorted
        if node.op_type in _WEIGHTED or leads_on.intersection(node.output):
            leads_on.update(node.input)
    tail: set[str] = set()
    tensors: set[str] = set()
    for node in graph.node:
        if node.op_type in _WEIGHTED or leads_on.intersection(node.output):
            continue
        if node.op_type not in _ON_MAPS or tensors.intersection(node.input):
            tail.add(node.name)
            tensors.update(node.output)
    dense = [node for node in graph.node if node.op_type in {"Gemm", "MatMul"}]
    inner = {node.op_type for node in dense if leads_on.intersection(node.output)}
    return tail, {node.op_type for node in dense} - inner


def _with_shared_scales(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Give what is concatenated the scale and zero point of the result, so that nothing is rounded twice.

    The quantiser gives each branch its own. ONNX Runtime then rounds a second time, OpenVINO does not, and their
    embeddings of one picture end up 13 times as far apart as with shared ones (DeepSign: 0.0037 of unit length, against
    0.0003), which is enough for 2 in 1000 decisions to differ. Branches that other int8 operators hand through keep
    theirs, and so does what goes into several results.
    """
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    producers = {name: node for node in proto.graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in proto.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    for concat in (node for node in proto.graph.node if node.op_type == "Concat"):
        results = [node for node in users.get(concat.output[0], []) if node.op_type == "QuantizeLinear"]
        for restored in (producers[name] for name in concat.input if name in producers):
            if not results or restored.op_type != "DequantizeLinear" or restored.input[0] not in producers:
                continue
            source = producers.get(producers[restored.input[0]].input[0])
            joined = [n for n in users[restored.input[0]] for user in users[n.output[0]] if user.op_type == "Concat"]
            if source is None or source.op_type in _HANDING_ON or len(joined) > 1:
                continue
            for ours, theirs in zip(restored.input[1:], results[0].input[1:], strict=True):
                tensors[ours].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensors[theirs]), ours))
    return proto


def _without_leftovers(proto: onnx.ModelProto) -> bytes:
    """The quantiser leaves a quantised copy of a bias that it then keeps float; ONNX Runtime warns about such."""
    used = {name for node in proto.graph.node for name in node.input} | {value.name for value in proto.graph.output}
    kept = [tensor for tensor in proto.graph.initializer if tensor.name in used]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    onnx.checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


def _named(graph: onnx.GraphProto, wanted: Collection[str]) -> set[str]:
    missing = set(wanted) - {n.name for n in graph.node} - {n.op_type for n in graph.node}
    if missing:
        raise UsageError(f"no such node or operator: {', '.join(sorted(missing))}")
    return {n.name for n in graph.node if n.name in wanted or n.op_type in wanted}
