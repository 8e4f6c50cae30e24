"""OpenVINO computes what ONNX Runtime computes, and nothing behind the user's back."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ...paths import ROOT

pytest.importorskip("openvino", reason="needs edge-sdk[openvino]")

from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, UnsupportedModelError
from edge_sdk.runtime import Verifier, device
from edge_sdk.runtime.engines import load_engine, openvino, usable
from edge_sdk.runtime.engines.compiled import CompiledStore

SHIPPED = Bundle.open("deepsign")
PICTURES = np.random.default_rng(0).random((3, 1, 150, 180), dtype=np.float32)


@pytest.fixture
def model(tiny_bundle: Bundle) -> bytes:
    return tiny_bundle.read_model("fp32.onnx")


@pytest.mark.parametrize(("artifact", "tolerance"), [("fp32.onnx", 1e-5), ("int8.onnx", 0.02)])
def test_same_scores_as_onnxruntime(artifact: str, tolerance: float) -> None:
    if not usable("openvino", artifact):
        pytest.skip("OpenVINO's int8 saturates on this processor")
    pair = [SHIPPED.read(entry) for entry in SHIPPED.manifest.golden.inputs]
    results = []
    for engine in ("openvino", "onnxruntime"):
        with Verifier(SHIPPED, engine=engine, precision=artifact) as verifier:
            results.append(verifier.verify(*pair))
    ours, theirs = results
    assert ours.score == pytest.approx(theirs.score, abs=tolerance)
    assert ours.decision == theirs.decision


def test_a_batch_is_nothing_but_several_pictures(model: bytes) -> None:
    engine = load_engine("openvino", model, "onnx")
    (tensor,), (output,) = engine.inputs, engine.outputs
    assert (tensor.name, tensor.shape, tensor.dtype) == ("image", ("batch", 1, 150, 180), "float32")
    assert (output.name, output.shape, output.dtype) == ("embedding", ("batch", 240), "float32")
    before = PICTURES.copy()
    together = engine.run({"image": PICTURES})["embedding"]
    expected = load_engine("onnxruntime", model, "onnx").run({"image": PICTURES})["embedding"]
    np.testing.assert_allclose(together, expected, atol=1e-6)
    np.testing.assert_array_equal(PICTURES, before)
    for row in range(3):
        alone = engine.run({"image": PICTURES[row : row + 1]})["embedding"]
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)
    np.testing.assert_array_equal(engine.run({"image": PICTURES})["embedding"], together)


def test_results_are_the_callers_own(model: bytes) -> None:
    engine = load_engine("openvino", model, "onnx")
    first = engine.run({"image": PICTURES[:1]})["embedding"]
    kept = first.copy()
    engine.run({"image": PICTURES[1:2]})
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"picture": PICTURES},
        {"image": PICTURES[:, :, :2]},
        {"image": PICTURES[0]},
        {"image": PICTURES[:0]},
        {"image": PICTURES.astype(np.float64)},
        {"image": PICTURES * np.float32("nan")},
    ],
    ids=["missing", "name", "shape", "rank", "empty", "type", "nan"],
)
def test_wrong_inputs_are_engine_errors(model: bytes, wrong: dict[str, np.ndarray]) -> None:
    engine = load_engine("openvino", model, "onnx")
    with pytest.raises(EngineError, match="image"):
        engine.run(wrong)
    assert np.isfinite(engine.run({"image": PICTURES})["embedding"]).all()  # and it still works


@pytest.mark.parametrize("damage", [b"", b"no model", b"{}"])
def test_no_model_is_an_engine_error(damage: bytes) -> None:
    with pytest.raises(EngineError, match="no ONNX model"):
        load_engine("openvino", damage, "onnx")


def test_a_model_that_openvino_refuses_is_an_engine_error() -> None:
    node = helper.make_node("NoSuchOperator", ["image"], ["embedding"])
    image, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("image", "embedding"))
    refused = helper.make_model(helper.make_graph([node], "g", [image], [made]))
    with pytest.raises(EngineError, match="OpenVINO refuses the model") as caught:
        load_engine("openvino", refused.SerializeToString(), "onnx")
    assert caught.value.__cause__ is not None


def test_a_closed_engine_does_not_run(model: bytes) -> None:
    engine = load_engine("openvino", model, "onnx")
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run({"image": PICTURES})


def test_int8_is_refused_where_it_would_saturate(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "int8_saturates", lambda: True)
    with pytest.raises(EngineError, match="onnxruntime"):
        load_engine("openvino", SHIPPED.read_model("int8.onnx"), "onnx")
    load_engine("openvino", model, "onnx")


def test_precision_and_threads_are_pinned(model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processor has bfloat16, OpenVINO would use it for float layers; a kept model has no settings."""
    monkeypatch.setenv("EDGE_SDK_CONFIG", str(tmp_path / "config"))
    store = CompiledStore(hashlib.sha256(model).hexdigest(), keep=True, folder=tmp_path / "compiled")
    for kept in (False, True):
        assert any(tmp_path.glob("compiled/*.compiled")) == kept
        (request,) = openvino.load(model, threads=2, compiled=store)._requests.values()
        compiled = request.get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
        assert compiled.get_property("NUM_STREAMS") == 1


def test_nothing_is_reported(tmp_path: Path) -> None:
    """OpenVINO's import would leave a client id in the home directory and send an event."""
    code = (
        "import sys, edge_sdk.runtime.engines.openvino\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "assert telemetry_utils.tm.__name__.endswith('telemetry_stub')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # it reports nothing from there
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    assert not list(tmp_path.iterdir())


def test_the_converter_of_other_models_is_imported_by_the_first_who_wants_it(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(SHIPPED.read_model("fp32.onnx"))
    code = (
        "import sys, edge_sdk.runtime.engines.openvino, openvino\n"
        "assert 'openvino.tools.ovc' not in sys.modules\n"
        "assert openvino.convert_model('model.onnx').inputs[0].any_name == 'image'\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=120)


@pytest.mark.parametrize(("bits", "kind"), [(8, TensorProto.UINT8), (16, TensorProto.UINT16)])
def test_more_than_8_bits_are_refused(bits: int, kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would leave out the clipping of 65,536 levels, and with it a ReLU that a quantiser has merged into them."""
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["steps"]),
        helper.make_node("DequantizeLinear", ["steps", "scale", "zero"], ["map"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in ("image", "map")]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 256]),
        helper.make_tensor("zero", kind, [], [0]),
    ]
    graph = helper.make_graph(nodes, "steps", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    monkeypatch.setattr(device, "int8_saturates", lambda: False)
    if bits > 8:
        with pytest.raises(UnsupportedModelError, match="onnxruntime"):
            load_engine("openvino", model.SerializeToString(), "onnx")
    else:
        load_engine("openvino", model.SerializeToString(), "onnx").close()
