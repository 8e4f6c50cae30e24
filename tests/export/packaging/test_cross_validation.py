"""The guardrail of int8 on the people whom folds were trained without."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.groups import build_groups
from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.metrics.verification import concatenate
from edge_sdk.calibration.quantization.onnx_int8 import quantize
from edge_sdk.calibration.thresholds import REFERENCES
from edge_sdk.cli import main
from edge_sdk.errors import ScoreError, TrainingError, UsageError
from edge_sdk.export.data.cache import prepared, prepared_rows
from edge_sdk.export.data.gait import synthetic
from edge_sdk.export.data.load import load
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.verification.artifacts import VerificationEvaluator
from edge_sdk.export.evaluation.verification.comparers import VerificationProtocol, enrolled_by, enrolling
from edge_sdk.export.evaluation.verification.likelihood_artifacts import LikelihoodEvaluator
from edge_sdk.export.formats.artifacts import Graphs, VariantKind
from edge_sdk.export.formats.float_onnx import to_onnx
from edge_sdk.export.formats.inference import embed, output
from edge_sdk.export.packaging.build import export
from edge_sdk.export.packaging.cross_validation import CrossValidation, Making
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import UnsupportedPoint, VerifyPoint

WRITERS = "synthetic:30"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run to export, and two folds of miniatures of its own kind, by the command line."""
    folder = tmp_path_factory.mktemp("folds")
    command = ["train", "deepsign", "--preset", "quick", "--tiny", "--steps", "4", "--data", WRITERS]
    people = {"run": [], "first": ["--fold", "1/2"], "second": ["--fold", "2/2"]}
    for name, chosen in people.items():
        assert main([*command, *chosen, "--out", str(folder / name)]) == 0
    return {name: folder / name for name in people}


def test_folds_share_the_people_among_them(runs: dict[str, Path]) -> None:
    first, second = (Split.read(runs[name] / "split.json") for name in ("first", "second"))
    assert sorted((*first.test, *second.test)) == list(load(WRITERS).subjects)
    assert not set(first.test) & {*first.train, *first.validation}
    assert first.thresholds == first.guardrail == ()


def test_all_people_judge_int8(runs: dict[str, Path], tmp_path: Path) -> None:
    folds = [str(runs[name]) for name in ("first", "second")]
    out = tmp_path / "out.edge"
    command = ["export", str(runs["run"]), "--folds", *folds, "--out", str(out), "--report-only"]
    assert main([*command, "--score", "embedding_distance"]) == 0
    variant = Bundle.open(out).manifest.variant("int8.onnx")
    (drift,) = variant.accuracy
    assert drift.data == (
        "synthetic, cross-validation, 30 people, 2 trainings of 4 steps, skilled forgeries, on onnxruntime"
    )
    assert drift.subjects == 30
    assert variant.calibration is not None
    # The same step by step: each fold's own float and int8 model on its test people, pooled.
    both = []
    for name in ("first", "second"):
        fold = FinishedRun.read(runs[name])
        model = to_onnx(fold.network, fold.preset.input_shape)
        int8 = quantize(model, fold.calibration_images(), method=variant.calibration.method)
        samples = fold.people("test").samples
        pictures = prepared(samples, fold.preset.preprocessing)
        who = [sample.subject for sample in samples], [sample.genuine for sample in samples]
        both.append([verification_scores(embed(one, pictures), *who, metric="euclidean") for one in (model, int8)])
    expected, found = (concatenate(sets) for sets in zip(*both, strict=True))
    by_hand = guardrail.compare(expected, found, data=drift.data, budget=drift.budget)
    assert drift == by_hand


def test_the_method_and_the_layers_in_float_are_the_bundles(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = CrossValidation.read([runs["first"], runs["second"]], FinishedRun.read(runs["run"]))
    asked = []
    kind = VariantKind("int8", "onnx")

    class Recorder:
        def quantize(self, method: str, keep_float: object) -> bytes:
            asked.append((method, keep_float))
            return judge.folds[0].graphs.onnx

    monkeypatch.setattr("edge_sdk.export.formats.artifacts.Graphs.quantizer", lambda *_: Recorder())
    drift = judge.accuracy_difference(Making(kind, "mse", ("node_conv2d",)))
    assert asked == [("mse", ("node_conv2d",))] * 2
    assert np.isfinite(drift.delta)


def test_without_forgeries_the_guardrail_says_random_impostors(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = CrossValidation.read([runs["first"], runs["second"]], FinishedRun.read(runs["run"]))
    monkeypatch.setattr(VerificationEvaluator, "protocols", (VerificationProtocol("random", 1),))
    monkeypatch.setattr("edge_sdk.export.formats.artifacts.Graphs.quantizer", lambda graphs, _: Float(graphs))

    class Float:
        def __init__(self, graphs: Graphs) -> None:
            self.graphs = graphs

        def quantize(self, method: str, keep_float: object) -> bytes:
            return self.graphs.onnx

    found = judge.accuracy_difference(Making(VariantKind("int8", "onnx"), "mse"))
    assert "random impostors, on" in found.data
    assert "forger" not in found.data


def test_what_is_no_fold_of_the_run_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    exported = FinishedRun.read(runs["run"])
    with pytest.raises(UsageError, match="at least 2"):
        CrossValidation.read([runs["first"]], exported)
    with pytest.raises(TrainingError, match="another fold"):
        CrossValidation.read([runs["first"], runs["first"]], exported)
    assert exported.record is not None
    other = replace(exported, record=msgspec.structs.replace(exported.record, preset="best"))
    with pytest.raises(UsageError, match="its preset is quick"):
        CrossValidation.read([runs["first"], runs["second"]], other)
    known = tmp_path / "known"
    shutil.copytree(runs["second"], known)
    split = Split.read(known / "split.json")
    moved = msgspec.structs.replace(split, train=split.train[2:], test=split.train[:2])
    moved.write(known / "split.json")
    with pytest.raises(TrainingError, match="must be new to it"):
        CrossValidation.read([runs["first"], known], exported)
    with pytest.raises(UsageError, match="fused"):
        export([runs["run"], runs["first"]], tmp_path / "out", folds=[runs["first"]], say=lambda _: None)


def test_folds_decide_for_each_number_of_references_where_they_are_asked_to(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    folds = [runs[name] for name in ("first", "second")]
    out = tmp_path / "out.edge"
    command = ["export", str(runs["run"]), "--folds", *map(str, folds), "--folds-decide", "--out", str(out)]
    assert main([*command, "--report-only"]) == 0
    bundle = Bundle.open(out)
    assert bundle.manifest.default_point == "eer"
    points = {(p.name, p.references): p for p in bundle.manifest.variant("fp32.onnx").operating_points}
    assert {count for _, count in points} == set(REFERENCES)
    whose = "synthetic, cross-validation, 30 people, 2 trainings of 4 steps, skilled forgeries"
    judge = CrossValidation.read(folds, FinishedRun.read(runs["run"]), decides=True)
    for count in REFERENCES:
        sets = []
        for fold in judge.folds:
            samples = fold.trained.people("test").samples
            vectors = embed(fold.graphs.onnx, prepared(samples, fold.trained.preset.preprocessing))
            who = [sample.subject for sample in samples], [sample.genuine for sample in samples]
            enrolled = enrolled_by(fold.score, fold._model)
            matrix = partial(fold.score.matrix, model=fold._model)
            rule = fold.score.rule
            try:
                sets.append(
                    verification_scores(vectors, *who, references=count, rule=rule, matrix=matrix, enrolled=enrolled)
                )
            except ScoreError:
                break
        point = points["eer", count]
        if len(sets) < 2:
            assert isinstance(point, UnsupportedPoint)
            assert f"with {count} reference(s)" in point.reason
            continue
        assert isinstance(point, VerifyPoint)
        assert (point.data, point.subjects) == (whose, 30)
        assert point.threshold == pytest.approx(verification.eer(concatenate(sets)).threshold)
    assert any(isinstance(point, VerifyPoint) and point.references > 1 for point in points.values())


def test_nobody_decides_without_folds(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(runs["run"]), "--folds-decide", "--out", str(tmp_path / "out.edge")]) == 2
    assert "folds decide only where they are given" in capsys.readouterr().err


@pytest.mark.parametrize("fold", ["0/2", "3/2"])
def test_folds_are_counted_from_1(fold: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "deepsign", "--tiny", "--data", WRITERS, "--out", str(tmp_path / "run"), "--fold", fold]
    assert main(command) == 2
    assert "no fold" in capsys.readouterr().err


def test_folds_give_thresholds_where_the_split_has_too_few_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "PER_WALKER", 3)
    for fold in ("1", "2"):
        command = [
            "train",
            "gait",
            "--preset",
            "mlp",
            "--tiny",
            "--steps",
            "2",
            "--data",
            "walks:40",
            "--fold",
            f"{fold}/2",
        ]
        assert main([*command, "--out", str(tmp_path / fold)]) == 0
    folds = [str(tmp_path / fold) for fold in ("1", "2")]
    command = ["export", folds[0], "--folds", *folds, "--out", str(tmp_path / "out.edge"), "--report-only"]
    assert main(command) == 0
    bundle = Bundle.open(tmp_path / "out.edge")
    data, more = (
        "walks, cross-validation, 40 people, 2 trainings of 2 steps, random impostors, "
        f"{cycles} enrolment cycles of up to 5 samples, 5 test cycles of another"
        for cycles in (10, 20)
    )
    for variant in bundle.manifest.variants:
        points = [point for point in variant.operating_points if isinstance(point, VerifyPoint)]
        found = {(point.references, point.data, point.subjects) for point in points if point.references < 30}
        assert found == {(10, data, 40), (20, more, 40)}
    (drift,) = bundle.manifest.variant("int8.onnx").accuracy
    assert drift.data == f"{data}, on onnxruntime"
    judge = CrossValidation.read([Path(fold) for fold in folds], FinishedRun.read(Path(folds[0])))
    assert judge.decides
    by_hand = []
    for fold in judge.folds:
        rows = prepared_rows(fold.trained.people("test").samples, fold.trained.preset.preprocessing)
        people, walks = [s.subject for s in rows.samples], [str(s.path) for s in rows.samples]
        made = output(fold.graphs.onnx, rows.tensors)
        assert isinstance(fold, LikelihoodEvaluator)
        plan = build_groups(people, walks, enrolment=10, test=5)
        by_hand.append(plan.scores(enrolling(fold.score, made, fold.likelihood.densities)))
    eer, *_ = [p for p in bundle.manifest.variant("fp32.onnx").operating_points if p.name == "eer"]
    assert isinstance(eer, VerifyPoint)
    assert eer.threshold == verification.eer(concatenate(by_hand)).threshold
    card = next(entry for entry in bundle.manifest.auxiliary if entry.path == "MODEL_CARD.md")
    assert "By cross-validation" in bundle.read(card).decode()
