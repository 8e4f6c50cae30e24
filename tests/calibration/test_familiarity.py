"""A normal distribution of measures, and the limit beyond which a sample is unlike them."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.calibration.familiarity import fit
from edge_sdk.errors import ScoreError

PEOPLE = [f"person {k // 20}" for k in range(400)]


def values(seed: int = 0) -> np.ndarray:
    """Measures of 20 people with 20 samples each, of which the second follows the first, ``(400, 3)``."""
    normal = np.random.default_rng(seed).standard_normal((400, 3))
    return np.stack([normal[:, 0], 10 + normal[:, 0] + 0.1 * normal[:, 1], 100 * normal[:, 2]], axis=1)


def test_a_hundredth_of_the_samples_is_flagged() -> None:
    fitted = fit(("a", "b", "c"), values(), PEOPLE, data="made up")
    flagged = [not fitted.knows(row) for row in values().tolist()]
    assert np.mean(flagged) == fitted.flagged == 0.01
    assert (fitted.subjects, fitted.samples, fitted.data) == (20, 400, "made up")
    assert np.mean([not fitted.knows(row) for row in values(1).tolist()]) < 0.03


def test_measures_that_go_together_are_told_apart_together() -> None:
    fitted = fit(("a", "b", "c"), values(), PEOPLE, data="made up")
    assert fitted.knows((1.5, 11.5, 0.0))
    assert not fitted.knows((1.5, 8.5, 0.0))  # each of them alone is nothing special


def test_each_person_counts_alike() -> None:
    few = np.concatenate([values(), values(1)[:40] + np.array([5.0, 5.0, 0.0])])
    one, many = [*PEOPLE, *["other"] * 40], [*PEOPLE, *(f"other {k}" for k in range(40))]
    as_one, as_many = (fit(("a", "b", "c"), few, people, data="made up") for people in (one, many))
    assert as_one.mean[0] == pytest.approx(5 / 21, abs=0.15)
    assert as_many.mean[0] == pytest.approx(5 * 40 / 60, abs=0.15)


def test_a_measure_that_repeats_another_does_no_harm() -> None:
    doubled = values()[:, [0, 0, 2]]
    fitted = fit(("a", "again", "c"), doubled, PEOPLE, data="made up")
    assert fitted.flagged == pytest.approx(0.01)


def test_too_few_people_and_a_constant_measure_are_refused() -> None:
    with pytest.raises(ScoreError, match="4 people are too few to tell unfamiliar samples; take 5"):
        fit(("a", "b", "c"), values()[:80], PEOPLE[:80], data="made up")
    with pytest.raises(ScoreError, match="made up: 0 people"):
        fit(("a",), np.empty((0, 1)), [], data="made up")
    with pytest.raises(ScoreError, match="b is the same in all samples"):
        fit(("a", "b", "c"), values() * (1, 0, 1), PEOPLE, data="made up")
