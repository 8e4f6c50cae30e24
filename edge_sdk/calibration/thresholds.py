"""Operating points: thresholds fitted on development scores, each with the rates measured there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.calibration.metrics import resampling, verification
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import ScoreError
from edge_sdk.manifest import BonaFidePoint, LocatePoint, Rate, SpoofPoint, UnsupportedPoint, VerifyPoint

FMR_TARGETS = (1e-1, 1e-2, 1e-3)
"""Of reports."""
POINT_FMR_TARGETS = (1e-1, 5e-2, 1e-2, 1e-3)
"""Of operating points: 5 % is that at which a sample may join a template (:mod:`edge_sdk.runtime.updating`)."""
APCER_TARGETS = (1e-1, 5e-2, 1e-2)
BPCER_TARGETS = (1e-1, 5e-2, 1e-2)
FALSE_BOX_TARGETS = (1e-1, 5e-2, 1e-2)
EER, BALANCED = "eer", "best_balanced_accuracy"
TRIALS_PER_ERROR = 10
"""Impostor comparisons, or attacks, must number 10 / target, so that the threshold rests on ten errors, not on one."""
LIVE_PER_ERROR = 5
"""Live pictures of one's own camera must number 5 / target: they are few, and who takes them can take more."""
MIN_SUBJECTS = 5
"""Fewer people say nothing about other people, however many comparisons they make."""
REFERENCES = (1, 3, 5, 10)
"""Numbers of references that points are measured with, where a sample is one reference."""


def operating_points(
    scores: ScoreSet,
    *,
    data: str,
    references: int = 1,
    targets: Sequence[float] = POINT_FMR_TARGETS,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[VerifyPoint | UnsupportedPoint, ...]:
    """Points ``fmr_1e-1``... for each target, then ``eer`` and ``best_balanced_accuracy``.

    The threshold for a target is the lowest whose real FMR on `scores` is *at most* the target, midway to the next
    impostor or mated score. A target that the data cannot support comes out as an UnsupportedPoint with the reason:
    fewer than 10 / target impostor comparisons, fewer than 5 people, or no genuine comparison left to accept.
    `data` names where the scores are from, and `references` says how many each enrolment was of. Raises ScoreError if a
    class is empty or there are fewer than 2 people.
    """
    _require_people(scores)

    def point(name: str, threshold: float, target: float | None) -> VerifyPoint:
        fmr, fnmr = rates_at(scores, threshold, replicates, seed)
        return VerifyPoint(
            name=name,
            threshold=threshold,
            target=target,
            fmr=fmr,
            fnmr=fnmr,
            data=data,
            subjects=scores.subject_count,
            references=references,
        )

    def for_target(target: float) -> VerifyPoint | UnsupportedPoint:
        name = fmr_name(target)
        reason = _shortage(scores, target)
        if reason:
            return UnsupportedPoint(name=name, target=target, reason=reason, references=references)
        return point(name, verification.threshold_at_fmr(scores, target), target)

    return (
        *(for_target(target) for target in targets),
        point(EER, verification.eer(scores).threshold, None),
        point(BALANCED, verification.best_balanced_accuracy_threshold(scores), None),
    )


def points_by_references(
    scores: Callable[[int], ScoreSet],
    counts: Sequence[int],
    *,
    data: Callable[[int], str],
    targets: Sequence[float] = POINT_FMR_TARGETS,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[VerifyPoint | UnsupportedPoint, ...]:
    """The `operating_points` of comparisons with enrolments of each number of references, the first of which must do.

    Of any other number that fewer than 5 people have samples for all points come out as an UnsupportedPoint.

    Args:
        scores: Those of comparisons with so many references; ScoreError where there are none.
        counts: Rising.
        data: Where the scores of so many references are from.
        targets, replicates, seed: As for `operating_points`.

    Raises:
        ScoreError: As `operating_points`, of the first count.
    """
    names = {fmr_name(target): target for target in targets} | {EER: None, BALANCED: None}

    def points(count: int) -> tuple[VerifyPoint | UnsupportedPoint, ...]:
        reason = ""
        try:
            found = scores(count)
            if (people := found.subject_count) < MIN_SUBJECTS:
                reason = f"{people} people have samples for {count} references and a query; {MIN_SUBJECTS} are needed"
        except ScoreError as error:
            if count == counts[0]:
                raise
            reason = str(error)
        if reason and count != counts[0]:
            return tuple(
                UnsupportedPoint(name=name, target=target, reason=reason, references=count)
                for name, target in names.items()
            )
        return operating_points(
            found, data=data(count), references=count, targets=targets, replicates=replicates, seed=seed
        )

    return tuple(itertools.chain.from_iterable(map(points, counts)))


def spoof_points(
    scores: AttackScores,
    *,
    data: str,
    targets: Sequence[float] = APCER_TARGETS,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[SpoofPoint | UnsupportedPoint, ...]:
    """Points ``apcer_1e-1``... for each target, then ``eer``, where APCER and BPCER lie closest.

    The threshold for a target is the lowest where *every* species' real APCER on `scores` is at most the target; APCER
    is that of the worst species, throughout. A target that the data cannot support comes out as an UnsupportedPoint
    with the reason: a species of fewer than 10 / target attacks, fewer than 5 people in an attack or alive, or no live
    presentation left. `data` names where the scores are from. Raises ScoreError if a class is empty.
    """
    curves = scores.curves()

    def measured(chosen: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> Rate:
        return rate(wrong[chosen], scores.presented.subjects[chosen], replicates=replicates, seed=seed)

    def point(name: str, threshold: float, target: float | None) -> SpoofPoint:
        passed = scores.presented.scores >= threshold
        species = {kind: measured(scores.species == kind, passed) for kind in scores.kinds}
        return SpoofPoint(
            name=name,
            threshold=threshold,
            target=target,
            apcer=max(species.values(), key=lambda rate: rate.value),
            bpcer=measured(scores.live, ~passed),
            species=species,
            data=data,
        )

    def for_target(target: float) -> SpoofPoint | UnsupportedPoint:
        name = _name("apcer", target)
        reason = spoof_shortage(scores, target)
        if not reason and curves.bpcer_at_apcer(target) >= 1:
            reason = f"at APCER {target:g} every live presentation would be rejected"
        if reason:
            return UnsupportedPoint(name=name, target=target, reason=reason)
        return point(name, float(curves.worst.threshold_at_fmr(target)), target)

    return (*(for_target(target) for target in targets), point("eer", curves.worst.threshold_at_eer(), None))


def bona_fide_points(
    scores: ArrayLike,
    subjects: ArrayLike,
    *,
    data: str,
    targets: Sequence[float] = BPCER_TARGETS,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[BonaFidePoint | UnsupportedPoint, ...]:
    """Points ``bpcer_1e-1``... for each target, of live presentations alone.

    The threshold for a target t is the k-th lowest of the N scores, k = floor(t (N + 1)). Of N + 1 presentations that
    might come in any order, the last is below it with a probability of at most t ("conformal" prediction; Vovk,
    Gammerman and Shafer 2005, section 2.2), and of the N at most t N are. People who took no part may differ more.

    A target for which there are fewer than 5 / t scores comes out as an UnsupportedPoint. `scores` are ``(N,)``, higher
    = more live, of persons `subjects`; `data` names where they are from.

    Raises:
        ScoreError: No score, another number of subjects, a score that is not finite, or all scores equal.
    """
    presented = ScoreSet(scores, np.ones(np.size(scores), np.bool_), subjects)
    ordered = np.sort(presented.scores)
    if not ordered.size or ordered[0] == ordered[-1]:
        raise ScoreError(f"{ordered.size} live scores that are all equal give no threshold")

    def for_target(target: float) -> BonaFidePoint | UnsupportedPoint:
        name, needed = _name("bpcer", target), int(np.ceil(round(LIVE_PER_ERROR / target, 6)))
        if ordered.size < needed:
            reason = f"{ordered.size} live pictures; BPCER {target:g} needs {needed}"
            return UnsupportedPoint(name=name, target=target, reason=reason)
        threshold = float(ordered[int(np.floor(round(target * (ordered.size + 1), 6))) - 1])
        bpcer = rate(presented.scores < threshold, presented.subjects, replicates=replicates, seed=seed)
        return BonaFidePoint(
            name=name,
            threshold=threshold,
            target=target,
            bpcer=bpcer,
            data=data,
            subjects=presented.subject_count,
        )

    return tuple(map(for_target, targets))


def locate_points(
    scores: ScoreSet,
    *,
    data: str,
    targets: Sequence[float] = FALSE_BOX_TARGETS,
    replicates: int = 1000,
    seed: int = 0,
) -> tuple[LocatePoint | UnsupportedPoint, ...]:
    """Points ``false_1e-1``... for each target, then ``eer``.

    Mated scores are those of true faces, the confidence with which each was found, impostor ones those of pictures,
    their surest false box; 0 where there is none. The threshold for a target is the lowest where at most this share of
    the pictures has a false box. A target that the data cannot support comes out as an UnsupportedPoint with the
    reason. Raises ScoreError if a class is empty or there are fewer than 2 people.
    """
    _require_people(scores)

    def point(name: str, threshold: float, target: float | None) -> LocatePoint:
        false_boxes, missed = rates_at(scores, threshold, replicates, seed)
        return LocatePoint(
            name=name,
            threshold=threshold,
            target=target,
            false_boxes=false_boxes,
            missed=missed,
            data=data,
            subjects=scores.subject_count,
        )

    def for_target(target: float) -> LocatePoint | UnsupportedPoint:
        name, needed = _name("false", target), _trials(target)
        if scores.impostor_count < needed:
            reason = f"{scores.impostor_count} pictures; a share of {target:g} with a false box needs {needed}"
            return UnsupportedPoint(name=name, target=target, reason=reason)
        if scores.subject_count < MIN_SUBJECTS:
            reason = f"{scores.subject_count} people; a share of pictures needs {MIN_SUBJECTS}"
            return UnsupportedPoint(name=name, target=target, reason=reason)
        return point(name, verification.threshold_at_fmr(scores, target), target)

    return (*(for_target(target) for target in targets), point("eer", verification.eer(scores).threshold, None))


def _require_people(scores: ScoreSet) -> None:
    scores.require_both()
    if scores.subject_count < 2:
        raise ScoreError("operating points need at least 2 people")


def rates_at(scores: ScoreSet, threshold: float, replicates: int, seed: int) -> tuple[Rate, Rate]:
    """Of the impostor scores that reach the threshold, and of the mated ones that do not."""
    wrong = (scores.scores >= threshold) != scores.mated
    impostor, mated = (
        rate(wrong[chosen], scores.subjects[chosen], replicates=replicates, seed=seed)
        for chosen in (~scores.mated, scores.mated)
    )
    return impostor, mated


def fmr_name(target: float) -> str:
    """The name of the point for an FMR target: 0.01 -> ``fmr_1e-2``."""
    return _name("fmr", target)


def rate(wrong: NDArray[np.bool_], subjects: NDArray[np.generic], *, replicates: int = 1000, seed: int = 0) -> Rate:
    """The share of `wrong` (N,) decisions, with a 95 % interval over subjects.

    The bootstrap's interval is widened to the Wilson interval of the plain proportion: where nobody made an error, a
    bootstrap would claim certainty. Raises ScoreError for N = 0.
    """
    if not wrong.size:
        raise ScoreError("an error rate needs at least one comparison")
    people, person = np.unique(subjects, return_inverse=True)
    draws = resampling.draw_subjects(people.size, replicates, seed)
    trials = draws @ np.bincount(person)
    low, high = np.quantile(draws @ np.bincount(person, weights=wrong) / trials, [0.025, 0.975])
    wilson_low, wilson_high = wilson(int(wrong.sum()), wrong.size)
    errors = int(wrong.sum())
    return Rate(
        value=errors / wrong.size,
        low=min(float(low), wilson_low),
        high=max(float(high), wilson_high),
        errors=errors,
        trials=wrong.size,
    )


def wilson(errors: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a proportion, 95 % by default, within [0, 1]."""
    share, extra = errors / trials, z * z / trials
    middle = share + extra / 2
    half = np.sqrt(share * (1 - share) * extra + extra**2 / 4)
    return max(0.0, float((middle - half) / (1 + extra))), min(1.0, float((middle + half) / (1 + extra)))


def _name(rate: str, target: float) -> str:
    mantissa, exponent = f"{target:e}".split("e")
    return f"{rate}_{float(mantissa):g}e{int(exponent)}"


def _trials(target: float) -> int:
    return int(np.ceil(round(TRIALS_PER_ERROR / target, 6)))


def _shortage(scores: ScoreSet, target: float) -> str:
    """Why `scores` cannot support an FMR of `target`; empty if they can."""
    needed = _trials(target)
    if scores.impostor_count < needed:
        return f"{scores.impostor_count} impostor comparisons; FMR {target:g} needs {needed}"
    if scores.subject_count < MIN_SUBJECTS:
        return f"{scores.subject_count} people; an FMR needs {MIN_SUBJECTS}"
    if verification.fnmr_at_fmr(scores, target) >= 1:
        return f"at FMR {target:g} every genuine comparison would be rejected"
    return ""


def spoof_shortage(scores: AttackScores, target: float) -> str:
    """Why `scores` are too few for an APCER of `target`; empty if they are not."""
    needed = _trials(target)
    for kind, chosen in zip(("live", *scores.kinds), scores.classes(), strict=True):
        count, people = int(np.count_nonzero(chosen)), np.unique(scores.presented.subjects[chosen]).size
        if kind != "live" and count < needed:
            return f"{count} attacks with {kind}; APCER {target:g} needs {needed}"
        if people < MIN_SUBJECTS:
            return f"{people} people in {kind}; an APCER needs {MIN_SUBJECTS}"
    return ""
