"""The accuracy guardrail: what a quantised artifact costs against the float model, on the same comparisons.

The statistic is a *paired bootstrap over subjects*: both artifacts' scores of the same resampled people give one
difference a resample, so that what the people have in common cancels. With [lower, upper] the 90 % interval of the
difference (its 5th and 95th percentile) and `delta` the difference on all people:

=============  ===========================  ==================================================================
verdict        when                         meaning
=============  ===========================  ==================================================================
pass           upper <= budget              the loss is within the budget, with 95 % confidence
fail           delta > budget               the best estimate itself is over the budget
undecidable    delta <= budget < upper      so few people cannot tell; not a pass
=============  ===========================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics import (
    Curves,
    Floats,
    ScoreSet,
    Statistic,
    defined,
    draw_subjects,
    replicate,
)
from edge_sdk.errors import GuardrailError, ScoreError, UsageError
from edge_sdk.manifest import Drift

OUTSIDE_BAND = 0.999
"""Outside the reported band round the threshold, at least this share of the decisions is equal."""

_BINS = 4096  # finer than for plain intervals: budgets are fractions of a percent


def compare(
    float_scores: ScoreSet,
    quantised_scores: ScoreSet,
    *,
    data: str,
    budget: float = 0.005,
    metric: str = "eer",
    threshold_float: float | None = None,
    threshold_quantised: float | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> Drift:
    """What quantisation adds to an error rate; see the module's page for the verdict.

    Both sets hold the same comparisons in the same order. metric: ``eer``, or ``fnmr_at_fmr_1e-2`` (any target), where
    each artifact has its own threshold. With both thresholds given, `agreement` is the share of comparisons that the
    artifacts decide alike, each at its own threshold, and `agreement_band` the smallest distance of the float score
    from its threshold beyond which at least 99.9 % are decided alike (0: everywhere). Raises ScoreError if the sets
    differ or hold fewer than 2 people.
    """
    same = np.array_equal(float_scores.mated, quantised_scores.mated) and np.array_equal(
        float_scores.subjects, quantised_scores.subjects
    )
    if not same:
        raise ScoreError("the guardrail compares the same comparisons in the same order")
    people = float_scores.subject_count
    if people < 2:
        raise ScoreError(f"the guardrail needs at least 2 people, got {people}")
    statistic = _statistic(metric)

    def difference(draws: Floats, bins: int) -> Floats:
        return replicate(quantised_scores, statistic, draws, bins=bins) - replicate(
            float_scores, statistic, draws, bins=bins
        )

    delta = float(difference(np.ones((1, people)), bins=len(float_scores))[0])
    resampled = defined(difference(draw_subjects(people, replicates, seed), bins=_BINS))
    upper = max(delta, float(np.quantile(resampled, 0.95)))
    verdict: Literal["pass", "fail", "undecidable"] = "undecidable"
    if upper <= budget:
        verdict = "pass"
    elif delta > budget:
        verdict = "fail"
    agreement, band = None, None
    if threshold_float is not None and threshold_quantised is not None:
        agreement, band = _agreement(
            float_scores.scores >= threshold_float,
            quantised_scores.scores >= threshold_quantised,
            np.abs(float_scores.scores - threshold_float),
        )
    return Drift(
        metric=metric,
        budget=budget,
        delta=delta,
        upper90=upper,
        subjects=people,
        verdict=verdict,
        data=data,
        agreement=agreement,
        agreement_band=band,
    )


def enforce(drifts: Sequence[Drift]) -> None:
    """Raise GuardrailError with a table unless every drift passes; nothing measured is no pass either."""
    if not drifts:
        raise GuardrailError("the guardrail measured nothing")
    if any(drift.verdict != "pass" for drift in drifts):
        raise GuardrailError(f"int8 may cost more accuracy than the budget allows\n{table(drifts)}")


def table(drifts: Sequence[Drift]) -> str:
    """The drifts as text, one a line, in percentage points."""
    rows: list[tuple[str, ...]] = [("metric", "data", "delta", "upper 90 %", "budget", "verdict")]
    for drift in drifts:
        verdict = f"undecidable with {drift.subjects} subjects" if drift.verdict == "undecidable" else drift.verdict
        points = (f"{100 * value:+.2f} pp" for value in (drift.delta, drift.upper90, drift.budget))
        rows.append((drift.metric, drift.data, *points, verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _statistic(metric: str) -> Statistic:
    if metric == "eer":
        return Curves.eer
    kind, _, target = metric.rpartition("_")
    try:
        value = float(target)
    except ValueError:
        value = 0.0
    if kind != "fnmr_at_fmr" or not 0 < value < 1:
        raise UsageError(f'the guardrail knows "eer" and "fnmr_at_fmr_TARGET", not {metric!r}')
    return lambda curves: curves.fnmr_at_fmr(value)


def _agreement(first: NDArray[np.bool_], second: NDArray[np.bool_], distance: Floats) -> tuple[float, float]:
    """(share of equal decisions, smallest distance beyond which OUTSIDE_BAND of them are equal)."""
    different = np.sort(distance[first != second])
    every = np.sort(distance)
    bands = np.concatenate([[-1.0], different])  # -1: no band, everything counts as outside
    outside = every.size - np.searchsorted(every, bands, side="right")
    still_different = different.size - np.searchsorted(different, bands, side="right")
    enough = still_different <= (1 - OUTSIDE_BAND) * outside
    return 1 - different.size / every.size, max(0.0, float(bands[np.argmax(enough)]))
