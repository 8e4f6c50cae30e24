"""Normalised scores against explicit loops."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from edge_sdk.calibration.metrics.cohort import cohort_statistics, normalised_scores
from edge_sdk.calibration.metrics.pairs import build_pairs
from edge_sdk.errors import ScoreError

SUBJECTS = ["a"] * 6 + ["b"] * 6
GENUINE = [True, True, True, True, False, False] * 2
TOP = 4


def unit(seed: int, count: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 5))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


EMBEDDINGS, COHORT = unit(0, len(SUBJECTS)), unit(1, 9)


def score(first: np.ndarray, second: np.ndarray) -> float:
    return 1 - float(np.linalg.norm(first - second)) / 2


def relative(raw: float, embedding: np.ndarray) -> float:
    nearest = sorted((score(embedding, other) for other in COHORT), reverse=True)[:TOP]
    return (raw - statistics.fmean(nearest)) / statistics.pstdev(nearest)


@pytest.mark.parametrize("references", [1, 2])
@pytest.mark.parametrize("norm", ["z", "s"])
def test_every_score_equals_the_explicit_loop(norm: str, references: int) -> None:
    pairs = build_pairs(SUBJECTS, GENUINE, references=references)
    found = normalised_scores(pairs, EMBEDDINGS, SUBJECTS, COHORT, top=TOP, norm=norm)
    for value, rows, query in zip(found.scores, pairs.references, pairs.queries, strict=True):
        expected = []
        for row in rows:
            raw = score(EMBEDDINGS[row], EMBEDDINGS[query])
            sides = [EMBEDDINGS[row]] if norm == "z" else [EMBEDDINGS[row], EMBEDDINGS[query]]
            expected.append(statistics.fmean(relative(raw, side) for side in sides))
        assert value == pytest.approx(statistics.fmean(expected), abs=1e-4)  # raw scores are rounded to 6 digits
    assert np.array_equal(found.mated, pairs.mated)
    assert found.subjects.tolist() == [SUBJECTS[row] for row in pairs.references[:, 0]]


@pytest.mark.parametrize("top", [1, len(COHORT) + 1])
def test_a_cohort_has_at_least_two_and_as_many_as_asked_for(top: int) -> None:
    with pytest.raises(ScoreError, match="take from 2 to 9"):
        cohort_statistics(EMBEDDINGS, COHORT, top=top)


def test_equally_far_strangers_measure_nothing() -> None:
    with pytest.raises(ScoreError, match="equally far"):
        cohort_statistics(EMBEDDINGS, np.repeat(COHORT[:1], 5, axis=0), top=3)
