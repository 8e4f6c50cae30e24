"""What a training loop may learn from beside its labels: the seam between the loop and, say, a teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from edge_sdk.export.data.samples import Dataset, Indices
from edge_sdk.export.training.progress import Progress

if TYPE_CHECKING:
    from edge_sdk.export.recipes import Preset, Recipe
    from edge_sdk.export.training.run import Run


class Lesson(Protocol):
    """What one step learns from."""

    @property
    def images(self) -> NDArray[np.uint8] | None:
        """``(B + U, H, W)``: the batch's images, changed at random, then images without labels.

        None where a step's images are those that it has without a guide.
        """
        ...

    def loss(self, made: Any, objective: torch.Tensor) -> torch.Tensor:
        """What the step minimises.

        Args:
            made: What the network, in training mode, made of the images: embeddings ``(B + U, D)`` or a record.
            objective: The loss of the recipe's objective, of the first B.
        """
        ...


Lessons = Callable[[Indices, np.random.Generator], Lesson]
"""Makes the lesson of a batch, given as indices of the training set, and of a step's randomness."""


class Guide(Protocol):
    """Makes a run's lessons."""

    def require(self, recipe: Recipe, preset: Preset) -> None:
        """Raises UsageError where it has nothing to teach such a student."""
        ...

    def facts(self) -> dict[str, Any]:
        """What a resumed run must agree on, as JSON gives it back (lists, no tuples)."""
        ...

    def prepare(self, run: Run, learned: Dataset, fabric: Fabric, progress: Progress) -> Lessons:
        """Get ready, once for each process, to teach the images of ``learned``, which is all the run trains on."""
        ...
