"""Quantiles of latencies, with intervals that assume no distribution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ScoreError
from edge_sdk.runtime.profile.records import Quantile

CONFIDENCE = 0.95


def quantile(ordered: NDArray[np.float64], p: float, confidence: float = CONFIDENCE) -> Quantile:
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
