"""What to train, where, and how a run ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.export.training.hooks import Guide

if TYPE_CHECKING:
    from edge_sdk.export.qat.run import QuantisationAware

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from edge_sdk import preprocess
from edge_sdk.errors import UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.networks.pretrained import digest, load_pretrained
from edge_sdk.export.recipes import Preset, Recipe


@dataclass(frozen=True)
class Run:
    """What to train.

    Attributes:
        folder: Where everything of the run is written; resumed from if it holds a checkpoint.
        train, validation: Disjoint by person.
        data: The specifications that they were loaded from, noted for the exporter.
        steps: Cap on the preset's steps; the learning-rate schedule still ends at the preset's last step.
        tiny: Train the recipe's miniature instead.
        guide: What is learned from beside the labels, such as a teacher.
        weights: Pretrained weights to start from, where the recipe takes such.
        qat: The finished run to start from instead, and to train for int8.
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
    guide: Guide | None = None
    weights: Path | None = None
    qat: QuantisationAware | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"a run takes at least one step, not {self.steps}")
        if self.guide:
            self.guide.require(self.recipe, self.preset)
        if self.qat:
            self.qat.require(self.recipe.name, self.preset_name, tiny=self.tiny)
            if self.weights is not None:
                raise UsageError("a run starts from a finished run or from pretrained weights, not from both")

    @property
    def preset(self) -> Preset:
        preset = self.recipe.preset(self.preset_name)
        return self.qat.preset(preset) if self.qat else preset

    @property
    def total(self) -> int:
        return min(self.preset.steps if self.steps is None else self.steps, self.preset.steps)

    def network(self) -> nn.Module:
        """The network of the run, with fresh weights, the pretrained ones, or those of the run that it continues.

        Raises:
            UsageError, TrainingError: The recipe takes no pretrained weights, or not these.
        """
        if self.qat:
            return self.qat.start()
        build = self.recipe.tiny if self.tiny else self.recipe.network
        network = build(**self.preset.network)
        if self.weights is not None:
            load_pretrained(network, self.weights)
        return network

    @cached_property
    def weights_digest(self) -> str | None:
        """SHA-256 of the pretrained weights."""
        return None if self.weights is None else digest(self.weights)

    def facts(self) -> dict[str, Any]:
        """What a resumed run must agree on."""
        return {
            "recipe": self.recipe.name,
            "preset": self.preset_name,
            "preprocessing": preprocess.digest(self.preset.preprocessing),
            "settings_digest": _digest(self.preset),
            "seed": self.seed,
            "tiny": self.tiny,
            "weights": self.weights_digest,
            "world_size": _world_size(),
            "train": list(self.train.subjects),
            "validation": list(self.validation.subjects),
            "distillation": self.guide.facts() if self.guide else None,
            "quantisation_aware": self.qat.facts() if self.qat else None,
        }


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        measured: What validation found of the kept weights: ``auroc`` and ``eer``, of skilled forgeries or attacks,
            where attacks are learned from also ``bpcer_at_apcer_0.05``; where they are not, the live images' mean
            ``score``, alone if there is no attack.
    """

    checkpoint: Path
    steps: int
    measured: Mapping[str, float]
    seconds: float


def _digest(preset: Preset) -> str:
    """Of all settings, lest a version that trains otherwise under the same name goes on with a run of this one."""
    settings = json.dumps(asdict(preset), sort_keys=True, default=str)
    return hashlib.sha256(settings.encode()).hexdigest()


def _world_size() -> int:
    """Processes of this run, as ``torchrun`` says."""
    return int(os.environ.get("WORLD_SIZE", "1"))
