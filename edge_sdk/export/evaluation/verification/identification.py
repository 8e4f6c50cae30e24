"""Open-set identification on a data set: galleries of several sizes, drawn from its people (ISO/IEC 19795-1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edge_sdk.calibration.metrics import identification
from edge_sdk.calibration.metrics.identification import MISSED
from edge_sdk.calibration.metrics.pairs import ScoreMatrix
from edge_sdk.calibration.metrics.resampling import Interval, bootstrap_all
from edge_sdk.calibration.metrics.verification import ScoreSet, Statistic
from edge_sdk.calibration.thresholds import FMR_TARGETS, TRIALS_PER_ERROR, rate
from edge_sdk.errors import ScoreError
from edge_sdk.export.evaluation.verification.samples import EmbeddedSamples
from edge_sdk.manifest import Rate

SIZES = (10, 100, 1000)
"""People in a gallery. Each needs data of twice as many people with two pictures or more."""


@dataclass(frozen=True)
class FnirAtFpir:
    """FNIR at the lowest threshold *on these data* with FPIR at most `target`; None where they are too few, and why."""

    target: float
    fnir: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class IdentificationPointRates:
    """At a threshold that was chosen for one comparison on other people, such as a bundle's own."""

    name: str
    threshold: float
    fpir: Rate
    fnir: Rate


@dataclass(frozen=True)
class IdentificationMeasurement:
    """Searches in galleries of one size, for the highest score (rank 1); intervals are 95 %, over people.

    Attributes:
        size: N, people in a gallery.
        galleries: How many there are, which share nobody.
        rank_1: Share of mated searches whose person has the highest score, whatever the threshold.
    """

    data: str
    size: int
    galleries: int
    mated: int
    non_mated: int
    rank_1: Rate
    fnir_at_fpir: tuple[FnirAtFpir, ...]
    points: tuple[IdentificationPointRates, ...]


def measurements(
    embedded: EmbeddedSamples,
    data: str,
    matrix: ScoreMatrix,
    *,
    points: Mapping[str, float],
    replicates: int = 1000,
    seed: int = 0,
) -> Iterator[IdentificationMeasurement]:
    """One for each of :data:`SIZES` that the genuine samples of a data set have people for.

    Args:
        points: Thresholds by name.
    """
    genuine = [number for number, sample in enumerate(embedded.samples) if sample.genuine]
    people = np.array([embedded.samples[number].subject for number in genuine])
    for size in SIZES:
        try:
            galleries = identification.draw_galleries(people, size, seed=seed)
        except ScoreError:  # too few people, and so for every larger one
            return
        found = identification.search_galleries(galleries, embedded.embeddings[genuine], people, matrix)
        yield _measured(found, (data, size, len(galleries)), points, replicates=replicates, seed=seed)


def _measured(
    found: ScoreSet, drawn: tuple[str, int, int], points: Mapping[str, float], *, replicates: int, seed: int
) -> IdentificationMeasurement:
    data, size, galleries = drawn
    needed = {target: round(TRIALS_PER_ERROR / target) for target in FMR_TARGETS}
    targets = [target for target in FMR_TARGETS if found.impostor_count >= needed[target]]
    statistics = [_fnir_at(target) for target in targets]
    intervals = bootstrap_all(found, statistics, replicates, seed) if statistics else ()
    shares = dict(zip(targets, intervals, strict=True))

    def share(wrong: np.ndarray, of: np.ndarray) -> Rate:
        return rate(wrong[of], found.subjects[of], replicates=replicates, seed=seed)

    return IdentificationMeasurement(
        data=data,
        size=size,
        galleries=galleries,
        mated=found.mated_count,
        non_mated=found.impostor_count,
        rank_1=share(found.scores > MISSED, found.mated),
        fnir_at_fpir=tuple(
            FnirAtFpir(target, shares[target])
            if target in shares
            else FnirAtFpir(target, None, f"{found.impostor_count} non-mated searches; {needed[target]} are needed")
            for target in FMR_TARGETS
        ),
        points=tuple(
            IdentificationPointRates(
                name,
                threshold,
                fpir=share(found.scores >= threshold, ~found.mated),
                fnir=share(found.scores < threshold, found.mated),
            )
            for name, threshold in points.items()
        ),
    )


def _fnir_at(target: float) -> Statistic:
    return lambda curves: curves.fnmr_at_fmr(target)
