"""The engine protocol: the same promises from every engine, and the table that finds them."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import onnxruntime
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, MissingEngineError, UsageError
from edge_sdk.manifest import Format, Precision
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import ENGINES, has_device, load_engine, usable, variants, version
from edge_sdk.runtime.selection import choose
from edge_sdk.runtime.selftest import selftest

from ...fake_engine import FakeModel

pytestmark = pytest.mark.usefixtures("fake_engine")
FAKE = msgspec.json.encode(FakeModel(shape=(1, 4, 5), dim=3))


@pytest.fixture(params=["onnxruntime", "fake"])
def engine_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(engine_name: str, tiny_bundle: Bundle) -> bytes:
    return tiny_bundle.read_model("fp32.onnx") if engine_name == "onnxruntime" else FAKE


def test_an_engine_keeps_its_promises(engine_name: str, model: bytes) -> None:
    engine = load_engine(engine_name, model, "onnx")
    (tensor,), (output,) = engine.inputs, engine.outputs
    assert (tensor.name, tensor.shape[0], tensor.dtype) == ("image", "batch", "float32")
    assert (output.name, output.shape[0], output.dtype) == ("embedding", "batch", "float32")
    batch = np.random.default_rng(0).random((3, *tensor.shape[1:]), dtype=np.float32)
    before = batch.copy()
    values = engine.run({"image": batch})["embedding"]
    assert values.shape == (3, output.shape[1])
    assert values.dtype == np.float32
    np.testing.assert_array_equal(batch, before)
    np.testing.assert_array_equal(engine.run({"image": batch})["embedding"], values)
    for row in range(3):  # a batch is nothing but several pictures
        np.testing.assert_allclose(engine.run({"image": batch[row : row + 1]})["embedding"][0], values[row], atol=1e-5)


@pytest.mark.parametrize("change", ["name", "shape", "missing"])
def test_wrong_inputs_are_engine_errors(engine_name: str, model: bytes, change: str) -> None:
    engine = load_engine(engine_name, model, "onnx")
    right = np.zeros((1, *engine.inputs[0].shape[1:]), np.float32)
    wrong = {"name": {"picture": right}, "shape": {"image": right[:, :, :2]}, "missing": {}}[change]
    with pytest.raises(EngineError) as caught:
        engine.run(wrong)
    assert engine_name == "fake" or caught.value.__cause__ is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("artifact", ["fp32.onnx", "int8.onnx"])
def test_what_is_not_finite_never_reaches_onnxruntime(artifact: str, value: float) -> None:
    engine = load_engine("onnxruntime", Bundle.open("deepsign_nano").read_model(artifact), "onnx")
    picture = np.zeros((1, *engine.inputs[0].shape[1:]), np.float32)
    picture[0, 0, 3, 4] = value
    with pytest.raises(EngineError, match="image holds values that are not finite"):
        engine.run({"image": picture})


def test_a_closed_engine_does_not_run(engine_name: str, model: bytes) -> None:
    engine = load_engine(engine_name, model, "onnx")
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run({"image": np.zeros((1, *engine.inputs[0].shape[1:]), np.float32)})


@pytest.mark.parametrize("damage", [b"", b"no model", b"{}"])
def test_no_model_is_an_engine_error(engine_name: str, damage: bytes) -> None:
    with pytest.raises(EngineError):
        load_engine(engine_name, damage, "onnx")


def test_onnxruntime_computes_the_convolution(tiny_bundle: Bundle) -> None:
    """Against explicit loops: 5 x 6 average pooling of ReLU of a strided convolution, then unit length."""
    import onnx
    from onnx import numpy_helper

    data = tiny_bundle.read_model("fp32.onnx")
    (weights,) = map(numpy_helper.to_array, onnx.load_from_string(data).graph.initializer)
    picture = np.random.default_rng(1).random((150, 180))
    padded = np.pad(picture, 3)
    features = np.empty((8, 75, 90))
    for row in range(75):
        for column in range(90):
            window = padded[2 * row : 2 * row + 7, 2 * column : 2 * column + 7]
            features[:, row, column] = (weights[:, 0] * window).sum(axis=(1, 2))
    pooled = np.maximum(features, 0).reshape(8, 5, 15, 6, 15).mean(axis=(2, 4)).ravel()
    engine = load_engine("onnxruntime", data, "onnx")
    values = engine.run({"image": picture[np.newaxis, np.newaxis].astype(np.float32)})["embedding"][0]
    np.testing.assert_allclose(values, pooled / np.linalg.norm(pooled), atol=1e-6)


def test_threads_and_spinning_are_set_and_not_left_to_chance(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[onnxruntime.SessionOptions, list[str]]] = []
    real = onnxruntime.InferenceSession

    def record(model: bytes, options: onnxruntime.SessionOptions, providers: list[str]) -> object:
        made.append((options, providers))
        return real(model, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", record)
    load_engine("onnxruntime", tiny_bundle.read_model("fp32.onnx"), "onnx", threads=2)
    ((options, providers),) = made
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert providers == ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "sse4_2 avx2 avx512f avx512bw", True),
        ("x86_64", "avx2 avx512f avx512_vnni", False),
        ("AMD64", "avx2 avx_vnni", False),
        ("AMD64", None, True),  # Windows has no such file
        ("aarch64", None, False),
    ],
)
def test_exact_kernels_where_the_fast_ones_saturate(
    machine: str,
    flags: str | None,
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_bundle: Bundle,
) -> None:
    if flags:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu {flags} sha_ni\nbugs :\n")
    monkeypatch.delenv(device.INSTRUCTIONS_VARIABLE, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
    assert device.int8_saturates() is expected

    entries: list[tuple[str, str]] = []

    class Options(onnxruntime.SessionOptions):
        def add_session_config_entry(self, key: str, value: str) -> None:
            entries.append((key, value))
            super().add_session_config_entry(key, value)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    load_engine("onnxruntime", tiny_bundle.read_model("fp32.onnx"), "onnx")
    assert (("session.x64quantprecision", "1") in entries) is expected


def test_the_table_names_artifacts_that_a_manifest_can_hold() -> None:
    known = {f"{precision}.{form}" for precision in get_args(Precision) for form in get_args(Format)}
    for name in ENGINES:
        assert set(variants(name)) <= known, name
        assert len(set(variants(name))) == len(variants(name)) > 0, name
    assert variants("onnxruntime") == ("int8.onnx", "fp32.onnx")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, ENGINES["onnxruntime"].module, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # makes `import onnxruntime` fail
    assert not usable("onnxruntime", "fp32.onnx")
    for call in (lambda: load_engine("onnxruntime", b"", "onnx"), lambda: version("onnxruntime")):
        with pytest.raises(MissingEngineError, match='with the extra "onnx"') as caught:
            call()
        assert isinstance(caught.value, ImportError)


def test_an_engine_without_its_device_is_not_usable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = msgspec.structs.replace(ENGINES["onnxruntime"], devices=("dev/gpu[0-9]", "none"))
    monkeypatch.setitem(ENGINES, "onnxruntime", row)
    monkeypatch.setattr("edge_sdk.runtime.engines.ROOT", tmp_path)
    assert not usable("onnxruntime", "fp32.onnx")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "gpu0").touch()
    assert usable("onnxruntime", "fp32.onnx")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("dev/nvidia0", True),
        ("dev/nvhost-gpu", True),  # Jetson
        ("usr/lib/wsl/lib/libcuda.so.1", True),  # WSL2: mounted from Windows
        ("usr/lib/wsl/drivers/nv_dispi.inf_amd64_1/libcuda.so.1.1", True),  # WSL2 in a container
        ("System32/nvcuda.dll", True),  # Windows
        ("dev/nvidiactl", False),  # a driver without a GPU
        ("dev/dxg", False),  # WSL2 on another maker's GPU
        ("usr/lib/x86_64-linux-gnu/libcuda.so.1", False),  # a driver alone, as in containers without a GPU
    ],
)
def test_a_gpu_is_found_on_every_system(
    path: str, found: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("edge_sdk.runtime.engines.ROOT", tmp_path)
    assert not has_device("tensorrt")
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).touch()
    assert has_device("tensorrt") is found
    assert has_device("onnxruntime")


def test_the_version_is_that_of_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert version("onnxruntime") == onnxruntime.__version__
    # A distribution may have another name than what is imported from it, as onnxruntime-gpu has.
    monkeypatch.setitem(ENGINES, "onnxruntime", msgspec.structs.replace(ENGINES["onnxruntime"], packages=("cv2",)))
    assert version("onnxruntime") == metadata.version("opencv-python-headless")


@pytest.mark.parametrize(
    ("name", "file_format", "threads"),
    [
        ("nonesuch", "onnx", 1),
        ("", "onnx", 1),
        (None, "onnx", 1),
        (["onnxruntime"], "onnx", 1),
        ("onnxruntime", "tflite", 1),
        ("litert", "onnx", 1),
        ("onnxruntime", "onnx", 0),
    ],
)
def test_impossible_requests_are_usage_errors(name: str, file_format: str, threads: int) -> None:
    with pytest.raises(UsageError):
        load_engine(name, b"", file_format, threads=threads)


def test_the_fake_projects_and_fails_as_asked() -> None:
    picture = np.random.default_rng(0).random((2, 1, 4, 5), dtype=np.float32)

    def run(**settings: object) -> np.ndarray:
        data = msgspec.json.encode(FakeModel(shape=(1, 4, 5), dim=3, **settings))  # type: ignore[arg-type]
        return load_engine("fake", data, "onnx").run({"image": picture})["embedding"]

    assert not np.array_equal(run(seed=1), run(seed=2))
    np.testing.assert_allclose(run() * 2, load_engine("fake", FAKE, "onnx").run({"image": picture * 2})["embedding"])
    assert np.isnan(run(failure="nan")).all()
    assert not run(failure="zero").any()
    with pytest.raises(EngineError, match="asked"):
        run(failure="error")


def test_users_are_shown_real_engines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ENGINES, "fake")
    names = {"tensorrt", "openvino", "onnxruntime", "litert", "tflite-runtime"}
    assert set(ENGINES) == names
    with pytest.raises(UsageError) as caught:
        load_engine("nonesuch", b"", "onnx")
    assert set(str(caught.value).partition("there are: ")[2].split(", ")) == {"auto"} | names


@pytest.mark.parametrize("name", ["deepsign", "deepsign_nano"])
def test_a_shipped_bundle_on_x86_without_vnni(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Float by default, exact int8 on request, and the golden scores of both."""
    monkeypatch.setenv(device.INSTRUCTIONS_VARIABLE, "avx2")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr("edge_sdk.runtime.selection.processor_kind", device.processor_kind)
    bundle = Bundle.open(name)
    chosen = choose(bundle)
    assert (chosen.engine, chosen.variant.id) == ("onnxruntime", "fp32.onnx")
    replays = [replay for replay in selftest(bundle, engine="onnxruntime") if replay.status != "skipped"]
    assert {replay.variant_id for replay in replays} >= {"fp32.onnx", "int8.onnx"}
    assert {replay.status for replay in replays} == {"pass"}, replays
