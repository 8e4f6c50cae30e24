"""Everybody's density of embeddings, and the log-likelihood ratio of a person's that is adapted from it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.pairs import Comparisons
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.export.networks import gaussian_mixture
from edge_sdk.export.networks.projection import FeatureProjection, fit_projection
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

VARIANCE_FLOOR = 0.01
"""Added to the variances of modes, as a share of the mean variance."""


@dataclass(frozen=True)
class DensityChoice:
    """Settings of the ratio: the projection and its dimensions, modes of the mixture, and the relevance."""

    projection: str
    dims: int
    modes: int
    relevance: float

    def __str__(self) -> str:
        return f"{self.projection} to {self.dims}, {self.modes} modes, relevance {self.relevance:g}"


REYNOLDS = DensityChoice("pca", 64, 8, 16.0)
"""The relevance of the paper on GMM-UBM, section 3.3. Document 000 says neither it nor the modes: there are few."""
CHOICES = tuple(
    DensityChoice(*one) for one in itertools.product(("pca", "lda"), (16, 32, 64), (1, 8), (1.0, 4.0, 16.0))
)


@dataclass(frozen=True, eq=False)
class FittedRatio:
    """A projection and a background, and how people are adapted from it."""

    projection: FeatureProjection
    background: GaussianMixture
    relevance: float

    @classmethod
    def fit(cls, embeddings: NDArray[Any], people: Sequence[str], choice: DensityChoice, seed: int) -> FittedRatio:
        """Of people who are not compared. Raises ScoreError if there are too few rows."""
        projection = fit_projection(embeddings, people, choice.projection, choice.dims)
        rows = projection.apply(embeddings)
        background = gaussian_mixture.fit(rows, choice.modes, floor=VARIANCE_FLOOR, seed=seed)
        return cls(projection, background, choice.relevance)

    def scores(self, pairs: Comparisons, embeddings: NDArray[Any], people: Sequence[str]) -> ScoreSet:
        """``log p(x | person) - log p(x)`` of each comparison's query; the references adapt the person's density."""
        rows = self.projection.apply(embeddings)
        everybody = self.background.log_likelihood(rows)
        enrolments, which = np.unique(pairs.references, axis=0, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])
        found = np.empty(len(pairs.queries))
        for enrolled, part in zip(enrolments, parts, strict=True):
            person = self.background.adapted(rows[enrolled], self.relevance)
            queries = pairs.queries[part]
            found[part] = person.log_likelihood(rows[queries]) - everybody[queries]
        return ScoreSet(found, pairs.mated, np.asarray(people)[pairs.references[:, 0]])
