"""ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_sdk import model_files
from edge_sdk._version import __version__
from edge_sdk.errors import EdgeSdkError, EngineError
from edge_sdk.logs import Log
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import TensorInfo, Tensors
from edge_sdk.runtime.engines.checks import require_finite
from edge_sdk.runtime.engines.compiled import CompiledKey, CompiledStore
from edge_sdk.runtime.engines.telemetry import without_onnxruntime_telemetry

with without_onnxruntime_telemetry():
    import onnxruntime as ort

# What is left of a package that another one of the same module has replaced can be imported, and is empty.
_NEEDED = (ort.InferenceSession, ort.SessionOptions)

# ONNX Runtime's switch for exact int8 kernels, what it says to a graph in which two layers share a weight (1.31.1),
# and its switch to compute what the QuantizeLinear and DequantizeLinear nodes say in float.
_EXACT, _SHARED, _IN_FLOAT = (
    "session.x64quantprecision",
    "Attempt to replace the existing tensor",
    "session.disable_quant_qdq",
)
_LOG = Log(__name__)
_DTYPES = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}


class OnnxRuntimeEngine:
    """One ONNX Runtime session; :meth:`run` may be called from several threads.

    Inputs are read where they lie, and outputs are small. An IO binding with memory of its own for both takes as long,
    within 2 microseconds of 600 and 1,060 (``deepsign_nano`` and ``liveness`` int8, 1.31.1), and threads would need one
    each.
    """

    def __init__(self, model: bytes, threads: int, compiled: CompiledStore | None = None) -> None:
        try:
            self._session: ort.InferenceSession | None = (
                open_session(model, threads) if compiled is None else _open_kept(model, threads, compiled)
            )
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


def load(model: bytes, *, threads: int, compiled: CompiledStore | None = None) -> OnnxRuntimeEngine:
    """Load an ONNX model; its optimised graph is taken from ``compiled``, or kept there if that is asked for."""
    return OnnxRuntimeEngine(model, threads, compiled)


def open_session(model: bytes, threads: int, *, profile: str = "", optimized: str = "") -> ort.InferenceSession:
    """Open a session whose int8 kernels are exact.

    Where the fast kernels saturate, exact ones are asked for. Nowhere else: VNNI's are exact already, and ONNX Runtime
    would swap them all the same, for 1.8 times the processor time (DeepSign int8, one thread, ONNX Runtime 1.31.1).

    Args:
        model: ONNX.
        threads: Threads inside one operator.
        profile: The beginning of the file that a profile goes into.
        optimized: The file that the graph goes into as it is run here.

    Raises:
        EngineError: The bytes are no ONNX model; ``UnsupportedModelError`` if they need other files.
        Exception: ONNX Runtime's, of many kinds.
    """
    model_files.check(model, "onnx")
    options = _options(threads)
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    if optimized:
        options.optimized_model_filepath = optimized
    if not device.int8_saturates():
        return _session(model, options)
    try:
        options.add_session_config_entry(_EXACT, "1")
        return _session(model, options)
    except Exception as exc:  # its exceptions have no common root
        if _SHARED not in str(exc):
            raise
        _LOG.warning(
            "ONNX Runtime has no exact int8 kernels for a model whose layers share a weight: it runs with int8 weights "
            "and values but float arithmetic, which is as exact and slower; exporting the model again mends it"
        )
        options.add_session_config_entry(_EXACT, "0")
        options.add_session_config_entry(_IN_FLOAT, "1")
        return _session(model, options)


def _open_kept(model: bytes, threads: int, compiled: CompiledStore) -> ort.InferenceSession:
    """Open the optimised graph that is kept, and do not optimise it again; else the model, and keep its graph if asked.

    The graph says itself which kernels it was optimised for: exact ones are other nodes and weights, not a setting.
    """
    key = CompiledKey(
        model=compiled.model,
        engine=f"onnxruntime {ort.__version__} {ort.get_build_info()}",
        device=device.conditions(),
        options=f"edge-sdk {__version__} threads={threads}",  # a newer edge-sdk may refuse what this one did not
    )
    graph = compiled.read(key)
    if graph is not None:
        options = _options(threads)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return _session(graph, options)
        except Exception as exc:  # noqa: BLE001 - its exceptions have no common root
            _LOG.warning("ONNX Runtime refuses the graph that was kept, and optimises it anew: %s", exc)
    session = open_session(model, threads)
    if compiled.keep:
        try:
            reason = compiled.write(key, lambda: _optimized(model, threads))
        except Exception as exc:  # noqa: BLE001 - its exceptions have no common root; no place for temporary files
            reason = str(exc)
        if reason:
            _LOG.warning("the optimised graph is not kept: %s", reason)
    return session


def _optimized(model: bytes, threads: int) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "optimized.onnx"
        open_session(model, threads, optimized=str(file))
        return file.read_bytes()


def _session(model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # failures are raised, not also printed
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _info(tensor: ort.NodeArg) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else str(size or "?") for size in tensor.shape)
    return TensorInfo(tensor.name, shape, _DTYPES.get(tensor.type, tensor.type))
