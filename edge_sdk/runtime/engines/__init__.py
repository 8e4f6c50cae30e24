"""Inference engines: one protocol, one table, one file each.

An engine runs one artifact. Everything around it (hashing, pre-processing, scores) is the same for all, so an engine
is only asked to turn named float arrays into named float arrays and to raise nothing but ``EngineError``. To add one,
write a module with ``load(model: bytes, *, threads: int) -> Engine`` that imports its vendor's package at the top, and
give it a row in :data:`ENGINES`.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import MissingEngineError, UsageError

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class TensorInfo:
    """Name, shape and element type of a tensor; a size that is free (the batch) is a string."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class Engine(Protocol):
    """A loaded artifact."""

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Tensors that :meth:`run` takes."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Tensors that :meth:`run` gives."""

    def run(self, inputs: Tensors) -> Tensors:
        """Compute all outputs; every failure is an ``EngineError``."""

    def close(self) -> None:
        """Free the artifact; :meth:`run` raises afterwards. Closing twice is harmless."""


class _Module(Protocol):
    def load(self, model: bytes, *, threads: int) -> Engine: ...


@dataclass(frozen=True)
class _Row:
    module: str
    formats: tuple[str, ...]
    package: str = ""  # what must be installed; engines that need nothing are for tests, and "auto" skips them
    extra: str = ""  # of edge-sdk, that installs the package


# In the order of preference for "auto".
ENGINES: dict[str, _Row] = {
    "onnxruntime": _Row("edge_sdk.runtime.engines.onnxruntime", ("onnx",), "onnxruntime", "onnx"),
    "openvino": _Row("edge_sdk.runtime.engines.openvino", ("onnx",), "openvino", "openvino"),
    "tensorrt": _Row("edge_sdk.runtime.engines.tensorrt", ("onnx",), "tensorrt", "tensorrt"),
    "fake": _Row("edge_sdk.runtime.engines.fake", ("onnx", "tflite")),
}


def formats(engine: str) -> tuple[str, ...]:
    """Artifact formats that the engine runs; of ``"auto"``, those that any engine runs."""
    if engine == "auto":
        return tuple(dict.fromkeys(name for row in ENGINES.values() if row.package for name in row.formats))
    return _row(engine).formats


def load_engine(name: str, model: bytes, format: str, *, threads: int = 1) -> Engine:  # noqa: A002 - the manifest's word
    """Load an artifact.

    Args:
        name: A key of :data:`ENGINES`, or ``"auto"``: the first that runs ``format`` and is installed.
        model: The artifact's bytes, already checked against the manifest.
        format: ``"onnx"`` or ``"tflite"``.
        threads: Threads inside one operator.

    Raises:
        UsageError: No such engine, or one that cannot run ``format``, or no thread.
        MissingEngineError: The engine's package is not installed.
        EngineError: The engine refuses the model.
    """
    if threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    if format not in formats(name):
        raise UsageError(f'engine "{name}" does not run {format} artifacts')
    if name == "auto":
        able = [key for key, row in ENGINES.items() if row.package and format in row.formats]
        name = next((key for key in able if importlib.util.find_spec(ENGINES[key].package)), able[0])
    row = _row(name)
    try:
        module = cast("_Module", importlib.import_module(row.module))
    except ImportError as exc:
        raise MissingEngineError(name, row.extra) from exc
    return module.load(model, threads=threads)


def _row(name: str) -> _Row:
    try:
        return ENGINES[name]
    except KeyError:
        raise UsageError(f'no engine "{name}"; there are: auto, {", ".join(ENGINES)}') from None
