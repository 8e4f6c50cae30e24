"""Error rates of a verifier (numpy only).

Conventions, everywhere: a score is *higher = more genuine*; a comparison is accepted iff ``score >= threshold``;
*mated* comparisons are of one person (genuine with genuine), all others (forgeries, other people) are impostors.

    FMR(t)  = accepted impostor comparisons / impostor comparisons      (falls with t)
    FNMR(t) = rejected mated comparisons / mated comparisons            (rises with t)

Intervals: :mod:`edge_sdk.calibration.metrics.resampling`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.errors import ScoreError

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSet:
    """Scores of N comparisons.

    scores: (N,) finite, higher = more genuine. mated: (N,) bool. subjects: (N,) str or int, the person that each
    comparison belongs to (the reference's). Raises ScoreError for other shapes or a score that is not finite.
    """

    scores: Floats
    mated: NDArray[np.bool_]
    subjects: NDArray[Any]

    def __init__(self, scores: ArrayLike, mated: ArrayLike, subjects: ArrayLike) -> None:
        values = np.array(scores, dtype=np.float64)
        flags = np.array(mated, dtype=bool)
        people = np.array(subjects)
        if values.ndim != 1 or flags.shape != values.shape or people.shape != values.shape:
            shapes = f"{values.shape}, {flags.shape} and {people.shape}"
            raise ScoreError(f"scores, mated and subjects must be of one length, got shapes {shapes}")
        if not np.isfinite(values).all():
            raise ScoreError(f"{np.count_nonzero(~np.isfinite(values))} of {values.size} scores are not finite")
        for name, array in (("scores", values), ("mated", flags), ("subjects", people)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return self.scores.size

    @property
    def impostor_count(self) -> int:
        """Comparisons with a forgery or another person."""
        return int(np.count_nonzero(~self.mated))

    @property
    def mated_count(self) -> int:
        """Comparisons of one person."""
        return int(np.count_nonzero(self.mated))

    @property
    def subject_count(self) -> int:
        """Different people."""
        return int(np.unique(self.subjects).size)

    def curves(self) -> Curves:
        """The exact error curves, a threshold between any two neighbouring scores; ScoreError if a class is empty."""
        self.require_both()
        values, position = np.unique(self.scores, return_inverse=True)
        between = values[:-1] + (values[1:] - values[:-1]) / 2
        between = np.where(between > values[:-1], between, values[1:])  # neighbouring floats have no middle
        thresholds = np.concatenate([values[:1], between, [np.nextafter(values[-1], np.inf)]])
        mated = np.bincount(position[self.mated], minlength=values.size)
        impostor = np.bincount(position[~self.mated], minlength=values.size)
        return Curves.from_counts(thresholds, mated, impostor)

    def require_both(self) -> None:
        """Raise ScoreError unless there are mated and impostor comparisons."""
        if not self.mated_count or not self.impostor_count:
            raise ScoreError(
                f"error rates need mated and impostor comparisons, got {self.mated_count} and {self.impostor_count}"
            )


def concatenate(sets: Sequence[ScoreSet]) -> ScoreSet:
    """All comparisons of several sets in one; subjects of equal name are the same person. Raises ScoreError if none."""
    if not sets:
        raise ScoreError("no score sets to join")
    return ScoreSet(
        np.concatenate([s.scores for s in sets]),
        np.concatenate([s.mated for s in sets]),
        np.concatenate([s.subjects for s in sets]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """FMR and FNMR at K rising thresholds, for one score set or for a stack of bootstrap replicates.

    thresholds: (K,). fmr, fnmr: (..., K) in [0, 1]; the first point accepts everything, the last nothing.
    Every statistic below maps the last axis away: a scalar array for one set, (R,) for R replicates.
    """

    thresholds: Floats
    fmr: Floats
    fnmr: Floats
    mated_share: Floats
    """(...,) mated / all comparisons, on which plain accuracy and precision depend."""

    @classmethod
    def from_counts(cls, thresholds: Floats, mated: ArrayLike, impostor: ArrayLike) -> Curves:
        """From histograms (..., K - 1): entry j counts the scores in [thresholds[j], thresholds[j + 1])."""

        def below(counts: Floats) -> Floats:
            return np.concatenate([np.zeros((*counts.shape[:-1], 1)), np.cumsum(counts, axis=-1)], axis=-1)

        rejected, refused = below(np.asarray(mated, np.float64)), below(np.asarray(impostor, np.float64))
        positives, negatives = rejected[..., -1:], refused[..., -1:]
        with np.errstate(invalid="ignore"):  # a replicate may have drawn nobody of a class: NaN, dropped by `bootstrap`
            share = (positives / (positives + negatives))[..., 0]
            return cls(thresholds, (negatives - refused) / negatives, rejected / positives, share)

    def eer(self) -> Floats:
        """Equal error rate: where the ROC, drawn with straight lines between its points, has FMR = FNMR."""
        gap = self.fnmr - self.fmr  # rises from -1 to 1
        right = np.argmax(gap >= 0, axis=-1)[..., None]
        left = np.maximum(right - 1, 0)

        def at(curve: Floats, index: NDArray[np.intp]) -> Floats:
            return np.take_along_axis(curve, index, axis=-1)[..., 0]

        rise = at(gap, right) - at(gap, left)
        share = np.divide(-at(gap, left), rise, out=np.ones_like(rise), where=rise > 0)
        value: Floats = at(self.fnmr, left) + share * (at(self.fnmr, right) - at(self.fnmr, left))
        return np.where(np.isfinite(gap).all(axis=-1), value, np.nan)

    def threshold_at_eer(self) -> float:
        """Of one score set: where FMR and FNMR lie closest; among equals the middle one."""
        gap = np.abs(self.fnmr - self.fmr)
        best = np.flatnonzero(gap <= gap.min() + 1e-12)
        return float(self.thresholds[best[best.size // 2]])

    def auroc(self) -> Floats:
        """P(mated score > impostor score) + P(equal) / 2."""
        return np.asarray(-np.trapezoid(1 - self.fnmr, self.fmr, axis=-1))

    def fnmr_at_fmr(self, target: float) -> Floats:
        """FNMR at the lowest threshold whose real FMR is at most `target` in [0, 1]; no interpolation."""
        return np.take_along_axis(self.fnmr, self._first_at_most(target), axis=-1)[..., 0] + 0 * self.fmr[..., 0]

    def threshold_at_fmr(self, target: float) -> Floats:
        """The lowest threshold whose real FMR is at most `target`."""
        return self.thresholds[self._first_at_most(target)[..., 0]]

    def _first_at_most(self, target: float) -> NDArray[np.intp]:
        return np.expand_dims(np.argmax(self.fmr <= target, axis=-1), -1)

    def at(self, threshold: float) -> tuple[Floats, Floats]:
        """(FMR, FNMR) at one of the thresholds, or at the next one above."""
        index = min(int(np.searchsorted(self.thresholds, threshold)), self.thresholds.size - 1)
        return self.fmr[..., index], self.fnmr[..., index]


Statistic: TypeAlias = Callable[[Curves], Floats]


class ErrorRates(NamedTuple):
    """At one threshold, each in [0, 1]."""

    fmr: float
    fnmr: float


class EqualErrorRate(NamedTuple):
    """EER in [0, 1], and a threshold that comes closest to it."""

    eer: float
    threshold: float


class Decisions(NamedTuple):
    """accuracy: share of right decisions. balanced_accuracy: 1 - (FMR + FNMR) / 2, free of the class sizes."""

    accuracy: float
    precision: float
    recall: float
    balanced_accuracy: float


class DetCurve(NamedTuple):
    """(K,) each, thresholds rising: FMR falls from 1 to 0 while FNMR rises from 0 to 1."""

    fmr: Floats
    fnmr: Floats
    thresholds: Floats


def fmr_fnmr(scores: ScoreSet, threshold: float) -> ErrorRates:
    """(FMR, FNMR) at `threshold`, counted exactly. Raises ScoreError if a class is empty or the threshold is NaN."""
    scores.require_both()
    if np.isnan(threshold):
        raise ScoreError("the threshold is NaN")
    accepted = scores.scores >= threshold
    return ErrorRates(float(accepted[~scores.mated].mean()), float((~accepted[scores.mated]).mean()))


def eer(scores: ScoreSet) -> EqualErrorRate:
    """(EER, threshold): the interpolated equal error rate, and the threshold where FMR and FNMR lie closest.

    The threshold lies midway between two neighbouring scores; among equals the middle one is taken.
    """
    curves = scores.curves()
    return EqualErrorRate(float(curves.eer()), curves.threshold_at_eer())


def auroc(scores: ScoreSet) -> float:
    """Area under the ROC curve in [0, 1]; a tie counts one half."""
    return float(scores.curves().auroc())


def fnmr_at_fmr(scores: ScoreSet, target: float) -> float:
    """FNMR at the lowest threshold whose real FMR is at most `target`: the request is never exceeded."""
    return float(scores.curves().fnmr_at_fmr(target))


def threshold_at_fmr(scores: ScoreSet, target: float) -> float:
    """The lowest threshold whose real FMR on these scores is at most `target`."""
    return float(scores.curves().threshold_at_fmr(target))


def best_accuracy_threshold(scores: ScoreSet) -> float:
    """The threshold of the highest share of right decisions, which depends on the class sizes; the middle of ties."""
    return _threshold_of_least_error(scores, scores.curves().mated_share)


def best_balanced_accuracy_threshold(scores: ScoreSet) -> float:
    """The threshold of the highest balanced accuracy (the measure of the signature literature); the middle of ties."""
    return _threshold_of_least_error(scores, 0.5)


def _threshold_of_least_error(scores: ScoreSet, mated_share: float | Floats) -> float:
    curves = scores.curves()
    total = 2 * (curves.fmr * (1 - mated_share) + curves.fnmr * mated_share)
    best = np.flatnonzero(total <= total.min() + 1e-12)
    return float(curves.thresholds[best[best.size // 2]])


def accuracy_precision_recall(scores: ScoreSet, threshold: float) -> Decisions:
    """Decisions at `threshold`; precision is 0 where nothing is accepted (scikit-learn's zero_division=0)."""
    fmr, fnmr = fmr_fnmr(scores, threshold)
    mated, impostors = scores.mated_count, scores.impostor_count
    true_accepts, false_accepts = (1 - fnmr) * mated, fmr * impostors
    accepts = true_accepts + false_accepts
    return Decisions(
        accuracy=(true_accepts + impostors - false_accepts) / (mated + impostors),
        precision=true_accepts / accepts if accepts else 0.0,
        recall=1 - fnmr,
        balanced_accuracy=1 - (fmr + fnmr) / 2,
    )


def det_curve(scores: ScoreSet) -> DetCurve:
    """All points of the detection error trade-off; ROC = (fmr, 1 - fnmr)."""
    curves = scores.curves()
    return DetCurve(curves.fmr, curves.fnmr, curves.thresholds)
