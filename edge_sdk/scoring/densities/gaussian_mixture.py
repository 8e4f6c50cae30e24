"""A mixture of Gaussians that a device evaluates (numpy only), and its file in a bundle."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import BundleError, ScoreError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """``p(x) = sum_k w_k N(x; m_k, diag(v_k))``.

    Attributes:
        weights: ``(K,)``, above 0, of sum 1.
        means, variances: ``(K, D)``; variances above 0.
    """

    weights: Array
    means: Array
    variances: Array

    def __post_init__(self) -> None:
        shape = self.means.shape
        if len(shape) != 2 or 0 in shape or self.variances.shape != shape or self.weights.shape != shape[:1]:
            raise ScoreError(
                f"a mixture needs (K,) weights, (K, D) means and variances, not {self.weights.shape}, "
                f"{shape}, {self.variances.shape}"
            )
        finite = all(np.isfinite(part).all() for part in (self.weights, self.means, self.variances))
        if not finite or min(self.weights.min(), self.variances.min()) <= 0 or abs(self.weights.sum() - 1) > 1e-4:
            raise ScoreError("a mixture needs finite means, and positive weights, of sum 1, and variances")

    def log_likelihood(self, x: npt.NDArray[Any]) -> Array:
        """``log p(x)`` of rows ``(N, D)``, ``float64 (N,)``; ScoreError for rows of another length.

        >>> standard = GaussianMixture(np.ones(1), np.zeros((1, 2)), np.ones((1, 2)))
        >>> np.exp(standard.log_likelihood(np.zeros((1, 2)))).round(4)
        array([0.1592])
        """
        if x.ndim != 2 or x.shape[1] != self.means.shape[1]:
            raise ScoreError(f"the mixture is over rows of {self.means.shape[1]} values, not {x.shape}")
        # By mode: all differences at once would take N K D numbers.
        modes = np.stack(
            [
                -0.5 * ((x - mean) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=1)
                for mean, variance in zip(self.means, self.variances, strict=True)
            ]
        )
        joint = modes + np.log(self.weights)[:, None]
        highest = joint.max(axis=0)
        found: Array = highest + np.log(np.exp(joint - highest).sum(axis=0))
        return found

    def encode(self) -> bytes:
        """A NumPy file of ``float32 (K, 1 + 2 D)``: weight, means and variances, a mode a row."""
        buffer = io.BytesIO()
        np.save(buffer, np.hstack([self.weights[:, None], self.means, self.variances]).astype(np.float32))
        return buffer.getvalue()

    @classmethod
    def decode(cls, data: bytes) -> GaussianMixture:
        """Raises BundleError if these are not the bytes of a mixture."""
        try:
            table = np.load(io.BytesIO(data), allow_pickle=False)
            if table.ndim != 2 or table.shape[1] % 2 == 0 or table.dtype != np.float32:
                raise ScoreError(f"a table of {table.dtype} {table.shape} is no mixture")
            columns = np.asarray(table, np.float64)
            weights, means, variances = np.split(columns, [1, 1 + columns.shape[1] // 2], axis=1)
            return cls(weights[:, 0], means, variances)
        except (ValueError, EOFError, OSError, AttributeError) as error:
            raise BundleError(f"damaged density: {error}") from error
