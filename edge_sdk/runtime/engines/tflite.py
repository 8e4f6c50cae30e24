"""What the engines of TFLite models share: they differ only in the package that the interpreter comes from.

A TFLite file holds maps as ``(1, H, W, C)`` and has a batch of 1. At the boundary they are ``(N, C, H, W)`` like every
engine's, and pictures run one after the other. Quantised inputs and outputs are float at the boundary:

    stored = clip(round(value / scale) + zero_point, lowest, highest)        value = (stored - zero_point) scale
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_sdk import model_files
from edge_sdk.errors import EngineError
from edge_sdk.runtime.engines import TensorInfo, Tensors
from edge_sdk.runtime.engines.checks import require_finite


class Interpreter(Protocol):
    """The part of TensorFlow Lite's Python interpreter that is used here."""

    def allocate_tensors(self) -> None:
        """Reserve memory."""

    def get_input_details(self) -> list[dict[str, Any]]:
        """Describe the inputs."""

    def get_output_details(self) -> list[dict[str, Any]]:
        """Describe the outputs."""

    def set_tensor(self, tensor_index: int, value: NDArray[Any]) -> None:
        """Copy an input in."""

    def invoke(self) -> None:
        """Compute."""

    def get_tensor(self, tensor_index: int) -> NDArray[Any]:
        """Copy an output out."""


class _Tensor:
    """One input or output of the interpreter, and how it differs from what the boundary shows."""

    def __init__(self, details: dict[str, Any]) -> None:
        self.name, self.index = str(details["name"]), int(details["index"])
        self._dtype = np.dtype(details["dtype"])
        self._scale, self._zero_point = details["quantization"]
        stored = tuple(int(size) for size in details["shape"])
        if not stored or stored[0] != 1:
            raise EngineError(f"tensor {self.name} has shape {stored}; TFLite variants have a batch of 1")
        if self._dtype != np.float32 and (self._dtype not in (np.int8, np.uint8) or not self._scale):
            raise EngineError(f"tensor {self.name} is {self._dtype} without a scale; it must be float32, int8 or uint8")
        self.shape = to_nchw(np.empty(stored, np.bool_)).shape  # of one picture at the boundary, with its batch of 1
        self.info = TensorInfo(self.name, ("batch", *self.shape[1:]), "float32")

    def store(self, value: NDArray[np.float32]) -> NDArray[Any]:
        """From the boundary ``(1, ...)`` to the file's layout and type."""
        value = to_nhwc(value)
        if self._dtype == np.float32:
            return np.ascontiguousarray(value)
        limits = np.iinfo(self._dtype)
        steps = np.rint(value / np.float32(self._scale)) + self._zero_point
        return np.ascontiguousarray(np.clip(steps, limits.min, limits.max).astype(self._dtype))

    def restore(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """The reverse."""
        if self._dtype != np.float32:
            stored = (stored.astype(np.float32) - self._zero_point) * np.float32(self._scale)
        return np.ascontiguousarray(to_nchw(stored), np.float32)


class TFLiteEngine:
    """One interpreter; calls of :meth:`run` from several threads wait for each other.

    Args:
        model: A TFLite file.
        make: Builds the vendor's interpreter.
        vendor: Its name, for messages.
    """

    def __init__(self, model: bytes, make: Callable[[], Interpreter], vendor: str) -> None:
        self._vendor = vendor
        self._lock = threading.Lock()
        model_files.check(model, "tflite")
        try:
            self._interpreter: Interpreter | None = make()
            self._interpreter.allocate_tensors()
        except Exception as exc:  # ValueError, RuntimeError and pybind11's own
            raise EngineError(f"{vendor} refuses the model: {exc}") from exc
        self._inputs = tuple(map(_Tensor, self._interpreter.get_input_details()))
        self._outputs = tuple(map(_Tensor, self._interpreter.get_output_details()))
        self.inputs = tuple(tensor.info for tensor in self._inputs)
        self.outputs = tuple(tensor.info for tensor in self._outputs)

    def run(self, inputs: Tensors) -> Tensors:
        """Compute all outputs; see :class:`edge_sdk.runtime.engines.Engine`."""
        count = self._count(inputs)
        require_finite(inputs)
        with self._lock:
            if count == 1:
                return self._run_one(inputs)
            rows = [self._run_one({name: value[n : n + 1] for name, value in inputs.items()}) for n in range(count)]
        return {tensor.name: np.concatenate([row[tensor.name] for row in rows]) for tensor in self._outputs}

    def close(self) -> None:
        """Free the interpreter."""
        with self._lock:
            self._interpreter = None

    def _count(self, inputs: Tensors) -> int:
        """Pictures in the inputs, which are checked."""
        shapes = {name: (value.dtype, value.shape[1:]) for name, value in inputs.items()}
        if shapes != {tensor.name: (np.dtype(np.float32), tensor.shape[1:]) for tensor in self._inputs}:
            got = ", ".join(f"{name} {value.dtype}{value.shape}" for name, value in inputs.items())
            raise EngineError(f"expected {self.inputs}, got {got or 'nothing'}")
        counts = {len(value) for value in inputs.values()}
        if len(counts) != 1 or 0 in counts:
            raise EngineError(f"inputs of {sorted(counts)} pictures; expected equally many, at least one")
        return counts.pop()

    def _run_one(self, inputs: Tensors) -> Tensors:
        if self._interpreter is None:
            raise EngineError("the engine is closed")
        try:
            for tensor in self._inputs:
                self._interpreter.set_tensor(tensor.index, tensor.store(inputs[tensor.name]))
            self._interpreter.invoke()
            return {tensor.name: tensor.restore(self._interpreter.get_tensor(tensor.index)) for tensor in self._outputs}
        except Exception as exc:  # ValueError, RuntimeError and pybind11's own
            raise EngineError(f"{self._vendor} failed: {exc}") from exc


def to_nhwc(value: NDArray[Any]) -> NDArray[Any]:
    """``(N, C, H, W)`` to ``(N, H, W, C)``; other shapes as they are."""
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value


def to_nchw(value: NDArray[Any]) -> NDArray[Any]:
    """``(N, H, W, C)`` to ``(N, C, H, W)``; other shapes as they are."""
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
