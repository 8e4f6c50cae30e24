"""TensorRT: what its parser takes, without a GPU; the engine on a made-up GPU; and on a real one where there is one."""

from __future__ import annotations

import ctypes
import hashlib
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge_sdk.bundle import Bundle
from edge_sdk.calibration.quantization.onnx_int8 import quantize
from edge_sdk.errors import (
    DeviceMemoryError,
    DeviceNotFoundError,
    EngineError,
    EngineVersionError,
    UnsupportedModelError,
    UsageError,
)
from edge_sdk.runtime.engines import load_engine
from edge_sdk.runtime.engines.compiled import CompiledStore

try:
    from edge_sdk.runtime.engines.tensorrt import build as build_module
except (ImportError, EngineVersionError) as exc:  # neither tensorrt nor tensorrt_rtx, or one that is too old
    pytest.skip(f"needs TensorRT 10 or newer, or TensorRT for RTX: {exc}", allow_module_level=True)

from edge_sdk.runtime.engines.tensorrt import engine as module
from edge_sdk.runtime.engines.tensorrt.build import BuilderLog, BuildOptions, build, check
from edge_sdk.runtime.engines.tensorrt.cuda import Cuda

from .fake_cuda import FakeDriver


def _has_gpu() -> bool:
    try:
        Cuda().close()
    except DeviceNotFoundError:
        return False
    return True


HAS_GPU = _has_gpu()
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="needs an NVIDIA GPU")
builds_here = pytest.mark.skipif(
    not HAS_GPU and build_module.NAME == "tensorrt",
    reason="TensorRT parses and builds with a GPU only, TensorRT for RTX without one too",
)

FLOAT = Bundle.open("deepsign").read_model("fp32.onnx")
MODEL, OTHER = b"\x3a\0", b"\x3a\0\x08\x08"  # an ONNX file's empty graph, alone and with an IR version
SAMPLES = np.random.default_rng(0).random((2, 1, 150, 180), dtype=np.float32)


@pytest.fixture(scope="module")
def symmetric() -> bytes:
    return quantize(FLOAT, SAMPLES, symmetric=True)


# --- what TensorRT takes ---------------------------------------------------------------------------------------------


@builds_here
def test_the_parser_takes_float_and_symmetric_int8(symmetric: bytes) -> None:
    check(FLOAT)
    check(symmetric)


@builds_here
def test_the_parser_refuses_unsigned_int8_and_names_the_node() -> None:
    with pytest.raises(UnsupportedModelError, match=r"DequantizeLinear \S+: .*Int32.*symmetric") as caught:
        check(quantize(FLOAT, SAMPLES))
    assert "cudaError" not in str(caught.value)  # every other complaint on a machine without a GPU


@builds_here
@pytest.mark.parametrize("damage", [b"", b"no model"])
def test_no_model_is_refused(damage: bytes) -> None:
    with pytest.raises(EngineError, match="no ONNX model"):
        check(damage)


@builds_here
def test_an_unknown_operator_is_named() -> None:
    graph = onnx.load_from_string(FLOAT)
    node = next(node for node in graph.graph.node if node.op_type == "Relu")
    node.op_type, node.domain = "Levitate", "org.example"
    graph.opset_import.append(onnx.helper.make_opsetid("org.example", 1))
    with pytest.raises(UnsupportedModelError, match="Levitate"):
        check(graph.SerializeToString())


@builds_here
@pytest.mark.parametrize(("axis", "size", "taken"), [(2, "height", False), (0, 1, True), (0, 2, False)])
def test_only_the_batch_may_be_free(tiny_bundle: Bundle, axis: int, size: int | str, taken: bool) -> None:
    graph = onnx.load_from_string(tiny_bundle.read_model("fp32.onnx"))
    for value in (*graph.graph.input, *graph.graph.output)[: 2 if axis == 0 else 1]:
        dimension = value.type.tensor_type.shape.dim[axis]
        if isinstance(size, int):
            dimension.dim_value = size
        else:
            dimension.dim_param = size
    if taken:
        check(graph.SerializeToString())
    else:
        with pytest.raises(UnsupportedModelError, match="only the batch"):
            check(graph.SerializeToString())


def test_every_layer_with_weights_is_quantised_as_tensorrt_wants_it(symmetric: bytes) -> None:
    """Both inputs from DequantizeLinear, zero points 0, biases float: else it falls back to float, or refuses."""
    graph = onnx.load_from_string(symmetric).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    producers = {name: node for node in graph.node for name in node.output}
    layers = [node for node in graph.node if node.op_type in {"Conv", "Gemm", "MatMul", "ConvTranspose"}]
    assert len(layers) > 10
    for layer in layers:
        for name in layer.input[:2]:
            assert producers[name].op_type == "DequantizeLinear", layer.name
        for bias in layer.input[2:]:
            assert constants[bias].dtype == np.float32, layer.name
    for node in graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            zero = constants[node.input[2]]
            assert zero.dtype == np.int8, node.name
            assert not zero.any(), node.name


# --- building --------------------------------------------------------------------------------------------------------


@builds_here
def test_a_build_tells_how_far_it_is_and_can_be_stopped() -> None:
    told: list[tuple[str, int, int]] = []
    plan, timings = build(FLOAT, progress=lambda *step: told.append(step))
    assert len(plan) > 100_000
    assert timings == b""
    assert all(0 <= done <= steps for _, done, steps in told)
    assert {name for name, done, steps in told if done == steps} == {name for name, *_ in told}

    def stop(*step: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(FLOAT, progress=stop)


@pytest.mark.parametrize(
    ("text", "options"),
    [("", BuildOptions()), ("fp16", BuildOptions(fp16=True)), ("fp16, dla=1", BuildOptions(fp16=True, dla_core=1))],
)
def test_options_are_read_and_written(text: str, options: BuildOptions) -> None:
    assert BuildOptions.from_environment({"EDGE_SDK_TENSORRT": text}) == options
    assert BuildOptions.parse(str(options)) == options


@pytest.mark.parametrize("text", ["int8", "dla", "dla=x", "dla=-1"])
def test_unknown_options_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError, match="fp16 and dla=N"):
        BuildOptions.parse(text)


@builds_here
@pytest.mark.parametrize(("option", "says"), [("fp16", "export an fp16 model"), ("dla=0", "no DLA core 0")])
def test_options_that_the_installed_version_has_not(option: str, says: str) -> None:
    if option == "fp16" and hasattr(build_module.trt.BuilderFlag, "FP16"):
        pytest.skip("TensorRT 10 has it")
    if option == "dla=0" and build_module.trt.Builder(BuilderLog()).num_DLA_cores:
        pytest.skip("this device has it")
    with pytest.raises(UsageError, match=says):
        build(FLOAT, BuildOptions.parse(option))


def test_version_10_is_asked_for_half_precision_the_old_way() -> None:
    """Builder flags and devices as TensorRT 10 on a Jetson has them, on a recording stand-in."""

    class Config:
        def __init__(self) -> None:
            self.flags: list[str] = []

        def set_flag(self, flag: str) -> None:
            self.flags.append(flag)

    flags = SimpleNamespace(FP16="fp16", INT8="int8", GPU_FALLBACK="gpu fall-back")
    version_10 = SimpleNamespace(
        BuilderFlag=flags, LayerType=SimpleNamespace(QUANTIZE="q"), DeviceType=SimpleNamespace(DLA="dla")
    )
    network = SimpleNamespace(num_layers=2, get_layer=lambda k: SimpleNamespace(type="cq"[k]))
    config = Config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "trt", version_10)
        build_module._apply(BuildOptions(fp16=True, dla_core=1), SimpleNamespace(num_DLA_cores=2), network, config)
    assert sorted(config.flags) == ["fp16", "gpu fall-back", "int8"]
    assert (config.default_device_type, config.DLA_core) == ("dla", 1)


@pytest.mark.parametrize(
    ("said", "kind"),
    [("Error Code 2: OutOfMemory (Requested size was 5)", DeviceMemoryError), ("no such tactic", EngineError)],
)
def test_running_out_of_memory_is_told_from_other_failures(said: str, kind: type[EngineError]) -> None:
    log = BuilderLog()
    log.log(log.ERROR, said)
    failure = log.failure("cannot build")
    assert type(failure) is kind
    assert said in str(failure)


# --- running, on a made-up GPU ---------------------------------------------------------------------------------------


class FakeContext:
    """Doubles its input; fails when told so."""

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}
        self.works = True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shape

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        count = int(np.prod(self.shape))
        values = {
            name: np.ctypeslib.as_array((ctypes.c_float * count).from_address(address))
            for name, address in self.addresses.items()
        }
        values["embedding"][:] = 2 * values["image"]
        return self.works


class FakeEngine:
    num_io_tensors = 2

    def __init__(self, modes) -> None:
        self.modes = modes
        self.context = FakeContext()

    def get_tensor_name(self, index: int) -> str:
        return ["image", "embedding"][index]

    def get_tensor_mode(self, name: str) -> object:
        return self.modes.INPUT if name == "image" else self.modes.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 2, 3)

    def get_tensor_dtype(self, name: str) -> object:
        return module.trt.float32

    def create_execution_context(self) -> FakeContext:
        return self.context


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A driver of host memory, and a TensorRT that takes any plan beginning with ``plan``."""
    driver, real = FakeDriver(), module.trt

    class Runtime:
        def __init__(self, log: BuilderLog) -> None:
            pass

        def deserialize_cuda_engine(self, plan: bytes) -> FakeEngine | None:
            return FakeEngine(real.TensorIOMode) if plan.startswith(b"plan") else None

    vendor = SimpleNamespace(Runtime=Runtime, TensorIOMode=real.TensorIOMode, float32=real.float32, nptype=real.nptype)
    monkeypatch.setattr(module, "trt", vendor)
    monkeypatch.setattr(module, "Cuda", lambda: Cuda(library=driver))
    return driver


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The timing caches that each build was given."""
    given: list[bytes] = []

    def fake(model: bytes, options: BuildOptions, *, progress: object, timings: bytes) -> tuple[bytes, bytes]:
        given.append(timings)
        return b"plan %d" % len(given), b"timings %d" % len(given)

    monkeypatch.setattr(module, "build", fake)
    return given


def load(model: bytes, folder: Path, **options: object) -> module.TensorRtEngine:
    """Load with engines kept in a folder."""
    return module.load(
        model, threads=4, compiled=CompiledStore(hashlib.sha256(model).hexdigest(), folder=folder), **options
    )


def test_an_engine_keeps_its_promises(gpu: FakeDriver, builds: list[bytes], tmp_path: Path) -> None:
    engine = load(MODEL, tmp_path)
    (tensor,), (output,) = engine.inputs, engine.outputs
    assert (tensor.name, tensor.shape, tensor.dtype) == ("image", ("batch", 2, 3), "float32")
    assert output.name == "embedding"
    pictures = np.random.default_rng(0).random((3, 2, 3), dtype=np.float32)
    first = engine.run({"image": pictures})["embedding"]
    np.testing.assert_array_equal(first, 2 * pictures)
    engine.run({"image": pictures[::-1]})  # not contiguous, and another answer
    np.testing.assert_array_equal(first, 2 * pictures)
    for wrong in ({}, {"image": pictures[0]}, {"image": pictures[:, :1]}, {"picture": pictures}):
        with pytest.raises(EngineError, match="image"):
            engine.run(wrong)
    engine.close()
    engine.close()
    assert (gpu.contexts, len(gpu.memory), gpu.retained) == (0, 0, 0)
    with pytest.raises(EngineError, match="closed"):
        engine.run({"image": pictures})


def test_the_second_start_does_not_build(gpu: FakeDriver, builds: list[bytes], tmp_path: Path) -> None:
    for _ in range(3):
        load(MODEL, tmp_path).close()
    assert builds == [b""]
    load(MODEL, tmp_path, options=BuildOptions(fp16=True)).close()
    load(OTHER, tmp_path).close()
    assert builds == [b"", b"timings 1", b"timings 2"]


def test_a_cached_engine_that_tensorrt_refuses_is_built_anew(
    gpu: FakeDriver, builds: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "build", lambda *_, **__: (b"of another planet", b""))
        with pytest.raises(EngineError, match="does not take the engine that it built"):
            load(MODEL, tmp_path)
    assert gpu.retained == 0
    load(MODEL, tmp_path)
    assert len(builds) == 1


def test_a_failing_run_is_an_engine_error(gpu: FakeDriver, builds: list[bytes], tmp_path: Path) -> None:
    engine = load(MODEL, tmp_path)
    engine._context.works = False
    with pytest.raises(EngineError, match="does not say why"):
        engine.run({"image": np.zeros((1, 2, 3), np.float32)})


def test_too_little_memory_frees_what_was_taken(gpu: FakeDriver, builds: list[bytes], tmp_path: Path) -> None:
    gpu.failures["cuMemAlloc_v2"] = 2
    with pytest.raises(DeviceMemoryError, match="out of memory"):
        load(MODEL, tmp_path)
    assert gpu.retained == gpu.contexts == 0


def test_phases_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        module._log_phase("Building", 1, 2)
        assert not caplog.text
        module._log_phase("Building", 2, 2)
    assert "Building" in caplog.text


# --- running, on a real one ------------------------------------------------------------------------------------------


def test_no_gpu_is_a_typed_error() -> None:
    if HAS_GPU:
        pytest.skip("there is one")
    with pytest.raises(DeviceNotFoundError, match='engine="auto"'):
        load_engine("tensorrt", FLOAT, "onnx")


@needs_gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("int8-sym", 0.02)])
def test_a_real_gpu_computes_what_onnxruntime_computes(
    symmetric: bytes, tmp_path: Path, precision: str, tolerance: float
) -> None:
    model = FLOAT if precision == "fp32" else symmetric
    expected = load_engine("onnxruntime", model, "onnx").run({"image": SAMPLES})["embedding"]
    for _ in range(2):  # built, then from the cache
        engine = load(model, tmp_path, options=BuildOptions())
        np.testing.assert_allclose(engine.run({"image": SAMPLES})["embedding"], expected, atol=tolerance)
        engine.close()
