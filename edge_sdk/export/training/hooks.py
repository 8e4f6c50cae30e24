"""Where a run can be extended: what steps learn from beside their labels, and what a run continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from lightning_fabric import Fabric
from torch import nn

from edge_sdk.export.data.samples import Dataset, Indices
from edge_sdk.export.losses.task import StepTarget
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.progress import ProgressDisplay
from edge_sdk.export.training.records import ContinuationRecord, DistillationRecord

StepTargets = Callable[[Indices, np.random.Generator], StepTarget]
"""Makes the target of a batch, given as indices of the training set, and of a step's randomness."""


@dataclass(frozen=True)
class Student:
    """What a hook gets to know of a run.

    Attributes:
        folder: Of the run; a hook may keep files there.
        learned: All that the run trains on.
    """

    folder: Path
    recipe: Recipe
    preset: Preset
    seed: int
    learned: Dataset


class TrainingHook(Protocol):
    """Gives a run's steps something to learn from beside their labels, such as teachers."""

    def require(self, recipe: Recipe, preset: Preset) -> None:
        """Raises UsageError where it has nothing to offer to such a network."""
        ...

    def record(self) -> DistillationRecord:
        """What a resumed run must agree on."""
        ...

    def prepare(self, student: Student, fabric: Fabric, progress: ProgressDisplay) -> StepTargets:
        """Get ready, once for each process, for the samples of ``student.learned``."""
        ...


class Continuation(Protocol):
    """The finished run that a run starts from, and what it changes."""

    def require(self, recipe: str, preset: str, *, tiny: bool) -> None:
        """Raises UsageError unless the finished run is of this recipe and preset."""
        ...

    def preset(self, preset: Preset) -> Preset:
        """The preset of the run that continues."""
        ...

    def record(self) -> ContinuationRecord:
        """What a resumed run must agree on."""
        ...

    def start(self) -> Network:
        """A network with the weights to start from."""
        ...

    def simulation(
        self, preset: Preset, train: Dataset, validation: Dataset, seed: int
    ) -> Callable[[nn.Module], nn.Module]:
        """What gives a network of this run, whatever its weights, another forward pass."""
        ...
