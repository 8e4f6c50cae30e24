"""A mixture of Gaussians that a device evaluates (numpy only), and its file in a bundle."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import BundleError, ScoreError

Array = npt.NDArray[np.float64]

_PREFIX = 10  # bytes before the header proper: a magic, a version, and the header's length
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '<f4', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<rows>\d{1,9}), (?P<columns>\d{1,9})\), \} *\n",
    re.DOTALL,
)
"""NumPy file format, version 1.0, as ``numpy.save`` writes a table of little-endian float32."""


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
