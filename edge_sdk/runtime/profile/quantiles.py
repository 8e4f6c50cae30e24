"""What a run's latencies come to: quantiles with intervals that assume no distribution, a curve, a course over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ScoreError
from edge_sdk.runtime.profile.records import Moment, Quantile, Stage

CONFIDENCE = 0.95
_CURVE = np.unique(np.concatenate([np.linspace(0, 0.98, 50), np.linspace(0.98, 1, 41)]))
_MOMENTS = 100

Floats = NDArray[np.float64]


def stage(name: str, values: Floats, shares: Sequence[float]) -> Stage:
    """The quantiles and the maximum of one stage's times ``(N,)``, in milliseconds."""
    ordered = np.sort(values)
    return Stage(name=name, quantiles=tuple(quantile(ordered, p) for p in shares), max_ms=float(ordered[-1]))


def curve(values: Floats) -> tuple[tuple[float, float], ...]:
    """(ms, share of the values ``(N,)`` not above it), close together towards the largest."""
    ordered = np.sort(values)
    return tuple((float(ordered[max(0, math.ceil(p * len(ordered)) - 1)]), float(p)) for p in _CURVE)


def moments(finished: Floats, values: Floats) -> tuple[Moment, ...]:
    """Values ``(N,)`` cut into at most 100 slices by when they were finished, in seconds ``(N,)``."""
    edges = np.unique(np.linspace(0, len(values), min(_MOMENTS, len(values)) + 1).astype(int))
    return tuple(
        Moment(
            at_s=float(finished[stop - 1]),
            median_ms=float(np.median(values[start:stop])),
            max_ms=float(values[start:stop].max()),
        )
        for start, stop in pairwise(edges)
    )


def quantile(ordered: Floats, p: float, confidence: float = CONFIDENCE) -> Quantile:
    """The ``p`` quantile of sorted values, and order statistics that bound that of their distribution.

    The number of values below the true quantile is binomial(n, p), so that
    ``P(x[l] <= q <= x[u]) >= confidence`` for the ranks of :func:`ranks`, for every continuous distribution.

    Args:
        ordered: ``float64 (N,)``, ascending.
        p: In (0, 1); the quantile is the value of rank ``ceil(p N)``.
        confidence: Of the interval, both sides together.

    Raises:
        ScoreError: No values.
    """
    count = len(ordered)
    if not count:
        raise ScoreError("no latency was measured")
    low, high = ranks(count, p, confidence)
    # p * count may come out a little above a whole number: 0.9 * 30 = 27.000000000000004.
    value = ordered[max(1, math.ceil(p * count - 1e-9)) - 1]
    return Quantile(
        p=p,
        ms=float(value),
        low=float(ordered[low - 1]) if low else None,
        high=float(ordered[high - 1]) if high else None,
    )


def ranks(count: int, p: float, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """Ranks, from 1, of the values that bound the ``p`` quantile; None where even the extreme value does not.

    With B binomial(count, p): the largest l with P(B < l) <= alpha / 2, the smallest u with P(B >= u) <= alpha / 2.
    """
    tail = (1 - confidence) / 2
    k = np.arange(1, count + 1)
    steps = np.log((count - k + 1) / k) + math.log(p / (1 - p))
    pmf = np.exp(np.concatenate([[0.0], np.cumsum(steps)]) + count * math.log1p(-p))
    below = np.cumsum(pmf)  # P(B <= k)
    above = np.cumsum(pmf[::-1])[::-1]  # P(B >= k); not 1 - below, which loses the tail
    lower = int(np.searchsorted(below, tail, side="right"))  # P(B <= lower - 1) <= tail
    upper = int(np.argmax(above <= tail)) if above[-1] <= tail else count + 1
    return lower or None, upper if upper <= count else None
