"""Scores of live faces and attacks as numbers (ISO/IEC 30107-3), each with a 95 % interval over people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_sdk.calibration.metrics import presentation_attack
from edge_sdk.calibration.metrics.presentation_attack import AttackCurves, AttackScores, AttackStatistic
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.calibration.thresholds import TRIALS_PER_ERROR, rate
from edge_sdk.errors import ScoreError
from edge_sdk.manifest import Rate

APCER_TARGETS = (0.05, 0.01)
ANY = "any"
"""All species together."""


@dataclass(frozen=True)
class BpcerAtApcer:
    """BPCER at the lowest threshold *on these data* where each species' APCER is at most `target`.

    Such a threshold is chosen with the answers known: it says what the scores allow, not what a device will do. None
    where the attacks are too few, and why.
    """

    target: float
    bpcer: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class Separation:
    """How far live faces and attacks of one species, or of :data:`ANY`, lie apart, whatever the threshold.

    ``average_precision`` is that of finding attacks; guessing achieves ``ratio``, attacks / presentations.
    """

    data: str
    species: str
    subjects: int
    live: int
    attacks: int
    auroc: Interval
    eer: Interval
    average_precision: Interval
    ratio: float
    bpcer_at_apcer: tuple[BpcerAtApcer, ...]


@dataclass(frozen=True)
class SpoofPointRates:
    """Rates at one threshold of the bundle, which was chosen on other people.

    ``apcer`` is that of the worst species; None without attacks, as ``bpcer`` is without live faces. ``acer`` is None
    without either, or where people are too few for an interval.
    """

    data: str
    point: str
    threshold: float
    apcer: Rate | None
    bpcer: Rate | None
    acer: Interval | None
    species: Mapping[str, Rate]


def separation(scores: AttackScores, data: str, species: str, *, replicates: int = 1000, seed: int = 0) -> Separation:
    """All statistics on the same resamples. Raises ScoreError without live faces, attacks, or enough people."""
    counts = {kind: int(np.count_nonzero(scores.species == kind)) for kind in scores.kinds}
    fewest = min(counts.values(), default=0)
    needed = {target: round(TRIALS_PER_ERROR / target) for target in APCER_TARGETS}
    targets = [target for target in APCER_TARGETS if fewest >= needed[target]]
    statistics: list[AttackStatistic] = [
        lambda curves: curves.pooled.auroc(),
        lambda curves: curves.pooled.eer(),
        AttackCurves.average_precision,
        *map(_bpcer_at, targets),
    ]
    auroc, eer, precision, *at = presentation_attack.bootstrap(scores, statistics, replicates, seed)
    found = dict(zip(targets, at, strict=True))
    live, attacks = scores.presented.mated_count, scores.presented.impostor_count
    return Separation(
        data=data,
        species=species,
        subjects=scores.presented.subject_count,
        live=live,
        attacks=attacks,
        auroc=auroc,
        eer=eer,
        average_precision=precision,
        ratio=attacks / (live + attacks),
        bpcer_at_apcer=tuple(
            BpcerAtApcer(target, found[target])
            if target in found
            else BpcerAtApcer(target, None, f"{fewest} attacks of a species; {needed[target]} are needed")
            for target in APCER_TARGETS
        ),
    )


def point_rates(
    scores: AttackScores, data: str, point: str, threshold: float, *, replicates: int = 1000, seed: int = 0
) -> SpoofPointRates:
    """The rates that a threshold gives, as far as the data hold live faces and attacks."""
    passed = scores.presented.scores >= threshold
    rates = [
        rate(wrong[chosen], scores.presented.subjects[chosen], replicates=replicates, seed=seed)
        for chosen, wrong in zip(scores.classes(), [~passed, *[passed] * len(scores.kinds)], strict=True)
        if chosen.any()
    ]
    bpcer = rates.pop(0) if scores.live.any() else None
    species = dict(zip(scores.kinds, rates, strict=True))
    acer = None
    if bpcer and species:
        try:
            (acer,) = presentation_attack.bootstrap(
                scores, [lambda curves: curves.acer(threshold)], replicates, seed, thresholds=[threshold]
            )
        except ScoreError:  # too few people; the rates' own intervals are widened to Wilson's
            acer = None
    apcer = max(species.values(), key=lambda rate: rate.value, default=None)
    return SpoofPointRates(data, point, threshold, apcer, bpcer, acer, species)


def _bpcer_at(target: float) -> AttackStatistic:
    return lambda curves: curves.bpcer_at_apcer(target)
