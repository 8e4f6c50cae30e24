"""From a network of gait features to a bundle that compares densities: what is fitted, measured, written, refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.calibration.metrics.groups import COUNTS, RowCounts, build_groups
from edge_sdk.calibration.metrics.verification import ScoreSet, threshold_at_fmr
from edge_sdk.errors import DatasetError, ScoreError, UsageError
from edge_sdk.export.data.cache import prepared_rows
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.artifacts import build_evaluator
from edge_sdk.export.evaluation.verification import report
from edge_sdk.export.evaluation.verification.evaluate import evaluate
from edge_sdk.export.evaluation.verification.likelihood_artifacts import LikelihoodEvaluator
from edge_sdk.export.formats.artifacts import REFERENCE
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.networks.likelihood import LikelihoodSettings
from edge_sdk.export.networks.network import Network
from edge_sdk.export.packaging import build
from edge_sdk.export.packaging.recalibrate import recalibrate
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training import likelihood
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import LogLikelihoodRatio, VerifyPoint, embedding_space_id
from edge_sdk.preprocess.cycles import GaitCycles
from edge_sdk.runtime.operating_point import verify_points
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

COMPARED = "10 enrolment cycles of up to 5 samples, 5 test cycles of another"
WALKERS = {"train": 6, "validation": 3, "thresholds": 6, "guardrail": 4, "test": 3}
SETTINGS = LikelihoodSettings(dims=5, modes=4, protocols=(RowCounts(10, 5), RowCounts(20, 8), RowCounts(500, 5)))
SCORE = LogLikelihoodRatio(
    output="features",
    background="background.npy",
    prior="prior.npy",
    relevance=8.0,
    clip=20.0,
    adapts="means",
    normalised=True,
)


class Handmade(Network):
    """Random features of a cycle, which tell made-up walkers apart as they are."""

    last = "dense"

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.hidden, self.dense = nn.Linear(400, 48), nn.Linear(48, 24)
        with torch.no_grad():
            for layer in (self.hidden, self.dense):
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) / layer.in_features**0.5)
                layer.bias.zero_()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.dense(torch.relu(self.hidden(rows.flatten(1))))
        return features


RECIPE = Recipe(
    name="handmade",
    task="verify",
    modality="gait",
    network=Handmade,
    tiny=Handmade,
    score=SCORE,
    presets={"plain": Preset((GaitCycles(),), AttackClassification(images=2), steps=1, learning_rate=0.1)},
    budget=0.05,
    likelihood=SETTINGS,
)


@pytest.fixture(scope="module")
def trained() -> FinishedRun:
    data = load(f"walks:{sum(WALKERS.values())}")
    ends = np.cumsum([0, *WALKERS.values()]).tolist()
    split = Split(*(data.subjects[a:b] for a, b in itertools.pairwise(ends)))
    return FinishedRun(RECIPE, "plain", Handmade().eval(), data, split, seed=0, steps=1)


@pytest.fixture(scope="module")
def evaluator(trained: FinishedRun) -> LikelihoodEvaluator:
    made = build_evaluator(trained)
    assert isinstance(made, LikelihoodEvaluator)
    return made


@pytest.fixture(scope="module")
def bundle(trained: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FinishedRun, "read", lambda _run: trained)
        return build.export(Path("run"), tmp_path_factory.mktemp("made") / "made.edge", say=lambda _: None)


def test_the_graph_gives_projected_features(evaluator: LikelihoodEvaluator, trained: FinishedRun) -> None:
    rows = torch.from_numpy(evaluator.graphs.samples)
    with torch.inference_mode():
        features = trained.network(rows).numpy()
        found = evaluator.graphs.network(rows).numpy()
    np.testing.assert_allclose(found, evaluator.likelihood.projection.apply(features), rtol=0, atol=1e-4)
    assert found.shape[1] == 5
    assert (
        sum(isinstance(layer, nn.Linear) for layer in evaluator.graphs.network.modules()) == 2
    )  # joined with the last
    assert trained.network.dense.out_features == 24  # type: ignore[union-attr]  # left as it was


def test_the_prior_has_the_variances_of_one_person_by_explicit_loops(
    evaluator: LikelihoodEvaluator, trained: FinishedRun
) -> None:
    rows = prepared_rows(trained.people("train").samples, (GaitCycles(),))
    with torch.inference_mode():
        features = evaluator.graphs.network(torch.tensor(rows.tensors)).double().numpy()
    features *= np.sqrt(5) / np.linalg.norm(features, axis=1, keepdims=True)
    squares, people = np.zeros(5), [sample.subject for sample in rows.samples]
    for person in trained.split.train:
        own = [row for row, subject in zip(features, people, strict=True) if subject == person]
        mean = sum(own) / len(own)
        squares += sum((row - mean) ** 2 for row in own)
    background, prior = (evaluator.likelihood.densities[path] for path in ("background.npy", "prior.npy"))
    for variances in prior.variances:
        np.testing.assert_allclose(variances, squares / len(people), rtol=1e-4)
    np.testing.assert_array_equal(prior.means, background.means)
    np.testing.assert_array_equal(prior.weights, background.weights)
    np.testing.assert_allclose(
        (background.weights[:, None] * background.means).sum(axis=0), features.mean(axis=0), atol=1e-3
    )


def test_a_network_that_names_no_last_layer_gets_one(evaluator: LikelihoodEvaluator, trained: FinishedRun) -> None:
    rows = torch.from_numpy(evaluator.graphs.samples)
    unnamed = nn.Sequential(trained.network)
    with torch.inference_mode():
        found = evaluator.likelihood.model(unnamed)(rows).numpy()
        expected = evaluator.graphs.network(rows).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_the_bundle_says_what_was_fitted(bundle: Bundle, evaluator: LikelihoodEvaluator) -> None:
    manifest = bundle.manifest
    measured_with = msgspec.structs.replace(SCORE, enrolment=10)
    assert manifest.score == measured_with.renamed(lambda name: f"model.{name}")
    (output,) = manifest.graphs[0].outputs
    assert (output.name, output.shape, output.role) == ("features", ("batch", 5), "features")
    assert [variant.id for variant in manifest.variants] == ["fp32.onnx", "int8.onnx"]
    files = {entry.path: bundle.read(entry) for entry in manifest.auxiliary}
    background, prior = files["background.npy"], files["prior.npy"]
    assert GaussianMixture.decode(background).means.shape == (4, 5)
    reference = bundle.read_graphs("fp32.onnx")["model"]
    pipeline = manifest.preprocessing
    assert manifest.embedding_space_id == embedding_space_id(pipeline, reference, background, prior)
    assert manifest.embedding_space_id != embedding_space_id(pipeline, reference)
    for variant in manifest.variants:
        for point in variant.operating_points:
            if isinstance(point, VerifyPoint):
                compared = COMPARED.replace("10 enrolment", f"{point.references} enrolment")
                assert point.data == f"walks, thresholds people, random impostors, {compared}"
                assert point.subjects == WALKERS["thresholds"]
        eer = {point.references: point for point in variant.operating_points if point.name == "eer"}
        assert {count: isinstance(point, VerifyPoint) for count, point in eer.items()} == {
            10: True,
            20: True,
            500: False,
        }


def test_thresholds_are_those_of_explicit_enrolments(
    bundle: Bundle, evaluator: LikelihoodEvaluator, trained: FinishedRun
) -> None:
    found = evaluator.scores(REFERENCE, evaluator.graphs.onnx, "thresholds")
    cycles, people, walks = [], [], []
    with Verifier(bundle, precision="fp32.onnx") as verifier:
        for sample in trained.people("thresholds").samples:
            made = verifier.embed(sample.path)
            cycles.append(made)
            people += [sample.subject] * len(made)
            walks += [str(sample.path)] * len(made)
        features = np.concatenate(cycles)
        plan = build_groups(people, walks, enrolment=10, test=5)
        scores = []
        for reference, query in zip(plan.reference[::40], plan.query[::40], strict=True):
            compared = verifier.compare(features[plan.enrolments[reference]], features[plan.tests[query]])
            scores.append(compared.score)
    np.testing.assert_allclose(found.scores[::40], scores, atol=1e-4)
    point = next(one for one in bundle.manifest.variant("fp32.onnx").operating_points if one.name == "fmr_1e-1")
    assert isinstance(point, VerifyPoint)
    assert point.threshold == threshold_at_fmr(found, 0.1)


def test_the_golden_trial_runs_on_the_device(bundle: Bundle) -> None:
    assert passed(selftest(bundle))


def test_the_model_card_has_rates_for_each_number_of_cycles(bundle: Bundle) -> None:
    card = next(entry for entry in bundle.manifest.auxiliary if entry.path == "MODEL_CARD.md")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in bundle.read(card).decode().splitlines()]
    ranks = [line[1:4] for line in lines if len(line) == 7 and line[0] == "fp32.onnx" and line[1].isdecimal()]
    assert ranks == [["10", "5", "3"], ["20", "8", "3"]]  # nobody has 500 cycles
    points = [line[1:4] for line in lines if len(line) == 6 and line[0] == "fp32.onnx" and line[2].isdecimal()]
    assert ["fmr_1e-1", "10", "5"] in points
    assert ["fmr_1e-1", "20", "8"] in points


def test_what_the_score_needs_is_asked_for(trained: FinishedRun) -> None:
    with pytest.raises(UsageError, match="no export of a gait model"):
        build_evaluator(replace(trained, recipe=replace(RECIPE, likelihood=None)))
    few = replace(trained, split=replace_people(trained.split, train=trained.split.train[:1]))
    with pytest.raises(ScoreError, match="2 people or more, not 1"):
        build_evaluator(few)
    many = replace(RECIPE, likelihood=replace(SETTINGS, modes=5000))
    with pytest.raises(ScoreError, match="5000 modes need at least 10000 rows"):
        build_evaluator(replace(trained, recipe=many))


def test_one_walk_a_person_measures_nothing(trained: FinishedRun) -> None:
    firsts = {sample.subject: sample for sample in trained.data.samples}
    kept = [s for s in trained.data.samples if s.subject not in trained.split.thresholds or s is firsts[s.subject]]
    made = build_evaluator(replace(trained, data=Dataset("walks", tuple(kept))))
    with pytest.raises(ScoreError, match="two samples at least"):
        made.points(REFERENCE, made.graphs.onnx)


def test_an_enrolment_that_the_device_refuses_accepts_nobody(evaluator: LikelihoodEvaluator) -> None:
    class Refusing(LogLikelihoodRatio, frozen=True, kw_only=True, tag="refusing"):
        def enroll(self, values: object, model: object) -> GaussianMixture:
            raise ScoreError("far away")

    refusing = Refusing(output="features", background="background.npy", relevance=8.0, clip=20.0, normalised=True)
    scores = replace(evaluator, score=refusing).scores(REFERENCE, evaluator.graphs.onnx, "test")
    assert isinstance(scores, ScoreSet)
    assert set(scores.scores) == {-20.0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"projection": "tsne"}, "no projection"),
        ({"flow": "nice"}, "no flow"),
        ({"dims": 65}, "1 to 64 dims"),
        ({"variance_floor": 0.0}, "floors"),
        ({"modes": 0}, "counted from 1"),
        ({"protocols": ()}, "counted from 1"),
        ({"protocols": (RowCounts(10, 0),)}, "counted from 1"),
    ],
)
def test_settings_out_of_range_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SETTINGS, **changed)


def replace_people(split: Split, **groups: tuple[str, ...]) -> Split:
    return Split(**{name: groups.get(name, getattr(split, name)) for name in split.__struct_fields__})


def test_walks_without_cycles_are_left_out(trained: FinishedRun, tmp_path: Path) -> None:
    standing = tmp_path / "standing.csv"
    rng = np.random.default_rng(0)
    lines = (f"{k * 38},{x:.3f},{9.8 + y:.3f},{z:.3f}\n" for k, (x, y, z) in enumerate(rng.normal(0, 0.02, (700, 3))))
    standing.write_text("".join(lines))
    first = trained.people("test").samples[0]
    with_it = Dataset("walks", (*trained.data.samples, replace(first, path=standing)))
    made = build_evaluator(replace(trained, data=with_it))
    assert isinstance(made, LikelihoodEvaluator)
    scores = made.scores(REFERENCE, made.graphs.onnx, "test")
    assert scores.subject_count == WALKERS["test"]
    only = Dataset(
        "walks", tuple(replace(s, path=standing) if s.subject == first.subject else s for s in with_it.samples)
    )
    made = build_evaluator(replace(trained, data=only, split=replace_people(trained.split, test=(first.subject,))))
    with pytest.raises(DatasetError, match="gives anything"):
        made.test_tables(build.MeasuredVariant(REFERENCE, made.graphs.onnx, ()))


@pytest.fixture(scope="module")
def others() -> Dataset:
    """Six walkers of nobody's training."""
    return load("walks:6@9")


def test_evaluation_measures_by_numbers_of_cycles(bundle: Bundle, others: Dataset, tmp_path: Path) -> None:
    found = evaluate(bundle, others, precision="fp32.onnx", replicates=50)
    rows = [(m.forgeries, m.references, m.queries, m.subjects) for m in found.report.measurements]
    assert rows == [("random", *counts, 6) for counts in COUNTS]
    assert found.report.identification == ()
    thresholds = {point.name: point.threshold for point in found.report.measurements[0].points}
    variant = bundle.manifest.variant("fp32.onnx")
    assert thresholds == {name: point.threshold for name, point in verify_points(variant, 10).items()}
    several = [verify_points(variant, one.references) for one in found.report.measurements]
    assert [points["eer"].references for points in several] == [10, 10, 20, 20]
    text = report.text(found.report)
    assert "10 + 5" in text
    assert "30 + 20" in text
    _, page = report.write(found, tmp_path)
    assert "10 + 5 rows" in page.read_text()


def test_walks_of_one_session_a_person_are_no_data_for_evaluation(bundle: Bundle, others: Dataset) -> None:
    firsts = tuple({sample.subject: sample for sample in others.samples}.values())
    with pytest.raises(ScoreError, match="two samples at least"):
        evaluate(bundle, replace(others, samples=firsts), precision="fp32.onnx", replicates=50)


def test_thresholds_are_fitted_again_on_other_walkers(bundle: Bundle, others: Dataset, tmp_path: Path) -> None:
    found = recalibrate(bundle, others, tmp_path / "mine.edge", precision="fp32.onnx")
    (one,) = found.fitted
    assert one.impostors == "random impostors, 10 enrolment and 5 test rows"
    assert one.subjects == 6
    assert found.bundle.manifest.embedding_space_id == bundle.manifest.embedding_space_id
    few = replace(others, samples=tuple(s for s in others.samples if s.subject < "walks/9-3"))
    with pytest.raises(DatasetError, match="at least 5"):
        recalibrate(bundle, few, tmp_path / "few.edge", precision="fp32.onnx")


@pytest.mark.parametrize("kind", ["realnvp"])
def test_a_flow_is_a_second_graph_whose_latents_have_the_densities(
    kind: str, trained: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "FLOW", replace(likelihood.FLOW, epochs=1))
    with_flow = replace(RECIPE, likelihood=replace(SETTINGS, flow=kind), score=replace_score(SCORE, normalised=False))
    run = replace(trained, recipe=with_flow)
    monkeypatch.setattr(FinishedRun, "read", lambda _run: run)
    made = build.export(Path("run"), tmp_path / "flow.edge", enforce=False, say=lambda _: None)
    density = made.manifest.graphs[1]
    assert made.manifest.score.output == "density.latent"  # type: ignore[union-attr]
    assert density.inputs[0].feed == "model.features"
    assert passed(selftest(made))
    evaluator = build_evaluator(run)
    assert isinstance(evaluator, LikelihoodEvaluator)
    samples = trained.people("test").samples[:2]
    rows = prepared_rows(samples, (GaitCycles(),))
    assert evaluator.likelihood.flow is not None
    with torch.inference_mode():
        features = evaluator.graphs.network(torch.tensor(rows.tensors))
        latents = evaluator.likelihood.flow.eval()(features)[0].numpy()
    for precision in ("fp32.onnx", "int8.onnx"):
        with Verifier(made, precision=precision) as verifier:
            found = np.concatenate([verifier.embed(sample.path) for sample in samples])
        tolerance = 1e-3 if precision == "fp32.onnx" else 1.0
        np.testing.assert_allclose(found, latents, atol=tolerance)
    spaces = {made.manifest.embedding_space_id, build_evaluator(trained).interface().embedding_space_id}
    assert len(spaces) == 2


def replace_score(score: LogLikelihoodRatio, **changed: object) -> LogLikelihoodRatio:
    return msgspec.structs.replace(score, **changed)
