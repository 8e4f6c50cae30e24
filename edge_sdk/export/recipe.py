"""What a model is: its network, pre-processing, objective and training settings, in one frozen record.

A recipe lives in ``edge_sdk/export/recipes/NAME.py`` as ``RECIPE`` and is found by its module's name. The training
loop, the exporter and the CLI know no model by name.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from edge_sdk.errors import UsageError
from edge_sdk.export.augment import Augmentation
from edge_sdk.export.objectives import Objective
from edge_sdk.manifest import Score
from edge_sdk.preprocess import Operation


@dataclass(frozen=True)
class Stage:
    """Consecutive optimiser steps at one resolution. ``scale`` divides the recipe's input height and width."""

    steps: int
    scale: Literal[1, 2] = 1
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.steps < 1 or self.learning_rate <= 0:
            raise UsageError(f"a stage needs at least one step and a positive learning rate, not {self}")


@dataclass(frozen=True)
class Preset:
    """How to train a recipe.

    Attributes:
        schedule: ``constant`` learning rate, or ``one_cycle``: linear warm-up over the first tenth of a stage, then a
            cosine to a hundredth of its rate.
        average: Decay per step of the exponential moving average of the weights that is kept; 0 keeps the last ones.
        validate_every: Steps between two validations.
        patience: Validations without improvement of the validation AUROC before training stops; ``None`` never.
        precision: ``auto`` is bfloat16 where the processor computes it natively, else float32.
    """

    preprocessing: tuple[Operation, ...]
    objective: Objective
    stages: tuple[Stage, ...]
    network: Mapping[str, bool] = field(default_factory=dict)
    augmentation: Augmentation | None = None
    optimizer: Literal["adam", "adamw"] = "adamw"
    weight_decay: float = 0.0
    schedule: Literal["constant", "one_cycle"] = "constant"
    average: float = 0.0
    validate_every: int = 200
    patience: int | None = None
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def stage(self, step: int) -> tuple[Stage, int]:
        """The stage of a step (from 0) and the step's number within it."""
        for stage in self.stages:
            if step < stage.steps:
                return stage, step
            step -= stage.steps
        raise UsageError("the step lies behind the last stage")


@dataclass(frozen=True)
class Recipe:
    """One model.

    Attributes:
        network: Builds the network from a preset's ``network`` options; maps ``(N, 1, H, W)`` in [0, 1] to unit
            embeddings ``(N, D)``.
        tiny: The same topology with a few thousand parameters, for tests.
        input_shape: ``(channels, height, width)`` of one input.
        budget: Largest rise of the EER that int8 may cost, as a share (0.005 is half a percentage point).
        parity: Largest cosine distance to the float network that an exported artifact may show, by precision.
    """

    name: str
    modality: Literal["signature", "face", "gait"]
    network: Callable[..., nn.Module]
    tiny: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    embedding_size: int
    score: Score
    presets: Mapping[str, Preset]
    budget: float = 0.005
    parity: Mapping[str, float] = field(default_factory=lambda: {"fp32": 1e-5, "int8": 0.05})

    def preset(self, name: str) -> Preset:
        """Raises UsageError for an unknown preset."""
        if name not in self.presets:
            raise UsageError(f'{self.name} has no preset "{name}"; choose from {", ".join(self.presets)}')
        return self.presets[name]


def names() -> tuple[str, ...]:
    """The recipes there are."""
    from edge_sdk.export import recipes

    return tuple(sorted(module.name for module in pkgutil.iter_modules(recipes.__path__)))


def get(name: str) -> Recipe:
    """Find a recipe by name. Raises UsageError if there is none."""
    if name not in names():
        raise UsageError(f'no recipe "{name}"; choose from {", ".join(names())}')
    recipe = importlib.import_module(f"edge_sdk.export.recipes.{name}").RECIPE
    assert isinstance(recipe, Recipe)
    return recipe
