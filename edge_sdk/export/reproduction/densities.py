"""The densities that document 000 compares, alike in what its table 2 asks of them: a mixture and three flows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.export.networks import gaussian_mixture
from edge_sdk.export.networks.flows import Flow, build_flow
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.densities import ADAPTED, FAST, adapt_flow, fit_flow
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

RELEVANCE = 16.0
"""Of Reynolds et al. (2000), section 3.3; the document gives none."""
MODES = (1, 2, 4, 8, 16, 32, 64)
VARIANCE_FLOOR = 0.01
MAX_BYTES = 2**26

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FitRows:
    """Rows to fit a density on, ``(N, D)``, and those of other walks by which it is seen when to stop."""

    learned: Array
    held_out: Array


class Density(ABC):
    """Everybody's density, or a user's that was adapted from it."""

    @abstractmethod
    def adapted(self, user: FitRows, population: FitRows) -> Density:
        """A user's, of which this one is everybody's."""

    @abstractmethod
    def log_likelihood(self, rows: Array) -> Array:
        """``log p(x)``, ``(N,)``."""

    @abstractmethod
    def sample(self, count: int, seed: int) -> Array:
        """``(count, D)`` drawn from it."""

    @abstractmethod
    def write(self, path: Path) -> None:
        """So that it can be read again."""


@dataclass(frozen=True, eq=False)
class MixtureDensity(Density):
    """GMM-UBM."""

    mixture: GaussianMixture

    @classmethod
    def fit(cls, rows: FitRows, *, seed: int, tiny: bool) -> MixtureDensity:
        """With the number of modes under which the held-out rows are likeliest."""
        modes = MODES[:2] if tiny else MODES
        found = gaussian_mixture.choose(rows.learned, rows.held_out, modes=modes, floor=VARIANCE_FLOOR, seed=seed)
        return cls(found)

    @classmethod
    def read(cls, path: Path, dims: int, *, seed: int, tiny: bool) -> MixtureDensity:
        """What :meth:`write` wrote."""
        del dims, seed, tiny
        return cls(GaussianMixture.decode(files.read_bytes(path, MAX_BYTES)))

    def adapted(self, user: FitRows, population: FitRows) -> MixtureDensity:
        """See :class:`Density`."""
        del population
        return MixtureDensity(self.mixture.adapted(np.concatenate([user.learned, user.held_out]), RELEVANCE))

    def log_likelihood(self, rows: Array) -> Array:
        """See :class:`Density`."""
        return self.mixture.log_likelihood(rows)

    def sample(self, count: int, seed: int) -> Array:
        """See :class:`Density`."""
        rng = np.random.default_rng(seed)
        mode = rng.choice(len(self.mixture.weights), count, p=self.mixture.weights / self.mixture.weights.sum())
        noise = rng.standard_normal((count, self.mixture.means.shape[1]))
        found: Array = self.mixture.means[mode] + noise * np.sqrt(self.mixture.variances[mode])
        return found

    def write(self, path: Path) -> None:
        """See :class:`Density`."""
        files.write_bytes(path, self.mixture.encode())


@dataclass(frozen=True, eq=False)
class FlowDensity(Density):
    """A normalising flow; a user's is trained on with the document's adapted loss, both sums weighing the same."""

    kind: str
    flow: Flow
    seed: int
    tiny: bool

    @classmethod
    def fit(cls, kind: str, rows: FitRows, *, seed: int, tiny: bool) -> FlowDensity:
        """Until the held-out rows become less likely."""
        settings = replace(FAST, epochs=2) if tiny else FAST
        return cls(kind, fit_flow(kind, rows.learned, rows.held_out, settings=settings, seed=seed), seed, tiny)

    @classmethod
    def read(cls, kind: str, path: Path, dims: int, *, seed: int, tiny: bool) -> FlowDensity:
        """What :meth:`write` wrote."""
        flow = build_flow(kind, dims)
        flow.load_state_dict(checkpoint.load(path)[0])
        return cls(kind, flow.eval(), seed, tiny)

    def adapted(self, user: FitRows, population: FitRows) -> FlowDensity:
        """See :class:`Density`."""
        settings = replace(ADAPTED, epochs=2) if self.tiny else ADAPTED
        found = adapt_flow(
            self.flow, user.learned, population.learned, held_out=user.held_out, settings=settings, seed=self.seed
        )
        return replace(self, flow=found)

    @torch.no_grad()
    def log_likelihood(self, rows: Array) -> Array:
        """See :class:`Density`."""
        return self.flow.log_prob(torch.from_numpy(rows.astype(np.float32))).double().numpy()

    def sample(self, count: int, seed: int) -> Array:
        """See :class:`Density`."""
        return self.flow.sample(count, seed=seed).double().numpy()

    def write(self, path: Path) -> None:
        """See :class:`Density`."""
        checkpoint.save(path, self.flow.state_dict(), {"kind": self.kind})


@dataclass(frozen=True)
class DensityKind:
    """How a density of a kind is fitted, and read again."""

    title: str
    suffix: str
    fit: Callable[..., Density]
    read: Callable[..., Density]


KINDS: Mapping[str, DensityKind] = {
    "gmm": DensityKind("GMM", ".npy", MixtureDensity.fit, MixtureDensity.read),
    **{
        kind: DensityKind(title, ".safetensors", partial(FlowDensity.fit, kind), partial(FlowDensity.read, kind))
        for kind, title in {"maf": "MAF", "glow": "Glow", "realnvp": "RealNVP"}.items()
    },
}
"""In the document's order."""
