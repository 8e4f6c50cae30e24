"""Error rates of presentation attack detection as ISO/IEC 30107-3 has them, with intervals over subjects (numpy only).

Conventions, everywhere: a score is *higher = more live*; a presentation is classified as live iff
``score >= threshold``; an attack is of a *species* (print, screen, ...).

    APCER(t) of a species = its attacks classified as live / its attacks     (falls with t)
    BPCER(t)              = live presentations classified as attacks / live  (rises with t)

The APCER of a detector is the *maximum* over the species: an average would hide the one that gets through. ACER, the
mean of APCER and BPCER, is the literature's, not the standard's. Presentations without a score (no face was found) are
no part of these rates; the standard counts them apart, as non-responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.calibration.metrics import resampling
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.calibration.metrics.verification import Curves, Floats, ScoreSet
from edge_sdk.errors import ScoreError


@dataclass(frozen=True, slots=True, eq=False)
class AttackScores:
    """Scores of N presentations.

    scores: (N,) finite, higher = more live. species: N names, None for live presentations. subjects: (N,) str or int,
    the person whose face it is, or imitates. Raises ScoreError for other shapes, an empty name or a score that is not
    finite.
    """

    presented: ScoreSet
    """The same scores with live as mated and attacks of all species as impostors: for AUROC, EER, the ROC."""
    species: NDArray[np.str_]
    """(N,), empty for live presentations."""

    def __init__(self, scores: ArrayLike, species: Sequence[str | None], subjects: ArrayLike) -> None:
        names = list(species)
        if "" in names:
            raise ScoreError("an attack of no name: give its species, or None for a live presentation")
        presented = ScoreSet(scores, [name is None for name in names], subjects)
        kinds = np.array([name or "" for name in names], dtype=np.str_)
        kinds.setflags(write=False)
        object.__setattr__(self, "presented", presented)
        object.__setattr__(self, "species", kinds)

    @property
    def live(self) -> NDArray[np.bool_]:
        """(N,) the live presentations."""
        return self.presented.mated

    @property
    def kinds(self) -> tuple[str, ...]:
        """The species, sorted."""
        return tuple(np.unique(self.species[~self.live]).tolist())

    def curves(self) -> AttackCurves:
        """The exact error curves, a threshold between any two neighbouring scores; ScoreError if a class is empty."""
        self.require_both()
        thresholds = self.presented.curves().thresholds
        everybody = np.zeros(len(self.species), np.int64)
        counts = resampling.histograms(self.presented.scores, everybody, self.classes(), thresholds)
        return AttackCurves.from_counts(self.kinds, thresholds, *(count[0] for count in counts))

    def classes(self) -> tuple[NDArray[np.bool_], ...]:
        """Masks (N,) of the live presentations and of each species in turn."""
        return self.live, *(self.species == kind for kind in self.kinds)

    def require_both(self) -> None:
        """Raise ScoreError unless there are live presentations and attacks."""
        live = int(np.count_nonzero(self.live))
        if not 0 < live < self.live.size:
            raise ScoreError(f"error rates need live presentations and attacks, got {live} and {self.live.size - live}")


@dataclass(frozen=True, slots=True, eq=False)
class AttackCurves:
    """APCER by species and BPCER at K rising thresholds, for one set of scores or a stack of bootstrap replicates.

    kinds: S names. pooled: attacks of all species as impostors, live as mated; its thresholds are (K,), its fnmr the
    BPCER, (..., K). apcer: (S, ..., K) in [0, 1]; NaN where a replicate has drawn nobody with such an attack.
    Every statistic below maps the last axis away.
    """

    kinds: tuple[str, ...]
    pooled: Curves
    apcer: Floats

    @classmethod
    def from_counts(cls, kinds: tuple[str, ...], thresholds: Floats, live: Floats, *attacks: Floats) -> AttackCurves:
        """From histograms (..., K - 1), of the attacks one a species: entry j counts [thresholds[j], [j + 1])."""
        pooled = Curves.from_counts(thresholds, live, np.sum(attacks, axis=0))
        apcer = np.stack([Curves.from_counts(thresholds, live, attack).fmr for attack in attacks])
        return cls(kinds, pooled, apcer)

    @property
    def worst(self) -> Curves:
        """APCER, the maximum over the species, as FMR, and BPCER as FNMR."""
        return Curves(self.pooled.thresholds, self.apcer.max(axis=0), self.pooled.fnmr, self.pooled.mated_share)

    def bpcer_at_apcer(self, target: float) -> Floats:
        """BPCER at the lowest threshold where *every* species' real APCER is at most `target`; no interpolation."""
        return self.worst.fnmr_at_fmr(target)

    def acer(self, threshold: float) -> Floats:
        """(APCER + BPCER) / 2 at one of the thresholds, or at the next one above."""
        apcer, bpcer = self.worst.at(threshold)
        return (apcer + bpcer) / 2

    def precision_recall(self, ratio: float | None = None) -> tuple[Floats, Floats]:
        """(precision, recall) of finding attacks, (..., K) each; `ratio` as in the function of this name."""
        recall, alarms = 1 - self.pooled.fmr, self.pooled.fnmr
        share = (1 - self.pooled.mated_share)[..., None] if ratio is None else np.float64(ratio)
        found, flagged = share * recall, share * recall + (1 - share) * alarms
        return np.divide(found, flagged, out=np.ones_like(flagged), where=flagged != 0), recall

    def average_precision(self, ratio: float | None = None) -> Floats:
        """Precision, averaged over the recall's steps (no interpolation); equal scores are one step."""
        precision, recall = self.precision_recall(ratio)
        area: Floats = np.sum(np.diff(recall, axis=-1) * precision[..., 1:], axis=-1)
        return area


AttackStatistic: TypeAlias = Callable[[AttackCurves], Floats]


class AttackRates(NamedTuple):
    """At one threshold, each in [0, 1]. apcer is the maximum over species, acer = (apcer + bpcer) / 2."""

    apcer: float
    bpcer: float
    acer: float
    species: Mapping[str, float]


class PrecisionRecall(NamedTuple):
    """(K,) each, thresholds rising: recall rises from 0 to 1. ratio: attacks / presentations, which precision is of."""

    precision: Floats
    recall: Floats
    thresholds: Floats
    ratio: float


class AveragePrecision(NamedTuple):
    """The average precision in [0, 1], to be compared with `ratio`, which guessing achieves."""

    value: float
    ratio: float


def rates(scores: AttackScores, threshold: float) -> AttackRates:
    """The rates at `threshold`, counted exactly. Raises ScoreError if a class is empty or the threshold is NaN."""
    scores.require_both()
    if np.isnan(threshold):
        raise ScoreError("the threshold is NaN")
    passed = scores.presented.scores >= threshold
    species = {kind: float(passed[scores.species == kind].mean()) for kind in scores.kinds}
    apcer, bpcer = max(species.values()), float((~passed[scores.live]).mean())
    return AttackRates(apcer, bpcer, (apcer + bpcer) / 2, species)


def bpcer_at_apcer(scores: AttackScores, target: float) -> float:
    """BPCER at the lowest threshold where every species' real APCER is at most `target`: it is never exceeded.

    With fewer than 1 / `target` attacks of a species that means none of them passes.
    """
    return float(scores.curves().bpcer_at_apcer(target))


def threshold_at_apcer(scores: AttackScores, target: float) -> float:
    """The lowest threshold where every species' real APCER on these scores is at most `target`."""
    return float(scores.curves().worst.threshold_at_fmr(target))


def precision_recall(scores: AttackScores, ratio: float | None = None) -> PrecisionRecall:
    """Precision and recall of finding attacks: flagged iff ``score < threshold``, all species alike.

    Precision depends on how many of the presentations are attacks. By default that is the share among the scores;
    `ratio` in (0, 1) weights live presentations and attacks as if it were this one, so that sets of different mixtures
    can be compared. Precision is 1 where nothing is flagged. Raises ScoreError if a class is empty, or for another
    ratio.
    """
    curves = scores.curves()
    precision, recall = curves.precision_recall(_checked(ratio))
    return PrecisionRecall(precision, recall, curves.pooled.thresholds, _stated(curves, ratio))


def average_precision(scores: AttackScores, ratio: float | None = None) -> AveragePrecision:
    """(average precision of finding attacks, ratio of attacks it is of); see `precision_recall`."""
    curves = scores.curves()
    return AveragePrecision(float(curves.average_precision(_checked(ratio))), _stated(curves, ratio))


def bootstrap(
    scores: AttackScores,
    statistics: Sequence[AttackStatistic],
    replicates: int = 1000,
    seed: int = 0,
    *,
    thresholds: Sequence[float] = (),
) -> tuple[Interval, ...]:
    """Each statistic on all scores, with a 95 % percentile interval over resampled subjects, the same for all.

    A resample draws as many subjects as there are, with replacement, and takes *all* presentations of each. For example
    ``bootstrap(scores, [lambda c: c.bpcer_at_apcer(0.05)])``, or ``[lambda c: c.acer(t)]`` with ``thresholds=[t]``.
    Long score lists are cut as in :func:`edge_sdk.calibration.metrics.resampling.bootstrap`. Resamples without one
    of the classes are left out. Raises ScoreError with fewer than 2 subjects, or if most resamples miss a class.
    """
    scores.require_both()
    people = scores.presented.subject_count
    if people < 2:
        raise ScoreError(f"an interval over subjects needs at least 2 of them, got {people}")

    def replicated(draws: NDArray[Any], bins: int) -> Floats:
        values, classes = scores.presented.scores, scores.classes()
        edges = resampling.cut_points(values, classes, thresholds, bins)
        live, *attacks = resampling.histograms(values, scores.presented.subjects, classes, edges)
        parts = []
        for part in resampling.chunks(draws):
            drawn = (part @ attack for attack in attacks)
            curves = AttackCurves.from_counts(scores.kinds, edges, part @ live, *drawn)
            # One rule for all statistics: a species that was not drawn makes the replicate undefined.
            complete = 0 * curves.worst.fmr[..., 0]
            parts.append(np.stack([statistic(curves) + complete for statistic in statistics], axis=-1))
        return np.concatenate(parts)

    exact = replicated(np.ones((1, people)), bins=scores.live.size)[0]
    resampled = replicated(resampling.draw_subjects(people, replicates, seed), bins=resampling.BOOTSTRAP_BINS)
    return tuple(resampling.interval(value, column) for value, column in zip(exact.tolist(), resampled.T, strict=True))


def _checked(ratio: float | None) -> float | None:
    if ratio is not None and not 0 < ratio < 1:
        raise ScoreError(f"the ratio of attacks must be between 0 and 1, not {ratio}")
    return ratio


def _stated(curves: AttackCurves, ratio: float | None) -> float:
    return float(1 - curves.pooled.mated_share) if ratio is None else ratio
