"""What a score of likelihood ratios needs beside the network: a projection of its features, and everybody's density."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_sdk.export.data.cache import expanded
from edge_sdk.export.networks import gaussian_mixture
from edge_sdk.export.networks.flows import DensityGraph, Flow
from edge_sdk.export.networks.likelihood import LikelihoodSettings
from edge_sdk.export.networks.projection import FeatureProjection, fit_projection
from edge_sdk.export.training.densities import FAST, fit_flow
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.scoring.likelihood import LogLikelihoodRatio

FLOW = FAST
"""How a flow is fitted."""
_BATCH = 256


class Latent(nn.Module):
    """What a device computes of a flow: rows ``(N, D)`` to latents ``(N, D)``.

    The log-determinant is that of every density of latents, and so no part of their ratio.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.density = DensityGraph(flow)  # torch.export loses the weights of a module that is called `graph`

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        latent: torch.Tensor = self.density(x)[0]
        return latent


@dataclass(frozen=True, eq=False)
class FittedLikelihood:
    """What is fitted on the features of training people.

    Attributes:
        projection: Of the network's features to those of the densities.
        densities: Of projected features, or of the flow's latents of them, by the path that the score gives, as a
            device reads them from their files.
        flow: Of projected features; None for none.
    """

    projection: FeatureProjection
    densities: Mapping[str, GaussianMixture]
    flow: Flow | None = None

    @property
    def files(self) -> dict[str, bytes]:
        """The densities as files, by path."""
        return {path: density.encode() for path, density in self.densities.items()}

    def model(self, network: nn.Module) -> nn.Module:
        """A copy of what gives features that gives projected ones, ``(N, D)``.

        Where the network names its last layer (``last``, the path of an :class:`torch.nn.Linear` with nothing behind
        it), the two are one layer: features that are nearly constant would not survive int8 between them.
        """
        last = getattr(network, "last", None)
        if last is None:
            return nn.Sequential(copy.deepcopy(network), self.projection.layer()).eval()
        joined = copy.deepcopy(network).eval()
        layer = joined.get_submodule(last)
        assert isinstance(layer, nn.Linear), f"{last} is the last layer"
        joined.set_submodule(last, self.projection.after(layer))
        return joined


def fit_likelihood(
    features: NDArray[Any],
    people: Sequence[str],
    settings: LikelihoodSettings,
    score: LogLikelihoodRatio,
    *,
    held_out: NDArray[Any] | None = None,
    seed: int = 0,
) -> FittedLikelihood:
    """Fit the projection, the flow if there is one, everybody's density and, where the score names one, the prior.

    The prior is what is adapted to a person. It has the weights and means of everybody's density, and the variances of
    one person's rows about their mean.

    Args:
        features: ``(R, F)`` of training people, who are not measured with what comes out.
        people: Whose each row is, ``R``.
        score: Says what the densities are called, and what is done to rows before.
        held_out: ``(S, F)`` of other people, who choose when a flow is fitted best; None takes the same ones.

    Raises:
        ScoreError: Features that are not finite or all equal, of fewer than 2 people, or fewer than 2 a mode.
        TrainingError: A mode has died out.
    """
    projection = fit_projection(features, people, settings.projection, settings.dims, floor=settings.projection_floor)
    projected = projection.apply(features).astype(np.float32)
    flow = None
    if settings.flow is not None:
        others = projected if held_out is None else projection.apply(held_out)
        flow = fit_flow(settings.flow, projected, others, settings=FLOW, seed=seed)
        projected = features_of(Latent(flow), projected)
    rows = score.rows(projected)
    background = gaussian_mixture.fit(rows, settings.modes, floor=settings.variance_floor, seed=seed)
    densities = {score.background: background}
    if score.prior is not None:
        variances = np.broadcast_to(_within(rows, people), background.means.shape)
        densities[score.prior] = GaussianMixture(background.weights, background.means, variances)
    return FittedLikelihood(
        projection, {path: GaussianMixture.decode(density.encode()) for path, density in densities.items()}, flow
    )


def _within(rows: NDArray[np.float64], people: Sequence[str]) -> NDArray[np.float64]:
    """``(D,)``: the mean squared distance of a row from the mean of its person's rows."""
    _, person = np.unique(people, return_inverse=True)
    means = np.stack([rows[person == number].mean(axis=0) for number in range(person.max() + 1)])
    found: NDArray[np.float64] = ((rows - means[person]) ** 2).mean(axis=0)
    return found


def features_of(network: nn.Module, rows: NDArray[Any]) -> NDArray[np.float32]:
    """``(R, F)``: the one output of what gives features, of rows ``(R, ...)`` as the cache keeps them."""
    network = network.eval()
    with torch.inference_mode():
        parts = (torch.tensor(expanded(rows[k : k + _BATCH])) for k in range(0, len(rows), _BATCH))
        return np.concatenate([network(part).numpy() for part in parts])
