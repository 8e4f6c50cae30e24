"""OpenVINO on the CPU: the same ONNX artifacts as ONNX Runtime; the fastest measured on x86 with VNNI.

* Arithmetic is pinned to float32. Left alone, OpenVINO computes float layers in bfloat16 where the processor can,
  which moves scores (DeepSign fp32 on CEDAR: by up to 0.0034, and up to 8 of 9,371 decisions with them).
* On x86 without VNNI its int8 kernels saturate, it has no switch against that, and the damage is no rounding: on
  AVX-512 the values of DeepSign's embedding, 0.09 on average, came out wrong by up to 0.09 (OpenVINO 2026.4.1, measured
  with ``ONEDNN_MAX_CPU_ISA``). A quantised model is refused there; ONNX Runtime runs it exactly.
* The compiled model is kept by :mod:`edge_sdk.runtime.engines.compiled`: OpenVINO's own cache knows a model by path,
  size and second, and gives the old network where a file was replaced by another of its size.
* Nothing is reported: see :mod:`edge_sdk.runtime.engines.telemetry`.
* Its threads (oneTBB) block when idle; there is no spinning to switch off.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from edge_sdk import model_files
from edge_sdk._version import __version__
from edge_sdk.errors import EdgeSdkError, EngineError, UnsupportedModelError
from edge_sdk.logs import Log
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import TensorInfo, Tensors
from edge_sdk.runtime.engines.checks import checked
from edge_sdk.runtime.engines.compiled import CompiledKey, CompiledStore
from edge_sdk.runtime.engines.telemetry import without_openvino_telemetry

with without_openvino_telemetry():
    import openvino as ov

_NEEDED = ov.Core  # what is left of a package that was uninstalled by halves can be imported, and is empty
_QUANTISED = "FakeQuantize"  # what OpenVINO reads QuantizeLinear as
_MOST_LEVELS = 256  # at 65,536 it drops the step, clipping included (findings/openvino_16_bit_clipping.sh)

_LOG = Log(__name__)


class _Stored(msgspec.Struct, frozen=True):
    """A compiled model, and what it no longer says of itself: which sizes were free."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    exported: bytes


_DECODER = msgspec.msgpack.Decoder(_Stored)


class _Bound:
    """A request of fixed shapes with memory for its inputs and outputs: a run allocates nothing but a result.

    It also spares the dictionaries that OpenVINO makes of arrays, which take 50 microseconds a run.
    """

    def __init__(self, request: ov.InferRequest, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> None:
        self._request = request
        self._inputs = {one.name: request.get_input_tensor(index).data for index, one in enumerate(inputs)}
        self._outputs = {one.name: request.get_output_tensor(index).data for index, one in enumerate(outputs)}

    def run(self, inputs: Tensors) -> Tensors:
        for name, memory in self._inputs.items():
            memory[...] = inputs[name]
        self._request.infer(share_outputs=True)
        return {name: memory.copy() for name, memory in self._outputs.items()}


class _Unbound:
    """A request of free shapes, whose memory OpenVINO allocates in each run."""

    def __init__(self, request: ov.InferRequest, outputs: Sequence[TensorInfo]) -> None:
        self._request = request
        self._names = [one.name for one in outputs]

    def run(self, inputs: Tensors) -> Tensors:
        values = self._request.infer(inputs, share_inputs=True)
        return {name: values[index] for index, name in enumerate(self._names)}


class OpenVinoEngine:
    """One compiled model; calls of :meth:`run` from several threads take turns.

    A model with a free batch is compiled for single pictures, which takes 10 % less processor time than leaving it
    free (DeepSign, one thread); the first larger batch compiles it once more.
    """

    def __init__(self, model: bytes, threads: int, compiled: CompiledStore | None = None) -> None:
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # several engines in one process would share the same core
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # nothing is quantised that the artifact does not say
            "CACHE_DIR": "",
        }
        self._lock = threading.Lock()
        self._model = model  # to compile for other batches
        self._requests: dict[int | None, ov.InferRequest] = {}  # by batch; None for any
        self._runs: dict[int | None, _Bound | _Unbound] = {}  # of the same batches, from their first run on
        try:
            self._core: ov.Core | None = ov.Core()
        except Exception as exc:  # its exceptions are plain RuntimeErrors
            raise EngineError(f"OpenVINO cannot be set up: {exc}") from exc
        if compiled is None:
            self._compile(checked_network(self._core, model))
            return
        key = CompiledKey(
            model=compiled.model,
            engine=f"openvino {ov.get_version()}",
            device=device.conditions(),
            # A newer edge-sdk may refuse what this one did not.
            options=f"edge-sdk {__version__} " + " ".join(f"{name}={value}" for name, value in self._settings.items()),
        )
        if not self._import(compiled.read(key)):
            self._compile(checked_network(self._core, model))
            if compiled.keep and (reason := compiled.write(key, self._export)):
                _LOG.warning("the compiled model is not kept: %s", reason)

    def run(self, inputs: Tensors) -> Tensors:
        """Compute all outputs; see :class:`edge_sdk.runtime.engines.Engine`."""
        with self._lock:
            if self._core is None:
                raise EngineError("the engine is closed")
            arrays = checked(inputs, self.inputs)
            single = self._free and all(len(value) == 1 for value in arrays.values())
            batch = 1 if single else None
            request = self._request(batch)
            try:
                if batch not in self._runs:
                    self._runs[batch] = self._run_of(request)
                return self._runs[batch].run(arrays)
            except Exception as exc:  # its exceptions are plain RuntimeErrors
                raise EngineError(f"OpenVINO failed: {exc}") from exc

    def close(self) -> None:
        """Free the model."""
        with self._lock:
            self._core = None
            self._runs.clear()
            self._requests.clear()

    def _run_of(self, request: ov.InferRequest) -> _Bound | _Unbound:
        compiled = request.get_compiled_model()
        if all(port.partial_shape.is_static for port in (*compiled.inputs, *compiled.outputs)):
            return _Bound(request, self.inputs, self.outputs)
        return _Unbound(request, self.outputs)

    def _describe(self, inputs: tuple[TensorInfo, ...], outputs: tuple[TensorInfo, ...]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._free = bool(inputs) and all(isinstance(tensor.shape[0], str) for tensor in inputs)

    def _compile(self, network: ov.Model) -> None:
        self._describe(tuple(_info(port) for port in network.inputs), tuple(_info(port) for port in network.outputs))
        self._request(1 if self._free else None, network)

    def _request(self, batch: int | None, network: ov.Model | None = None) -> ov.InferRequest:
        """Compile for a batch at its first use; ``network`` is changed, and read again if it is not given."""
        if batch not in self._requests:
            assert self._core is not None, "checked by the callers"
            network = checked_network(self._core, self._model) if network is None else network
            try:
                if batch is not None:
                    network.reshape({port: [batch, *port.partial_shape[1:]] for port in network.inputs})
                self._requests[batch] = self._core.compile_model(network, "CPU", self._settings).create_infer_request()
            except Exception as exc:  # its exceptions are plain RuntimeErrors
                raise EngineError(f"OpenVINO cannot compile the model: {exc}") from exc
        return self._requests[batch]

    def _export(self) -> bytes:
        (request,) = self._requests.values()
        exported = request.get_compiled_model().export_model().getvalue()
        return msgspec.msgpack.encode(_Stored(self.inputs, self.outputs, exported))

    def _import(self, stored: bytes | None) -> bool:
        """Take a compiled model from the store; return whether that has one, and OpenVINO takes it."""
        if stored is None:
            return False
        assert self._core is not None, "checked by the caller"
        try:
            found = _DECODER.decode(stored)
            request = self._core.import_model(found.exported, "CPU", self._settings).create_infer_request()
        except Exception as exc:  # noqa: BLE001 - its exceptions are plain RuntimeErrors
            _LOG.warning("OpenVINO refuses the compiled model that was kept, and compiles it anew: %s", exc)
            return False
        self._describe(found.inputs, found.outputs)
        self._requests[1 if self._free else None] = request
        return True


def load(model: bytes, *, threads: int, compiled: CompiledStore | None = None) -> OpenVinoEngine:
    """Load an ONNX model; its compiled form is taken from ``compiled``, or kept there if that is asked for."""
    return OpenVinoEngine(model, threads, compiled)


def checked_network(core: ov.Core, model: bytes) -> ov.Model:
    """Read an ONNX model.

    Raises:
        UnsupportedModelError: It is quantised to more than 8 bits, or needs other files.
        EngineError: It is none, OpenVINO refuses it, or its int8 kernels are inexact here.
    """
    try:
        network = read_model(core, model)
        levels = [n.get_attributes()["levels"] for n in network.get_ops() if n.get_type_name() == _QUANTISED]
    except EdgeSdkError:
        raise
    except Exception as exc:  # its exceptions are plain RuntimeErrors
        raise EngineError(f"OpenVINO refuses the model: {exc}") from exc
    if any(count > _MOST_LEVELS for count in levels):
        raise UnsupportedModelError(
            f"the model is quantised to more than 8 bits ({max(levels)} levels); OpenVINO leaves out the clipping "
            'of such steps, and with it ReLUs: use engine="onnxruntime"'
        )
    if levels and device.int8_saturates():
        raise EngineError(
            "OpenVINO's int8 kernels saturate on this processor (x86 without VNNI), which changes scores: "
            'use engine="onnxruntime", which is exact here, or precision="fp32"'
        )
    return network


def read_model(core: ov.Core, model: bytes) -> ov.Model:
    """Read an ONNX model, which OpenVINO would look for further files of in the working folder.

    Raises:
        EngineError: The bytes are no ONNX model; ``UnsupportedModelError`` if they need other files.
        RuntimeError: OpenVINO refuses them.
    """
    model_files.check(model, "onnx")
    return core.read_model(model, b"")


def _info(port: ov.Output) -> TensorInfo:
    shape = tuple(int(size.get_length()) if size.is_static else "batch" for size in port.partial_shape)
    return TensorInfo(port.any_name, shape, port.element_type.to_dtype().name)
