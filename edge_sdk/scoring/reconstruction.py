"""How well an autoencoder gives a sample back: one trained on live samples alone gives attacks back worse."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec
import numpy as np

from edge_sdk.schema import Name, require
from edge_sdk.scoring.base import Array, ModelInterface, Range, Rename, Role, Score, Task, Tensors, difference
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

if TYPE_CHECKING:
    from typing_extensions import Self


class Reconstruction(Score, frozen=True, kw_only=True, tag="reconstruction"):
    """Minus the mean absolute (``l1``) or mean squared (``l2``) difference of an input and its reconstruction.

    >>> score = Reconstruction(input="image", output="reconstruction", norm="l2")
    >>> score.score({"image": np.array([[1.0, 0.0]]), "reconstruction": np.array([[0.5, 0.5]])})
    array([-0.25])
    """

    tasks: ClassVar[tuple[Task, ...]] = ("spoof",)

    input: Name
    output: Name
    norm: Literal["l2", "l1"]

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
        return {self.output: "reconstruction"}

    def check(self, interface: ModelInterface, task: Task) -> None:
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del task
        same = interface.output(self.output, "reconstruction") == interface.input(self.input)
        require(same, f"{self.output} has another shape than {self.input}")

    def renamed(self, tensors: Rename, files: Rename = str) -> "Self":
        """See :class:`~edge_sdk.scoring.base.Score`."""
        del files
        return msgspec.structs.replace(self, input=tensors(self.input), output=tensors(self.output))

    def _score(self, tensors: Tensors, densities: Mapping[str, GaussianMixture]) -> Array:
        del densities
        apart = difference(tensors, self.input, self.output)
        found: Array = -(apart**2 if self.norm == "l2" else np.abs(apart)).mean(axis=1)
        return found
