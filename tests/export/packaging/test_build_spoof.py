"""From a run of a liveness recipe to a bundle: what is measured, what is written, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from edge_sdk import SpoofDetector, images
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.errors import DatasetError, GuardrailError
from edge_sdk.export import recipes
from edge_sdk.export.data.faces.golden import pngs
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.model_outputs import ModelOutputs
from edge_sdk.export.evaluation.spoof.artifacts import SpoofEvaluator
from edge_sdk.export.formats import artifacts
from edge_sdk.export.formats.artifacts import FORMATS, REFERENCE, VariantKind, kinds
from edge_sdk.export.packaging.build import export
from edge_sdk.export.training import finished
from edge_sdk.export.training.finished import CALIBRATION_IMAGES, FinishedRun
from edge_sdk.manifest import Fusion, LatentDistance, LatentLikelihood, Reconstruction, SpoofPoint, UnsupportedPoint
from edge_sdk.preprocess import apply
from edge_sdk.preprocess.crop import FaceCrop
from edge_sdk.runtime.detector import CROP
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

INT8 = VariantKind("int8", "onnx")
FUSION = Fusion(
    members=(
        Reconstruction(input="image", output="reconstruction", norm="l2"),
        LatentLikelihood(output="latent", density="latent.npy"),
        LatentDistance(first="features", second="features_reconstructed"),
    ),
    weights=(10.0, 0.01, 1.0),
    bias=0.5,
)


def quiet(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def bundle(live_run: Path) -> Bundle:
    return export(live_run, live_run.parent / "made.edge", name="made", enforce=False, say=quiet)


def faces_of_the_test(live_run: Path) -> list[Path]:
    return [sample.path for sample in FinishedRun.read(live_run).people("test").samples][::4]


def scores(bundle: Bundle, artifact: str, pictures: list[Path]) -> list[float]:
    with SpoofDetector(bundle, precision=artifact, engine="onnxruntime", faces="cropped") as detector:
        return [detector.detect(picture).score for picture in pictures]


def test_the_bundle_says_what_it_is(bundle: Bundle, live_run: Path) -> None:
    manifest = bundle.manifest
    assert (manifest.task, manifest.modality, manifest.embedding_space_id) == ("spoof", "face", None)
    assert [variant.id for variant in manifest.variants] == ["fp32.onnx", "int8.onnx"]
    assert manifest.source.face == CROP  # type: ignore[union-attr]
    assert [(output.name, output.shape, output.role) for output in manifest.graphs[0].outputs] == [
        ("reconstruction", ("batch", 1, 128, 128), "reconstruction")
    ]
    assert manifest.training.data == ("faces",)
    assert not manifest.data_license.commercial_use
    int8 = manifest.variant("int8.onnx")
    assert int8.calibration is not None
    assert int8.calibration.count == min(CALIBRATION_IMAGES, len(FinishedRun.read(live_run).people("train").samples))
    assert [difference.metric for difference in int8.accuracy] == ["eer"]  # two people cannot support more
    card = bundle.read(manifest.auxiliary[0]).decode()
    for words in ("presentation attack", "APCER print", "APCER screen", "BPCER at APCER 5%", "Attacks of the kinds"):
        assert words in card
    assert str(live_run.parent) not in card


def test_each_variant_has_thresholds_of_its_own(bundle: Bundle, live_run: Path) -> None:
    people = FinishedRun.read(live_run).people("thresholds")
    live = np.array([sample.genuine for sample in people.samples])
    for variant in bundle.manifest.variants:
        *unsupported, eer = variant.operating_points
        assert all(isinstance(point, UnsupportedPoint) for point in unsupported)
        assert isinstance(eer, SpoofPoint)
        found = np.array(scores(bundle, variant.id, [sample.path for sample in people.samples]))
        assert eer.bpcer.errors == sum(found[live] < eer.threshold)
        assert eer.species.keys() == {"print", "screen"}
        assert sum(rate.errors for rate in eer.species.values()) == sum(found[~live] >= eer.threshold)
    thresholds = [variant.operating_points[-1].threshold for variant in bundle.manifest.variants]  # type: ignore[union-attr]
    assert thresholds[0] != thresholds[1]


def test_the_detector_gives_the_networks_scores(bundle: Bundle, live_run: Path) -> None:
    made = FinishedRun.read(live_run)
    network = made.network.eval()
    expected = []
    for path in faces_of_the_test(live_run):
        x = apply(made.preset.preprocessing, images.load(path))[None]
        with torch.no_grad():
            again = network(torch.from_numpy(x)).numpy()
        expected.append(
            -sum((a - b) ** 2 for a, b in zip(x.ravel().tolist(), again.ravel().tolist(), strict=True)) / x.size
        )
    assert scores(bundle, "fp32.onnx", faces_of_the_test(live_run)) == pytest.approx(expected, rel=1e-4)
    assert scores(bundle, "int8.onnx", faces_of_the_test(live_run)) == pytest.approx(expected, rel=0.05)


def test_the_golden_inputs_replay_and_show_nobody(bundle: Bundle) -> None:
    golden = bundle.manifest.golden
    assert [bundle.read(entry) for entry in golden.inputs] == list(pngs().values())
    replays = selftest(bundle)
    assert passed(replays), replays
    for artifact, expected in golden.scores.items():
        with SpoofDetector(bundle, precision=artifact, engine="onnxruntime", faces="cropped") as detector:
            each = [detector.detect(bundle.read(entry)).score for entry in golden.inputs]
        assert each[0] != each[1]
        assert sum(each) / 2 == pytest.approx(expected, abs=1e-7)
    assert 0 < golden.tolerance["fp32.onnx"] < golden.tolerance["int8.onnx"]


def test_devices_commands_take_it(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slim = tmp_path / "slim.edge"
    assert main(["slice", str(bundle.path), "--precision", "int8", "--out", str(slim)]) == 0
    assert main(["selftest", str(slim), "--engine", "onnxruntime"]) == 0
    assert main(["tune", str(slim), "--seconds", "0.05"]) == 0
    assert main(["inspect", str(slim)]) == 0
    assert "APCER" in capsys.readouterr().out


def test_scores_of_several_outputs_and_a_density(
    live_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = FaceCrop(scale=1.3, overflow="black")
    base = recipes.get("ganomaly")
    monkeypatch.setattr(recipes, "get", lambda _: replace(base, score=FUSION, face=crop))
    made = FinishedRun.read(live_run)
    bundle = export(live_run, tmp_path / "fused", enforce=False, say=quiet)
    manifest = bundle.manifest
    assert manifest.source.face == crop  # type: ignore[union-attr]
    roles = {output.name: output.role for output in manifest.graphs[0].outputs}
    assert roles == {
        "reconstruction": "reconstruction",
        "latent": "latent",
        "features": "features",
        "features_reconstructed": "features",
    }
    mixture = GaussianMixture.decode((bundle.path / "latent.npy").read_bytes())

    def outputs(pictures: list[Path]) -> dict[str, np.ndarray]:
        x = np.stack([apply(made.preset.preprocessing, images.load(path)) for path in pictures])
        with torch.no_grad():
            found = made.network.eval().outputs(torch.from_numpy(x), list(roles))  # type: ignore[operator]
        return {"image": x} | {name: tensor.numpy() for name, tensor in zip(roles, found, strict=True)}

    live = outputs([sample.path for sample in made.people("train").samples if sample.genuine])["latent"]
    assert mixture.weights @ mixture.means == pytest.approx(live.mean(axis=0), abs=1e-3)  # EM keeps the mean
    pictures = faces_of_the_test(live_run)
    expected = FUSION.score(outputs(pictures), {"latent.npy": mixture})
    assert scores(bundle, "fp32.onnx", pictures) == pytest.approx(expected, rel=1e-3)
    assert passed(selftest(bundle, engine="onnxruntime"))


@pytest.mark.slow
def test_every_format_is_measured_and_replays_on_every_engine(
    live_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    base = recipes.get("ganomaly")
    monkeypatch.setattr(recipes, "get", lambda _: replace(base, score=FUSION))
    made = export(live_run, tmp_path / "all.edge", formats=list(FORMATS), enforce=False, say=quiet)
    assert [variant.id for variant in made.manifest.variants] == [kind.id for kind in kinds(list(FORMATS))]
    replays = selftest(made, engine="all")
    assert passed(replays), replays
    ran = {replay.variant_id for replay in replays if replay.status == "pass"}
    assert ran >= {kind.id for kind in kinds(list(FORMATS))} - {"int8-sym.onnx"}


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("genuine", "missing"), [(True, "attacks"), (False, "live pictures")])
def test_people_without_a_class_measure_nothing(
    live_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genuine: bool, missing: str
) -> None:
    split, real = Split.read(live_run / "split.json"), finished.load

    def load(*specs: str) -> Dataset:
        data = real(*specs)
        kept = (s for s in data.samples if s.subject not in split.guardrail or s.genuine == genuine)
        return Dataset(data.name, tuple(kept))

    monkeypatch.setattr(finished, "load", load)
    with pytest.raises(DatasetError, match=rf"guardrail people of faces have no {missing}.*print\+lfw:PATH"):
        export(live_run, tmp_path / "out.edge", say=quiet)
    assert list(tmp_path.iterdir()) == []


def test_a_budget_that_no_mixed_precision_can_keep_stops_the_export(
    live_run: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same graph once more takes seconds to translate.
    monkeypatch.setattr(artifacts, "to_onnx", lambda *_: bundle.read_model("fp32.onnx"))
    strict = replace(recipes.get("ganomaly"), budget=-1.0)
    monkeypatch.setattr(recipes, "get", lambda _: strict)
    with pytest.raises(GuardrailError, match="layers in float"):
        export(live_run, tmp_path / "out.edge", say=quiet)
    assert list(tmp_path.iterdir()) == []


# --- what is measured, on made-up scores -----------------------------------------------------------------------------


def examined(float_scores: np.ndarray, int8_scores: np.ndarray, attacks: int) -> SpoofEvaluator:
    """Ten people, ten live pictures each and so many prints, with these scores: of each person live ones first."""
    samples = tuple(
        Sample(
            "made-up",
            f"made-up/{person}",
            picture < 10,
            Path("none"),
            None if picture < 10 else "print",
            modality="face",
        )
        for person in range(10)
        for picture in range(10 + attacks)
    )
    data = Dataset("made-up", samples)
    outputs = ModelOutputs()
    for model, values in ((b"float", float_scores), (b"int8", int8_scores)):
        for role in ("validation", "thresholds", "guardrail", "test"):
            outputs.get(model, role, lambda values=values: values)
    return SpoofEvaluator(
        _EverywhereAlike(data), SimpleNamespace(onnx=b"float"), recipes.get("ganomaly").score, _outputs=outputs
    )  # type: ignore[arg-type]


class _EverywhereAlike:
    """A run whose people are the same in every role, which a split would refuse."""

    recipe = recipes.get("ganomaly")

    def __init__(self, data: Dataset) -> None:
        self.data = data

    def people(self, _role: str) -> Dataset:
        return self.data


def test_the_guardrail_compares_bpcers_where_there_are_attacks_enough() -> None:
    """Of 100 live pictures int8 lets one in each of two people fall below the attacks: 2 points."""
    float_scores = np.tile(np.r_[np.linspace(0.5, 1, 10), np.linspace(-1, 0, 20)], 10)
    int8_scores = float_scores.copy()
    int8_scores[[0, 30]] = -2
    difference = examined(float_scores, int8_scores, attacks=20).accuracy_difference(
        INT8, b"int8", "guardrail", 0.25, 0.25
    )
    assert (difference.metric, difference.budget, difference.verdict) == ("bpcer_at_apcer_0.05", 0.01, "fail")
    assert difference.delta == pytest.approx(0.02)
    assert difference.agreement == pytest.approx(1 - 2 / 300)
    few = [np.tile(np.r_[np.linspace(0.5, 1, 10), np.linspace(-1, 0, 19)], 10)] * 2  # 190 attacks; 5 % needs 200
    difference = examined(*few, attacks=19).accuracy_difference(INT8, b"int8", "guardrail")
    assert (difference.metric, difference.budget, difference.delta) == ("eer", 0.005, 0.0)


def test_the_order_of_scores_alone_counts() -> None:
    """A shift and a scale cost nothing, and neither does an end of the range that keeps the order."""
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(2, 120))
    assert examined(first, 3 * first - 7, attacks=2).distance(INT8, b"int8") == pytest.approx(0, abs=1e-12)
    assert examined(first, np.tanh(first), attacks=2).distance(INT8, b"int8") == pytest.approx(0, abs=1e-12)
    for scores in (other, first.clip(-1, 1), np.rint(first)):  # with ties too
        distance = examined(first, scores, attacks=2).distance(INT8, b"int8")
        assert distance == pytest.approx(1 - stats.spearmanr(first, scores).statistic, abs=1e-12)
    assert examined(first, np.ones(120), attacks=2).distance(INT8, b"int8") == 1
    assert examined(first, first, attacks=2).distance(REFERENCE, b"float") == pytest.approx(0, abs=1e-12)
