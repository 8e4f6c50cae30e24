"""Latents, or what a model has in their place, projected on a plane.

The anti-spoofing thesis draws its latents' first two principal components and UMAP's two (section 3.7). t-SNE stands in
for UMAP, with which it shares the aim: neighbours stay neighbours, distances between groups mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from edge_sdk.manifest import SAMPLE, Manifest
from edge_sdk.opencv import cv2
from edge_sdk.runtime.engines import Tensors
from edge_sdk.scoring.base import Role

POINTS = 600
"""Pictures that are drawn: t-SNE takes seconds for them, and more would hide each other."""
_LEAST = 10
_COMPONENTS = 30  # that t-SNE starts from
_CELLS = 16  # a side, of an error map


@dataclass(frozen=True)
class ComparedOutput:
    """The output of a model by which pictures are compared.

    Attributes:
        output: Of the model: latents or features, or a reconstruction.
        image: The input that is reconstructed, whose error map is taken; None for latents and features.
    """

    output: str
    image: str | None = None

    @property
    def title(self) -> str:
        """What is compared, for people."""
        made = f"the error map of {self.output}, as the model puts out no latents"
        return made if self.image else f"the output {self.output}"

    def point(self, tensors: Tensors) -> NDArray[np.float32]:
        """``(D,)`` of one picture; an error map is |input - output|, the mean over each of 16 x 16 cells."""
        made = tensors[self.output]
        if self.image is None:
            return made.ravel().astype(np.float32)
        image = tensors[self.image]
        error = np.abs(image - made.reshape(image.shape))[0, 0]
        rows, columns = (min(_CELLS, side) for side in error.shape)
        return np.asarray(cv2.resize(error, (columns, rows), interpolation=cv2.INTER_AREA), np.float32).ravel()


@dataclass(frozen=True, eq=False)
class Projection:
    """``pca`` and ``tsne`` are ``(N, 2)``, ``explained`` the shares of variance of the two principal components."""

    pca: NDArray[np.float64]
    tsne: NDArray[np.float64]
    explained: tuple[float, float]


def compared_output(manifest: Manifest) -> ComparedOutput | None:
    """Latents where the model puts them out, else features, else the error map; None for a model with none of them."""
    roles: tuple[Role, ...] = ("latent", "features", "reconstruction")
    for role in roles:
        for name in manifest.outputs(role):
            return ComparedOutput(name, SAMPLE if role == "reconstruction" else None)
    return None


def project(points: NDArray[np.float32], seed: int = 0) -> Projection | None:
    """Project points ``(N, D)`` on a plane; None for fewer than ten, or where all are the same."""
    rows = points.astype(np.float64)
    if len(rows) < _LEAST or min(rows.shape) < 2 or not np.ptp(rows, axis=0).any():
        return None
    estimator = PCA(min(_COMPONENTS, *rows.shape), svd_solver="full")
    components = estimator.fit_transform(rows)
    # t-SNE's parameter is of the data's size, not of its unit.
    neighbours = TSNE(perplexity=min(30.0, (len(rows) - 1) / 3), init="pca", random_state=seed)
    first, second = estimator.explained_variance_ratio_[:2].tolist()
    return Projection(components[:, :2], neighbours.fit_transform(components), (first, second))
