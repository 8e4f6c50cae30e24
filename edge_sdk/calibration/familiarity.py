"""Which samples are like those that a bundle was made with: a normal distribution of their measures, and a limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ScoreError
from edge_sdk.manifest import Familiarity

FLAGGED = 0.01
SHRINKAGE = 0.01
"""Towards measures that do not go together, so that a measure that follows from others does no harm."""
MIN_PEOPLE = 5


def fit(measures: Sequence[str], values: NDArray[np.float64], people: Sequence[str], *, data: str) -> Familiarity:
    """Fit to the samples of some people, each of whom counts alike.

    Args:
        measures: K names.
        values: Of the samples, ``(N, K)``, finite.
        people: Whose each sample is, N.
        data: Who they are, for the manifest.

    Raises:
        ScoreError: Fewer than :data:`MIN_PEOPLE` people, or a measure that is the same for all.
    """
    _, index, counts = np.unique(np.asarray(people), return_inverse=True, return_counts=True)
    if len(counts) < MIN_PEOPLE:
        raise ScoreError(f"{data}: {len(counts)} people are too few to tell unfamiliar samples; take {MIN_PEOPLE}")
    weights = 1 / (counts[index] * len(counts))
    mean = weights @ values
    away = values - mean
    spread = np.sqrt(weights @ away**2)
    if not spread.all():
        alike = ", ".join(name for name, one in zip(measures, spread, strict=True) if not one)
        raise ScoreError(f"{data}: {alike} is the same in all samples: nothing can be told by it")
    standard = away / spread
    correlations = (1 - SHRINKAGE) * (standard.T * weights) @ standard + SHRINKAGE * np.eye(len(mean))
    whitening = np.linalg.inv(np.linalg.cholesky(correlations)) / spread
    distances = np.linalg.norm(away @ whitening.T, axis=1)
    order = distances.argsort()
    below = weights[order].cumsum()
    limit = distances[order][below <= 1 - FLAGGED].max()
    return Familiarity(
        measures=tuple(measures),
        mean=tuple(mean.tolist()),
        whitening=tuple(tuple(row) for row in whitening.tolist()),
        limit=float(limit),
        data=data,
        subjects=len(counts),
        samples=len(values),
        flagged=float(weights[distances > limit].sum()),
    )
