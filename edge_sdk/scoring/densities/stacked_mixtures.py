"""Many people's mixtures, all evaluated at once: whom does a walk resemble?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.scoring.densities.gaussian_mixture import Array, GaussianMixture, log_sum_exp
from edge_sdk.scoring.ranking import near_best

_AT_ONCE = 2**20
"""Values of mode, person and row in memory at one time: 8 MiB."""


class StackedMixtures:
    """The mixtures of N people, of one shape, beside everybody's.

    ``log(w N(x; m, v))`` is linear in the values of x and their squares, so that all are two matrix products. They are
    taken in the background's own unit, round its mean: far from it the squares would leave few digits.

    Args:
        contents: A mixture a person, all of one shape.
        background: Everybody's density.
        rows, bounded: Of :class:`edge_sdk.scoring.likelihood.LogLikelihoodRatio`.

    Raises:
        ScoreError: A mixture of another shape.
    """

    tolerance = 1e-6

    def __init__(
        self,
        contents: Sequence[GaussianMixture],
        background: GaussianMixture,
        *,
        rows: Callable[[npt.NDArray[Any]], Array],
        bounded: Callable[[Array, Array, Array], Array],
    ) -> None:
        shapes = {one.means.shape for one in contents}
        if len(shapes) > 1 or any(shape[1] != background.means.shape[1] for shape in shapes):
            raise ScoreError("densities of different numbers of modes or values")
        self._contents = contents
        self._background, self._rows, self._bounded = background, rows, bounded
        self._mean = background.weights @ background.means
        self._scale = np.sqrt(background.weights @ (background.variances + (background.means - self._mean) ** 2))
        # By mode, person and value.
        weights = np.stack([one.weights for one in contents], axis=1)
        means = np.stack([one.means for one in contents], axis=1)
        variances = np.stack([one.variances for one in contents], axis=1)
        self._constant = np.log(weights) - 0.5 * np.log(2 * np.pi * variances).sum(axis=2)
        means, variances = (means - self._mean) / self._scale, variances / self._scale**2
        self._linear, self._square = means / variances, -0.5 / variances
        self._constant -= 0.5 * (means**2 / variances).sum(axis=2)

    def __getitem__(self, person: int) -> GaussianMixture:
        """See :class:`~edge_sdk.scoring.base.Stacked`."""
        return self._contents[person]

    def candidates(self, values: npt.NDArray[Any], count: int) -> list[int]:
        """See :class:`~edge_sdk.scoring.base.Stacked`; raises as :meth:`scores`."""
        return near_best(self.scores(values), count, self.tolerance)

    def scores(self, values: npt.NDArray[Any]) -> Array:
        """Everybody's mean ratio of features ``(T, ..., D)``, ``float64 (N,)``, within :attr:`tolerance`.

        Raises:
            ScoreError: Features of another length, or that cannot be compared.
        """
        rows = self._rows(values)
        everybody, distances = self._background.log_likelihood(rows), self._background.distances(rows)
        scaled = ((rows - self._mean) / self._scale).T
        modes, people, _ = self._linear.shape
        step = max(1, _AT_ONCE // (modes * len(rows)))
        found = np.empty(people)
        for start in range(0, people, step):
            some = slice(start, start + step)
            joint = self._square[:, some] @ scaled**2 + self._linear[:, some] @ scaled
            likely = log_sum_exp(joint + self._constant[:, some, np.newaxis])
            found[some] = self._bounded(likely, everybody, distances).mean(axis=1)
        return found
