"""Which samples are compared, and their scores, from embeddings: N forward passes instead of N squared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_sdk.calibration.metrics.verification import ScoreSet, concatenate
from edge_sdk.errors import ScoreError
from edge_sdk.scoring.base import Rule
from edge_sdk.scoring.embedding import Metric, combine, embedding_scores, mean_embedding

Forgeries = Literal["skilled", "random"]

ScoreMatrix = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.float64]]
"""Compares N embeddings with M: ``(N, M)`` scores."""

PairScores = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.float64]]
"""Compares P embeddings with the P in their places: ``(P,)`` scores."""

EnrolledScores = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.float64]]
"""Enrols N embeddings of one person together and compares each of M with them: ``(M,)`` scores."""

RANDOM_PER_SUBJECT = 1000
"""Random forgeries a subject: enough for FMR 1e-3 with a few dozen people, and linear in their number."""

_BLOCK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """P comparisons of samples by index. references: (P, k) int. queries: (P,) int. mated: (P,) bool."""

    references: NDArray[np.intp]
    queries: NDArray[np.intp]
    mated: NDArray[np.bool_]


def verification_scores(
    embeddings: NDArray[np.floating],
    subjects: ArrayLike,
    genuine: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    forgeries: Forgeries = "skilled",
    references: int = 1,
    metric: Metric = "euclidean",
    rule: Rule = "mean_score",
    seed: int = 0,
    matrix: ScoreMatrix | None = None,
    compare: PairScores | None = None,
    enrolled: EnrolledScores | None = None,
) -> ScoreSet:
    """Scores of the verification protocol on embeddings (N, D) of samples; see `build_pairs` and `score_pairs`.

    subjects: (N,) whose signature a sample shows or imitates. genuine: (N,) bool, False for a skilled forgery.
    groups: (N,) such as data sets, within which samples are compared; a group without mated or without impostor
    comparisons is left out. Without, all are one. Raises ScoreError when none is left.
    """
    people, flags, rows = np.asarray(subjects), np.asarray(genuine), np.asarray(embeddings)
    parts = [slice(None)] if groups is None else [np.asarray(groups) == group for group in np.unique(groups)]
    found, errors = [], []
    for own in parts:
        try:
            pairs = build_pairs(people[own], flags[own], forgeries=forgeries, references=references, seed=seed)
        except ScoreError as error:
            errors.append(error)
            continue
        found.append(
            score_pairs(
                pairs,
                rows[own],
                people[own],
                metric=metric,
                rule=rule,
                matrix=matrix,
                compare=compare,
                enrolled=enrolled,
            )
        )
    if not found:
        reasons = "; ".join(dict.fromkeys(map(str, errors)))
        raise ScoreError(reasons if groups is None else f"nobody is compared across data sets, and {reasons}")
    return concatenate(found)


def build_pairs(
    subjects: ArrayLike,
    genuine: ArrayLike,
    *,
    forgeries: Forgeries = "skilled",
    references: int = 1,
    repeats: int = 5,
    limit: int = RANDOM_PER_SUBJECT,
    seed: int = 0,
) -> Comparisons:
    """The comparisons of a data set.

    One reference: every pair of genuine samples of a person is mated; impostors are every genuine with every forged
    sample of the person (``skilled``), or at most `limit` seeded draws a person of an own genuine sample with somebody
    else's (``random``). `references` = k > 1: `repeats` times, k genuine samples of each person with more than k are
    drawn as the enrolment; the person's other genuine samples, and all forgeries (or `limit` / `repeats` samples of
    others), are compared with it. Raises ScoreError when no mated or no impostor comparison comes out.
    """
    people = np.asarray(subjects)
    flags = np.asarray(genuine, dtype=bool)
    if people.ndim != 1 or people.shape != flags.shape:
        raise ScoreError(f"subjects and genuine must be of one length, got shapes {people.shape} and {flags.shape}")
    if references < 1:
        raise ScoreError(f"a comparison needs at least one reference, got {references}")
    rng = np.random.default_rng(seed)
    blocks: list[tuple[NDArray[np.intp], NDArray[np.intp], bool]] = []
    for person in np.unique(people):
        own = np.flatnonzero((people == person) & flags)
        others = np.flatnonzero((people == person) & ~flags if forgeries == "skilled" else (people != person) & flags)
        if own.size <= references:
            continue
        if references == 1:
            first, second = np.triu_indices(own.size, 1)
            cells = _draw(np.arange(own.size * others.size), limit if forgeries == "random" else None, rng)
            blocks.append((own[first, None], own[second], True))
            blocks.append((own[cells // max(others.size, 1), None], others[cells % max(others.size, 1)], False))
            continue
        for _ in range(repeats):
            enrolled = _draw(own, references, rng)
            for queries, mated in (
                (np.setdiff1d(own, enrolled), True),
                (_draw(others, limit // repeats if forgeries == "random" else None, rng), False),
            ):
                blocks.append((np.tile(enrolled, (queries.size, 1)), queries, mated))

    mated_count, impostor_count = (sum(q.size for _, q, mated in blocks if mated is kind) for kind in (True, False))
    if not mated_count or not impostor_count:
        raise ScoreError(
            f"{mated_count} mated and {impostor_count} {forgeries} impostor comparisons come out of {people.size} "
            f"samples of {np.unique(people).size} people with {references} reference(s)"
        )
    return Comparisons(
        np.concatenate([reference for reference, _, _ in blocks]),
        np.concatenate([query for _, query, _ in blocks]),
        np.concatenate([np.full(query.size, mated) for _, query, mated in blocks]),
    )


def _draw(items: NDArray[np.intp], count: int | None, rng: np.random.Generator) -> NDArray[np.intp]:
    """At most `count` of `items`, without replacement and in order; all of them for None."""
    if count is None or items.size <= count:
        return items
    return np.sort(rng.choice(items, count, replace=False))


def score_pairs(
    pairs: Comparisons,
    embeddings: NDArray[np.floating],
    subjects: ArrayLike,
    *,
    metric: Metric = "euclidean",
    rule: Rule = "mean_score",
    matrix: ScoreMatrix | None = None,
    compare: PairScores | None = None,
    enrolled: EnrolledScores | None = None,
) -> ScoreSet:
    """The score of each comparison, by the very functions the runtime scores with; subject = the reference's.

    embeddings: (N, D), indexed by `pairs`. rule: how several references become one score (the manifest's).
    matrix: compares instead of the distance by `metric`. compare: the same, where each pair costs as much by itself.
    enrolled: compares with several references, instead of `rule`, where the score is fitted to them together.
    Raises ScoreError for an embedding that is zero or not finite.
    """
    people = np.asarray(subjects)[pairs.references[:, 0]]
    gallery, index = np.asarray(embeddings), pairs.references
    if enrolled is not None and index.shape[1] > 1:
        together = np.empty(len(index))
        enrolments, which = np.unique(index, axis=0, return_inverse=True)
        for number, rows in enumerate(enrolments):
            chosen = which.ravel() == number
            together[chosen] = enrolled(gallery[rows], gallery[pairs.queries[chosen]])
        return ScoreSet(together, pairs.mated, people)
    if rule == "mean_embedding" and index.shape[1] > 1:
        enrolments, which = np.unique(index, axis=0, return_inverse=True)
        gallery, index = np.concatenate([mean_embedding(gallery[rows]) for rows in enrolments]), which.reshape(-1, 1)
    queries = np.broadcast_to(pairs.queries[:, None], index.shape)
    scores = np.empty(index.shape)
    if compare is not None:
        flat, first, second = scores.reshape(-1), index.ravel(), queries.ravel()
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            flat[part] = compare(gallery[first[part]], np.asarray(embeddings)[second[part]])
        return ScoreSet(scores[:, 0] if index.shape[1] == 1 else combine(scores.T, rule), pairs.mated, people)
    for start in range(0, len(gallery), _BLOCK):
        inside = (index >= start) & (index < start + _BLOCK)
        if inside.any():
            references = gallery[start : start + _BLOCK]
            if matrix is None:
                block = embedding_scores(references, np.asarray(embeddings), metric)[1]
            else:
                block = matrix(references, np.asarray(embeddings))
            scores[inside] = block[index[inside] - start, queries[inside]]
    combined = scores[:, 0] if index.shape[1] == 1 else combine(scores.T, rule)
    return ScoreSet(combined, pairs.mated, people)
