"""A mixture of Gaussians that a device evaluates (numpy only), and its file in a bundle."""

from __future__ import annotations

import io
import re
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge_sdk.errors import BundleError, ScoreError

Array = npt.NDArray[np.float64]

Adapts = Literal["all", "means"]
"""What of a mixture follows a person's rows."""

FLOOR = 0.01
"""Least variance of an adapted mode, as a share of its variance before: equal rows give no spike."""

CAMERA_FLOOR = 0.1
"""The same of a density that is fitted to one camera, of the variances of all that was trained on."""

_AT_ONCE = 2**18
"""Differences of a value and a mode's mean in memory at one time: 2 MiB."""

_PREFIX = 10  # bytes before the header proper: a magic, a version, and the header's length
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '<f4', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<rows>\d{1,9}), (?P<columns>\d{1,9})\), \} *\n",
    re.DOTALL,
)
"""NumPy file format, version 1.0, as ``numpy.save`` writes a table of little-endian float32."""


class GaussianMixture(msgspec.Struct, frozen=True, eq=False):
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
        return log_sum_exp(self._joint(x))

    def responsibilities(self, x: npt.NDArray[Any]) -> Array:
        """``Pr(k | x)`` of rows ``(N, D)``: ``float64 (N, K)``, each row of sum 1.

        Raises:
            ScoreError: Rows of another length, or so far away that all densities are 0.

        >>> halves = GaussianMixture(np.full(2, 0.5), np.array([[-1.0], [1.0]]), np.ones((2, 1)))
        >>> halves.responsibilities(np.array([[0.0], [3.0]])).round(4)
        array([[0.5   , 0.5   ],
               [0.0025, 0.9975]])
        """
        joint = self._joint(x)
        total = log_sum_exp(joint)
        if not np.isfinite(total).all():
            raise ScoreError("rows lie beyond what the modes of a mixture can tell apart")
        found: Array = np.exp(joint - total).T
        return found

    def distances(self, x: npt.NDArray[Any]) -> Array:
        """How many standard deviations rows ``(N, D)`` lie from the nearest mode, root mean square over the D values.

        About 1 for a row that the mixture itself might have given. ``float64 (N,)``; ScoreError as log_likelihood.

        >>> GaussianMixture(np.ones(1), np.zeros((1, 2)), np.full((1, 2), 4.0)).distances(np.full((1, 2), 6.0))
        array([3.])
        """
        found: Array = np.sqrt(self._squares(x).min(axis=0) / self.means.shape[1])
        return found

    def adapted(
        self, x: npt.NDArray[Any], relevance: float, *, adapts: Adapts = "all", floor: float = FLOOR
    ) -> GaussianMixture:
        """The mixture drawn towards one person's rows by maximum a posteriori estimation; this one stays as it is.

        Weights, means and variances, or the means alone (Reynolds, Quatieri and Dunn 2000, equations 7 to 14). With
        ``r_tk = Pr(k | x_t)`` and ``n_k = sum_t r_tk`` each mode follows the rows by a share
        ``a_k = n_k / (n_k + relevance)``::

            weight    (a_k n_k / T + (1 - a_k) w_k) / their sum
            mean      m'_k = a_k E_k(x) + (1 - a_k) m_k
            variance  a_k E_k(x^2) + (1 - a_k) (v_k + m_k^2) - m'_k^2

        A mode that no row is near keeps its mean and variance.

        Args:
            x: ``(T, D)``, finite, T from 1.
            relevance: How many rows weigh as much as what is known of everybody, above 0; the paper's is 16.
            adapts: ``"all"``, or ``"means"`` alone: few rows say little of a variance.
            floor: Least variance, as a share of the variance before.

        Raises:
            ScoreError: Rows that are none or not finite, or as for :meth:`responsibilities`.
        """
        rows = np.asarray(x, np.float64)
        if not len(rows) or not np.isfinite(rows).all():
            raise ScoreError(f"rows {rows.shape} to adapt a mixture to are none, or not finite")
        likely = self.responsibilities(rows)
        counts = likely.sum(axis=0)
        total = (counts + relevance)[:, np.newaxis]
        if adapts == "means":
            moved = (likely.T @ rows - counts[:, np.newaxis] * self.means) / total
            return GaussianMixture(self.weights, self.means + moved, self.variances)
        # Sums over a_k E_k are sums over r_tk / (n_k + relevance), which a mode without rows has too. Differences from
        # the old mean: squares of values far from 0 would leave nothing of a small variance.
        moved, spread = np.empty_like(self.means), np.empty_like(self.means)
        for mode, mean in enumerate(self.means):
            away = rows - mean
            moved[mode], spread[mode] = likely[:, mode] @ away, likely[:, mode] @ away**2
        moved /= total
        share = counts / (counts + relevance)
        weights = share * counts / len(rows) + (1 - share) * self.weights
        variances = (spread + relevance * self.variances) / total - moved**2
        return GaussianMixture(
            weights / weights.sum(), self.means + moved, np.maximum(variances, floor * self.variances)
        )

    def replaced(self, x: npt.NDArray[Any]) -> GaussianMixture:
        """One Gaussian of rows alone: what was trained on gives nothing but the least variances.

        Live faces of a camera lie near each other, and far from those of other cameras. Modes or a prior that remember
        those accept what the camera in use never shows; measured in docs/results/liveness.md, "A new camera".

        Args:
            x: ``(T, D)``, finite, T from 2.

        Raises:
            ScoreError: Too few rows, not finite, or of another length.

        >>> before = GaussianMixture(np.full(2, 0.5), np.array([[-3.0], [3.0]]), np.ones((2, 1)))
        >>> after = before.replaced(np.array([[4.0], [6.0]]))
        >>> after.means, after.variances
        (array([[5.]]), array([[1.]]))
        """
        rows = np.asarray(x, np.float64)
        if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] != self.means.shape[1] or not np.isfinite(rows).all():
            raise ScoreError(f"rows {rows.shape} to fit a density over {self.means.shape[1]} values, or not finite")
        middle = self.weights @ self.means
        spread = self.weights @ (self.variances + (self.means - middle) ** 2)
        variances = np.maximum(rows.var(axis=0), CAMERA_FLOOR * spread)
        return GaussianMixture(np.ones(1), rows.mean(axis=0, keepdims=True), variances[np.newaxis]).rounded()

    @property
    def level(self) -> float:
        """The mean log-likelihood of rows that the mixture itself gives, of modes that lie apart.

        >>> float(GaussianMixture(np.ones(1), np.zeros((1, 2)), np.full((1, 2), 1 / (2 * np.pi))).level)
        -1.0
        """
        modes = np.log(self.weights) - 0.5 * np.log(2 * np.pi * np.e * self.variances).sum(axis=1)
        return float(self.weights @ modes)

    def rounded(self) -> GaussianMixture:
        """The mixture of the nearest float32 numbers, which is what files keep."""
        parts = (self.weights, self.means, self.variances)
        return GaussianMixture(*(part.astype(np.float32).astype(np.float64) for part in parts))

    def _joint(self, x: npt.NDArray[Any]) -> Array:
        """``log(w_k N(x; m_k, v_k))``, ``float64 (K, N)``."""
        spread = np.log(2 * np.pi * self.variances).sum(axis=1)
        joint: Array = (np.log(self.weights) - 0.5 * spread)[:, np.newaxis] - 0.5 * self._squares(x)
        return joint

    def _squares(self, x: npt.NDArray[Any]) -> Array:
        """Squared Mahalanobis distances ``float64 (K, N)``; infinite beyond float64."""
        if x.ndim != 2 or x.shape[1] != self.means.shape[1]:
            raise ScoreError(f"the mixture is over rows of {self.means.shape[1]} values, not {x.shape}")
        step = max(1, _AT_ONCE // self.means.size)
        found = np.empty((len(self.means), len(x)))
        with np.errstate(over="ignore"):
            for start in range(0, len(x), step):
                away = x[np.newaxis, start : start + step] - self.means[:, np.newaxis]
                found[:, start : start + step] = (away**2 / self.variances[:, np.newaxis]).sum(axis=2)
        return found

    def encode(self) -> bytes:
        """A NumPy file of ``float32 (K, 1 + 2 D)``: weight, means and variances, a mode a row."""
        table = np.hstack([self.weights[:, None], self.means, self.variances])
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(table, np.float32))
        return buffer.getvalue()

    @classmethod
    def decode(cls, data: bytes) -> GaussianMixture:
        """Raises BundleError if these are not the bytes of a mixture as :meth:`encode` writes them."""
        try:
            columns = _table(data).astype(np.float64)
            weights, means, variances = np.split(columns, [1, 1 + columns.shape[1] // 2], axis=1)
            return cls(weights[:, 0], means, variances)
        except ScoreError as error:
            raise BundleError(f"damaged density: {error}") from error


def log_sum_exp(logarithms: Array) -> Array:
    """``log(sum(exp(x)))`` over the first axis, without overflow; of minus infinities alone, minus infinity.

    >>> log_sum_exp(np.array([[-1e5, -np.inf], [-1e5, -np.inf]])).round(4)
    array([-99999.3069,        -inf])
    """
    highest = logarithms.max(axis=0)
    base = np.where(highest == -np.inf, 0.0, highest)
    with np.errstate(divide="ignore"):
        found: Array = base + np.log(np.exp(logarithms - base).sum(axis=0))
    return found


def _table(data: bytes) -> npt.NDArray[np.float32]:
    """The one kind of NumPy file that a mixture is in.

    ``numpy.load`` takes archives and pickles too, evaluates the header as Python, and makes room for as many values as
    it announces before it looks whether they are there.
    """
    found = _HEADER.match(data)
    if not found:
        raise ScoreError("no NumPy file of a table of float32")
    rows, columns = int(found["rows"]), int(found["columns"])
    start = _PREFIX + int.from_bytes(found["length"], "little")
    if columns % 2 == 0 or found.end() != start or len(data) != start + 4 * rows * columns:
        raise ScoreError(f"a table of {rows} x {columns} values in a file of {len(data)} bytes is no mixture")
    order: Literal["F", "C"] = "F" if found["fortran"] == b"True" else "C"
    values = np.frombuffer(data, "<f4", offset=start)
    if not np.isfinite(values).all():
        raise ScoreError("a mixture needs finite numbers")
    return values.reshape(rows, columns, order=order)
