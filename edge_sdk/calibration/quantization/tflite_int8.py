"""Static int8 quantisation: float TFLite bytes in, int8 TFLite bytes out, by AI Edge Quantizer.

Weights are signed, one scale an output channel; activations signed with a zero point, which is the same grid as the
unsigned one of the ONNX artifact. The ranges are ours: the package's own calibrator keeps a moving average of them,
which cost MobileNetV2 a cosine of .13. Two artifacts come from one pass of the samples:

==========  ======================  =========================================================================
``io``      input and output        end of the graph
==========  ======================  =========================================================================
``float``   float32                 from global pooling or the L2 norm on in float, as in the ONNX artifacts
``int8``    int8, scale in the      an L2 norm is left out, for 8 bits hold a unit embedding badly and the
            tensor                  runtime normalises anyway; a logit of pooled maps is the mean of each place's
                                    (:mod:`edge_sdk.calibration.quantization.tflite_decision`): every operator is
                                    integer, as NPUs require
==========  ======================  =========================================================================

L2 pools are float in both, from the square to the root (:mod:`edge_sdk.calibration.quantization.tflite_pools`).
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.quantization import tflite_graph
from edge_sdk.calibration.quantization.ranges import Histogram, choose_range, require_samples
from edge_sdk.calibration.quantization.tflite_decision import decide_by_place, pooled_decisions
from edge_sdk.calibration.quantization.tflite_pools import pad_with_lowest, padded_below, root_of_squares
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.extras import needs_extra
from edge_sdk.runtime.engines.tflite import to_nhwc

with needs_extra("tflite-export"):
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    from ai_edge_quantizer import qtyping, quantizer
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

LOGIT_LIMIT = 5.0
"""Where the integers of a logit end, at probabilities of 0.007 and 0.993: a wider range would take its steps from where
thresholds lie. A step is 0.04 at most."""
UNIT_ERROR = 1e-5
"""Largest difference between the output and a tensor scaled to unit length that is float rounding (measured: 3e-7)."""


def quantize(
    model: bytes,
    samples: NDArray[np.float32],
    *,
    method: str = "minmax",
    io: Literal["float", "int8"] = "float",
    keep_float: Collection[str] = (),
) -> bytes:
    """Quantise a float TFLite model; equal arguments give equal bytes. For several, use `TfliteStatistics`."""
    return TfliteStatistics(model, samples).quantize(method=method, io=io, keep_float=keep_float)


class TfliteStatistics:
    """What a float model's tensors held on the calibration samples, and the int8 models made from that.

    Args:
        model: One input, a batch of 1, tensors named by `tflite_graph.tidy`.
        samples: (N, C, H, W) or (N, ...) float32, as the ONNX quantiser takes them; run one by one.

    Raises:
        UsageError: The samples are not finite float32, or not of the model's shape.
        ConversionError: The model cannot be read or run.
    """

    def __init__(self, model: bytes, samples: NDArray[np.float32]) -> None:
        require_samples(samples)
        self._model = model
        self._graph = tflite_graph.read(model)
        outputs = self._graph.subgraphs[0].outputs
        self._padded = padded_below(self._graph)
        self._tensors = self._activations()
        self.histograms = {index: Histogram() for index in self._tensors}
        decisions = pooled_decisions(self._graph)
        self._by_place = {decision.by_place: Histogram() for decision in decisions}
        self._chosen: dict[str, dict[str, tuple[float, float]]] = {}
        errors = {output: dict.fromkeys(self._tensors, 0.0) for output in outputs}
        for values in self._run(samples):
            for index, value in values.items():
                self.histograms[index].add(value)
                for output, error in errors.items():
                    error[index] = max(error[index], _unit_error(value, values[output]))
            for decision in decisions:
                self._by_place[decision.by_place].add(decision.of_places(values[decision.maps]))
        # The first in the graph's order: what an L2 norm at the end starts from. Most graphs have none.
        self._bare_outputs = [
            next((index for index in error if error[index] <= UNIT_ERROR), output) for output, error in errors.items()
        ]

    def quantize(
        self,
        *,
        method: str = "minmax",
        io: Literal["float", "int8"] = "float",
        keep_float: Collection[str] = (),
    ) -> bytes:
        """Quantise.

        Args:
            method: One of `ranges.METHODS`.
            io: See the module's page.
            keep_float: Names of operators' outputs, or kinds (``CONV_2D``), that stay float.

        Raises:
            UsageError: Unknown method or name, or layers to keep float in an all-integer model.
            ConversionError: The quantiser refuses the model, or cannot make all of it integer for ``io="int8"``.
        """
        if io == "int8" and keep_float:
            raise UsageError("a model with int8 input and output is integer throughout; it cannot keep layers float")
        graph = tflite_graph.read(self._model)
        ends = graph.subgraphs[0].inputs[0], *graph.subgraphs[0].outputs
        image, *outputs = (tflite_graph.name(graph, index) for index in ends)
        squares = root_of_squares(graph)
        stay_float = self._named(keep_float) | squares
        if io == "float":
            stay_float |= {tflite_graph.name(graph, op.outputs[0]) for op in tflite_graph.tail(graph)}
        else:
            tflite_graph.cut(graph, self._bare_outputs)
        ranges = self._ranges(method)
        if io == "int8":
            # A new dictionary: the ranges are kept for the next artifact.
            ranges = (
                ranges
                | {name: tuple(np.clip(ranges[name], -LOGIT_LIMIT, LOGIT_LIMIT)) for name in tflite_graph.logits(graph)}
                | {name: choose_range(histogram, method) for name, histogram in self._by_place.items()}
            )
            decide_by_place(graph)
        tflite_graph.widen_dead_channels(graph, ranges)
        pad_with_lowest(graph, ranges)
        try:
            result = _quantize(tflite_graph.write(graph), ranges, stay_float, io)
        except (ValueError, RuntimeError, KeyError) as exc:
            raise ConversionError(f"AI Edge Quantizer refuses the model: {exc}") from exc
        graph = tflite_graph.read(result)
        if io == "int8":
            _require_integer(graph, squares)
        tflite_graph.rename_ends(graph, image, outputs)
        return tflite_graph.write(graph)

    def _ranges(self, method: str) -> dict[str, tuple[float, float]]:
        """The range of each tensor by name, chosen once."""
        if method not in self._chosen:
            chosen = {index: choose_range(histogram, method) for index, histogram in self.histograms.items()}
            chosen |= {result: chosen[source] for result, source in self._padded.items()}
            self._chosen[method] = {
                # XNNPACK refuses the model for the least scale, which the package gives maps that were always 0.
                tflite_graph.name(self._graph, index): found if any(found) else (0.0, 1.0)
                for index, found in chosen.items()
            }
        return self._chosen[method]

    def _activations(self) -> dict[int, str]:
        """{tensor: name} of the input and of what float operators compute, in the graph's order."""
        graph = self._graph.subgraphs[0]
        computed = [output for op in graph.operators for output in op.outputs]
        return {
            index: tflite_graph.name(self._graph, index)
            for index in (*graph.inputs, *computed)
            if graph.tensors[index].type == schema.TensorType.FLOAT32 and index not in self._padded
        }

    def _run(self, samples: NDArray[np.float32]) -> Iterator[dict[int, NDArray[np.float32]]]:
        try:
            interpreter = Interpreter(
                model_content=self._model,
                num_threads=1,
                # Without XNNPACK, which fuses operators and then has no values between them.
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
            )
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise ConversionError(f"LiteRT refuses the float model: {exc}") from exc
        try:
            (details,) = interpreter.get_input_details()
            for sample in samples:
                interpreter.set_tensor(details["index"], np.ascontiguousarray(to_nhwc(sample[np.newaxis])))
                interpreter.invoke()
                yield {index: interpreter.get_tensor(index) for index in self._tensors}
        except ValueError as exc:
            raise UsageError(f"the samples do not fit the model: {exc}") from exc
        except RuntimeError as exc:
            raise ConversionError(f"LiteRT cannot run the float model: {exc}") from exc

    @cached_property
    def operators(self) -> dict[str, str]:
        """{name of what it computes: kind} of every operator, in the graph's order."""
        return {
            tflite_graph.name(self._graph, op.outputs[0]): tflite_graph.operator(self._graph, op)
            for op in self._graph.subgraphs[0].operators
        }

    @property
    def weighted(self) -> tuple[str, ...]:
        """The operators with weights."""
        return tuple(name for name, kind in self.operators.items() if kind in tflite_graph.WEIGHTED)

    def _named(self, wanted: Collection[str]) -> set[str]:
        kinds = self.operators
        missing = set(wanted) - kinds.keys() - set(kinds.values())
        if missing:
            raise UsageError(f"no such operator: {', '.join(sorted(missing))}")
        return {name for name, kind in kinds.items() if name in wanted or kind in wanted}


@dataclass(frozen=True)
class TfliteQuantizer:
    """A `Quantizer`: one of the two int8 TFLite artifacts."""

    statistics: TfliteStatistics
    io: Literal["float", "int8"] = "float"

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of what the operators with weights compute; none may stay float between int8 input and output."""
        return self.statistics.weighted if self.io == "float" else ()

    def quantize(self, method: str, keep_float: Collection[str] = ()) -> bytes:
        """See `TfliteStatistics.quantize`."""
        return self.statistics.quantize(method=method, io=self.io, keep_float=keep_float)

    def quantize_only(self, layer: str, method: str) -> bytes:
        """See `Quantizer`."""
        return self.quantize(method, set(self.statistics.operators) - {layer})


def _quantize(model: bytes, ranges: dict[str, tuple[float, float]], stay_float: set[str], io: str) -> bytes:
    tool = quantizer.Quantizer(bytearray(model))
    every, kinds = ".*", qtyping.TFLOperationName
    tool.add_static_config(every, kinds.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    if io == "float":
        for end in (kinds.INPUT, kinds.OUTPUT):
            tool.update_quantization_recipe(every, end, algorithm_key=AlgorithmName.NO_QUANTIZE)
    for name in sorted(stay_float):
        scope = f"^{re.escape(name)};$"  # the package joins an operator's outputs with ";"
        tool.update_quantization_recipe(scope, kinds.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE)
    # It draws a bar of its own with the bars off.
    with warnings.catch_warnings(), contextlib.redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")  # it loads the model with a debugging option, about which LiteRT warns
        result = tool.quantize(
            {name: {"min": np.float32(low), "max": np.float32(high)} for name, (low, high) in ranges.items()},
            enable_progress_bar=False,
            enable_progress_report=False,
        )
    assert result.quantized_model is not None
    return bytes(result.quantized_model)


def _unit_error(value: NDArray[np.float32], output: NDArray[np.float32]) -> float:
    """Largest |value / length of value - output|; infinite for other shapes, and for zeros."""
    length = float(np.linalg.norm(value)) if value.shape == output.shape else 0.0
    if not length:
        return math.inf
    return float(np.abs(value / length - output).max())


def _require_integer(graph: tflite_graph.Model, but: Collection[str]) -> None:
    """Raises ConversionError for float operators, other than those that compute ``but`` by name."""
    main = graph.subgraphs[0]
    islands = {
        index
        for op in main.operators
        if tflite_graph.name(graph, op.outputs[0]) in but
        for index in (*op.inputs, *op.outputs)
    }
    kinds = {
        tflite_graph.operator(graph, op)
        for op in main.operators
        for index in (*op.inputs, *op.outputs)
        if index >= 0 and main.tensors[index].type == schema.TensorType.FLOAT32 and index not in islands
    }
    if kinds:
        listed = ", ".join(sorted(kinds - {"QUANTIZE", "DEQUANTIZE"} or kinds))
        raise ConversionError(f"these operators cannot be integer, use others in the network: {listed}")
