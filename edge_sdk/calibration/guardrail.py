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

It knows scores only, so one engine against another and any artifact against any other are compared alike. For
presentation attacks, "mated" comparisons are the bona fide presentations and all others are attacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.calibration.metrics.resampling import defined, draw_subjects, replicate, require_same
from edge_sdk.calibration.metrics.verification import Curves, Floats, ScoreSet, Statistic
from edge_sdk.errors import GuardrailError, ScoreError, UsageError
from edge_sdk.manifest import AccuracyDifference
from edge_sdk.tables import Table

OUTSIDE_BAND = 0.999
"""Outside the reported band round the threshold, at least this share of the decisions is equal."""
SAME_ARTIFACT = 0.999
"""Two engines decide alike on at least this share of the comparisons when they run the same artifact."""
ACROSS_PRECISIONS = 0.99
"""The same for two artifacts of different precision, each at its own threshold."""

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
    species: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
) -> AccuracyDifference:
    """What quantisation adds to an error rate; see the module's page for the verdict.

    Both sets hold the same comparisons in the same order. metric: ``eer``, ``fnmr_at_fmr_1e-2`` or
    ``bpcer_at_apcer_0.05`` (any targets), where each artifact has its own threshold; DESIGN's budgets are 0.005 for
    the EER and 0.01 for the BPCER. species: (N,) the kind of each attack (entries of bona fide presentations mean
    nothing): the APCER is then its maximum over the species, else that of all attacks at once. With both thresholds
    given, `agreement` and its band are reported; see `agreement`. Raises ScoreError if the sets differ or hold fewer
    than 2 people, UsageError for another metric.
    """
    require_same(float_scores, quantised_scores)
    people = float_scores.subject_count
    if people < 2:
        raise ScoreError(f"the guardrail needs at least 2 people, got {people}")
    statistic = _statistic(metric)
    attacks = _attacks(metric, float_scores, species)

    def difference(draws: Floats, bins: int) -> Floats:
        quantised, reference = (
            _worst(scores, attacks, statistic, draws, bins) for scores in (quantised_scores, float_scores)
        )
        return quantised - reference

    delta = float(difference(np.ones((1, people)), bins=len(float_scores))[0])
    resampled = defined(difference(draw_subjects(people, replicates, seed), bins=_BINS))
    upper = max(delta, float(np.quantile(resampled, 0.95)))
    verdict: Literal["pass", "fail", "undecidable"] = "undecidable"
    if upper <= budget:
        verdict = "pass"
    elif delta > budget:
        verdict = "fail"
    alike = None
    if threshold_float is not None and threshold_quantised is not None:
        alike = agreement(float_scores, quantised_scores, threshold_float, threshold_quantised)
    return AccuracyDifference(
        metric=metric,
        budget=budget,
        delta=delta,
        upper90=upper,
        subjects=people,
        verdict=verdict,
        data=data,
        agreement=alike.share if alike else None,
        agreement_band=alike.band if alike else None,
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two artifacts, or one artifact on two engines, decide `comparisons`.

    share: of equal decisions, each at its own threshold. band: the smallest distance of the first score from its
    threshold beyond which at least 99.9 % are equal (0: everywhere).
    """

    share: float
    band: float
    comparisons: int

    def require(self, least: float) -> None:
        """Raise GuardrailError if fewer than `least` are equal: `SAME_ARTIFACT` or `ACROSS_PRECISIONS`."""
        if self.share < least:
            raise GuardrailError(
                f"only {self.share:.3%} of {self.comparisons} decisions are equal, {least:.1%} must be; all but "
                f"{1 - OUTSIDE_BAND:.1%} are further than {self.band:.4f} from the threshold"
            )


def agreement(first: ScoreSet, second: ScoreSet, threshold_first: float, threshold_second: float) -> Agreement:
    """Compare the decisions on the same comparisons in the same order; ScoreError if they differ."""
    require_same(first, second)
    different = (first.scores >= threshold_first) != (second.scores >= threshold_second)
    distance = np.abs(first.scores - threshold_first)
    every, flipped = np.sort(distance), np.sort(distance[different])
    bands = np.concatenate([[-1.0], flipped])  # -1: no band, everything counts as outside
    outside = every.size - np.searchsorted(every, bands, side="right")
    still_different = flipped.size - np.searchsorted(flipped, bands, side="right")
    enough = still_different <= (1 - OUTSIDE_BAND) * outside
    band = max(0.0, float(bands[np.argmax(enough)]))
    return Agreement(1 - flipped.size / every.size, band, every.size)


def passes(differences: Sequence[AccuracyDifference]) -> bool:
    """Whether something was measured and every difference passes."""
    return bool(differences) and all(difference.verdict == "pass" for difference in differences)


def enforce(differences: Sequence[AccuracyDifference], artifacts: Sequence[str] = ()) -> None:
    """Raise GuardrailError with a table unless every difference passes; nothing measured is no pass either."""
    if not differences:
        raise GuardrailError("the guardrail measured nothing")
    if not passes(differences):
        raise GuardrailError(
            "a variant may cost more accuracy than the budget allows: where undecidable, measure on more people; "
            f"where it fails, calibrate with samples like those of the field\n{table(differences, artifacts).plain()}"
        )


def table(differences: Sequence[AccuracyDifference], artifacts: Sequence[str] = ()) -> Table:
    """The differences, one a row, in percentage points; artifacts: the id of each one's artifact."""
    head = ("variant", "metric", "data", "delta", "upper 90 %", "budget", "result")
    rows: list[tuple[str, ...]] = []
    for artifact, difference in zip(artifacts or [""] * len(differences), differences, strict=True):
        verdict = (
            f"undecidable with {difference.subjects} subjects"
            if difference.verdict == "undecidable"
            else difference.verdict
        )
        points = (f"{100 * value:+.2f} pp" for value in (difference.delta, difference.upper90, difference.budget))
        rows.append((artifact, difference.metric, difference.data, *points, verdict))
    first = 0 if artifacts else 1
    return Table(head[first:], [row[first:] for row in rows], text=("variant", "metric", "data", "result"))


def _statistic(metric: str) -> Statistic:
    if metric == "eer":
        return Curves.eer
    kind, _, target = metric.rpartition("_")
    try:
        value = float(target)
    except ValueError:
        value = 0.0
    if kind not in {"fnmr_at_fmr", "bpcer_at_apcer"} or not 0 < value < 1:
        known = '"eer", "fnmr_at_fmr_TARGET" and "bpcer_at_apcer_TARGET"'
        raise UsageError(f"the guardrail knows {known}, not {metric!r}")
    return lambda curves: curves.fnmr_at_fmr(value)


def _attacks(metric: str, scores: ScoreSet, species: ArrayLike | None) -> list[NDArray[np.bool_]]:
    """(N,) masks of the impostors that count at once: all of them, or each species."""
    if species is None:
        return [~scores.mated]
    kinds = np.asarray(species)
    if not metric.startswith("bpcer"):
        raise UsageError(f"only a BPCER has attack species, not {metric}")
    if kinds.shape != scores.mated.shape:
        raise ScoreError(f"{len(scores)} comparisons, but species of shape {kinds.shape}")
    return [~scores.mated & (kinds == kind) for kind in np.unique(kinds[~scores.mated])]


def _worst(
    scores: ScoreSet, attacks: Sequence[NDArray[np.bool_]], statistic: Statistic, draws: Floats, bins: int
) -> Floats:
    """(R,) the statistic against the attacks that make it worst.

    For a BPCER that is exactly the one where every species' APCER is at most the target: the threshold is then the
    highest of the species' thresholds, and the BPCER rises with the threshold.
    """
    people = np.unique(scores.subjects)

    def against(attack: NDArray[np.bool_]) -> Floats:
        used = scores.mated | attack
        part = ScoreSet(scores.scores[used], scores.mated[used], scores.subjects[used])
        return replicate(part, statistic, draws[:, np.isin(people, part.subjects)], bins=bins)

    worst: Floats = np.maximum.reduce([against(attack) for attack in attacks])
    return worst
