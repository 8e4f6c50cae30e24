"""The background that is fitted to training people, and people whom none can be fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from edge_sdk.calibration.person_model import PEOPLE, _regression, fit_background
from edge_sdk.errors import ScoreError
from edge_sdk.scoring.person_model import log_ratios

from ..scoring.people import DIMS, drawn

TRAINING = drawn(12, seed=3)


def test_equal_people_give_equal_bytes() -> None:
    assert fit_background(*TRAINING).encode() == fit_background(*TRAINING).encode()


def test_the_training_people_vary_alike_in_all_directions_of_the_space() -> None:
    found = fit_background(*TRAINING)
    unit = TRAINING.embeddings / np.linalg.norm(TRAINING.embeddings, axis=1, keepdims=True)
    rows = unit @ found.within
    scatters = [np.cov(rows[(TRAINING.subjects == name) & TRAINING.genuine].T) for name in np.unique(TRAINING.subjects)]
    values = np.linalg.eigvalsh(np.mean(scatters, axis=0))
    assert values.max() < 1.0  # what the ridge adds is missing
    assert values[3:].min() > 0.5
    assert found.scatter == pytest.approx(np.trace(np.mean(scatters, axis=0)) / DIMS, rel=1e-3)
    assert found.widest >= found.scatter
    assert found.people == 12


def test_ratios_are_above_0_for_genuine_samples_and_below_for_others() -> None:
    found, new = fit_background(*TRAINING), drawn(10, seed=4)
    genuine = [log_ratios(new.of(f"p{i}")[:5], new.of(f"p{i}")[5:], found).mean() for i in range(10)]
    others = [log_ratios(new.of(f"p{i}")[:5], new.of(f"p{(i + 1) % 10}"), found).mean() for i in range(10)]
    assert np.mean(genuine) > 0 > np.mean(others)


def test_people_without_forgeries_are_enough() -> None:
    people = drawn(8, seed=5, forgeries=0)
    found = fit_background(*people)
    assert log_ratios(people.of("p0")[:3], people.of("p1"), found).max() < 0


def test_every_person_counts_alike() -> None:
    twice = [np.concatenate([part, part[TRAINING.subjects == "p0"]]) for part in TRAINING]
    found, before = fit_background(*twice), fit_background(*TRAINING)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.mean, before.mean, rtol=0, atol=1e-6)


def test_slope_and_offset_depend_on_no_scale_of_weights() -> None:
    """Of which Platt's smoothed targets would make another fit: findings/scikit_learn_platt_weights.sh."""
    rng = np.random.default_rng(7)
    label = rng.integers(0, 2, 400).astype(float)
    ratios, weight = rng.normal(size=400) + 2 * label - 1, rng.uniform(0.5, 2, 400)
    found = _regression(ratios, label, weight)
    for scale in (1e-6, 1 / weight.sum(), 1e6):
        assert _regression(ratios, label, scale * weight) == pytest.approx(found, rel=1e-9)
    expected = LogisticRegression(C=np.inf).fit(ratios[:, np.newaxis], label, sample_weight=weight)
    assert found == pytest.approx((expected.coef_.item(), expected.intercept_.item()), rel=0.02, abs=0.01)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        (drawn(PEOPLE - 1, seed=6), f"needs {PEOPLE}"),
        (drawn(12, seed=6, samples=1), "0 people of two genuine samples"),
    ],
)
def test_too_few_people_are_refused(people: tuple[np.ndarray, np.ndarray, np.ndarray], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        fit_background(*people)


def test_embeddings_that_are_none_or_too_long_or_all_alike_are_refused() -> None:
    subjects, genuine = np.repeat(np.arange(6), 2), np.ones(12, bool)
    with pytest.raises(ScoreError, match="not finite"):
        fit_background(np.full((12, 4), np.nan), subjects, genuine)
    with pytest.raises(ScoreError, match="up to 300 values"):
        fit_background(np.random.default_rng(0).normal(size=(12, 301)), subjects, genuine)
    with pytest.raises(ScoreError, match="do not differ"):
        fit_background(np.ones((12, 4)), subjects, genuine)
