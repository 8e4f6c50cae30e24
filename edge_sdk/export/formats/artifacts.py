"""The artifacts of a bundle: which there are, and how each is made of a trained network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_sdk.calibration.quantization import onnx_channels
from edge_sdk.calibration.quantization.activation_statistics import ActivationStatistics, collect_statistics
from edge_sdk.calibration.quantization.methods import Quantizer
from edge_sdk.calibration.quantization.onnx_int8 import OnnxQuantizer
from edge_sdk.errors import UsageError
from edge_sdk.export.formats.float_onnx import OUTPUT, to_onnx
from edge_sdk.manifest import Format, Precision
from edge_sdk.runtime.engines import import_engine, installed, usable

if TYPE_CHECKING:
    from edge_sdk.calibration.quantization.tflite_int8 import TfliteStatistics


@dataclass(frozen=True)
class VariantKind:
    """A sort of artifact."""

    precision: Precision
    format: Format

    @property
    def id(self) -> str:
        """As in the manifest: ``int8.onnx``."""
        return f"{self.precision}.{self.format}"

    @property
    def engine(self) -> str:
        """The engine that scores it: the one that will serve it or, for TensorRT without a GPU, ONNX Runtime."""
        if self.precision == "int8-sym" and usable("tensorrt", self.id):
            return "tensorrt"
        return {"onnx": "onnxruntime", "tflite": "litert"}[self.format]


FORMATS: Mapping[str, tuple[VariantKind, ...]] = {
    "onnx": (VariantKind("fp32", "onnx"), VariantKind("int8", "onnx")),
    "tflite": (VariantKind("fp32", "tflite"), VariantKind("int8", "tflite"), VariantKind("int8-io", "tflite")),
    "tensorrt": (VariantKind("int8-sym", "onnx"),),  # it reads ONNX and builds its engine on the device
}
REFERENCE = VariantKind("fp32", "onnx")
"""What all other artifacts are compared with; every bundle has it."""


def kinds(formats: Sequence[str]) -> tuple[VariantKind, ...]:
    """The artifacts behind names of :data:`FORMATS` or single ids (``int8.tflite``), the reference first.

    Raises:
        UsageError: There is no such format or artifact.
    """
    known = {kind.id: kind for group in FORMATS.values() for kind in group}
    wanted = {REFERENCE}
    for name in formats:
        if name not in FORMATS and name not in known:
            raise UsageError(f'no format "{name}"; there are {", ".join(FORMATS)}, or single: {", ".join(known)}')
        wanted.update(FORMATS[name] if name in FORMATS else (known[name],))
    return tuple(kind for kind in known.values() if kind in wanted)


def require_tools(wanted: Sequence[VariantKind]) -> None:
    """Import what makes and scores these artifacts, before anything else is done.

    Raises:
        MissingToolError: A converter is not installed.
        EngineError: An engine is not installed, or cannot be loaded.
    """
    for engine in dict.fromkeys(kind.engine for kind in wanted):
        import_engine(engine)
    if any(kind.format == "tflite" for kind in wanted):
        from edge_sdk.calibration.quantization import tflite_int8  # noqa: F401 - an extra of its own
        from edge_sdk.export.formats.float_tflite import require_converter

        require_converter()


def check(kind: VariantKind, model: bytes, say: Callable[[str], None]) -> None:
    """Ask what can be asked of the engines of the field without their devices.

    Raises:
        EngineError: TensorRT's parser refuses the model.
        ConversionError: The interpreters of old boards lack an operator or its version.
    """
    if kind.format == "tflite":
        from edge_sdk.calibration.quantization.tflite_versions import require_old_boards

        require_old_boards(model)
    elif kind.precision == "int8-sym":
        if installed("tensorrt"):
            import_engine("tensorrt")
            from edge_sdk.runtime.engines.tensorrt import build

            build.check(model)
        else:
            say(f"TensorRT is not installed here, so {kind.id} was not given to its parser")


def finished(kind: VariantKind, model: bytes) -> bytes:
    """The model as the bundle holds it: of int8 for CPUs an equal one that they compute faster."""
    return onnx_channels.rewritten(model) if kind.id == "int8.onnx" else model


@dataclass(frozen=True, eq=False)
class Graphs:
    """The float graphs of a network, and what the calibration samples did in them; each is made once, when needed.

    Attributes:
        samples: ``float32 (N, *input_shape)``: the one set that drives every int8 artifact.
        outputs: Names of what the network returns.
    """

    network: nn.Module
    input_shape: tuple[int, ...]
    samples: NDArray[np.float32]
    outputs: tuple[str, ...] = (OUTPUT,)

    def float(self, kind: VariantKind) -> bytes:
        """The float model in the format of ``kind``."""
        return self._tflite if kind.format == "tflite" else self.onnx

    def quantizer(self, kind: VariantKind) -> Quantizer:
        """What makes int8 models of ``kind``."""
        if kind.format == "tflite":
            from edge_sdk.calibration.quantization.tflite_int8 import TfliteQuantizer

            return TfliteQuantizer(self._tflite_statistics, "int8" if kind.precision == "int8-io" else "float")
        return OnnxQuantizer(self._onnx_statistics, symmetric=kind.precision == "int8-sym")

    @cached_property
    def onnx(self) -> bytes:
        """The reference."""
        return to_onnx(self.network, self.input_shape, self.outputs)

    @cached_property
    def _tflite(self) -> bytes:
        from edge_sdk.export.formats.float_tflite import to_tflite  # its converter is an extra of its own

        return to_tflite(self.network, self.input_shape, self.outputs)

    @cached_property
    def _onnx_statistics(self) -> ActivationStatistics:
        return collect_statistics(self.onnx, self.samples)

    @cached_property
    def _tflite_statistics(self) -> TfliteStatistics:
        from edge_sdk.calibration.quantization.tflite_int8 import TfliteStatistics

        return TfliteStatistics(self._tflite, self.samples)
