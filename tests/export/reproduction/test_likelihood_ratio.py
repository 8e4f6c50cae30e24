"""The gait paper's score on embeddings: what it computes, on whom it is fitted, and what the table says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.calibration.metrics.pairs import Comparisons
from edge_sdk.cli import main
from edge_sdk.errors import UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.splits import Split
from edge_sdk.export.networks.projection import FeatureProjection
from edge_sdk.export.reproduction import likelihood_ratio
from edge_sdk.export.reproduction.fitted_ratio import DensityChoice, FittedRatio
from edge_sdk.export.reproduction.likelihood_ratio import LikelihoodRequest, reproduce
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

SMALL = DensityChoice("pca", 3, 1, 4.0)


def test_a_comparison_is_the_ratio_of_the_adapted_density_and_everybodys() -> None:
    """One mode, two references, relevance 2: by hand, as Reynolds' equations 11 to 14 have it."""
    projection = FeatureProjection(np.array([1.0, 0.0]), np.diag([1.0, 2.0]))
    background = GaussianMixture(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))
    embeddings = np.array([[2.0, 1.0], [4.0, 0.0], [1.5, 0.5], [0.0, 0.0]])
    pairs = Comparisons(np.array([[0, 1], [0, 1]]), np.array([2, 3]), np.array([True, False]))
    found = FittedRatio(projection, background, 2.0).scores(pairs, embeddings, ["a", "a", "a", "b"])
    rows = np.array([[1.0, 2.0], [3.0, 0.0], [0.5, 1.0], [-1.0, 0.0]])
    mean = 0.5 * rows[:2].mean(axis=0)
    variance = 0.5 * (rows[:2] ** 2).mean(axis=0) + 0.5 * 1.0 - mean**2
    away, everybody = (rows[2:] - mean) ** 2 / variance, rows[2:] ** 2
    expected = 0.5 * (everybody - away - np.log(variance)).sum(axis=1)
    assert found.scores == pytest.approx(expected)
    assert found.mated.tolist() == [True, False]
    assert found.subjects.tolist() == ["a", "a"]


def test_enrolments_of_many_comparisons_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(30, 5))
    people = [f"p{k % 5}" for k in range(30)]
    ratio = FittedRatio.fit(embeddings, people, SMALL, seed=0)
    references, queries = rng.integers(0, 30, (40, 2)), rng.integers(0, 30, 40)
    pairs = Comparisons(references, queries, np.arange(40) % 2 == 0)
    found = ratio.scores(pairs, embeddings, people).scores
    rows = ratio.projection.apply(embeddings)
    for (enrolled, query), score in zip(zip(references, queries, strict=True), found, strict=True):
        person = ratio.background.adapted(rows[enrolled], SMALL.relevance)
        tested = rows[query][None]
        assert score == pytest.approx(person.log_likelihood(tested)[0] - ratio.background.log_likelihood(tested)[0])


def test_nobody_is_compared_by_a_density_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the shipped bundle's own split of these people, nobody from training or validation takes part at all."""
    fit = FittedRatio.fit
    fitted: dict[int, set[str]] = {}
    compared: list[tuple[set[str], set[str]]] = []

    def spy(embeddings: Any, people: Sequence[str], choice: DensityChoice, seed: int) -> FittedRatio:
        found = fit(embeddings, people, choice, seed)
        fitted[id(found.background)] = set(people)
        return found

    scores = FittedRatio.scores

    def watched(self: FittedRatio, pairs: Comparisons, embeddings: Any, people: Sequence[str]) -> Any:
        used = np.unique(np.concatenate([pairs.references.ravel(), pairs.queries]))
        compared.append((fitted[id(self.background)], {people[k] for k in used}))
        return scores(self, pairs, embeddings, people)

    monkeypatch.setattr(FittedRatio, "fit", spy)
    monkeypatch.setattr(FittedRatio, "scores", watched)
    monkeypatch.setattr(likelihood_ratio, "REYNOLDS", SMALL)
    data = load("synthetic:24")
    request = LikelihoodRequest("deepsign_nano", ("synthetic:24",), choices=(SMALL, DensityChoice("pca", 3, 500, 4.0)))
    table = reproduce(request, lambda _line: None)
    split = Split.draw(data, 0)
    known = {*split.train, *split.validation}
    assert compared
    for background, people in compared:
        assert background
        assert not background & people
        assert not (background | people) & known
    assert {row[5] for row in table.table.rows} == {"as shipped", "cosine", f"ratio, {SMALL}", "ratio, chosen"}
    assert f"Chosen: {SMALL} (fold 1); {SMALL} (fold 2)." in table.notes[2]
    _, written = table.write(tmp_path)
    rows = json.loads(written.read_text())["rows"]
    for row in rows:
        if row["score"] == "cosine":
            assert row["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
        elif row["references"] == 1 and row["score"] == "as shipped":
            assert row["difference"]["value"] == pytest.approx(0, abs=1e-9), "a distance orders as the cosine does"


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "likelihood-ratio", "--out", str(tmp_path)]) == 2
    assert "--bundle and --data" in capsys.readouterr().err
    with pytest.raises(UsageError, match="does not compare embeddings"):
        reproduce(LikelihoodRequest("ganomaly_lite", ("synthetic:4",)), lambda _line: None)
    with pytest.raises(UsageError, match="--run"):
        reproduce(LikelihoodRequest("face_lite", ("synthetic:4",)), lambda _line: None)
