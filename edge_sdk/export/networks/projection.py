"""Linear projections of features to few dimensions of about unit variance, in which densities are fitted.

Features of a classifier are nearly constant in many dimensions (document 000: a total variance of 5,672 over 512), and
a density of them rewards noise there. A projection keeps what varies, and its floor bounds how much the rest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import shrunk_covariance
from sklearn.decomposition import PCA
from torch import nn

from edge_sdk.errors import ScoreError, UsageError

MOST_DIMS = 64
"""What a density on a device is over, at most."""
FLOOR = 1e-3
"""Default share of the variance below which a direction does not count."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureProjection:
    """``y = (x - mean) matrix``.

    Attributes:
        mean: ``(D,)``.
        matrix: ``(D, K)``.
    """

    mean: Array
    matrix: Array

    @property
    def dims(self) -> int:
        """K."""
        return int(self.matrix.shape[1])

    def apply(self, features: NDArray[Any]) -> Array:
        """``float64 (N, K)`` of features ``(N, D)``."""
        found: Array = (np.asarray(features, np.float64) - self.mean) @ self.matrix
        return found

    def layer(self) -> nn.Linear:
        """The same as a layer, ``float32``."""
        return _linear(self.matrix.T, -self.mean @ self.matrix)

    def after(self, layer: nn.Linear) -> nn.Linear:
        """One layer that computes ``layer``, which has a bias, and then this projection."""
        weight = layer.weight.detach().double().cpu().numpy()
        bias = layer.bias.detach().double().cpu().numpy()
        return _linear(self.matrix.T @ weight, (bias - self.mean) @ self.matrix)


def fit_projection(
    features: NDArray[Any], people: Sequence[str], kind: str, dims: int = MOST_DIMS, *, floor: float = FLOOR
) -> FeatureProjection:
    """Fit a projection of a kind of :data:`PROJECTIONS`.

    Args:
        features: ``(N, D)``.
        people: Whose each row is, ``N``.
        dims: K, at most; features of a lower rank give fewer.
        floor: In (0, 1): directions of a smaller share of the largest variance are left out, and the within-person
            covariance ``S`` of the P principal components becomes ``(1 - floor) S + floor tr(S) / P I`` before it is
            inverted.

    Raises:
        ScoreError: Features that are not finite or all equal, or of fewer than 2 people where they matter.
        UsageError: An unknown kind, or dims or a floor out of range.
    """
    if kind not in PROJECTIONS:
        raise UsageError(f'no projection "{kind}"; choose from {", ".join(PROJECTIONS)}')
    if not 1 <= dims <= MOST_DIMS or not 0 < floor < 1:
        raise UsageError(f"a projection is to 1 to {MOST_DIMS} dims with a floor in (0, 1), not {dims} and {floor}")
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or len(rows) != len(people) or not np.isfinite(rows).all():
        raise ScoreError(f"a projection needs finite features (N, D) of N people, not {rows.shape} of {len(people)}")
    if not (rows.std(axis=0) > 0).any():
        raise ScoreError("all features are equal; the network has not learned to tell people apart")
    return PROJECTIONS[kind](rows, np.asarray(people), dims, floor)


def _principal(rows: Array, people: NDArray[Any], dims: int, floor: float) -> FeatureProjection:
    """Principal components of unit variance."""
    del people
    found = PCA(min(dims, *rows.shape), svd_solver="full").fit(rows)
    variances = found.explained_variance_
    kept = variances > floor * variances[0]
    return FeatureProjection(found.mean_, (found.components_[kept] / np.sqrt(variances[kept, None])).T)


def _rotation(rows: Array, people: NDArray[Any], dims: int, floor: float) -> FeatureProjection:
    """Principal components on one scale: no direction is worth more than it was to the network."""
    del people, floor
    found = PCA(min(dims, *rows.shape), svd_solver="full").fit(rows)
    return FeatureProjection(found.mean_, found.components_.T / np.sqrt(rows.var(axis=0).mean()))


def _within(rows: Array, people: NDArray[Any], dims: int, floor: float) -> FeatureProjection:
    """Principal components, then the within-person covariance made the identity (WCCN; Hatch et al. 2006)."""
    components = _principal(rows, people, dims, floor)
    reduced = components.apply(rows)
    inside = reduced - _means(reduced, people)
    covariance = shrunk_covariance(inside.T @ inside / len(inside), shrinkage=floor)
    variances, directions = np.linalg.eigh(covariance)
    return FeatureProjection(components.mean, components.matrix @ (directions / np.sqrt(variances)))


def _discriminants(rows: Array, people: NDArray[Any], dims: int, floor: float) -> FeatureProjection:
    """Fisher's linear discriminants: the within-person covariance is the identity, that between them diagonal.

    scikit-learn's with shrinkage are not these: it shrinks the total covariance as well, towards a larger mean, which
    makes the constant features the best discriminants.
    """
    white = _within(rows, people, min(rows.shape), floor)
    means = _means(white.apply(rows), people)
    directions = np.linalg.eigh(means.T @ means)[1][:, ::-1]  # the largest first
    return FeatureProjection(white.mean, white.matrix @ directions[:, : min(dims, len(np.unique(people)) - 1)])


def _means(rows: Array, people: NDArray[Any]) -> Array:
    """Of each row, the mean of its person's rows."""
    persons, indices = np.unique(people, return_inverse=True)
    if len(persons) < 2:
        raise ScoreError(f"variance within people and between them takes 2 people or more, not {len(persons)}")
    found: Array = np.stack([rows[indices == person].mean(axis=0) for person in range(len(persons))])[indices]
    return found


def principal_layer(layer: nn.Linear, features: NDArray[Any]) -> nn.Linear:
    """A layer of the same size that keeps the principal components of features, without a bias.

    They are of the features at unit length, around their mean, which the layer does not take off. A Hadamard matrix
    then turns them, which changes no distance: every value gets a like share of each, so that one int8 scale fits all.

    Args:
        layer: Of a power of 2 outputs.
        features: What the layer is given, ``(N, D)``.

    Raises:
        ScoreError: Features that are not finite, or of one direction.
        UsageError: The layer has another number of outputs.
    """
    rows = np.asarray(features, np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    if not np.isfinite(rows).all() or not np.ptp(rows, axis=0).max() > 1e-5:
        raise ScoreError("all features are alike, or not finite; the network has not learned to tell people apart")
    components = PCA(min(layer.out_features, *rows.shape), svd_solver="full").fit(rows).components_
    turned = _hadamard(layer.out_features)[:, : len(components)]
    return _linear(turned @ components, np.zeros(layer.out_features))


def _hadamard(size: int) -> Array:
    """An orthonormal matrix whose entries are all equal but for their signs, by Sylvester's construction."""
    if size & (size - 1):
        raise UsageError(f"a Hadamard matrix has a power of 2 rows here, not {size}")
    found = np.ones((1, 1))
    while len(found) < size:
        found = np.block([[found, found], [found, -found]])
    return found / np.sqrt(size)


PROJECTIONS: Mapping[str, Callable[[Array, NDArray[Any], int, float], FeatureProjection]] = {
    "pca": _principal,
    "lda": _discriminants,
    "within": _within,
    "rotation": _rotation,
}
"""The kinds of projections."""


def _linear(weight: Array, bias: Array) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weight, np.float32)))
    layer.bias = nn.Parameter(torch.from_numpy(np.asarray(bias, np.float32)))
    return layer
