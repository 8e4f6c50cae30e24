"""EER with a threshold of each person's own, against scikit-learn's curves person by person."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from edge_sdk.calibration.metrics.own_thresholds import (
    mean_subject_eer,
    mean_subject_eer_difference,
    subject_eers,
)
from edge_sdk.calibration.metrics.verification import ScoreSet, eer
from edge_sdk.errors import ScoreError

PEOPLE = 12


def scores(seed: int = 0, shift: float = 1.5) -> ScoreSet:
    """Of people whose scores lie at very different heights."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(PEOPLE), 40)
    mated = np.tile([True, False], person.size // 2)
    return ScoreSet(rng.normal(size=person.size) + shift * mated + 5 * person, mated, person)


def interpolated_eer(mated: np.ndarray, values: np.ndarray) -> float:
    fpr, tpr, _ = roc_curve(mated, values, drop_intermediate=False)
    gap = (1 - tpr) - fpr
    right = int(np.argmax(gap <= 0))
    share = gap[right - 1] / (gap[right - 1] - gap[right])
    return float(fpr[right - 1] + share * (fpr[right] - fpr[right - 1]))


def test_each_persons_eer_is_that_of_the_persons_own_roc() -> None:
    found = scores()
    expected = [
        interpolated_eer(found.mated[found.subjects == person], found.scores[found.subjects == person])
        for person in range(PEOPLE)
    ]
    assert subject_eers(found) == pytest.approx(expected)
    mean = mean_subject_eer(found)
    assert mean.value == pytest.approx(statistics.fmean(expected))
    assert min(expected) < mean.low < mean.value < mean.high < max(expected)


def test_people_at_different_heights_lose_nothing_by_thresholds_of_their_own() -> None:
    found = scores()
    assert eer(found).eer > mean_subject_eer(found).value + 0.1
    level = ScoreSet(found.scores - 5 * found.subjects, found.mated, found.subjects)
    assert subject_eers(level) == pytest.approx(subject_eers(found))


def test_a_person_without_forgeries_or_without_signatures_to_compare_is_left_out() -> None:
    found = scores()
    kept = ~((found.subjects == 0) & found.mated) & ~((found.subjects == 1) & ~found.mated)
    fewer = ScoreSet(found.scores[kept], found.mated[kept], found.subjects[kept])
    rates = subject_eers(fewer)
    assert np.isnan(rates[:2]).all()
    assert mean_subject_eer(fewer).value == pytest.approx(rates[2:].mean())
    one = fewer.subjects < 3
    with pytest.raises(ScoreError, match="at least 2"):
        mean_subject_eer(ScoreSet(fewer.scores[one], fewer.mated[one], fewer.subjects[one]))


def test_a_difference_is_of_the_same_people_and_comparisons() -> None:
    worse, better = scores(shift=1.0), scores(shift=2.0)
    found = mean_subject_eer_difference(better, worse)
    assert found.value == pytest.approx(mean_subject_eer(better).value - mean_subject_eer(worse).value)
    assert found.low < found.value < found.high < 0
    nothing = mean_subject_eer_difference(worse, worse)
    assert (nothing.low, nothing.value, nothing.high) == (0, 0, 0)
    other = ScoreSet(worse.scores, ~worse.mated, worse.subjects)
    with pytest.raises(ScoreError, match="same comparisons"):
        mean_subject_eer_difference(better, other)
