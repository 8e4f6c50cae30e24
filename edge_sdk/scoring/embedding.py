"""From embeddings to scores (numpy only): higher is more genuine, in [0, 1].

Raw values are rounded to six decimals. A matrix product differs in its last bits with the shape of the batch, and int8
embeddings tie often: without rounding, a score equal to its threshold could be accepted in evaluation and rejected on
the device.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError

Metric = Literal["euclidean", "cosine"]
Rule = Literal["mean_score", "max_score", "mean_embedding"]
Array = npt.NDArray[np.float64]


def normalise(embeddings: npt.NDArray[Any]) -> Array:
    """L2-normalise the rows of ``embeddings`` (N, D) to float64; a zero or non-finite row raises ``ScoreError``.

    >>> normalise(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    rows = np.array(embeddings, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise ScoreError(f"embeddings must be (N, D) with N, D > 0, not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ScoreError("an embedding is not finite")
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        raise ScoreError("an embedding is all zero: it has no direction")
    rows /= largest  # before squaring, so that tiny and huge rows neither vanish nor overflow
    unit: Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def embedding_scores(
    reference: npt.NDArray[Any], query: npt.NDArray[Any], metric: Metric = "euclidean"
) -> tuple[Array, Array]:
    """Compare every reference (N, D) with every query (M, D); return ``raw`` and ``score``, both (N, M) float64.

    Rows are normalised first. ``euclidean``: raw = distance in [0, 2], score = 1 - raw / 2. ``cosine``: raw = cosine
    in [-1, 1], score = (1 + raw) / 2. Zero or non-finite rows, or different D, raise ``ScoreError``.

    >>> raw, score = embedding_scores(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [-1.0, 0.0]]))
    >>> raw, score
    (array([[0., 2.]]), array([[1., 0.]]))
    """
    first, second = normalise(reference), normalise(query)
    if first.shape[1] != second.shape[1]:
        raise ScoreError(f"embeddings of {first.shape[1]} and {second.shape[1]} values cannot be compared")
    raw: Array = (first @ second.T).clip(-1.0, 1.0)
    if metric == "cosine":
        raw = raw.round(6)
        return raw, (1.0 + raw) / 2.0
    if metric == "euclidean":
        raw = np.sqrt(2.0 - 2.0 * raw).round(6)
        return raw, 1.0 - raw / 2.0
    raise ScoreError(f"unknown metric {metric!r}")


def mean_embedding(references: npt.NDArray[Any]) -> Array:
    """Average the normalised references (N, D) into one direction (1, D) of length 1; opposite ones raise."""
    return normalise(np.round(normalise(references).mean(axis=0, keepdims=True), 12))


def combine(scores: npt.NDArray[Any], rule: Rule) -> Array:
    """Combine scores of N references with M queries, (N, M), into (M,).

    ``mean_embedding`` acts on the references (:func:`mean_embedding`), so here it takes one row only.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0 or not np.isfinite(values).all():
        raise ScoreError(f"scores must be finite and (N, M) with N > 0, not {values.shape}")
    if rule not in ("mean_score", "max_score", "mean_embedding"):
        raise ScoreError(f"unknown rule {rule!r}")
    if rule == "mean_embedding" and len(values) > 1:
        raise ScoreError("average the references with mean_embedding() before scoring")
    combined: Array = values.max(axis=0) if rule == "max_score" else values.mean(axis=0)
    return combined
