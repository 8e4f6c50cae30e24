"""From a trained run to a bundle, and what happens when that is stopped, by the guardrail or by a kill."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle, SigningKey, Trust
from edge_sdk.calibration import guardrail
from edge_sdk.cli import main
from edge_sdk.errors import (
    BundleError,
    DatasetError,
    GuardrailError,
    MissingEngineError,
    MissingToolError,
    TrainingError,
    UnsupportedModelError,
    UsageError,
)
from edge_sdk.export import recipes
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.verification.artifacts import VerificationEvaluator
from edge_sdk.export.formats import artifacts
from edge_sdk.export.formats.artifacts import FORMATS, VariantKind, kinds
from edge_sdk.export.packaging import build
from edge_sdk.export.packaging.build import export
from edge_sdk.export.training.finished import CALIBRATION_IMAGES, FinishedRun
from edge_sdk.export.training.records import RunRecord
from edge_sdk.manifest import AccuracyDifference, DecisionHead, PersonModel, UnsupportedPoint, VerifyPoint
from edge_sdk.preprocess import digest
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.background import Background

WRITERS = "synthetic:30"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature, trained by the command line for a few steps."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    command = ["train", "deepsign", "--preset", "quick", "--tiny", "--steps", "8", "--data", WRITERS]
    assert main([*command, "--out", str(folder)]) == 0
    return folder


def test_a_missing_converter_is_known_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(MissingToolError, match='the extra "tflite-export"'):
        export(tmp_path / "no run", tmp_path / "out.edge", formats=["int8.tflite"], say=lambda _: None)
    with pytest.raises(TrainingError):
        export(tmp_path / "no run", tmp_path / "out.edge", formats=["onnx"], say=lambda _: None)


@pytest.fixture(scope="module")
def bundle(run: Path) -> Bundle:
    return export(run, run.parent / "made.edge", name="made", enforce=False, say=lambda _: None)


@pytest.fixture
def translated(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of the run take the bundle's float graph: the same one once more takes seconds to translate."""
    monkeypatch.setattr(artifacts, "to_onnx", lambda *_: bundle.read_model("fp32.onnx"))


def test_the_bundle_says_what_it_is(bundle: Bundle, run: Path) -> None:
    manifest = bundle.manifest
    assert [variant.id for variant in manifest.variants] == ["fp32.onnx", "int8.onnx"]
    assert digest(manifest.preprocessing) == digest(recipes.get("deepsign").preset("quick").preprocessing)
    assert manifest.training.data == ("synthetic",)
    assert manifest.training.steps == 8
    assert manifest.training.people == RunRecord.read(run).people_digest
    assert manifest.data_license.commercial_use
    calibration = manifest.variant("int8.onnx").calibration
    assert calibration is not None
    assert calibration.count == CALIBRATION_IMAGES
    assert len(manifest.variant("int8.onnx").accuracy) == 1
    assert manifest.familiarity is not None
    split = Split.read(run / "split.json")
    assert manifest.familiarity.subjects == len(split.train) + len(split.validation)
    assert manifest.score == PersonModel(output="model.embedding", background="background.bin")
    background, card_file = manifest.auxiliary
    assert Background.decode(bundle.read(background)).people == len(split.train)
    card = bundle.read(card_file).decode()
    assert "Limits" in card
    assert str(run.parent) not in card
    assert str(run.parent).encode() not in msgspec.json.encode(manifest)


def test_each_variant_has_thresholds_of_its_own(bundle: Bundle) -> None:
    points = [
        {point.name: point for point in variant.operating_points if isinstance(point, VerifyPoint)}
        for variant in bundle.manifest.variants
    ]
    assert all(set(found) == {"eer", "best_balanced_accuracy"} for found in points)
    assert points[0]["eer"].threshold != points[1]["eer"].threshold
    unsupported = [p for p in bundle.manifest.variants[1].operating_points if isinstance(p, UnsupportedPoint)]
    targets = ["fmr_1e-1", "fmr_5e-2", "fmr_1e-2", "fmr_1e-3"]
    assert [point.name for point in unsupported if point.references == 1] == targets
    assert [point.name for point in unsupported if point.references == 3] == [*targets, "eer", "best_balanced_accuracy"]
    assert all(point.reason for point in unsupported)  # three people support no false match rate


def test_the_golden_inputs_replay(bundle: Bundle) -> None:
    replays = selftest(bundle)
    assert len(replays) == 2
    assert passed(replays), replays


def test_the_bundle_verifies(bundle: Bundle) -> None:
    reference, query = (bundle.read(entry) for entry in bundle.manifest.golden.inputs)
    with Verifier(bundle, operating_point="eer") as verifier:
        assert verifier.verify(reference, reference).decision
        assert 0 <= verifier.verify(reference, query).score <= 1


def test_the_same_run_gives_the_same_bundle(bundle: Bundle, run: Path, tmp_path: Path) -> None:
    key = SigningKey.generate()
    again = export(run, tmp_path / "again", name="made", enforce=False, sign_with=[key], say=lambda _: None)
    assert again.id == bundle.id
    assert not bundle.has_signature
    assert Bundle.open(again.path, trust=Trust(keys=[key.public_pem()]))


@pytest.mark.slow
def test_every_format_is_measured_and_replays_on_every_engine(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="TFLite artifacts are made with the tflite-export extra")
    made = export(run, tmp_path / "all.edge", formats=list(FORMATS), enforce=False, say=lambda _: None)
    variants = {variant.id: variant for variant in made.manifest.variants}
    assert list(variants) == [kind.id for kind in kinds(list(FORMATS))]
    digests = {a.calibration.digest for a in variants.values() if a.calibration is not None}
    assert len(digests) == 1, "one set of samples drives every int8 artifact"
    for name, variant in variants.items():
        assert any(isinstance(point, VerifyPoint) for point in variant.operating_points)
        assert (variant.calibration is None) == (variant.precision == "fp32")
        assert len(variant.accuracy) == (name != "fp32.onnx")
        assert f"| {name} |" in made.read(made.manifest.auxiliary[-1]).decode()
    assert variants["int8.tflite"].accuracy[0].data.endswith("on litert")
    replays = selftest(made, engine="all")
    assert passed(replays), replays
    assert {replay.variant_id for replay in replays if replay.status == "pass"} >= set(variants) - {"int8-sym.onnx"}


@pytest.mark.usefixtures("translated")
def test_a_budget_that_no_mixed_precision_can_keep_stops_the_export(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    split = Split.read(folder / "split.json")
    moved = msgspec.structs.replace(split, validation=split.validation + split.train[:2], train=split.train[2:])
    moved.write(folder / "split.json")
    strict = replace(recipes.get("deepsign"), budget=-1.0)
    monkeypatch.setattr(recipes, "get", lambda _: strict)
    lines: list[str] = []
    with pytest.raises(GuardrailError, match=r"(?s)even with 9 of 18 layers in float.*fail"):
        export(folder, tmp_path / "out.edge", say=lines.append)
    assert any("does not pass the guardrail" in line for line in lines)
    assert not (tmp_path / "out.edge").exists()


@pytest.mark.usefixtures("translated")
def test_the_guardrail_stops_the_export_and_the_old_bundle_stays(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """int8 calibrated to a far too narrow range costs accuracy; the same code and budget notice it."""
    target = tmp_path / "model.edge"
    old = export(run, target, enforce=False, say=lambda _: None).id
    real = FinishedRun.calibration_images
    monkeypatch.setattr(FinishedRun, "calibration_images", lambda trained: np.float32(1e-3) * real(trained))
    lines: list[str] = []
    with pytest.raises(GuardrailError, match="upper 90 %"):
        export(run, target, say=lines.append)
    assert not any("upper 90 %" in line for line in lines)  # the table is shown once
    assert Bundle.open(target).id == old
    assert [path.name for path in tmp_path.iterdir()] == ["model.edge"]


@pytest.mark.usefixtures("translated")
def test_what_does_not_pass_can_be_left_out(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The symmetric artifact is within its budget, the other one never, so the bundle has the one and not the other."""
    judged = {"int8.onnx": "fail", "int8-sym.onnx": "pass"}

    def accuracy_difference(_: VerificationEvaluator, kind: VariantKind, *_args: object) -> AccuracyDifference:
        return AccuracyDifference(
            metric="eer", budget=0, delta=0, upper90=0, subjects=3, verdict=judged[kind.id], data="few"
        )

    monkeypatch.setattr(VerificationEvaluator, "accuracy_difference", accuracy_difference)
    lines: list[str] = []
    formats = ["onnx", "tensorrt"]
    made = export(run, tmp_path / "some.edge", formats=formats, leave_out=True, say=lines.append)
    assert [variant.id for variant in made.manifest.variants] == ["fp32.onnx", "int8-sym.onnx"]
    assert passed(selftest(made))
    assert sum("int8.onnx is left out" in line for line in lines) == 1

    def refused(kind: VariantKind, *_args: object) -> None:
        if kind.id == "int8-sym.onnx":
            raise UnsupportedModelError("TensorRT cannot read it")

    monkeypatch.setattr(build, "check", refused)
    with pytest.raises(GuardrailError, match=r"(?s)no variant is left.*int8\.onnx is.*fail.*sym\.onnx is.*cannot read"):
        export(run, tmp_path / "none.edge", formats=formats, leave_out=True, say=lambda _: None)

    def missing(*_args: object) -> None:
        raise MissingEngineError("tensorrt", "tensorrt")

    monkeypatch.setattr(build, "check", missing)  # says nothing of the artifact, so that it is not left out
    with pytest.raises(MissingEngineError):
        export(run, tmp_path / "none.edge", formats=formats, leave_out=True, say=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["some.edge"]


def test_undecidable_is_not_a_pass() -> None:
    difference = AccuracyDifference(
        metric="eer", budget=0.005, delta=0, upper90=0.02, subjects=3, verdict="undecidable", data="few"
    )
    with pytest.raises(GuardrailError, match="undecidable with 3 subjects"):
        guardrail.enforce([difference])


@pytest.mark.parametrize("missing", ["run.json", "split.json", "best.safetensors"])
def test_an_incomplete_run_is_a_clear_error(run: Path, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for path in run.iterdir():
        if path.name != missing:
            (folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises((TrainingError, DatasetError), match=missing):
        export(folder, tmp_path / "out.edge", say=lambda _: None)
    assert not (tmp_path / "out.edge").exists()


def test_a_checkpoint_of_another_network_is_refused(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for path in run.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    described = json.loads((folder / "run.json").read_text()) | {"tiny": False}
    (folder / "run.json").write_text(json.dumps(described))
    with pytest.raises(TrainingError, match="another network"):
        export(folder, tmp_path / "out.edge", say=lambda _: None)


@pytest.mark.slow
@pytest.mark.usefixtures("translated")
def test_kill_9_leaves_the_old_bundle_whole(run: Path, bundle: Bundle, tmp_path: Path) -> None:
    target = tmp_path / "model.edge"
    target.write_bytes(bundle.path.read_bytes())
    command = [sys.executable, "-m", "edge_sdk", "export", str(run), "--out", str(target), "--report-only"]
    for moment in ("exporting", "writing"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(moment):
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL, moment
        process.stderr.close()
        survivor = Bundle.open(target)
        assert survivor.id == bundle.id
        for entry in survivor.manifest.files:
            survivor.read(entry)
    export(run, target, enforce=False, say=lambda _: None)  # whatever the two have left behind
    assert passed(selftest(target))
    assert [path.name for path in tmp_path.iterdir()] == ["model.edge"]


def test_terms_are_the_strictest_of_all_data() -> None:
    assert data_license(["synthetic"]).commercial_use
    assert not data_license(["synthetic", "cedar"]).commercial_use
    assert not data_license(["my-own"], own=["my-own"]).commercial_use
    with pytest.raises(DatasetError, match="licence of the data set my-own is not known"):
        data_license(["my-own"])
    assert not data_license([]).commercial_use


def test_other_scores_have_no_exporter_yet(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = replace(recipes.get("deepsign"), score=DecisionHead(output="logit", activation="sigmoid"))
    monkeypatch.setattr(recipes, "get", lambda _: other)
    with pytest.raises(UsageError, match="signature model with the score decision_head"):
        export(run, tmp_path / "out.edge", say=lambda _: None)


def test_a_foreign_folder_to_write_into_is_refused_before_the_run_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(BundleError, match="exists and is no bundle"):
        export(tmp_path / "no run", tmp_path / "mine", say=print)
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]
