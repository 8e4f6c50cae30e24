from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_sdk.errors import ScoreError
from edge_sdk.scoring.embedding import combine, embedding_scores, mean_embedding, normalise

RNG = np.random.default_rng(7)
REFERENCE = RNG.normal(size=(5, 16)).astype(np.float32)
QUERY = RNG.normal(size=(3, 16)).astype(np.float32)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_scores_equal_the_definition_written_as_loops(metric: str) -> None:
    raw, score = embedding_scores(REFERENCE, QUERY, metric)
    assert raw.shape == score.shape == (5, 3)
    for i, first in enumerate(REFERENCE.astype(float).tolist()):
        for j, second in enumerate(QUERY.astype(float).tolist()):
            a = [x / math.sqrt(math.fsum(v * v for v in first)) for x in first]
            b = [x / math.sqrt(math.fsum(v * v for v in second)) for x in second]
            if metric == "euclidean":
                expected = math.dist(a, b)
                expected_score = 1 - expected / 2
            else:
                expected = math.fsum(x * y for x, y in zip(a, b, strict=True))
                expected_score = (1 + expected) / 2
            assert raw[i, j] == pytest.approx(expected, abs=1e-6)
            assert score[i, j] == pytest.approx(expected_score, abs=1e-6)


def test_ends_of_the_range() -> None:
    same, opposite, across = np.array([[1.0, 0.0]]), np.array([[-3.0, 0.0]]), np.array([[0.0, 0.5]])
    queries = np.concatenate([same, opposite, across])
    raw, score = embedding_scores(same, queries, "euclidean")
    np.testing.assert_allclose(raw, [[0, 2, math.sqrt(2)]], atol=1e-6)
    np.testing.assert_allclose(score, [[1, 0, 1 - math.sqrt(2) / 2]], atol=1e-6)
    raw, score = embedding_scores(same, queries, "cosine")
    np.testing.assert_allclose(raw, [[1, -1, 0]], atol=1e-6)
    np.testing.assert_allclose(score, [[1, 0, 0.5]], atol=1e-6)


def test_shape_of_the_batch_changes_no_bit() -> None:
    reference = RNG.normal(size=(40, 128)).astype(np.float32)
    query = RNG.normal(size=(30, 128)).astype(np.float32)
    for metric in ("euclidean", "cosine"):
        _, together = embedding_scores(reference, query, metric)
        for i in range(40):
            for j in range(30):
                _, alone = embedding_scores(reference[i : i + 1], query[j : j + 1], metric)
                assert alone[0, 0] == together[i, j]


VECTORS = arrays(np.float32, (2, 8), elements=st.floats(-1e3, 1e3, width=32)).filter(lambda a: a.any(axis=1).all())


@settings(max_examples=60, deadline=None)
@given(VECTORS, st.floats(1e-3, 1e3))
def test_scores_are_bounded_symmetric_and_blind_to_scale(vectors: np.ndarray, factor: float) -> None:
    first, second = vectors[:1].astype(np.float64), vectors[1:].astype(np.float64)
    for metric in ("euclidean", "cosine"):
        _, score = embedding_scores(first, second, metric)
        assert 0 <= score[0, 0] <= 1
        assert embedding_scores(second, first, metric)[1] == pytest.approx(score, abs=2e-6)
        assert embedding_scores(first * factor, second, metric)[1] == pytest.approx(score, abs=2e-6)
        assert embedding_scores(first, first, metric)[1] == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_extreme_but_finite_rows_normalise(scale: float) -> None:
    np.testing.assert_allclose(normalise(np.array([[3.0, -4.0]]) * scale), [[0.6, -0.8]])


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((1, 4)),
        np.array([[1, 0, 0, 0], [0, 0, 0, 0]]),
        np.array([[1, np.nan, 0, 0]]),
        np.array([[1, np.inf, 0, 0]]),
        np.ones(4),
        np.ones((0, 4)),
        np.ones((1, 1, 4)),
    ],
    ids=["zero", "one zero row", "nan", "inf", "1-d", "empty", "3-d"],
)
def test_unusable_embeddings_raise(bad: np.ndarray) -> None:
    good = np.ones((1, 4))
    with pytest.raises(ScoreError):
        embedding_scores(bad, good)
    with pytest.raises(ScoreError):
        embedding_scores(good, bad)


def test_other_widths_and_metrics_raise() -> None:
    with pytest.raises(ScoreError, match="4 and 5"):
        embedding_scores(np.ones((1, 4)), np.ones((1, 5)))
    with pytest.raises(ScoreError, match="manhattan"):
        embedding_scores(np.ones((1, 4)), np.ones((1, 4)), "manhattan")  # type: ignore[arg-type]


def test_arguments_stay_as_they_are() -> None:
    reference, query = REFERENCE.copy(), QUERY.copy()
    embedding_scores(reference, query)
    mean_embedding(reference)
    np.testing.assert_array_equal(reference, REFERENCE)
    np.testing.assert_array_equal(query, QUERY)
    double = reference.astype(np.float64)
    normalise(double)
    np.testing.assert_array_equal(double, REFERENCE)


def test_combine_takes_the_mean_or_the_best_reference() -> None:
    scores = np.array([[0.2, 0.9], [0.6, 0.1]])
    np.testing.assert_allclose(combine(scores, "mean_score"), [0.4, 0.5])
    np.testing.assert_allclose(combine(scores, "max_score"), [0.6, 0.9])
    for rule in ("mean_score", "max_score", "mean_embedding"):
        np.testing.assert_array_equal(combine(scores[:1], rule), scores[0])


def test_combine_refuses_what_it_cannot_combine() -> None:
    with pytest.raises(ScoreError, match="mean_embedding"):
        combine(np.ones((2, 2)), "mean_embedding")
    with pytest.raises(ScoreError, match="median"):
        combine(np.ones((2, 2)), "median")  # type: ignore[arg-type]
    for bad in (np.ones((0, 3)), np.ones(3), np.array([[np.nan]])):
        with pytest.raises(ScoreError):
            combine(bad, "max_score")


def test_mean_embedding_is_the_unit_mean_of_directions() -> None:
    mean = mean_embedding(np.array([[10.0, 0.0], [0.0, 0.1]]))
    np.testing.assert_allclose(mean, [[math.sqrt(0.5), math.sqrt(0.5)]])
    with pytest.raises(ScoreError, match="zero"):
        mean_embedding(np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]]))
