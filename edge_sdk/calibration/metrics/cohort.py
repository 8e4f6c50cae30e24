"""Scores relative to a background cohort: how much closer two samples are than either is to strangers (numpy only).

With s(x, y) the score of two embeddings, and m(x), d(x) mean and standard deviation of the k highest scores of x
against the cohort (its most similar strangers), a reference r and a query q get

    z-norm            (s(r, q) - m(r)) / d(r)
    adaptive s-norm   ((s(r, q) - m(r)) / d(r) + (s(r, q) - m(q)) / d(q)) / 2

after Matejka et al., "Analysis of score normalization in multilingual speaker recognition" (Interspeech 2017). Several
references give the mean of their normalised scores. Still higher = more genuine, but unbounded; a threshold holds for
one cohort only.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.calibration.metrics.pairs import Comparisons, score_pairs
from edge_sdk.calibration.metrics.verification import Floats, ScoreSet
from edge_sdk.errors import ScoreError
from edge_sdk.scoring.embedding import Metric, embedding_scores

Norm = Literal["z", "s"]


def normalised_scores(
    pairs: Comparisons,
    embeddings: NDArray[np.floating],
    subjects: ArrayLike,
    cohort: NDArray[np.floating],
    *,
    top: int,
    norm: Norm = "s",
    metric: Metric = "euclidean",
) -> ScoreSet:
    """`pairs` scored as by ``metrics.pairs.score_pairs``, each score normalised by the `top` nearest.

    embeddings: (N, D), indexed by `pairs`. cohort: (M, D) of people who are not compared here, such as those
    trained on. Raises ScoreError if `top` is not in [2, M], or if all of the nearest are equally far.
    """
    mean, deviation = cohort_statistics(embeddings, cohort, top=top, metric=metric)
    normalised = []
    for column in pairs.references.T:
        scores = score_pairs(
            Comparisons(column[:, None], pairs.queries, pairs.mated), embeddings, subjects, metric=metric
        )
        sides = [column] if norm == "z" else [column, pairs.queries]
        normalised.append(np.mean([(scores.scores - mean[side]) / deviation[side] for side in sides], axis=0))
    return ScoreSet(np.mean(normalised, axis=0), pairs.mated, np.asarray(subjects)[pairs.references[:, 0]])


def cohort_statistics(
    embeddings: NDArray[np.floating], cohort: NDArray[np.floating], *, top: int, metric: Metric = "euclidean"
) -> tuple[Floats, Floats]:
    """Mean and standard deviation, (N,) each, of every embedding's `top` highest scores against the cohort."""
    if not 2 <= top <= len(cohort):
        raise ScoreError(f"a cohort of {len(cohort)} has no {top} nearest; take from 2 to {len(cohort)}")
    nearest = np.sort(embedding_scores(embeddings, cohort, metric)[1], axis=1)[:, -top:]
    deviation = nearest.std(axis=1)
    if not deviation.all():
        raise ScoreError(f"the {top} nearest of the cohort are all equally far from an embedding; take more of them")
    return nearest.mean(axis=1), deviation
