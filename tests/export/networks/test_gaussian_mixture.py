"""Densities and components of what networks give: float32, and not centred."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.export.evaluation.spoof.projection import project
from edge_sdk.export.networks.gaussian_mixture import fit
from edge_sdk.export.networks.projection import fit_projection


@pytest.mark.parametrize("mean", [0.0, 30.0, 1000.0])
def test_where_float32_features_lie_does_not_matter(mean: float) -> None:
    """scikit-learn's own results are wrong at 1,000 deviations (``findings/scikit_learn_float32_offset.sh``)."""
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(400, 6)) * np.linspace(0.5, 3, 6) + mean).astype(np.float32)
    exact = features.astype(np.float64)
    mixture = fit(features, 1)
    np.testing.assert_allclose(mixture.means[0], exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(mixture.variances[0], exact.var(axis=0), rtol=1e-4)
    values, vectors = np.linalg.eigh(np.cov(exact.T))
    first = (exact - exact.mean(axis=0)) @ vectors[:, -1]
    components = fit_projection(features, ["anna"] * len(features), "pca").apply(features)
    np.testing.assert_allclose(np.abs(components[:, 0]), np.abs(first) / np.sqrt(values[-1]), atol=1e-4)
    shown = project(features[:30])
    assert shown is not None
    values, vectors = np.linalg.eigh(np.cov(exact[:30].T))
    first = (exact[:30] - exact[:30].mean(axis=0)) @ vectors[:, -1]
    np.testing.assert_allclose(np.abs(shown.pca[:, 0]), np.abs(first), atol=1e-3)
