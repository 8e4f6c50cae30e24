"""Several liveness runs as one bundle: weights, names, scores, and runs that do not go together."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from edge_sdk import SpoofDetector, images
from edge_sdk.cli import main
from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.networks.classifier import BinaryClassifier
from edge_sdk.export.packaging import fusion
from edge_sdk.export.recipes import Recipe
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import EmbeddingDistance, Fusion, LatentDistance, Lowest
from edge_sdk.preprocess import apply
from edge_sdk.preprocess.crop import FaceCrop
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

Column = NDArray[np.float64]


def drawn(*gaps: float, count: int = 60) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of unit variance whose means differ by these gaps between live pictures and attacks; a third are live."""
    live = np.arange(count) % 3 == 0
    noise = np.random.default_rng(0).normal(size=(count, len(gaps)))
    return noise + live[:, None] * np.array(gaps), live


def loss(scores: NDArray[np.float64], live: NDArray[np.bool_], weights: Column, bias: float) -> float:
    """The module's formula, one picture at a time."""
    spread = scores.std(axis=0)
    total = sum((w * s) ** 2 for w, s in zip(weights, spread, strict=True)) / 2
    for row, is_live in zip(scores.tolist(), live.tolist(), strict=True):
        odds = bias + sum(w * s for w, s in zip(weights, row, strict=True))
        share = len(live) / 2 / sum(live == is_live)
        total += share * math.log1p(math.exp(-odds if is_live else odds))
    return total


def test_the_weights_are_the_best_ones() -> None:
    scores, live = drawn(2.0, 1.0)
    scores *= [1e-3, 100]  # a mean squared error and a log-likelihood
    weights, bias = fusion.fit(scores, live)
    best = loss(scores, live, weights, bias)
    for change in (0.98, 1.02):
        assert loss(scores, live, weights * [change, 1], bias) > best
        assert loss(scores, live, weights * [1, change], bias) > best
        assert loss(scores, live, weights, bias * change) > best
    assert weights[0] * scores[:, 0].std() > weights[1] * scores[:, 1].std() > 0


def test_a_score_that_is_higher_for_attacks_gets_no_weight() -> None:
    scores, live = drawn(2.0, -1.0, 1.0)
    weights, bias = fusion.fit(scores, live)
    alone, alone_bias = fusion.fit(scores[:, [0, 2]], live)
    assert weights == pytest.approx([alone[0], 0, alone[1]])
    assert bias == pytest.approx(alone_bias)
    with pytest.raises(UsageError, match="no score"):
        fusion.fit(*drawn(-1.0, -2.0))


@pytest.fixture(scope="module")
def runs(live_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One miniature, and the same again as if of another recipe."""
    other = tmp_path_factory.mktemp("fused") / "other"
    shutil.copytree(live_run, other)
    described = json.loads((other / "run.json").read_text()) | {"recipe": "other"}
    (other / "run.json").write_text(json.dumps(described))
    return [live_run, other]


@pytest.fixture(autouse=True)
def known_recipes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recipe]:
    base = recipes.get("ganomaly")
    other = replace(base, name="other", score=LatentDistance(first="latent", second="latent_reconstructed"))
    known = {"ganomaly": base, "other": other}
    monkeypatch.setattr(recipes, "get", known.__getitem__)
    return known


@pytest.mark.slow
def test_one_bundle_holds_both(runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "fit", lambda scores, _live: (np.array([2.0, 0.5]) + 0 * scores[0], -1.0))
    assert main(["export", *map(str, runs), "--out", str(tmp_path / "both.edge"), "--report-only"]) == 0
    with SpoofDetector(tmp_path / "both.edge", precision="fp32", engine="onnxruntime", faces="cropped") as detector:
        manifest = detector.bundle.manifest
        made = [FinishedRun.read(run) for run in runs]
        paths = [sample.path for sample in made[0].people("test").samples][::5]
        found = [detector.detect(path).score for path in paths]
    assert manifest.name == "ganomaly-other"
    assert {output.name: output.role for output in manifest.graphs[0].outputs} == {
        "ganomaly.reconstruction": "reconstruction", "other.latent": "latent", "other.latent_reconstructed": "latent"
    }  # fmt: skip
    assert isinstance(manifest.score, Fusion)
    assert manifest.training.steps == 8
    x = np.stack([apply(made[0].preset.preprocessing, images.load(path)) for path in paths])
    expected = np.full(len(paths), -1.0)
    for weight, one in zip((2.0, 0.5), made, strict=True):
        with torch.no_grad():
            outputs = one.network.eval().outputs(torch.from_numpy(x), one.recipe.outputs)  # type: ignore[operator]
        named = {name: tensor.numpy() for name, tensor in zip(one.recipe.outputs, outputs, strict=True)}
        expected += weight * one.recipe.score.score({"image": x} | named)
    assert found == pytest.approx(expected, rel=1e-4)
    assert passed(selftest(tmp_path / "both.edge", engine="onnxruntime"))


@pytest.mark.slow
def test_experts_of_different_attacks(live_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the lowest of the odds that each gives its own attacks."""
    monkeypatch.undo()
    faces = json.loads((live_run / "run.json").read_text())["data"][0]
    data = [faces, f"print+{faces}"]
    runs = [tmp_path / name for name in ("spoof_lbp", "spoof_lite")]
    for run, preset in zip(runs, ("recorded", "rendered"), strict=True):
        command = ["train", run.name, "--preset", preset, "--tiny", "--steps", "4", "--out", str(run), "--data", *data]
        assert main([*command, "--split", str(live_run / "split.json")]) == 0
    out = tmp_path / "both.edge"
    monkeypatch.setattr(fusion, "fit", lambda x, _live: (1 / x.std(axis=0), -float(x.mean() / x.std())))
    assert main(["export", *map(str, runs), "--fusion", "lowest", "--out", str(out), "--report-only"]) == 0

    made = [FinishedRun.read(run) for run in runs]

    def logits(one: FinishedRun, samples: list[Sample]) -> NDArray[np.float64]:
        x = np.stack([apply(one.preset.preprocessing, images.load(sample.path)) for sample in samples])
        with torch.no_grad():
            found = one.recipe.inference_model(one.network.eval())(torch.from_numpy(x))
        return np.asarray(found[:, 0].numpy(), np.float64)

    validation, test = (list(made[0].people(role).samples) for role in ("validation", "test"))
    expected = []
    for one, rendered in zip(made, (False, True), strict=True):
        judged = [sample for sample in validation if sample.genuine or sample.rendered == rendered]
        assert {sample.genuine for sample in judged} == {True, False}
        assert len(judged) < len(validation)
        expected.append((logits(one, test) - logits(one, judged).mean()) / logits(one, judged).std())
    with SpoofDetector(out, precision="fp32", engine="onnxruntime", faces="cropped") as detector:
        found = [detector.detect(sample.path).score for sample in test]
        assert isinstance(detector.bundle.manifest.score, Lowest)
    assert found == pytest.approx(np.min(expected, axis=0), abs=0.02, rel=0.01)
    assert len(set(np.argmin(expected, axis=0))) == 2, "one of the experts has no say"

    knowing = tmp_path / "knowing.edge"
    command = [
        "export",
        *map(str, runs),
        "--fusion",
        "lowest",
        "--abstain",
        "0.02",
        "--out",
        str(knowing),
        "--report-only",
    ]
    assert main(command) == 0
    known = []
    with SpoofDetector(knowing, precision="fp32", engine="onnxruntime", faces="cropped") as detector:
        score = detector.bundle.manifest.score
        assert isinstance(score, Lowest)
        manifest = detector.bundle.manifest
        files = {entry.path: detector.bundle.read(entry) for entry in manifest.auxiliary}
        roles = {"model.spoof_lbp.logit", "model.spoof_lite.logit", "model.spoof_lbp.look", "model.spoof_lite.look"}
        assert set(score.outputs) == roles
        shown = [detector.examine(sample.path) for sample in test]
        for one, domain in zip(made, score.domains, strict=True):
            assert domain is not None
            density = GaussianMixture.decode(files[domain.likelihood.density])
            train, judged = (
                [s for s in one.people(role).samples if s.genuine or s.rendered == (one is made[1])]
                for role in ("train", "validation")
            )
            seen, validated, tested = (features(one, samples) for samples in (train, judged, test))
            components = PCA(min(16, *seen.shape)).fit(seen)
            used = components.explained_variance_ > 1e-3 * components.explained_variance_[0]
            looks = [
                (components.transform(rows) / np.sqrt(components.explained_variance_))[:, used]
                for rows in (validated, tested)
            ]
            assert domain.least == pytest.approx(np.quantile(density.log_likelihood(looks[0]), 0.02), rel=0.02)
            known.append(density.log_likelihood(looks[1]) - domain.least)
        sure = np.abs(known).min(axis=0) > 0.05 * np.abs([domain.least for domain in score.domains if domain]).max()
        unfamiliar = (np.array(known) < 0).all(axis=0)
        assert sure.sum() > len(test) / 2
        for one, strange, is_sure in zip(shown, unfamiliar, sure, strict=True):
            assert not is_sure or ("unfamiliar" in one.flags) == strange
        spoken = np.where(np.array(known) < 0, np.inf, np.array(expected)).min(axis=0)
        for one, value, is_sure in zip(shown, spoken, sure, strict=True):
            assert not is_sure or math.isnan(one.score) or one.score == pytest.approx(value, abs=0.05, rel=0.02)


@torch.no_grad()
def features(one: FinishedRun, samples: list[Sample]) -> NDArray[np.float64]:
    """What the networks' logits are sums of."""
    x = np.stack([apply(one.preset.preprocessing, images.load(sample.path)) for sample in samples])
    network = one.network.eval()
    assert isinstance(network, BinaryClassifier)
    return np.asarray(network.classify(torch.from_numpy(np.rint(x * 255) / 255).float()).features.numpy(), np.float64)


def test_only_experts_abstain(runs: list[Path]) -> None:
    for chosen, rule in ((runs, "sum"), (runs[:1], "lowest")):
        with pytest.raises(UsageError, match="experts abstain where the lowest of several"):
            fusion.read(chosen, rule, abstain=0.01)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ganomaly learns no attacks"):
        fusion.read(runs, "lowest", abstain=0.01)
    with pytest.raises(UsageError, match="from 0 to below 1, not 1"):
        fusion.read(runs, "lowest", abstain=1.0)


def test_an_expert_needs_its_attacks_among_the_validation_people(
    live_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    runs = [tmp_path / name for name in ("spoof_lbp", "spoof_lite")]
    data = json.loads((live_run / "run.json").read_text())["data"]
    for run in runs:
        command = ["train", run.name, "--tiny", "--steps", "4", "--out", str(run), "--data", *data]
        assert main([*command, "--split", str(live_run / "split.json")]) == 0
    known = {run.name: recipes.get(run.name) for run in runs}
    preset = replace(known["spoof_lite"].preset("best"), objective=AttackClassification(images=2, attacks="rendered"))
    known["spoof_lite"] = replace(known["spoof_lite"], presets={"best": preset})
    monkeypatch.setattr(recipes, "get", known.__getitem__)
    monkeypatch.setattr(fusion, "fit", lambda _scores, _live: (np.ones(1), 0.0))
    with pytest.raises(UsageError, match="spoof_lite's odds are unknown: there are no rendered attacks"):
        fusion.read(runs, "lowest")


def test_runs_that_do_not_go_together(runs: list[Path], known_recipes: dict[str, Recipe], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="different recipes"):
        fusion.read([runs[0], runs[0]])
    other = known_recipes["other"]
    known_recipes["other"] = replace(other, face=FaceCrop(scale=2.0, overflow="black"))
    with pytest.raises(UsageError, match=r"ganomaly and other cannot be fused.*crop of a face"):
        fusion.read(runs)
    known_recipes["other"] = replace(other, task="verify", score=EmbeddingDistance(output="embedding", metric="cosine"))
    with pytest.raises(UsageError, match="other does not tell live faces"):
        fusion.read(runs)
    known_recipes["other"] = other
    shutil.copytree(runs[1], tmp_path / "run")
    split = Split.read(runs[1] / "split.json")
    msgspec.structs.replace(split, test=split.guardrail, guardrail=split.test).write(tmp_path / "run/split.json")
    with pytest.raises(UsageError, match="the same --split"):
        fusion.read([runs[0], tmp_path / "run"])
