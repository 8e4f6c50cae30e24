"""Scores of an autoencoder's latent space, or of a discriminator's features."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np

from edge_sdk.errors import ScoreError
from edge_sdk.schema import Name, require
from edge_sdk.scoring.base import Array, ModelInterface, Range, Rename, Role, Score, Task, Tensors, difference, rows
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from typing_extensions import Self


class LatentDistance(Score, frozen=True, kw_only=True, tag="latent_distance"):
    """Minus the Euclidean distance of two outputs: latents (encoder, and encoder of the reconstruction) or features.

    The features are those of a discriminator, of the input and of its reconstruction.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    first: Name
    second: Name

    @property
    def range(self) -> Range:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return -math.inf, 0.0

    @property
    def one_class(self) -> bool:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return True

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        role = _role(self.first)
        return {self.first: role, self.second: role}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        require(self.first != self.second, f"the distance of {self.first} from itself is always 0")
        names = (self.first, self.second)
        first, second = ((interface.output(n, "latent", "features"), interface.role(n)) for n in names)
        require(first == second, f"{self.first} and {self.second} have different shapes or roles")

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del files
        return msgspec.structs.replace(self, first=tensors(self.first), second=tensors(self.second))

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        del densities
        found: Array = -np.linalg.norm(difference(tensors, self.first, self.second), axis=1)
        return found


class LatentLikelihood(Score, frozen=True, kw_only=True, tag="latent_likelihood"):
    """Log-likelihood of latents, or a discriminator's features, under the density in the auxiliary file ``density``."""

    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    output: Name
    density: Name

    @property
    def one_class(self) -> bool:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return True

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.output: _role(self.output)}

    @property
    def density_outputs(self) -> Mapping[str, str]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.density: self.output}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        interface.output(self.output, "latent", "features")
        interface.auxiliary(self.density)

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return msgspec.structs.replace(self, output=tensors(self.output), density=files(self.density))

    def level(self, densities: Mapping[str, GaussianMixture]) -> float:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return densities[self.density].level

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        if self.density not in densities:
            raise ScoreError(f"the score needs the density {self.density}, which was not given")
        return densities[self.density].log_likelihood(rows(tensors, self.output))


def _role(output: str) -> Role:
    """What the numbers of an output mean, by its name."""
    return "features" if "features" in output else "latent"
