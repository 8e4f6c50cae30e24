"""What a finished training run left behind for the exporter: the network, its people and how it came about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import checkpoint, recipe
from edge_sdk.export.datasets import Dataset, load
from edge_sdk.export.datasets.cache import prepared
from edge_sdk.export.pretrained import Pretrainable
from edge_sdk.export.recipe import Preset, Recipe
from edge_sdk.export.splits import Split
from edge_sdk.manifest import EmbeddingDistance

CALIBRATION_IMAGES = 128


@dataclass(frozen=True)
class Trained:
    """A run that can be exported.

    Attributes:
        network: With the weights that the run kept.
        data: The people of all groups of ``split``.
        steps: Optimiser steps behind the weights.
        pretrained_on: The data set behind the weights that training started from, if any.
    """

    recipe: Recipe
    preset_name: str
    network: nn.Module
    data: Dataset
    split: Split
    seed: int
    steps: int
    pretrained_on: str | None = None

    @classmethod
    def read(cls, run: Path) -> Trained:
        """Read a run's folder.

        Raises:
            TrainingError, DatasetError: The run is incomplete, or its weights are of another network.
            UsageError: Its recipe has a score that cannot be exported yet.
        """
        described = _read_json(run / "run.json")
        chosen = recipe.get(described["recipe"])
        if not isinstance(chosen.score, EmbeddingDistance):
            raise UsageError(f"{chosen.name} does not compare embeddings; there is no exporter for its score yet")
        preset = chosen.preset(described["preset"])
        split = Split.read(run / "split.json")
        network = (chosen.tiny if described["tiny"] else chosen.network)(**preset.network)
        facts = checkpoint.load_network(run / "best.safetensors", network)
        return cls(
            recipe=chosen,
            preset_name=described["preset"],
            network=network,
            data=load(*described["data"]),
            split=split,
            seed=int(described["seed"]),
            steps=int(facts["step"]),
            pretrained_on=network.pretrained_on if facts.get("weights") and isinstance(network, Pretrainable) else None,
        )

    @property
    def preset(self) -> Preset:
        return self.recipe.preset(self.preset_name)

    @cached_property
    def score(self) -> EmbeddingDistance:
        """The recipe's score, which :meth:`read` has checked."""
        assert isinstance(self.recipe.score, EmbeddingDistance)
        return self.recipe.score

    @property
    def data_names(self) -> tuple[str, ...]:
        """The data sets that were trained on, here or before, sorted."""
        extra = {specification.partition(":")[0] for specification in self.preset.extra}
        if self.pretrained_on is not None:
            extra.add(self.pretrained_on)
        return tuple(sorted({sample.dataset for sample in self.data.samples} | extra))

    def people(self, role: str) -> Dataset:
        """The people of one group of the split."""
        return self.data.select(getattr(self.split, role))

    def calibration_images(self) -> NDArray[np.float32]:
        """``float32 (N, 1, H, W)``: images of training people, drawn by the seed."""
        return calibration_images(self.people("train"), self.preset, self.seed)


def calibration_images(train: Dataset, preset: Preset, seed: int) -> NDArray[np.float32]:
    """``float32 (N, 1, H, W)``: images of training people, drawn by the seed."""
    count = min(CALIBRATION_IMAGES, len(train.samples))
    chosen = np.sort(np.random.default_rng(seed).choice(len(train.samples), count, replace=False))
    images = prepared([train.samples[i] for i in chosen], preset.preprocessing)
    return images[:, None].astype(np.float32) / np.float32(255)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        described = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} describes no training run: {error}") from error
    assert isinstance(described, dict)
    return described
