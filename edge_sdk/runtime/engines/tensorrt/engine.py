"""TensorRT on an NVIDIA GPU: a Jetson, or a PC with TensorRT 10, 11 or TensorRT for RTX.

Takes ``int8-sym.onnx`` and ``fp32.onnx`` artifacts. The engine is built on first use, on this very device, and kept in
the cache folder (see :mod:`edge_sdk.runtime.engines.compiled`); ``EDGE_SDK_TENSORRT`` (``fp16,dla=0``) sets
:class:`edge_sdk.runtime.engines.tensorrt.build.BuildOptions`. On a Jetson TensorRT comes with JetPack: install
``python3-libnvinfer`` and make the virtual environment with ``--system-site-packages``.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import msgspec
import numpy as np

from edge_sdk import model_files
from edge_sdk.errors import EngineError
from edge_sdk.logs import Log
from edge_sdk.runtime.engines import TensorInfo, Tensors
from edge_sdk.runtime.engines.checks import checked
from edge_sdk.runtime.engines.compiled import CompiledKey, CompiledStore
from edge_sdk.runtime.engines.tensorrt.build import VERSION, BuilderLog, BuildOptions, BuildProgress, build, trt
from edge_sdk.runtime.engines.tensorrt.cuda import Cuda

_LOG = Log(__name__)


class TensorRtEngine:
    """One TensorRT engine on one GPU; calls of :meth:`run` from several threads take turns.

    Pictures of a batch run one after another: the engine is built for single ones, which is what devices see.
    """

    def __init__(self, engine: Any, log: BuilderLog, cuda: Cuda) -> None:
        self._lock = threading.Lock()
        self._log, self._cuda, self._engine = log, cuda, engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        takes = {name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
        infos = {name: _info(engine, name) for name in names}
        self.inputs = tuple(infos[name] for name in names if name in takes)
        self.outputs = tuple(infos[name] for name in names if name not in takes)
        with cuda.current():
            self._context: Any = engine.create_execution_context()
            if self._context is None:
                raise log.failure(f"{VERSION} cannot run the engine")
            for tensor in self.inputs:
                self._context.set_input_shape(tensor.name, (1, *tensor.shape[1:]))
            self._memory = {}
            self._results = {}
            for name in names:
                single = np.empty(tuple(self._context.get_tensor_shape(name)), infos[name].dtype)
                self._memory[name] = cuda.allocate(single.nbytes)
                self._context.set_tensor_address(name, self._memory[name])
                if name not in takes:
                    self._results[name] = single

    def run(self, inputs: Tensors) -> Tensors:
        """Compute all outputs; see :class:`edge_sdk.runtime.engines.Engine`."""
        with self._lock:
            if self._context is None:
                raise EngineError("the engine is closed")
            arrays = checked(inputs, self.inputs)
            (count, *others) = {len(value) for value in arrays.values()}
            if others:
                raise EngineError("the inputs are batches of different sizes")
            with self._cuda.current():
                rows = [self._single({name: value[k : k + 1] for name, value in arrays.items()}) for k in range(count)]
        return {tensor.name: np.concatenate([row[tensor.name] for row in rows]) for tensor in self.outputs}

    def close(self) -> None:
        """Free the engine and its memory on the GPU."""
        with self._lock:
            if self._context is not None:
                with self._cuda.current():  # TensorRT frees device memory too
                    self._context = self._engine = None
                self._cuda.close()

    def _single(self, inputs: Tensors) -> Tensors:
        for name, value in inputs.items():
            self._cuda.upload(self._memory[name], value)
        self._log.errors.clear()
        if not self._context.execute_async_v3(self._cuda.stream):
            raise self._log.failure(f"{VERSION} failed")
        for name, result in self._results.items():
            self._cuda.download(result, self._memory[name])
        self._cuda.synchronize()
        return {name: result.copy() for name, result in self._results.items()}


def load(
    model: bytes,
    *,
    threads: int,
    options: BuildOptions | None = None,
    progress: BuildProgress | None = None,
    compiled: CompiledStore | None = None,
) -> TensorRtEngine:
    """Load an ONNX model: take its engine from the store, or build it, which takes seconds to minutes, and keep it.

    Args:
        model: A symmetric int8 or a float artifact.
        threads: Ignored; a GPU has no such thing.
        options: None reads ``EDGE_SDK_TENSORRT``.
        progress: Told how far a build is; None logs its phases.
        compiled: Where engines are kept, whether ``keep`` is set or not; None means the default folder.

    Raises:
        DeviceNotFoundError: No GPU, or no driver.
        UnsupportedModelError, DeviceMemoryError, UsageError, EngineError: As
            :func:`edge_sdk.runtime.engines.tensorrt.build.build`.
    """
    del threads
    model_files.check(model, "onnx")  # also where the store has it
    options = BuildOptions.from_environment() if options is None else options
    store = CompiledStore(hashlib.sha256(model).hexdigest()) if compiled is None else compiled
    cuda = Cuda()
    try:
        with cuda.current():
            engine, log = _kept_or_built(model, cuda, options, progress or _log_phase, store)
        return TensorRtEngine(engine, log, cuda)
    except BaseException:
        cuda.close()
        raise


def _kept_or_built(
    model: bytes, cuda: Cuda, options: BuildOptions, progress: BuildProgress, store: CompiledStore
) -> tuple[Any, BuilderLog]:
    gpu = cuda.gpu()
    key = CompiledKey(
        model=store.model,
        engine=f"{VERSION} driver {gpu.driver}",
        device=f"{gpu.name}, compute capability {gpu.compute_capability}",
        options=str(options),
    )
    log = BuilderLog()
    plan = store.read(key)
    if plan is not None and (engine := _deserialised(plan, options, log)) is not None:
        return engine, log
    log.errors.clear()
    timings_key = msgspec.structs.replace(key, model="timings", options="")
    plan, timings = build(model, options, progress=progress, timings=store.read(timings_key) or b"")
    if timings:
        store.write(timings_key, lambda: timings)
    if reason := store.write(key, lambda: plan):
        _LOG.warning(
            "the compiled engine cannot be stored (%s), so that every start builds it again; "
            "set EDGE_SDK_CACHE and EDGE_SDK_CONFIG, where its key is, to folders that this user may write",
            reason,
        )
    engine = _deserialised(plan, options, log)
    if engine is None:
        raise log.failure(f"{VERSION} does not take the engine that it built")
    return engine, log


def _deserialised(plan: bytes, options: BuildOptions, log: BuilderLog) -> Any:
    """The engine, or None if TensorRT does not take it."""
    runtime = trt.Runtime(log)
    if options.dla_core is not None:
        runtime.DLA_core = options.dla_core
    return runtime.deserialize_cuda_engine(plan)


def _info(engine: Any, name: str) -> TensorInfo:
    shape = tuple(engine.get_tensor_shape(name))
    sizes = tuple("batch" if size < 0 else int(size) for size in shape)
    return TensorInfo(name, sizes, np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name)


def _log_phase(phase: str, done: int, steps: int) -> None:
    if done == steps:
        _LOG.info("TensorRT build: %s", phase)
