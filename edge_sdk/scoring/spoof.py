"""From a model's outputs to a liveness score (numpy only): higher is more likely a live capture.

Scores are raw: nothing here depends on the data under test, so that a threshold means the same for every image. They
are rounded to eight decimals, for the reason that :mod:`edge_sdk.scoring.embedding` gives; squared differences of
images are small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ScoreError
from edge_sdk.manifest import (
    DecisionHead,
    EmbeddingDistance,
    Fusion,
    LatentDistance,
    LatentLikelihood,
    LogLikelihoodRatio,
    Lowest,
    Reconstruction,
    Score,
    SingleScore,
)
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

Array = npt.NDArray[np.float64]
Tensors = Mapping[str, npt.NDArray[Any]]


def members(score: Score) -> tuple[SingleScore, ...]:
    """The scores that several make one of; of any other, this one."""
    return score.members if isinstance(score, Fusion | Lowest) else (score,)


def output_names(score: Score) -> tuple[str, ...]:
    """The model's outputs that a score is computed from, each once."""
    match score:
        case Fusion() | Lowest():
            return tuple(dict.fromkeys(name for member in score.members for name in output_names(member)))
        case LatentDistance():
            return score.first, score.second
        case EmbeddingDistance() | DecisionHead() | Reconstruction() | LatentLikelihood() | LogLikelihoodRatio():
            return (score.output,)


def liveness(score: Score, tensors: Tensors, densities: Mapping[str, GaussianMixture] | None = None) -> Array:
    """Evaluate a score of task ``spoof``.

    Args:
        score: A reconstruction, latent distance, latent log-likelihood, decision head, a fusion or the lowest of
            these.
        tensors: By name, the model's inputs (pre-processed) and outputs that the score names, ``(N, ...)`` each.
        densities: By path, the auxiliary files of latent log-likelihoods.

    Returns:
        ``float64 (N,)``.

    Raises:
        ScoreError: A tensor or density is missing, of a wrong shape or not finite; or it is another kind of score.

    >>> score = Reconstruction(input="image", output="reconstruction", norm="l2")
    >>> liveness(score, {"image": np.array([[1.0, 0.0]]), "reconstruction": np.array([[0.5, 0.5]])})
    array([-0.25])
    """
    match score:
        case Reconstruction():
            difference = _difference(tensors, score.input, score.output)
            found = -(difference**2 if score.norm == "l2" else np.abs(difference)).mean(axis=1)
        case LatentDistance():
            found = -np.linalg.norm(_difference(tensors, score.first, score.second), axis=1)
        case LatentLikelihood():
            if score.density not in (densities or {}):
                raise ScoreError(f"the score needs the density {score.density}, which was not given")
            assert densities is not None
            found = densities[score.density].log_likelihood(_rows(tensors, score.output))
        case Fusion():
            members = [liveness(member, tensors, densities) for member in score.members]
            found = score.bias + np.asarray(score.weights) @ np.stack(members)
        case Lowest():
            members = [liveness(member, tensors, densities) for member in score.members]
            found = (np.transpose(members) * score.weights + score.biases).min(axis=1)
        case DecisionHead():
            found = _decision(score, _rows(tensors, score.output))
        case _:
            raise ScoreError(f"{type(score).__name__} compares people; it is no score of one picture")
    rounded: Array = found.round(8)
    return rounded


def _decision(score: DecisionHead, logits: Array) -> Array:
    """Of logits ``(N, C)``: C is above ``genuine_index`` for a softmax, else 1."""
    classes = logits.shape[1]
    if score.activation != "softmax":
        if classes != 1:
            raise ScoreError(f"a {score.activation} takes one logit a picture, {score.output} has {classes}")
        if score.activation == "identity":
            return logits[:, 0]
        logits = np.hstack([logits, np.zeros_like(logits)])  # 1 / (1 + exp(-x)) = exp(x) / (exp(x) + exp(0))
    elif score.genuine_index >= classes:
        raise ScoreError(f"{score.output} has {classes} classes, none of index {score.genuine_index}")
    found: Array = np.exp(logits[:, score.genuine_index] - np.logaddexp.reduce(logits, axis=1))
    return found


def _difference(tensors: Tensors, first: str, second: str) -> Array:
    a, b = _rows(tensors, first), _rows(tensors, second)
    if a.shape != b.shape:
        raise ScoreError(f"{first} {a.shape} and {second} {b.shape} cannot be compared")
    return a - b


def _rows(tensors: Tensors, name: str) -> Array:
    """A tensor as ``float64 (N, D)``."""
    if name not in tensors:
        raise ScoreError(f"the score needs {name}, which is not among {', '.join(sorted(tensors)) or 'no tensors'}")
    tensor = np.asarray(tensors[name], np.float64)
    if tensor.ndim < 2 or tensor.size == 0:
        raise ScoreError(f"{name} must hold a row an image, not {tensor.shape}")
    if not np.isfinite(tensor).all():
        raise ScoreError(f"{name} is not finite")
    return tensor.reshape(len(tensor), -1)
