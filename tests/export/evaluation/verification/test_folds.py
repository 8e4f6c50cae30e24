"""Accuracy by fold against explicit loops, and what LFW prints of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import ScoreError
from edge_sdk.export.evaluation.verification.folds import MeanAccuracy, decide, each_by_the_others

FOLDS = 4


@pytest.fixture
def scores() -> tuple[ScoreSet, np.ndarray]:
    rng = np.random.default_rng(4)
    mated = rng.random(120) < 0.5
    values = np.round(rng.normal(size=120) + 1.5 * mated, 1)  # with ties
    return ScoreSet(values, mated, rng.integers(0, 30, 120)), rng.integers(1, FOLDS + 1, 120)


def accuracy(scores: ScoreSet, chosen: np.ndarray, threshold: float) -> float:
    rows = zip(scores.scores[chosen], scores.mated[chosen], strict=True)
    return sum((score >= threshold) == mated for score, mated in rows) / chosen.sum()


def test_each_fold_is_decided_by_the_best_threshold_of_the_others(scores: tuple[ScoreSet, np.ndarray]) -> None:
    found, folds = scores
    results = each_by_the_others(found, folds)

    assert [result.folds for result in results] == [(1,), (2,), (3,), (4,)]
    for result in results:
        tested = folds == result.folds[0]
        best = max(accuracy(found, ~tested, t) for t in [*np.unique(found.scores), math.inf])
        assert result.chosen_on == tuple(k for k in range(1, FOLDS + 1) if k != result.folds[0])
        assert result.fitted == pytest.approx(best)
        assert result.fitted == pytest.approx(accuracy(found, ~tested, result.threshold))
        assert result.accuracy == pytest.approx(accuracy(found, tested, result.threshold))
        assert result.pairs == tested.sum()


def test_the_tested_fold_has_no_say_in_its_threshold(scores: tuple[ScoreSet, np.ndarray]) -> None:
    found, folds = scores
    turned = ScoreSet(found.scores, np.where(folds == 2, ~found.mated, found.mated), found.subjects)
    assert each_by_the_others(found, folds)[1].threshold == each_by_the_others(turned, folds)[1].threshold


def test_a_held_out_part_is_tested_together(scores: tuple[ScoreSet, np.ndarray]) -> None:
    found, folds = scores
    result = decide(found, folds, (1, 2), (3, 4))
    tested = np.isin(folds, (3, 4))
    assert result.accuracy == pytest.approx(accuracy(found, tested, result.threshold))
    assert (result.folds, result.chosen_on, result.pairs) == ((3, 4), (1, 2), tested.sum())


def test_the_mean_is_given_as_lfw_gives_it(scores: tuple[ScoreSet, np.ndarray]) -> None:
    """mu +- sigma / sqrt(10), sigma the estimate of the deviation, with 9 in its denominator for ten folds."""
    results = each_by_the_others(*scores)
    values = [result.accuracy for result in results]
    mean = sum(values) / FOLDS
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (FOLDS - 1))

    found = MeanAccuracy.of(results)

    assert (found.mean, found.deviation) == (pytest.approx(mean), pytest.approx(deviation))
    assert found.standard_error == pytest.approx(deviation / 2)
    assert MeanAccuracy.of(results[:1]) == MeanAccuracy(results[0].accuracy, None, None)


def test_folds_that_decide_nothing(scores: tuple[ScoreSet, np.ndarray]) -> None:
    found, folds = scores
    with pytest.raises(ScoreError, match="would choose the threshold"):
        decide(found, folds, (1, 2), (2, 3))
    with pytest.raises(ScoreError, match=r"no pairs in the folds \(9,\)"):
        decide(found, folds, (1, 2), (9,))
    with pytest.raises(ScoreError, match="there is \\[1\\] alone"):
        each_by_the_others(found, np.ones_like(folds))
