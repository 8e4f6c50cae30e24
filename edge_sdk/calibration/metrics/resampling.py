"""Confidence intervals of error rates: percentile bootstraps over *subjects* (numpy only).

Comparisons of one person are not independent, people are: a resample draws people, and takes all their comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.verification import Curves, Floats, ScoreSet, Statistic
from edge_sdk.errors import ScoreError

BOOTSTRAP_BINS = 1024
"""Cut points a class that the bootstrap keeps of long score lists; the reported value itself never uses bins."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@lru_cache(maxsize=2)
def draw_subjects(count: int, replicates: int, seed: int) -> Floats:
    """(R, S) how often each of S subjects is drawn in R resamples of S with replacement; not to be written to."""
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    draws = counts.astype(np.float64)
    draws.flags.writeable = False
    return draws


def replicate(
    scores: ScoreSet, statistic: Statistic, draws: Floats, thresholds: Sequence[float] = (), bins: int = BOOTSTRAP_BINS
) -> Floats:
    """(R,) `statistic` on R resamples; column s of `draws` (R, S) belongs to the s-th subject in sorted order.

    `thresholds` are cut points to keep exactly, for statistics at a fixed threshold. Undefined replicates are NaN.
    """
    scores.require_both()
    classes = scores.mated, ~scores.mated
    edges = cut_points(scores.scores, classes, thresholds, bins)
    mated, impostor = histograms(scores.scores, scores.subjects, classes, edges)
    if draws.shape[1:] != mated.shape[:1]:
        raise ScoreError(f"draws are of {draws.shape[1:]} subjects, scores of {len(mated)}")
    parts = [statistic(Curves.from_counts(edges, part @ mated, part @ impostor)) for part in chunks(draws)]
    return np.concatenate(parts)


def bootstrap(
    scores: ScoreSet,
    statistic: Statistic,
    replicates: int = 1000,
    seed: int = 0,
    *,
    thresholds: Sequence[float] = (),
) -> Interval:
    """`statistic` on all scores, with a 95 % percentile interval over resampled subjects.

    A resample draws as many subjects as there are, with replacement, and takes *all* comparisons of each. For example
    ``bootstrap(scores, Curves.eer)`` or ``bootstrap(scores, lambda c: c.at(t)[1], thresholds=[t])``. Long score lists
    are cut at about two thousand of their own quantiles first (denser towards the tails), which moves only the
    interval, by less than a bin. Raises ScoreError with fewer than 2 subjects, or if most resamples miss a class.
    """
    return bootstrap_all(scores, [statistic], replicates, seed, thresholds=thresholds)[0]


def bootstrap_all(
    scores: ScoreSet,
    statistics: Sequence[Statistic],
    replicates: int = 1000,
    seed: int = 0,
    *,
    thresholds: Sequence[float] = (),
) -> tuple[Interval, ...]:
    """`bootstrap` of several statistics on the same resamples, which are the costly part."""
    people = scores.subject_count
    if people < 2:
        raise ScoreError(f"an interval over subjects needs at least 2 of them, got {people}")

    def stacked(curves: Curves) -> Floats:
        return np.stack([statistic(curves) for statistic in statistics], axis=-1)

    exact = replicate(scores, stacked, np.ones((1, people)), thresholds, bins=len(scores))[0]
    resampled = replicate(scores, stacked, draw_subjects(people, replicates, seed), thresholds)
    return tuple(interval(value, column) for value, column in zip(exact.tolist(), resampled.T, strict=True))


def bootstrap_difference(
    scores: ScoreSet, baseline: ScoreSet, statistic: Statistic, replicates: int = 1000, seed: int = 0
) -> Interval:
    """`statistic` of `scores` minus that of `baseline`, two scores of the same comparisons in the same order.

    Both are taken of the same resampled people, so that what the people have in common cancels. Raises ScoreError if
    the comparisons differ, and as `bootstrap` does.
    """
    require_same(scores, baseline)
    people = scores.subject_count
    if people < 2:
        raise ScoreError(f"an interval over subjects needs at least 2 of them, got {people}")

    def difference(draws: Floats, bins: int) -> Floats:
        found: Floats = replicate(scores, statistic, draws, bins=bins) - replicate(
            baseline, statistic, draws, bins=bins
        )
        return found

    exact = float(difference(np.ones((1, people)), bins=len(scores))[0])
    return interval(exact, difference(draw_subjects(people, replicates, seed), bins=BOOTSTRAP_BINS))


def require_same(first: ScoreSet, second: ScoreSet) -> None:
    """Raise ScoreError unless two sets are of the same comparisons in the same order."""
    if not np.array_equal(first.mated, second.mated) or not np.array_equal(first.subjects, second.subjects):
        raise ScoreError("only scores of the same comparisons in the same order can be compared")


def interval(value: float, replicates: Floats) -> Interval:
    """The 95 % percentile interval of (R,) replicates, widened to hold `value`. Raises ScoreError as `defined`."""
    low, high = np.quantile(defined(replicates), [0.025, 0.975])
    return Interval(value, min(float(low), value), max(float(high), value))


def defined(values: Floats) -> Floats:
    """The replicates that had both classes. Raises ScoreError when fewer than half had."""
    kept = values[np.isfinite(values)]
    if kept.size * 2 < values.size or not kept.size:
        raise ScoreError("too few subjects with scores of every class for a bootstrap over subjects")
    return kept


def histograms(
    values: Floats, subjects: NDArray[Any], classes: Sequence[NDArray[np.bool_]], edges: Floats
) -> list[Floats]:
    """For each class, a mask (N,): how many values of each subject, sorted, lie between two edges, (S, K - 1)."""
    people, person = np.unique(subjects, return_inverse=True)
    bins = edges.size - 1
    cell = person * bins + np.searchsorted(edges, values, side="right") - 1
    counts = [np.bincount(cell[chosen], minlength=people.size * bins) for chosen in classes]
    return [each.reshape(people.size, bins).astype(np.float64) for each in counts]


def chunks(draws: Floats, size: int = 250) -> list[Floats]:
    """The draws in parts that fit into memory with the curves made of them."""
    return [draws[start : start + size] for start in range(0, len(draws), size)]


def cut_points(scores: Floats, classes: Sequence[NDArray[np.bool_]], thresholds: Sequence[float], bins: int) -> Floats:
    """Rising thresholds: the distinct scores, or `bins` quantiles of each class if those are more; then one above."""
    values = np.unique(scores)
    lowest, above = values[0], np.nextafter(values[-1], np.inf)
    if values.size > 2 * bins:
        tail = np.logspace(-6, 0, bins // 2)
        levels = np.unique(np.concatenate([np.linspace(0, 1, bins - bins // 2), tail, 1 - tail]))
        values = np.concatenate([np.quantile(scores[chosen], levels, method="inverted_cdf") for chosen in classes])
    inside = [t for t in thresholds if lowest < t < above]
    return np.unique(np.concatenate([[lowest], values, inside, [above]]))
