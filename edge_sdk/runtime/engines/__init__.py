"""Inference engines: one protocol, one table, one file each.

An engine runs one model file. Everything around it (hashing, pre-processing, scores) is the same for all, so an engine
is only asked to turn named float arrays into named float arrays and to raise nothing but ``EngineError``. To add one,
write a module with ``load(model: bytes, *, threads: int) -> Engine`` that imports its vendor's package at the top, and
give it a row in :data:`ENGINES`. One that compiles for long also takes ``compiled``, where it may keep what it made.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import operator
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from edge_sdk.errors import BrokenEngineError, EdgeSdkError, MissingEngineError, UsageError
from edge_sdk.logs import Log
from edge_sdk.runtime import device
from edge_sdk.runtime.engines.ownership import OwnedEngine
from edge_sdk.runtime.engines.protocol import Engine, TensorInfo, Tensors

if TYPE_CHECKING:
    from edge_sdk.runtime.engines.compiled import CompiledStore

__all__ = [
    "ENGINES",
    "MAX_THREADS",
    "Engine",
    "OwnedEngine",
    "TensorInfo",
    "Tensors",
    "check_threads",
    "has_device",
    "import_engine",
    "installed",
    "load_engine",
    "missing",
    "usable",
    "variants",
    "version",
]

_LOG = Log(__name__)

ROOT = Path(os.environ.get("SYSTEMROOT", "C:/Windows")) if sys.platform == "win32" else Path("/")
"""Where the patterns of devices begin."""

MAX_THREADS = 1024
"""More than any processor has; vendors take ten times as many, and hang."""


class _Module(Protocol):
    def load(self, model: bytes, *, threads: int, compiled: CompiledStore | None = None) -> Engine: ...


class _Row(msgspec.Struct, frozen=True):
    module: str
    variants: tuple[str, ...]  # ids that the engine runs, best first
    packages: tuple[str, ...]  # any of them will do
    extra: str  # of edge-sdk, that installs the package
    elsewhere: str = ""  # where the package comes another way, and which
    devices: tuple[str, ...] = ()  # patterns of files below ROOT; one must be there
    oldest: int = 0  # major version of the first package that "auto" takes
    keeps: bool = False  # its load() takes ``compiled``
    saturating: tuple[str, ...] = ()  # variants that it refuses where int8 kernels saturate (device.int8_saturates)


# A PC, a Jetson, WSL2 (where the driver of Windows is mounted, and /dev has no GPU of its own) and Windows.
_NVIDIA = (
    "dev/nvidia[0-9]*",
    "dev/nvhost-gpu",
    "dev/nvgpu",
    "usr/lib/wsl/lib/libcuda.so*",
    "usr/lib/wsl/drivers/*/libcuda.so*",
    "System32/nvcuda.dll",
)

_ONNX = ("int8.onnx", "fp32.onnx")
_TFLITE = ("int8.tflite", "fp32.tflite", "int8-io.tflite")

# In the order of preference for "auto".
ENGINES: dict[str, _Row] = {
    "tensorrt": _Row(
        "edge_sdk.runtime.engines.tensorrt.engine",
        ("int8-sym.onnx", "fp32.onnx"),
        ("tensorrt", "tensorrt_rtx"),
        "tensorrt",
        "on a Jetson it comes with JetPack 6.1 or newer: apt install python3-libnvinfer, in a virtual environment made "
        "with --system-site-packages",
        oldest=10,
        keeps=True,
        devices=_NVIDIA,
    ),
    "openvino": _Row(
        "edge_sdk.runtime.engines.openvino", _ONNX, ("openvino",), "openvino", keeps=True, saturating=("int8.onnx",)
    ),
    "onnxruntime": _Row("edge_sdk.runtime.engines.onnxruntime", _ONNX, ("onnxruntime",), "onnx", keeps=True),
    "litert": _Row("edge_sdk.runtime.engines.litert", _TFLITE, ("ai_edge_litert",), "tflite"),
    "tflite-runtime": _Row("edge_sdk.runtime.engines.tflite_runtime", _TFLITE, ("tflite_runtime",), "tflite-runtime"),
}


def variants(engine: str) -> tuple[str, ...]:
    """Ids of the variants that an engine runs, best first; ``UsageError`` if there is no such engine."""
    return _row(engine).variants


def missing(*engines: str) -> MissingEngineError:
    """Return the error that tells how to install any of the engines."""
    rows = [_row(engine) for engine in engines]
    extras = dict.fromkeys(row.extra for row in rows)
    elsewhere = "; ".join(row.elsewhere for row in rows if row.elsewhere)
    return MissingEngineError('" or "'.join(engines), *extras, elsewhere=elsewhere)


def usable(engine: str, variant: str) -> bool:
    """Whether ``"auto"`` may give a variant to an engine here: the package, the device and the processor suffice."""
    inexact = variant in _row(engine).saturating and device.int8_saturates()
    return installed(engine) and has_device(engine) and not inexact


def installed(engine: str) -> bool:
    """Whether a package of the engine is installed, in a version that will do; it is not imported."""
    return _package(engine) is not None


def has_device(engine: str) -> bool:
    """Whether the device that an engine needs is there; most need none but the processor."""
    patterns = _row(engine).devices
    return not patterns or any(True for pattern in patterns for _ in ROOT.glob(pattern))


def version(engine: str) -> str:
    """Return the version of an engine's package; ``MissingEngineError`` if it is not installed."""
    package = _package(engine)
    if package is None:
        raise missing(engine)
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        name = _distribution(package)
        return metadata.version(name) if name else "unknown"


def check_threads(threads: object) -> int:
    """Return a number of threads as an ``int``; ``UsageError`` unless it is a whole number from 1 to MAX_THREADS."""
    number = 0
    if not isinstance(threads, bool):
        try:
            number = operator.index(threads)  # type: ignore[arg-type]  # numpy's integers too, but no float
        except TypeError:
            number = 0
    if not 1 <= number <= MAX_THREADS:
        raise UsageError(f"threads must be a whole number from 1 to {MAX_THREADS}, not {threads!r:.60}")
    return number


def load_engine(
    name: str,
    model: bytes,
    format: str,  # noqa: A002 - the manifest's word
    *,
    threads: int = 1,
    compiled: CompiledStore | None = None,
) -> OwnedEngine:
    """Load a model, for this process alone. To choose an engine first, see :mod:`edge_sdk.runtime.selection`.

    Args:
        name: A key of :data:`ENGINES`.
        model: Its bytes, already checked against the manifest.
        format: ``"onnx"`` or ``"tflite"``.
        threads: Threads inside one operator.
        compiled: Where the compiled form of this very model is kept between starts, by engines that compile.

    Raises:
        UsageError: No such engine, or one that cannot run ``format``, or no sensible number of threads.
        MissingEngineError: The engine's package is not installed.
        BrokenEngineError: It is installed, but cannot be imported.
        EngineError: The engine refuses the model; ``UnsupportedModelError`` if it needs other files.
    """
    threads = check_threads(threads)
    _LOG.debug("%s loads a model of %d bytes, threads %d", name, len(model), threads)
    if not any(variant.endswith(f".{format}") for variant in _row(name).variants):
        raise UsageError(f'engine "{name}" does not run {format} models')
    if compiled is None or not _row(name).keeps:
        return OwnedEngine(import_engine(name).load(model, threads=threads))
    return OwnedEngine(import_engine(name).load(model, threads=threads, compiled=compiled))


def import_engine(name: str) -> _Module:
    """Import an engine's module, and with it the vendor's package.

    Raises:
        MissingEngineError: None of the engine's packages is installed.
        BrokenEngineError: One is, but it or a library that it needs cannot be loaded; the message says why.
        EngineVersionError: It is too old.
    """
    try:
        return cast("_Module", importlib.import_module(_row(name).module))
    except EdgeSdkError:
        raise
    except Exception as exc:  # ImportError, OSError of a missing library, and whatever a vendor's own code raises
        if isinstance(exc, ImportError):
            if (exc.name or "").startswith("edge_sdk"):  # an error of edge-sdk
                raise
            if not installed(name):
                raise missing(name) from exc
        package = _package(name) or _row(name).packages[0]
        raise BrokenEngineError(
            f'engine "{name}" is installed but cannot be loaded: {type(exc).__name__}: {exc}. Install what it names, '
            f"or the package again: pip install --force-reinstall --no-deps {_distribution(package) or package}"
        ) from exc


def _row(name: str) -> _Row:
    try:
        return ENGINES[name]
    except (KeyError, TypeError):  # TypeError: what cannot be a name at all
        raise UsageError(f'no engine "{name}"; there are: auto, {", ".join(ENGINES)}') from None


def _package(engine: str) -> str | None:
    row = _row(engine)
    found = (package for package in row.packages if _found(package))
    new_enough = (p for p in found if not row.oldest or p != row.packages[0] or _major(p) >= row.oldest)
    return next(new_enough, None)


def _distribution(package: str) -> str | None:
    """What pip calls the package: onnxruntime-gpu installs onnxruntime, too. The search takes long."""
    from importlib import metadata

    return next(iter(metadata.packages_distributions().get(package, [])), None)


def _found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it was put into sys.modules by hand
        return True


def _major(package: str) -> float:
    """Return a package's major version; infinite where it does not tell, for then its import will."""
    from importlib import metadata

    try:
        return int(metadata.version(package).split(".", 1)[0])
    except (metadata.PackageNotFoundError, ValueError):
        return math.inf
