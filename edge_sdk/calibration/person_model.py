"""The background of a score ``person_model``, fitted to embeddings of training people.

Deterministic: the same embeddings in the same order give the same background.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from edge_sdk.errors import ScoreError
from edge_sdk.scoring.background import LONGEST, Background
from edge_sdk.scoring.base import Array
from edge_sdk.scoring.embedding import normalise
from edge_sdk.scoring.person_model import log_ratios

PEOPLE = 5
"""Fewest training people of two genuine samples or more."""

WITHIN_RIDGE, EVERYBODY_RIDGE = 0.02, 1e-4
"""Share of the mean variance that is added to each: it decides where training people do not vary at all."""

COUNTS = 1, 2, 3, 5, 10
"""References of the enrolments that slope and offset are fitted on."""

_OTHERS = 20  # random forgeries an enrolment
_LEAST_WEIGHT = 1e-3  # of the logistic regression's penalty, against separable classes


def fit_background(
    embeddings: npt.NDArray[Any], subjects: ArrayLike, genuine: ArrayLike, *, seed: int = 0
) -> Background:
    """Fit the background; every person counts alike, however many samples there are.

    Slope and offset are those of a logistic regression of "genuine" on the ratio before them, over enrolments of each
    training person: genuine samples against the person's forgeries and samples of others, one as much as the other.

    Args:
        embeddings: ``(N, D)`` of training people, D up to :data:`~edge_sdk.scoring.background.LONGEST`.
        subjects: ``(N,)`` whose sample it is, or whom it imitates.
        genuine: ``(N,)`` bool, False for a forgery; there may be none.
        seed: Of the enrolments.

    Raises:
        ScoreError: Too few people with two genuine samples, embeddings that are too long or none, or people who do not
            differ.
    """
    unit = normalise(embeddings)
    if unit.shape[1] > LONGEST:
        raise ScoreError(f"a background takes embeddings of up to {LONGEST} values, not {unit.shape[1]}")
    names, flags = np.asarray(subjects), np.asarray(genuine, np.bool_)
    own = {name: unit[(names == name) & flags] for name in np.unique(names)}
    forged = {name: unit[(names == name) & ~flags] for name in own}
    known = [name for name, rows in own.items() if len(rows) > 1]
    if len(known) < PEOPLE:
        raise ScoreError(f"{len(known)} people of two genuine samples; a background needs {PEOPLE}")
    mean = np.mean([own[name].mean(axis=0) for name in known], axis=0)
    scatters = [np.cov(own[name].T) for name in known]
    groups = [
        np.mean([_around(group[name], mean) for name in known if len(group[name])], axis=0)
        for group in (own, forged)
        if any(len(group[name]) for name in known)
    ]
    covariance = np.mean(scatters, axis=0)
    within = _inverse_root(covariance, WITHIN_RIDGE)
    variances = [np.trace(within.T @ scatter @ within) / len(mean) for scatter in scatters]
    unscaled = Background(
        people=len(known),
        mean=mean,
        within=within,
        everybody=_inverse_root(np.mean(groups, axis=0), EVERYBODY_RIDGE),
        scatter=float(np.mean(variances)),
        widest=float(np.max(variances)),
        slope=1.0,
        offset=0.0,
    )
    found = Background.decode(unscaled.encode())  # as the device has it
    slope, offset = _calibrated(found, [own[name] for name in known], [forged[name] for name in known], seed)
    return Background(
        **{name: getattr(found, name) for name in found.__struct_fields__} | {"slope": slope, "offset": offset}
    )


def _around(rows: Array, mean: Array) -> Array:
    """The covariance of rows ``(N, D)`` around a mean that is not theirs."""
    away = rows - mean
    found: Array = away.T @ away / len(rows)
    return found


def _inverse_root(covariance: Array, ridge: float) -> Array:
    """The lower triangle L with ``L L'`` the inverse of a covariance with a ridge."""
    variance = np.trace(covariance) / len(covariance)
    if not variance > 0:
        raise ScoreError("the embeddings of training people do not differ")
    found: Array = np.linalg.cholesky(np.linalg.inv(covariance + ridge * variance * np.eye(len(covariance))))
    return found


def _calibrated(found: Background, own: list[Array], forged: list[Array], seed: int) -> tuple[float, float]:
    """Slope and offset of the logarithm of the ratio."""
    rng = np.random.default_rng(seed)
    ratios, labels, weights = [], [], []
    everyone, whose = np.concatenate(own), np.repeat(np.arange(len(own)), [len(rows) for rows in own])
    for person, rows in enumerate(own):
        strangers = np.flatnonzero(whose != person)
        for count in COUNTS:
            if len(rows) <= count:
                break
            order = rng.permutation(len(rows))
            others = everyone[rng.choice(strangers, min(_OTHERS, len(strangers)), replace=False)]
            for queries, label, weight in (
                (rows[order[count:]], 1.0, 2.0 if len(forged[person]) else 1.0),
                (forged[person], 0.0, 1.0),
                (others, 0.0, 1.0),
            ):
                if len(queries):
                    ratios.append(log_ratios(rows[order[:count]], queries, found))
                    labels.append(np.full(len(queries), label))
                    weights.append(np.full(len(queries), weight / len(queries)))
    return _regression(np.concatenate(ratios), np.concatenate(labels), np.concatenate(weights))


def _regression(x: Array, label: Array, weight: Array) -> tuple[float, float]:
    """Slope and offset of a logistic regression on one variable, by Newton's method."""
    design = np.column_stack([x, np.ones(len(x))])
    weight = weight / weight.sum()
    found = np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ found))
        penalty = np.array([_LEAST_WEIGHT, 0.0])
        step = np.linalg.solve(
            (design * (weight * p * (1 - p))[:, np.newaxis]).T @ design + np.diag(penalty + 1e-12),
            design.T @ (weight * (p - label)) + penalty * found,
        )
        found = found - step
        if np.abs(step).max() < 1e-9:
            break
    slope, offset = found.tolist()
    if not slope > 0:
        raise ScoreError("genuine samples of the training people lie no nearer to them than others do")
    return slope, offset
