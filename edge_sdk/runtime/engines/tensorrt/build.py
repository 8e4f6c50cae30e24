"""From ONNX to a TensorRT engine: TensorRT 10 (JetPack 6.1 and newer), 11, and TensorRT for RTX, behind one function.

Networks are built strongly typed, which is the only way of TensorRT 11: Q/DQ nodes decide what runs in int8, all else
keeps the type it has in the file, and no calibrator takes part. TF32 is switched off. So an artifact computes what its
error rates were measured with. :class:`BuildOptions` gives that up on request, where the installed version can.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_sdk import model_files
from edge_sdk.errors import (
    DeviceMemoryError,
    EdgeSdkError,
    EngineError,
    EngineVersionError,
    UnsupportedModelError,
    UsageError,
)
from edge_sdk.logs import Log

_LOG = Log(__name__)
_OUT_OF_MEMORY = re.compile(r"out ?of ?memory|memory allocation|insufficient memory", re.IGNORECASE)
_NOISE = re.compile(r"Cuda Runtime|^\s*$|^Invalid Node")  # follows every complaint on machines without a GPU

BuildProgress = Callable[[str, int, int], None]
"""Called with a phase's name, the steps done and all its steps."""

OLDEST = 10
"""The oldest TensorRT whose networks can be strongly typed and read symmetric Q/DQ nodes as we write them."""


def _vendor() -> Any:
    """TensorRT, or TensorRT for RTX where there is none that is new enough."""
    failures: list[str] = []
    too_old: EngineVersionError | None = None
    for name in ("tensorrt", "tensorrt_rtx"):
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as exc:  # OSError: its libraries are not found
            failures.append(str(exc))
            continue
        if name == "tensorrt" and int(module.__version__.split(".", 1)[0]) < OLDEST:
            too_old = EngineVersionError(
                f"TensorRT {module.__version__} is too old: edge-sdk needs TensorRT {OLDEST} or newer. On a Jetson it "
                "comes with JetPack: 6.0 has TensorRT 8.6, 6.1 has 10.3; update JetPack, or choose another engine"
            )
            continue
        return module
    if too_old is not None:
        raise too_old
    raise ImportError("; ".join(failures))


trt = _vendor()
NAME: str = trt.__name__
VERSION = f"{NAME} {trt.__version__}"


@dataclass(frozen=True)
class BuildOptions:
    """What a build may trade for speed; both change scores, so measure operating points of your own.

    Attributes:
        fp16: Float layers may run in half precision (TensorRT 10; from 11 on the types in the file decide).
        dla_core: Deep-learning accelerator that runs what it can, the GPU the rest (TensorRT up to 10.7 and from 11.4.1
            on). It computes in half precision, and takes no Q/DQ nodes before TensorRT 11: give it a float artifact.
    """

    fp16: bool = False
    dla_core: int | None = None

    @classmethod
    def parse(cls, text: str) -> BuildOptions:
        """Read ``fp16,dla=0``; raise ``UsageError`` for anything else."""
        fp16, core = False, None
        for word in filter(None, text.replace(" ", "").split(",")):
            if word == "fp16":
                fp16 = True
            elif match := re.fullmatch(r"dla=(\d+)", word):
                core = int(match[1])
            else:
                raise UsageError(f"TensorRT has no option {word!r}; there are fp16 and dla=N")
        return cls(fp16, core)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> BuildOptions:
        """Read ``EDGE_SDK_TENSORRT``, such as ``fp16,dla=0``."""
        return cls.parse(environment.get("EDGE_SDK_TENSORRT", ""))

    def __str__(self) -> str:
        words = ["fp16"] * self.fp16 + ([] if self.dla_core is None else [f"dla={self.dla_core}"])
        return ",".join(words)


class BuilderLog(trt.ILogger):  # type: ignore[misc, name-defined]  # the vendor's module is untyped
    """Collects errors for the exception, hands warnings to the log of this module, and prints nothing."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        """Called by TensorRT."""
        if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
            self.errors.append(message)
        elif severity == trt.ILogger.WARNING:
            _LOG.debug("%s", message)

    def failure(self, what: str) -> EngineError:
        """Return the exception for ``what`` went wrong, with what TensorRT had to say."""
        said = "; ".join(self.errors) or "TensorRT does not say why"
        if _OUT_OF_MEMORY.search(said):
            return DeviceMemoryError(f"{what}: the GPU is out of memory; close other programs that use it ({said})")
        return EngineError(f"{what}: {said}")


def build(
    model: bytes,
    options: BuildOptions | None = None,
    *,
    progress: BuildProgress | None = None,
    timings: bytes | None = None,
) -> tuple[bytes, bytes]:
    """Build an engine for single pictures; takes seconds to minutes.

    Args:
        model: ONNX; int8 as symmetric Q/DQ nodes with zero points 0 and float biases.
        options: None means full precision on the GPU.
        progress: Told how far the build is; what it raises stops the build.
        timings: The timing cache of an earlier build by the same TensorRT on the same GPU, empty to begin one, None for
            no timing cache (which needs a GPU).

    Returns:
        The serialised engine, and the timing cache (empty where there is none).

    Raises:
        UnsupportedModelError: The model needs other files, or the parser or builder refuses it and names the node.
        UsageError: An option that the installed TensorRT or this device does not have.
        DeviceMemoryError: The GPU is out of memory.
        EngineError: Any other failure.
    """
    model_files.check(model, "onnx")
    log, options = BuilderLog(), options or BuildOptions()
    try:
        return _build(model, options, log, progress, timings)
    except EdgeSdkError:
        raise
    except Exception as exc:  # TypeError from pybind11 where the library returns no object
        log.errors.append(str(exc))
        raise log.failure(f"{VERSION} cannot build here") from exc


def check(model: bytes) -> None:
    """Parse and build, and throw the result away: does TensorRT take this model? TensorRT for RTX needs no GPU for it.

    Raises as :func:`build` does.
    """
    build(model)


def _build(
    model: bytes, options: BuildOptions, log: BuilderLog, progress: BuildProgress | None, timings: bytes | None
) -> tuple[bytes, bytes]:
    builder = trt.Builder(log)
    weak = options != BuildOptions()
    strongly_typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if weak or strongly_typed is None else 1 << int(strongly_typed))
    _parse(model, network, log)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.add_optimization_profile(_single_pictures(builder, network))
    _apply(options, builder, network, config)
    monitor = None
    if progress is not None:
        monitor = config.progress_monitor = _Monitor(progress)
    cache = None
    if timings is not None and NAME == "tensorrt":  # TensorRT for RTX times nothing
        cache = config.create_timing_cache(timings)
        config.set_timing_cache(cache, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if monitor is not None and monitor.failure is not None:
        raise monitor.failure
    if plan is None:
        failure = log.failure(f"{VERSION} cannot build the model")
        raise failure if isinstance(failure, DeviceMemoryError) else UnsupportedModelError(str(failure))
    return bytes(plan), b"" if cache is None else bytes(config.get_timing_cache().serialize())


def _parse(model: bytes, network: Any, log: BuilderLog) -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse(model):
        return
    reasons = []
    for error in map(parser.get_error, range(parser.num_errors)):
        lines = [line for line in error.desc().splitlines() if not _NOISE.search(line)]
        node = f"{error.node_operator()} {error.node_name()}: " if error.node() >= 0 else ""
        reasons.append(node + " ".join(lines or ["refused"]))
    raise UnsupportedModelError(
        f"{VERSION} refuses the model: {'; '.join(reasons) or 'it does not say why'} "
        "(int8 must be symmetric, as in int8-sym.onnx artifacts)"
    )


def _single_pictures(builder: Any, network: Any) -> Any:
    profile = builder.create_optimization_profile()
    for tensor in map(network.get_input, range(network.num_inputs)):
        shape = tuple(tensor.shape)
        if shape[:1] not in ((-1,), (1,)) or any(size < 0 for size in shape[1:]):
            raise UnsupportedModelError(
                f"input {tensor.name} {shape}: only the batch may be free, and is 1 if it is not"
            )
        single = (1, *shape[1:])
        profile.set_shape(tensor.name, single, single, single)
    return profile


def _apply(options: BuildOptions, builder: Any, network: Any, config: Any) -> None:
    if options == BuildOptions():
        return
    flags = trt.BuilderFlag
    if options.fp16 and not hasattr(flags, "FP16"):
        raise UsageError(f"{VERSION} has no fp16 option: it takes the types in the file, so export an fp16 model")
    if options.dla_core is not None:
        if options.dla_core >= builder.num_DLA_cores:
            raise UsageError(f"no DLA core {options.dla_core}: {VERSION} finds {builder.num_DLA_cores} here")
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = options.dla_core
        config.set_flag(flags.GPU_FALLBACK)
    if hasattr(flags, "FP16"):  # weakly typed: DLA cores know no float32
        config.set_flag(flags.FP16)
        layers = map(network.get_layer, range(network.num_layers))
        if any(layer.type == trt.LayerType.QUANTIZE for layer in layers):
            config.set_flag(flags.INT8)


class _Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]  # the vendor's module is untyped
    """Passes TensorRT's phases on. An exception of the callback, Ctrl-C too, stops the build and is kept."""

    def __init__(self, progress: BuildProgress) -> None:
        trt.IProgressMonitor.__init__(self)
        self.failure: BaseException | None = None
        self._progress = progress
        self._steps: dict[str, int] = {}

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Called by TensorRT."""
        del parent_phase
        self._steps[phase_name] = num_steps

    def phase_finish(self, phase_name: str) -> None:
        """Called by TensorRT."""
        self._tell(phase_name, self._steps.get(phase_name, 0))

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Called by TensorRT; the build goes on while this is true."""
        self._tell(phase_name, step)
        return self.failure is None

    def _tell(self, phase: str, step: int) -> None:
        if self.failure is None:
            try:
                self._progress(phase, step, self._steps.get(phase, 0))
            except BaseException as exc:  # noqa: BLE001 - it must not reach the C++ that called, which would swallow it
                self.failure = exc
