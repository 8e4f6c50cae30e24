"""Pairs of low, middle and high distance, as figure 3 of the DeepSign paper: those decided rightly, and the others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.verification.comparers import ScoredComparisons

Level = Literal["low", "middle", "high"]
SHOWN = 3
"""Pairs of each level: nine in a group, as in the figure."""


@dataclass(frozen=True)
class PairAtDistance:
    """A comparison as an example of its distance.

    Attributes:
        level: Of the distance among the comparisons that were decided so; the score is the lower the farther.
        right: Whether it was decided rightly; None without a threshold.
    """

    reference: str
    query: str
    mated: bool
    score: float
    level: Level
    right: bool | None


def pairs_by_distance(
    compared: Sequence[tuple[ScoredComparisons, Sequence[Sample]]], threshold: float | None
) -> tuple[PairAtDistance, ...]:
    """Three pairs each of the least, the middle and the greatest distance, of right decisions and of wrong ones.

    The middle is the median score of the right, or the wrong, decisions. Each picture is shown once in a group, so
    that no one dominates; a group of few pairs may be short of some. Among equals the earlier comparison counts.

    Args:
        compared: The comparisons of each data set, with its samples.
        threshold: The one that decides; without it there is one group.
    """
    if not compared:
        return ()
    scores = np.concatenate([scored.scores.scores for scored, _ in compared])
    mated = np.concatenate([scored.scores.mated for scored, _ in compared])
    paths = [
        (str(samples[first].path), str(samples[second].path))
        for scored, samples in compared
        for first, second in zip(scored.references, scored.queries, strict=True)
    ]
    groups: dict[bool | None, NDArray[np.bool_]] = {None: np.ones(len(scores), bool)}
    if threshold is not None:
        right = (scores >= threshold) == mated
        groups = {True: right, False: ~right}
    found: list[PairAtDistance] = []
    for decided, chosen in groups.items():
        rows = np.flatnonzero(chosen)
        if not rows.size:
            continue
        own = scores[rows]
        orders: dict[Level, NDArray[np.float64]] = {"low": -own, "middle": np.abs(own - np.median(own)), "high": own}
        shown: set[str] = set()
        for level, order in orders.items():
            nearest = rows[np.argsort(order, kind="stable")].tolist()
            for row in itertools.islice((row for row in nearest if shown.isdisjoint(paths[row])), SHOWN):
                reference, query = paths[row]
                shown |= {reference, query}
                found.append(
                    PairAtDistance(reference, query, bool(mated[row]), float(scores[row]), level, right=decided)
                )
    return tuple(found)
