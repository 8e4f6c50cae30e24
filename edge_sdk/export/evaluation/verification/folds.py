"""Accuracy by fold, with a threshold that was chosen on other folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import ScoreError


@dataclass(frozen=True)
class FoldAccuracy:
    """What the threshold of other folds decides in one, or in several together.

    Attributes:
        folds: That are tested.
        chosen_on: The folds that gave the threshold: the one of the highest accuracy there.
        threshold: Accepted are scores from here on.
        fitted: Accuracy on the folds that gave the threshold.
        accuracy: Share of right decisions in the tested folds.
        pairs: In the tested folds.
    """

    folds: tuple[int, ...]
    chosen_on: tuple[int, ...]
    threshold: float
    fitted: float
    accuracy: float
    pairs: int


@dataclass(frozen=True)
class MeanAccuracy:
    """Over n folds.

    Attributes:
        mean: Of the folds' accuracies.
        deviation: Their standard deviation, of n - 1 degrees of freedom; None of one fold.
        standard_error: ``deviation / sqrt(n)``, as LFW's results are given; None of one fold.
    """

    mean: float
    deviation: float | None
    standard_error: float | None

    @classmethod
    def of(cls, folds: Sequence[FoldAccuracy]) -> MeanAccuracy:
        """Of the accuracies of some folds."""
        values = np.array([fold.accuracy for fold in folds])
        if values.size < 2:
            return cls(float(values.mean()), None, None)
        deviation = float(values.std(ddof=1))
        return cls(float(values.mean()), deviation, deviation / values.size**0.5)


def decide(scores: ScoreSet, folds: NDArray[np.int64], chosen_on: Sequence[int], tested: Sequence[int]) -> FoldAccuracy:
    """Choose the threshold of the highest accuracy on some folds (the middle of ties), and test it on others.

    Raises:
        ScoreError: One of the groups is empty, shares a fold with the other, or a class is missing where the threshold
            is chosen.
    """
    if shared := sorted(set(chosen_on) & set(tested)):
        raise ScoreError(f"the folds {shared} would choose the threshold that they are tested with")
    fit, test = np.isin(folds, chosen_on), np.isin(folds, tested)
    if not fit.any() or not test.any():
        raise ScoreError(f"no pairs in the folds {tuple(tested if fit.any() else chosen_on)}")
    there = ScoreSet(scores.scores[fit], scores.mated[fit], scores.subjects[fit])
    threshold = verification.best_accuracy_threshold(there)
    right = (scores.scores >= threshold) == scores.mated
    return FoldAccuracy(
        tuple(tested), tuple(chosen_on), threshold, float(right[fit].mean()), float(right[test].mean()), int(test.sum())
    )


def each_by_the_others(scores: ScoreSet, folds: NDArray[np.int64]) -> tuple[FoldAccuracy, ...]:
    """Every fold, with the threshold of all others. Raises ScoreError of fewer than two, and as :func:`decide`."""
    numbers = np.unique(folds).tolist()
    if len(numbers) < 2:
        raise ScoreError(f"a threshold needs another fold than the tested one, and there is {numbers} alone")
    return tuple(decide(scores, folds, [k for k in numbers if k != number], [number]) for number in numbers)
