"""Many people's mixtures, all evaluated at once: whom does a walk resemble?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.scoring.densities.gaussian_mixture import Array, GaussianMixture, log_sum_exp

_AT_ONCE = 2**20
"""Values of mode, person and row in memory at one time: 8 MiB."""


class StackedMixtures:
    """The mixtures of N people, each adapted from one background.

    ``log(w N(x; m, v))`` is linear in the values of x and their squares, so that all are two matrix products. They are
    taken in the background's own unit, round its mean: far from it the squares would leave few digits.

    Args:
        contents: A mixture a person, of the background's shape.
        background: Everybody's density.
        clip, far: As :class:`edge_sdk.scoring.likelihood.LogLikelihoodRatio` has them.

    Raises:
        ScoreError: A mixture of another shape.
    """

    tolerance = 1e-6

    def __init__(
        self, contents: Sequence[GaussianMixture], background: GaussianMixture, *, clip: float, far: float
    ) -> None:
        if any(one.means.shape != background.means.shape for one in contents):
            raise ScoreError("densities of other numbers of modes or values than the background's")
        self._background, self._clip, self._far = background, clip, far
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

    def scores(self, values: npt.NDArray[Any]) -> Array:
        """Everybody's mean ratio of rows ``(T, ..., D)``, ``float64 (N,)``, within :attr:`tolerance`.

        Raises:
            ScoreError: Rows of another length.
        """
        rows = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
        everybody = self._background.log_likelihood(rows)
        far = self._background.distances(rows) >= self._far
        scaled = ((rows - self._mean) / self._scale).T
        modes, people, _ = self._linear.shape
        step = max(1, _AT_ONCE // (modes * len(rows)))
        found = np.empty(people)
        for start in range(0, people, step):
            some = slice(start, start + step)
            joint = self._square[:, some] @ scaled**2 + self._linear[:, some] @ scaled
            ratios = log_sum_exp(joint + self._constant[:, some, np.newaxis]) - everybody
            ratios[:, far] = -self._clip
            found[some] = ratios.clip(-self._clip, self._clip).mean(axis=1)
        return found
