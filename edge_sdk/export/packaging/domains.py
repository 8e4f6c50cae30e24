"""What an expert knows: a density of what its network sees in the pictures that it was trained on.

Beyond that its answer is a guess, and the fused score leaves it out (:class:`edge_sdk.manifest.Domain`). Live pictures
and attacks count alike: an attack as in training is known, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.errors import UsageError
from edge_sdk.export.data.cache import expanded, prepared
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.data.sampling import kept
from edge_sdk.export.networks import gaussian_mixture
from edge_sdk.export.networks.classifier import LOOK, BinaryClassifier
from edge_sdk.export.networks.projection import fit_projection
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import Domain, LatentLikelihood
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

DIMS = 16
"""Principal components of the features, of unit variance."""
MODES = (1, 2, 4, 8, 16)
DENSITY = f"{LOOK}.npy"
IMAGES = 64
"""At a time."""


class Expert(NamedTuple):
    """A run that knows its domain."""

    run: FinishedRun
    domain: Domain
    density: GaussianMixture


def learned(run: FinishedRun, unknown: float) -> Expert:
    """The run with the :data:`~edge_sdk.export.networks.classifier.LOOK` among its outputs, and its domain.

    Args:
        unknown: Share of the validation people's pictures that it abstains from, of those like its training.

    Raises:
        UsageError: Its network tells no live pictures from attacks, or no such share.
        ScoreError: Its people are too few.
    """
    if not 0 <= unknown < 1:
        raise UsageError(f"an expert abstains from a share of the pictures from 0 to below 1, not {unknown:g}")
    network = run.network
    if not isinstance(network, BinaryClassifier):
        raise UsageError(f"{run.recipe.name} learns no attacks, so that it has no domain to abstain outside of")
    train, validation = (_kept(run, role) for role in ("train", "validation"))
    seen = [_features(run, network, samples) for samples in (train, validation)]
    projection = fit_projection(seen[0], [sample.subject for sample in train], "pca", DIMS)
    rows = [projection.apply(features) for features in seen]
    density = gaussian_mixture.choose(*rows, modes=MODES, seed=run.seed).rounded()
    least = float(np.quantile(density.log_likelihood(rows[1]), unknown))
    network.look = projection.layer()
    recipe = replace(run.recipe, latents=LOOK, shows_latents=True)
    domain = Domain(likelihood=LatentLikelihood(output=LOOK, density=DENSITY), least=least)
    return Expert(replace(run, recipe=recipe), domain, density)


def _kept(run: FinishedRun, role: str) -> list[Sample]:
    """The samples of a role that its network would learn from."""
    samples, objective = run.people(role).samples, run.preset.objective
    chosen = kept(samples, objective.attacks, objective.without)
    return [sample for sample, known in zip(samples, chosen, strict=True) if known]


@torch.no_grad()
def _features(run: FinishedRun, network: BinaryClassifier, samples: list[Sample]) -> NDArray[np.float32]:
    """``(N, D)``."""
    pictures = prepared(samples, run.preset.preprocessing)
    network.eval()
    made = [
        network.classify(torch.from_numpy(expanded(pictures[start : start + IMAGES]))).features.numpy()
        for start in range(0, len(pictures), IMAGES)
    ]
    return np.concatenate(made)
