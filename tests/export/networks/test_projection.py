"""Projections against their definitions, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from edge_sdk.errors import ScoreError, UsageError
from edge_sdk.export.networks.projection import PROJECTIONS, fit_projection


def features(seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Of 6 people, 12 correlated dimensions, one of them constant and one nearly so."""
    rng = np.random.default_rng(seed)
    people = [f"p{number % 6}" for number in range(300)]
    centres = rng.normal(size=(6, 12)) * 2
    rows = centres[[int(person[1:]) for person in people]] + rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12))
    rows[:, 3] = 7
    rows[:, 4] = rows[:, 5] + 1e-9 * rng.normal(size=300)
    return rows, people


def within_covariance(rows: np.ndarray, people: list[str]) -> np.ndarray:
    total = np.zeros((rows.shape[1],) * 2)
    for person in set(people):
        own = rows[[other == person for other in people]]
        for row in own - own.mean(axis=0):
            total += np.outer(row, row)
    return total / len(rows)


def test_principal_components_have_unit_variance_and_leave_out_what_is_nearly_constant() -> None:
    rows, people = features()
    projection = fit_projection(rows, people, "pca")
    found = projection.apply(rows)
    assert projection.dims == np.linalg.matrix_rank(np.cov(rows.T), tol=1e-3) == 10
    np.testing.assert_allclose(np.cov(found.T), np.eye(10), atol=1e-9)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    first = (rows - rows.mean(axis=0)) @ vectors[:, -1] / np.sqrt(values[-1])
    np.testing.assert_allclose(np.abs(found[:, 0]), np.abs(first), atol=1e-9)
    assert fit_projection(rows, people, "pca", 3).dims == 3


def test_a_rotation_keeps_distances_but_for_one_scale() -> None:
    rows, people = features()
    projection = fit_projection(rows, people, "rotation")
    found = projection.apply(rows)
    scale = np.sqrt(rows.var(axis=0).mean())
    apart = np.linalg.norm(rows[:100] - rows[100:200], axis=1)
    np.testing.assert_allclose(np.linalg.norm(found[:100] - found[100:200], axis=1), apart / scale, rtol=1e-9)
    covariance = np.cov(found.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)
    assert (np.diff(np.diag(covariance)) <= 1e-12).all()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    few = fit_projection(rows, people, "rotation", 3)
    np.testing.assert_allclose(few.apply(rows), found[:, :3], atol=1e-9)


def test_discriminants_are_fishers_and_whiten_the_within_person_covariance() -> None:
    rows, people = features()
    projection = fit_projection(rows, people, "lda", floor=1e-6)
    found = projection.apply(rows)
    assert projection.dims == 5  # people - 1
    np.testing.assert_allclose(within_covariance(found, people), np.eye(5), atol=1e-3)
    theirs = LinearDiscriminantAnalysis(solver="svd", tol=1e-6).fit(rows[:, np.arange(12) != 3], people)
    for own, other in zip(found.T, theirs.transform(rows[:, np.arange(12) != 3]).T, strict=True):
        assert abs(np.corrcoef(own, other)[0, 1]) > 0.999
    assert fit_projection(rows, people, "lda", 2).dims == 2


def test_within_person_whitening_keeps_more_dims_than_people() -> None:
    rows, people = features()
    projection = fit_projection(rows, people, "within", 8, floor=1e-9)
    assert projection.dims == 8
    np.testing.assert_allclose(within_covariance(projection.apply(rows), people), np.eye(8), atol=1e-6)


def test_the_floor_bounds_the_gain_of_a_direction() -> None:
    rows, people = features()
    components = fit_projection(rows, people, "pca", 8, floor=0.01)
    inside = np.linalg.eigvalsh(within_covariance(components.apply(rows), people))
    projection = fit_projection(rows, people, "within", 8, floor=0.01)
    gains = np.linalg.svd(np.linalg.pinv(components.matrix) @ projection.matrix, compute_uv=False)
    np.testing.assert_allclose(gains, 1 / np.sqrt(0.99 * inside + 0.01 * inside.mean()), rtol=1e-6)


@pytest.mark.parametrize("kind", PROJECTIONS)
def test_as_a_layer_alone_and_behind_another(kind: str) -> None:
    rows, people = features()
    projection = fit_projection(rows, people, kind, 4)
    torch.manual_seed(0)
    before = torch.nn.Linear(9, 12)
    x = torch.randn(5, 9)
    with torch.no_grad():
        between = before(x)
        wanted = projection.apply(between.numpy())
        np.testing.assert_allclose(projection.layer()(between).numpy(), wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(projection.after(before)(x).numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_projected() -> None:
    rows, people = features()
    with pytest.raises(UsageError, match="choose from pca, lda, within"):
        fit_projection(rows, people, "ica")
    for dims, floor in ((0, 0.1), (65, 0.1), (3, 0.0), (3, 1.0)):
        with pytest.raises(UsageError, match="1 to 64"):
            fit_projection(rows, people, "pca", dims, floor=floor)
    for bad in (rows[0], rows[:-1], np.where(rows == 7, np.nan, rows)):
        with pytest.raises(ScoreError, match="finite features"):
            fit_projection(bad, people, "pca")
    with pytest.raises(ScoreError, match="equal"):
        fit_projection(np.ones((300, 4)), people, "pca")
    for kind in ("lda", "within"):
        with pytest.raises(ScoreError, match="2 people"):
            fit_projection(rows, ["one"] * 300, kind)
