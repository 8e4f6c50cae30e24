"""A model of two graphs, a branch and a decision network, from a trained run to the device, in every format."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.evaluation.verification.thresholds import fit
from edge_sdk.export.formats.float_onnx import to_onnx
from edge_sdk.export.formats.pair_graph import two_inputs
from edge_sdk.export.networks.network import Network
from edge_sdk.export.networks.siamese import DecisionNetwork
from edge_sdk.export.packaging.build import export
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess import apply
from edge_sdk.runtime.engines import usable, variants
from edge_sdk.runtime.selftest import selftest

PEOPLE = 40
FORMATS = ("onnx", "tflite", "tensorrt")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature, trained by the command line for a few steps on coloured blobs, a blob a person."""
    folder = tmp_path_factory.mktemp("pairs")
    for person in range(PEOPLE):
        rng = np.random.default_rng(person)
        coarse = rng.uniform(40, 220, (3, 3, 3)).astype(np.float32)
        for picture in range(3):
            noisy = coarse + rng.normal(0, 8, coarse.shape).astype(np.float32)
            blob = cv2.resize(noisy, (64, 64), interpolation=cv2.INTER_CUBIC)
            path = folder / "faces" / f"p{person:02}" / f"{picture}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), blob.clip(0, 255).astype(np.uint8))
    command = ["train", "person_verification", "--tiny", "--steps", "3", "--data", f"live:{folder / 'faces'}"]
    assert main([*command, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def bundle(run: Path) -> Bundle:
    pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    return export(run, run.parent / "made.edge", formats=FORMATS, enforce=False, say=lambda _: None)


def pictures(run: Path, *names: str) -> list[Path]:
    return [run.parent / "faces" / name for name in names]


def test_a_bundle_holds_both_graphs_in_every_format(bundle: Bundle) -> None:
    manifest = Bundle.open(bundle.path).manifest
    assert [graph.name for graph in manifest.graphs] == ["model", "head"]
    ids = {"fp32.onnx", "int8.onnx", "fp32.tflite", "int8.tflite", "int8-io.tflite", "int8-sym.onnx"}
    assert {variant.id for variant in manifest.variants} == ids
    assert all(graph.files.keys() == ids for graph in manifest.graphs)
    assert manifest.score == DecisionHead(output="head.logit", activation="sigmoid")
    head = manifest.graphs[1]
    assert [(one.name, one.feed, one.role) for one in head.inputs] == [
        ("reference", "model.embedding", "reference"),
        ("query", "model.embedding", "query"),
    ]
    float_size, int8_size = (head.files[name].size for name in ("fp32.onnx", "int8.onnx"))
    assert int8_size < float_size  # the decision network is quantised too


def test_the_device_replays_every_variant(bundle: Bundle) -> None:
    for engine in ("onnxruntime", "litert", "openvino"):
        served = [one.id for one in bundle.manifest.variants if one.id in variants(engine) and usable(engine, one.id)]
        if not served:
            continue
        replays = {one.variant_id: one for one in selftest(bundle, engine=engine)}
        assert all(replays[variant].status == "pass" for variant in served), replays


def test_a_decision_is_the_networks(run: Path, bundle: Bundle) -> None:
    import torch

    trained = FinishedRun.read(run)
    network = trained.network.eval()
    first, second, third = pictures(run, "p00/0.png", "p00/1.png", "p01/0.png")
    with torch.no_grad():
        tensors = [
            torch.from_numpy(apply(trained.preset.preprocessing, cv2.imread(str(path))))
            for path in (first, second, third)
        ]
        made = network(torch.stack(tensors))
        for query, path in ((1, second), (2, third)):
            orders = [
                network.head(torch.cat([made[a], made[b]])[None]).sigmoid().item() for a, b in ((0, query), (query, 0))
            ]
            with Verifier(bundle, precision="fp32.onnx", engine="onnxruntime", threshold=0.5) as verifier:
                assert verifier.verify(first, path).score == pytest.approx(sum(orders) / 2, abs=1e-5)
                assert verifier.verify(path, first).score == verifier.verify(first, path).score


@pytest.mark.parametrize("variant", ["int8.onnx", "fp32.tflite", "int8-io.tflite"])
def test_a_template_is_what_the_branch_gives(run: Path, bundle: Bundle, variant: str) -> None:
    engine = "litert" if variant.endswith("tflite") else "onnxruntime"
    if not usable(engine, variant):
        pytest.skip(f"{engine} is not installed, or is not exact on this processor")
    first, second, third = pictures(run, "p02/0.png", "p02/1.png", "p03/0.png")
    with Verifier(bundle, precision=variant, engine=engine, threshold=0.5) as verifier:
        template = verifier.enroll([first, second])
        assert template.embeddings.shape == (2, recipes.get("person_verification").tiny(body="mobilenet_v2").size)
        np.testing.assert_array_equal(template.embeddings, verifier.embed([first, second]))
        assert verifier.verify(template, third).score == verifier.verify([first, second], third).score


def test_thresholds_are_fitted_again_by_the_decision_network(run: Path, bundle: Bundle) -> None:
    data = load(f"live:{run.parent / 'faces'}")
    people = data.select(data.subjects[:6])
    fitted = fit(bundle, "fp32.onnx", people, engine="onnxruntime")
    assert fitted.subjects == 6
    threshold = next(point.threshold for point in fitted.points if point.name == "eer")
    with Verifier(bundle, precision="fp32.onnx", engine="onnxruntime", threshold=0.5) as verifier:
        scores = [
            verifier.verify(one.path, other.path).score
            for one, other in itertools.product(people.samples, people.samples)
            if one.path != other.path
        ]
    assert min(abs(score - threshold) for score in scores) < 1e-6  # it is one of theirs


def test_every_variant_has_operating_points_of_its_own(bundle: Bundle) -> None:
    for variant in bundle.manifest.variants:
        assert any(point.name == "eer" for point in variant.operating_points)
        assert len(variant.accuracy) == (variant.id != "fp32.onnx")


def test_an_input_that_is_no_pair_is_refused() -> None:
    network = DecisionNetwork("mobilenet_v2", width=1 / 128).eval()
    model = to_onnx(network.comparison(), (2 * network.size,), ("logit",))
    halved = two_inputs(model, "onnx")
    with pytest.raises(ConversionError, match="two templates"):
        two_inputs(halved, "onnx")
    with pytest.raises(ConversionError, match="two templates"):
        two_inputs(to_onnx(network.inference_model(("embedding",)), (3, 224, 224)), "onnx")
    with pytest.raises(UsageError, match="no network that compares"):
        Network().comparison()
