"""What a variational autoencoder is trained by, as scores: the divergence of its latents, and the evidence lower bound.

Both are in nats, and those of the latents' mean, which stands for a sample: a picture has one score.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np

from edge_sdk.schema import Name, require
from edge_sdk.scoring.base import Array, ModelInterface, Range, Rename, Role, Score, Task, Tensors, both_rows
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from typing_extensions import Self

NEAREST = 0.5 / 255
"""How near to 0 or 1 a reconstruction counts: half a level of a picture of 8 bits, and half a step of an int8 sigmoid.

The cross entropy beside it would be a matter of the last bit of a graph's output, and infinite at 0.
"""


class KlDivergence(Score, frozen=True, kw_only=True, tag="kl"):
    """Minus the Kullback-Leibler divergence of the latents' distribution from the standard normal one.

    ``1/2 sum(1 + log v - m^2 - v)`` over the means m and variances v of all latents (thesis, equation 2.25).

    >>> score = KlDivergence(mean="latent", log_variance="log_variance")
    >>> score.score({"latent": np.array([[1.0, 0.0]]), "log_variance": np.array([[0.0, 0.0]])})
    array([-0.5])
    """

    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    mean: Name
    log_variance: Name

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
        return {self.mean: "latent", self.log_variance: "log_variance"}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        same = interface.output(self.mean, "latent") == interface.output(self.log_variance, "log_variance")
        require(same, f"{self.mean} has another shape than {self.log_variance}")

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del files
        return msgspec.structs.replace(self, mean=tensors(self.mean), log_variance=tensors(self.log_variance))

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        del densities
        mean, log_variance = both_rows(tensors, self.mean, self.log_variance)
        with np.errstate(over="ignore"):  # what is infinite is no score, and the detector says so
            found: Array = 0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum(axis=1)
        return found


class EvidenceLowerBound(KlDivergence, frozen=True, kw_only=True, tag="elbo"):
    """The evidence lower bound: minus the divergence, and minus the cross entropy of picture and reconstruction.

    The cross entropy, ``-sum(x log y + (1 - x) log(1 - y))`` over all pixels, is minus the log-likelihood of the
    picture x in [0, 1] (thesis, equation 3.1; its mean, which equation 3.3 prints, is no likelihood).
    """

    input: Name
    output: Name

    @property
    def roles(self) -> Mapping[str, Role]:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        return {self.output: "reconstruction", **super().roles}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        super().check(interface, task)
        same = interface.output(self.output, "reconstruction") == interface.input(self.input)
        require(same, f"{self.output} has another shape than {self.input}")

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        renamed = super().renamed(tensors, files)
        return msgspec.structs.replace(renamed, input=tensors(self.input), output=tensors(self.output))

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        picture, made = both_rows(tensors, self.input, self.output)
        made = made.clip(NEAREST, 1 - NEAREST)
        likelihood: Array = (picture * np.log(made) + (1 - picture) * np.log1p(-made)).sum(axis=1)
        return likelihood + super()._score(tensors, densities)
