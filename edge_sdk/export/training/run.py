"""What to train, where, and what came of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from edge_sdk import preprocess
from edge_sdk.errors import UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.losses.task import ValidationMetrics
from edge_sdk.export.networks.network import Network
from edge_sdk.export.networks.pretrained import digest, load_pretrained
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.hooks import Continuation, TrainingHook
from edge_sdk.export.training.hyperparameters import UNCHANGED, Hyperparameters
from edge_sdk.export.training.records import RunConfig


@dataclass(frozen=True)
class TrainingRun:
    """What to train.

    Attributes:
        folder: Where everything of the run is written; resumed from if it holds a checkpoint.
        train, validation: Disjoint by person.
        data: The specifications that they were loaded from, noted for the exporter.
        steps: The run's length instead of the preset's, shorter or longer; the learning-rate schedule ends with it. A
            run that was begun with another length is not resumed.
        tiny: Train the recipe's miniature instead.
        hook: What is learned from beside the labels, such as teachers.
        weights: Pretrained weights to start from, where the recipe takes such.
        continued: The finished run to start from instead, and to train for int8; it sets the length.
        hyperparameters: Settings in place of the preset's.
    """

    recipe: Recipe
    preset_name: str
    folder: Path
    train: Dataset
    validation: Dataset
    data: tuple[str, ...] = ()
    seed: int = 0
    steps: int | None = None
    tiny: bool = False
    hook: TrainingHook | None = None
    weights: Path | None = None
    continued: Continuation | None = None
    hyperparameters: Hyperparameters = UNCHANGED

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"a run takes at least one step, not {self.steps}")
        if self.continued:
            self.continued.require(self.recipe.name, self.preset_name, tiny=self.tiny)
        self.hyperparameters.require(self._build, self.recipe.name)
        self.hyperparameters.changed(self.recipe.preset(self.preset_name))  # raises now what it would raise later
        if self.hook:
            self.hook.require(self.recipe, self.preset)
        if self.continued:
            if self.weights is not None:
                raise UsageError("a run starts from a finished run or from pretrained weights, not from both")
            if self.steps not in (None, self.preset.steps):
                raise UsageError(
                    f"the run that continues another takes {self.preset.steps} steps, and {self.steps} were asked for"
                )

    @property
    def preset(self) -> Preset:
        """The recipe's with the run's hyper-parameters, of the run's length."""
        preset = self.hyperparameters.changed(self.recipe.preset(self.preset_name))
        if self.continued:
            return self.continued.preset(preset)
        return preset if self.steps is None else replace(preset, steps=self.steps)

    def network(self) -> Network:
        """The network of the run, with fresh weights, the pretrained ones, or those of the run that it continues.

        Raises:
            UsageError, TrainingError: The recipe takes no pretrained weights, or not these.
        """
        if self.continued:
            return self.continued.start()
        network = self._build(**self.preset.network)
        if self.weights is not None:
            load_pretrained(network, self.weights)
        return network

    @property
    def _build(self) -> Callable[..., Network]:
        return self.recipe.tiny if self.tiny else self.recipe.network

    @cached_property
    def weights_digest(self) -> str | None:
        """SHA-256 of the pretrained weights."""
        return None if self.weights is None else digest(self.weights)

    def config(self) -> RunConfig:
        """What a resumed run must agree on."""
        return RunConfig(
            recipe=self.recipe.name,
            preset=self.preset_name,
            steps=self.preset.steps,
            preprocessing=preprocess.digest(self.preset.preprocessing),
            settings_digest=_digest(self.recipe.preset(self.preset_name)),
            seed=self.seed,
            tiny=self.tiny,
            weights=self.weights_digest,
            world_size=world_size(),
            train=self.train.subjects,
            validation=self.validation.subjects,
            distillation=self.hook.record() if self.hook else None,
            quantisation_aware=self.continued.record() if self.continued else None,
            hyperparameters=None if self.hyperparameters == UNCHANGED else self.hyperparameters,
        )


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Attributes:
        checkpoint: The file of the kept weights.
        steps: The optimiser steps that were taken.
        metrics: What validation measured of the kept weights.
    """

    checkpoint: Path
    steps: int
    metrics: ValidationMetrics
    seconds: float


def world_size() -> int:
    """Processes of this run, as ``torchrun`` says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _digest(preset: Preset) -> str:
    """Of all settings, lest a version that trains otherwise under the same name goes on with a run of this one."""
    settings = json.dumps(asdict(preset), sort_keys=True, default=str)
    return hashlib.sha256(settings.encode()).hexdigest()
