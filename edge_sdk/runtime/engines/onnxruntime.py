"""ONNX Runtime on the CPU."""

from __future__ import annotations

import logging

import numpy as np

from edge_sdk import model_files
from edge_sdk.errors import EdgeSdkError, EngineError
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import TensorInfo, Tensors
from edge_sdk.runtime.engines.checks import require_finite
from edge_sdk.runtime.engines.telemetry import without_onnxruntime_telemetry

with without_onnxruntime_telemetry():
    import onnxruntime as ort

# What is left of a package that another one of the same module has replaced can be imported, and is empty.
_NEEDED = (ort.InferenceSession, ort.SessionOptions)

_LOG = logging.getLogger(__name__)

# ONNX Runtime's switch for exact int8 kernels, what it says to a graph in which two layers share a weight (1.31.1),
# and its switch to compute what the QuantizeLinear and DequantizeLinear nodes say in float.
_EXACT, _SHARED, _IN_FLOAT = (
    "session.x64quantprecision",
    "Attempt to replace the existing tensor",
    "session.disable_quant_qdq",
)
_DTYPES = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}


class OnnxRuntimeEngine:
    """One ONNX Runtime session; :meth:`run` may be called from several threads.

    Inputs are read where they lie, and outputs are small. An IO binding with memory of its own for both takes as long,
    within 2 microseconds of 600 and 1,060 (``deepsign_nano`` and ``liveness`` int8, 1.31.1), and threads would need one
    each.
    """

    def __init__(self, model: bytes, threads: int) -> None:
        try:
            self._session: ort.InferenceSession | None = open_session(model, threads)
        except EdgeSdkError:
            raise
        except Exception as exc:  # its exceptions have no common root
            raise EngineError(f"ONNX Runtime refuses the model: {exc}") from exc
        self.inputs = tuple(_info(tensor) for tensor in self._session.get_inputs())
        self.outputs = tuple(_info(tensor) for tensor in self._session.get_outputs())
        self._names = [tensor.name for tensor in self.outputs]

    def run(self, inputs: Tensors) -> Tensors:
        """Compute all outputs; see :class:`edge_sdk.runtime.engines.Engine`."""
        if self._session is None:
            raise EngineError("the engine is closed")
        require_finite(inputs)
        try:
            values = self._session.run(self._names, inputs)
        except Exception as exc:  # its exceptions have no common root
            raise EngineError(f"ONNX Runtime failed: {exc}") from exc
        return {name: np.asarray(value) for name, value in zip(self._names, values, strict=True)}

    def close(self) -> None:
        """Free the session."""
        self._session = None


def load(model: bytes, *, threads: int) -> OnnxRuntimeEngine:
    """Load an ONNX model."""
    return OnnxRuntimeEngine(model, threads)


def open_session(model: bytes, threads: int, *, profile: str = "") -> ort.InferenceSession:
    """Open a session whose int8 kernels are exact; ``profile`` is the beginning of the file that a profile goes into.

    Where the fast kernels saturate, exact ones are asked for. Nowhere else: VNNI's are exact already, and ONNX Runtime
    would swap them all the same, for 1.8 times the processor time (DeepSign int8, one thread, ONNX Runtime 1.31.1).

    Raises:
        EngineError: The bytes are no ONNX model; ``UnsupportedModelError`` if they need other files.
        Exception: ONNX Runtime's, of many kinds.
    """
    model_files.check(model, "onnx")

    def opened(*switches: str) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # failures are raised, not also printed
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = profile
        for switch in switches:
            options.add_session_config_entry(switch, "1")
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    if not device.int8_saturates():
        return opened()
    try:
        return opened(_EXACT)
    except Exception as exc:  # its exceptions have no common root
        if _SHARED not in str(exc):
            raise
        _LOG.warning(
            "ONNX Runtime has no exact int8 kernels for a model whose layers share a weight: it runs with int8 weights "
            "and values but float arithmetic, which is as exact and slower; exporting the model again mends it"
        )
        return opened(_IN_FLOAT)


def _info(tensor: ort.NodeArg) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else str(size or "?") for size in tensor.shape)
    return TensorInfo(tensor.name, shape, _DTYPES.get(tensor.type, tensor.type))
