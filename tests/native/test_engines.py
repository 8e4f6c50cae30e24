"""The device library's engines give what Python's engines give, over the shipped bundles."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.bundle import Bundle

from ..model_files.test_onnx import PLACES, inside, outside
from .conftest import ENGINES, Built

# By precision: of what the largest output is, for two versions of one engine and for one step of a quantised output.
TOLERANCE = {("onnx", "fp32"): 1e-6, ("tflite", "fp32"): 1e-5}
STEPS = 0.05
BUNDLES = ("deepsign", "face_lite", "face_locator", "liveness")
PYTHON = {"onnx": "onnxruntime", "tflite": "litert"}  # engines by the format that they run


def run(
    built: Built, format_: str, model: Path, picture: Path, tensors: Sequence[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [str(built.file("run_engine")), format_, str(model), "1", str(picture), *tensors]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120
    )


def spec(name: str, shape: Sequence[int | str]) -> str:
    return f"{name}:{','.join('1' if isinstance(size, str) else str(size) for size in shape)}"


@pytest.mark.parametrize(("format_", "saturates"), [("onnx", False), ("onnx", True), ("tflite", False)])
@pytest.mark.parametrize("name", BUNDLES)
def test_engines_give_what_pythons_give(built: Built, tmp_path: Path, name: str, format_: str, saturates: bool) -> None:
    built.need(ENGINES[format_])
    python = importlib.import_module(f"edge_sdk.runtime.engines.{PYTHON[format_]}")
    bundle = Bundle.open(name)
    (graph,) = bundle.manifest.graphs
    (taken,) = graph.inputs
    shape = [1 if isinstance(size, str) else size for size in taken.shape]
    picture = np.random.default_rng(7).random(shape).astype(np.float32)
    picture.tofile(tmp_path / "picture")
    tensors = [spec(tensor.name, tensor.shape) for tensor in (*graph.inputs, *graph.outputs)]
    # Without VNNI the exact kernels of int8 are asked for.
    environment = {"EDGE_SDK_INSTRUCTIONS": "avx2"} if saturates else {}
    for variant in bundle.manifest.variants:
        if variant.format != format_:
            continue
        model = Path(bundle.path) / graph.files[variant.id].path
        done = run(built, format_, model, tmp_path / "picture", tensors, **environment)
        assert done.returncode == 0, done.stderr
        engine = python.load(model.read_bytes(), threads=1)
        outputs = engine.run({taken.name: picture})
        engine.close()
        expected = np.concatenate([np.ravel(outputs[tensor]) for tensor in sorted(outputs)])
        values = np.array(done.stdout.split(), np.float32)
        assert values.shape == expected.shape
        allowed = TOLERANCE.get((format_, variant.precision), STEPS) * float(np.abs(expected).max())
        np.testing.assert_allclose(values, expected, atol=allowed, rtol=0, err_msg=variant.id)


@pytest.mark.parametrize("format_", PYTHON)
def test_what_an_engine_refuses(built: Built, tmp_path: Path, format_: str) -> None:
    built.need(ENGINES[format_])
    bundle = Bundle.open("deepsign")
    model = Path(bundle.path) / f"model.int8.{format_}"
    image, embedding = "image:1,1,150,180", "embedding:1,128"
    picture = tmp_path / "picture"
    np.zeros((150, 180), np.float32).tofile(picture)
    assert run(built, format_, model, picture, [image, embedding]).returncode == 0

    def refused(model: Path, *tensors: str) -> str:
        done = run(built, format_, model, picture, tensors)
        assert done.returncode == 3
        return done.stderr

    assert "other" in refused(model, "other:1,1,150,180", embedding)
    assert "no output other" in refused(model, image, "other:1,128")
    assert "the shape" in refused(model, image, "embedding:1,64")
    assert "the shape" in refused(model, "image:1,1,180,150", embedding)
    broken = tmp_path / "broken"
    broken.write_bytes(model.read_bytes()[:1000])
    assert "model" in refused(broken, image, embedding)
    np.full((150, 180), np.nan, np.float32).tofile(picture)
    assert "not finite" in refused(model, image, embedding)
    np.zeros((150, 179), np.float32).tofile(picture)
    assert "the network takes" in refused(model, image, embedding)


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_another_file_are_refused(built: Built, tmp_path: Path, place: str) -> None:
    built.need("onnxruntime")
    np.zeros(8, np.float32).tofile(tmp_path / "picture")
    np.zeros(8, np.float32).tofile(tmp_path / "weights.bin")
    model = tmp_path / "model.onnx"
    for tensor in (inside(), outside()):
        model.write_bytes(PLACES[place](tensor).SerializeToString())
        done = run(built, "onnx", model, tmp_path / "picture", ["x:1,8", "y:1,8"])
        assert ("lie in another file" in done.stderr) is (tensor.data_location == tensor.EXTERNAL)
        assert done.returncode == 3 or tensor.data_location != tensor.EXTERNAL


def test_an_engine_leaves_nothing_in_a_fresh_home(built: Built, tmp_path: Path) -> None:
    built.need("onnxruntime")
    home = tmp_path / "home"
    home.mkdir()
    np.zeros((150, 180), np.float32).tofile(tmp_path / "picture")
    model = Path(Bundle.open("deepsign").path) / "model.int8.onnx"
    environment = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    command = [str(built.file("run_engine")), "onnx", str(model), "1", str(tmp_path / "picture")]
    command += ["image:1,1,150,180", "embedding:1,128"]
    subprocess.run(command, env=environment | {"HOME": str(home)}, check=True, capture_output=True, timeout=120)
    assert not list(home.iterdir())
