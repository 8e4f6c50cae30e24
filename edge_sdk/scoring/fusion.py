"""Several scores of one sample made into one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np

from edge_sdk.schema import require, require_finite
from edge_sdk.scoring.base import Array, ModelInterface, Rename, Role, Score, Task, Tensors
from edge_sdk.scoring.decision_head import DecisionHead
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture
from edge_sdk.scoring.latent import LatentDistance, LatentLikelihood
from edge_sdk.scoring.reconstruction import Reconstruction

if TYPE_CHECKING:
    from typing_extensions import Self

Single = DecisionHead | Reconstruction | LatentDistance | LatentLikelihood
"""The scores of one sample, which can be fused."""


class _Fused(Score, frozen=True, kw_only=True):
    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {name: role for member in self.members for name, role in member.roles.items()}

    @property
    def density_outputs(self) -> Mapping[str, str]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {path: output for member in self.members for path, output in member.density_outputs.items()}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        for member in self.members:
            member.check(interface, task)

    def renamed(self, tensors: Rename, files: Rename = str) -> Self:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return msgspec.structs.replace(self, members=tuple(one.renamed(tensors, files) for one in self.members))

    def _columns(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        """``(K, N)``, a member a row."""
        return np.stack([member.score(tensors, densities) for member in self.members])


class Fusion(_Fused, frozen=True, kw_only=True, tag="fusion"):
    """``bias + sum(weights[i] * members[i])``."""

    members: tuple[Single, ...]
    weights: tuple[float, ...]
    bias: float = 0.0

    def __post_init__(self) -> None:
        require_finite(self)
        require(len(self.members) == len(self.weights) > 0, "a fusion needs one weight per member")
        require(all(map(math.isfinite, self.weights)) and any(self.weights), "weights must be finite and not all zero")

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        found: Array = self.bias + np.asarray(self.weights) @ self._columns(tensors, densities)
        return found


class Lowest(_Fused, frozen=True, kw_only=True, tag="lowest"):
    """``min(weights[i] * members[i] + biases[i])``: of experts of different attacks, each must call a picture live."""

    members: tuple[Single, ...]
    weights: tuple[float, ...]
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = len(self.members), len(self.weights), len(self.biases)
        require(min(counts) == max(counts) > 1, "the lowest takes two members or more, and a weight and bias of each")
        require(all(map(math.isfinite, self.biases)), "biases must be finite")
        require(all(0 < weight < math.inf for weight in self.weights), "weights must be finite and positive")

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        odds = self._columns(tensors, densities).T * self.weights + self.biases
        found: Array = odds.min(axis=1)
        return found
