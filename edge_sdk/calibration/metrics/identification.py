"""Error rates of open-set identification: whose is it, if anybody's that is enrolled (ISO/IEC 19795-1, numpy only).

A search compares a probe with all N enrolled people. It returns a person iff the score with that person's reference is
at least the threshold and among the R highest. A search is *mated* if the person of the probe is enrolled.

    FPIR(N, T)    = non-mated searches that return somebody / non-mated searches            (falls with T)
    FNIR(N, R, T) = mated searches that do not return the probe's person / mated searches   (rises with T)

Searches are a :class:`~edge_sdk.calibration.metrics.verification.ScoreSet`, so that its curves and the bootstrap over
people hold for them with FPIR in place of FMR, FNIR in place of FNMR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.calibration.metrics.pairs import ScoreMatrix
from edge_sdk.calibration.metrics.verification import ScoreSet, concatenate, fmr_fnmr
from edge_sdk.errors import ScoreError

MISSED = -1e300
"""The score of a mated search whose person is not among the R highest: below every threshold."""


class IdentificationErrorRates(NamedTuple):
    """At one threshold, each in [0, 1]."""

    fpir: float
    fnir: float


def searches(scores: ArrayLike, probes: ArrayLike, enrolled: ArrayLike, *, rank: int = 1) -> ScoreSet:
    """Searches of P probes among N enrolled people.

    Args:
        scores: (P, N) finite, higher = more genuine.
        probes: (P,) the person of each probe, who need not be enrolled.
        enrolled: (N,) the enrolled people, each once.
        rank: R; a score that ties with the probe's own person's counts as higher.

    Returns:
        One score a search. Mated: that of the probe's own person, or :data:`MISSED`. Non-mated: the highest.

    Raises:
        ScoreError: Other shapes, a person who is enrolled twice, nobody enrolled, people named by text on one side
            alone, a score that is not finite or not above :data:`MISSED`, or a rank below 1.
    """
    table, people, gallery = np.asarray(scores, np.float64), np.asarray(probes), np.asarray(enrolled)
    if table.shape != (people.size, gallery.size) or not gallery.size:
        raise ScoreError(f"scores of {people.size} probes and {gallery.size} enrolled people have shape {table.shape}")
    if np.unique(gallery).size != gallery.size:
        raise ScoreError("a person is enrolled twice: give each person one reference, or one score of several")
    if people.size and (people.dtype.kind in "US") != (gallery.dtype.kind in "US"):
        raise ScoreError("some people are named by text and some by numbers: nobody would be found")
    if not rank >= 1:  # NaN, too
        raise ScoreError(f"a search returns people from rank 1 on, not {rank}")
    if not (np.isfinite(table).all() and (table > MISSED).all()):
        raise ScoreError("a score is not finite, or below those that can come")
    own = people[:, None] == gallery
    mated = own.any(axis=1)
    mate = np.where(own, table, 0).sum(axis=1)
    ahead = np.count_nonzero((table >= mate[:, None]) & ~own, axis=1)
    found = np.where(ahead < rank, mate, MISSED)
    return ScoreSet(np.where(mated, found, table.max(axis=1)), mated, people)


def fpir_fnir(found: ScoreSet, threshold: float) -> IdentificationErrorRates:
    """Both rates at `threshold`, counted exactly. Raises ScoreError if a kind of search is missing."""
    if threshold <= MISSED:
        raise ScoreError("the threshold lies below all scores")
    return IdentificationErrorRates(*fmr_fnmr(found, threshold))


def fnir_at_fpir(found: ScoreSet, target: float) -> float:
    """FNIR at the lowest threshold whose real FPIR is at most `target` < 1: the request is never exceeded."""
    _require_share(target)
    return float(found.curves().fnmr_at_fmr(target))


def threshold_at_fpir(found: ScoreSet, target: float) -> float:
    """The lowest threshold whose real FPIR on these searches is at most `target` < 1."""
    _require_share(target)
    return float(found.curves().threshold_at_fmr(target))


def _require_share(target: float) -> None:
    if not 0 <= target < 1:
        raise ScoreError(f"an FPIR to keep is at least 0 and below 1, not {target}")


@dataclass(frozen=True, slots=True, eq=False)
class GallerySplit:
    """Who is enrolled together, and who is searched for; all by index of their samples.

    references: (N,), one sample a person. mated: (M,), other samples of these people. non_mated: (K,), of others.
    """

    references: NDArray[np.intp]
    mated: NDArray[np.intp]
    non_mated: NDArray[np.intp]


def draw_galleries(subjects: ArrayLike, size: int, *, seed: int = 0) -> tuple[GallerySplit, ...]:
    """Galleries of `size` people, at random, which share nobody.

    subjects: (S,) the person of each sample. A person with several samples is enrolled with the first of them, in one
    gallery; people who are too many for whole galleries are enrolled in none. Each other sample is searched for once
    where its person is enrolled, and once in another gallery.

    Raises:
        ScoreError: Fewer than 1 person a gallery, or too few people with several samples for two galleries.
    """
    people, first, count = np.unique(np.asarray(subjects), return_index=True, return_counts=True)
    several = np.flatnonzero(count > 1)
    if size < 1:
        raise ScoreError(f"a gallery holds at least one person, not {size}")
    if several.size < 2 * size:
        raise ScoreError(f"{several.size} people with several samples are too few for two galleries of {size}")
    order = np.random.default_rng(seed).permutation(several)
    total = several.size // size
    home = np.full(people.size, -1)
    home[order[: total * size]] = np.repeat(np.arange(total), size)
    who = np.searchsorted(people, np.asarray(subjects))
    probes = np.setdiff1d(np.arange(who.size), first[home >= 0])
    gallery = home[who[probes]]
    # Elsewhere: the next gallery for those who are enrolled, every gallery in turn for the others.
    elsewhere = np.where(gallery >= 0, (gallery + 1) % total, np.arange(probes.size) % total)
    return tuple(
        GallerySplit(first[home == number], probes[gallery == number], probes[elsewhere == number])
        for number in range(total)
    )


def search_galleries(
    galleries: Sequence[GallerySplit],
    embeddings: NDArray[np.floating],
    subjects: ArrayLike,
    matrix: ScoreMatrix,
    *,
    rank: int = 1,
) -> ScoreSet:
    """The searches of all galleries, by embeddings (S, D) of samples; `matrix` compares references with probes."""
    people, found = np.asarray(subjects), []
    for gallery in galleries:
        probes = np.concatenate([gallery.mated, gallery.non_mated])
        table = matrix(embeddings[gallery.references], embeddings[probes]).T
        found.append(searches(table, people[probes], people[gallery.references], rank=rank))
    return concatenate(found)
