"""One protocol's scores as numbers: AUROC, EER, FNMR at an FMR, and the rates at thresholds from elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_sdk.calibration.metrics import resampling
from edge_sdk.calibration.metrics.pairs import Forgeries
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.calibration.metrics.verification import Curves, Floats, ScoreSet, Statistic
from edge_sdk.calibration.thresholds import FMR_TARGETS, TRIALS_PER_ERROR, rates_at
from edge_sdk.manifest import Rate


@dataclass(frozen=True)
class FnmrAtFmr:
    """FNMR at the lowest threshold *on these data* with FMR at most `target`; None where they are too few, and why."""

    target: float
    fnmr: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class VerificationPointRates:
    """Rates at one threshold that was chosen on other people, such as a bundle's own."""

    name: str
    threshold: float
    fmr: Rate
    fnmr: Rate
    accuracy: Interval
    balanced_accuracy: Interval
    precision: Interval
    recall: Interval


@dataclass(frozen=True)
class Measurement:
    """One protocol on one data set; all intervals are 95 %, by bootstrap over people.

    Attributes:
        references: Samples of an enrolment; where a sample has many rows, such as cycles, rows of it.
        queries: Rows of a test; None where it is one sample.
    """

    data: str
    forgeries: Forgeries
    references: int
    queries: int | None
    subjects: int
    mated: int
    impostors: int
    auroc: Interval
    eer: Interval
    fnmr_at_fmr: tuple[FnmrAtFmr, ...]
    points: tuple[VerificationPointRates, ...]

    @property
    def counts(self) -> str:
        """``1``, or ``10 + 5`` of enrolment and test rows."""
        return str(self.references) if self.queries is None else f"{self.references} + {self.queries}"


def measure(
    scores: ScoreSet,
    data: str,
    forgeries: Forgeries,
    references: int,
    queries: int | None = None,
    *,
    points: Mapping[str, float] | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> Measurement:
    """All statistics of one score set on the same resamples. Raises ScoreError where people are too few.

    Args:
        points: Thresholds by name.
    """
    points = points or {}
    needed = {target: round(TRIALS_PER_ERROR / target) for target in FMR_TARGETS}
    targets = [target for target in FMR_TARGETS if scores.impostor_count >= needed[target]]
    statistics: list[Statistic] = [Curves.auroc, Curves.eer]
    statistics += [_fnmr_at(target) for target in targets]
    for threshold in points.values():
        statistics += _at_threshold(threshold)
    found = iter(resampling.bootstrap_all(scores, statistics, replicates, seed, thresholds=list(points.values())))
    return Measurement(
        data=data,
        forgeries=forgeries,
        references=references,
        queries=queries,
        subjects=scores.subject_count,
        mated=scores.mated_count,
        impostors=scores.impostor_count,
        auroc=next(found),
        eer=next(found),
        fnmr_at_fmr=tuple(
            FnmrAtFmr(target, next(found))
            if target in targets
            else FnmrAtFmr(target, None, f"{scores.impostor_count} impostor comparisons; {needed[target]} are needed")
            for target in FMR_TARGETS
        ),
        points=tuple(
            VerificationPointRates(
                name, threshold, *rates_at(scores, threshold, replicates, seed), *itertools.islice(found, 4)
            )
            for name, threshold in points.items()
        ),
    )


def _fnmr_at(target: float) -> Statistic:
    return lambda curves: curves.fnmr_at_fmr(target)


def _at_threshold(threshold: float) -> list[Statistic]:
    """Accuracy, balanced accuracy, precision, recall: the fields of VerificationPointRates, in order."""

    def accepts(curves: Curves) -> tuple[Floats, Floats]:
        """True accepts and false accepts, as shares of all comparisons."""
        fmr, fnmr = curves.at(threshold)
        return (1 - fnmr) * curves.mated_share, fmr * (1 - curves.mated_share)

    def accuracy(curves: Curves) -> Floats:
        true, false = accepts(curves)
        return true + (1 - curves.mated_share) - false

    def balanced(curves: Curves) -> Floats:
        fmr, fnmr = curves.at(threshold)
        return 1 - (fmr + fnmr) / 2

    def precision(curves: Curves) -> Floats:
        true, false = accepts(curves)
        return np.divide(true, true + false, out=np.zeros_like(true), where=true + false != 0)

    return [accuracy, balanced, precision, lambda curves: 1 - curves.at(threshold)[1]]
