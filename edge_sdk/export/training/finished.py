"""What a finished training run left behind for the exporter: the network, its people and how it came about."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import prepared
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.networks.pretrained import Pretrainable
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training import checkpoint
from edge_sdk.manifest import EmbeddingDistance

CALIBRATION_IMAGES = 128


@dataclass(frozen=True)
class FinishedRun:
    """A run that can be exported.

    Attributes:
        network: With the weights that the run kept.
        data: The people of all groups of ``split``.
        steps: Optimiser steps behind the weights, those of the run that this one continues among them.
        described: The run's ``run.json``.
        pretrained_on: The data set behind the weights that training started from, if any.
    """

    recipe: Recipe
    preset_name: str
    network: nn.Module
    data: Dataset
    split: Split
    seed: int
    steps: int
    described: Mapping[str, Any] = field(default_factory=dict)
    pretrained_on: str | None = None

    @classmethod
    def read(cls, run: Path) -> FinishedRun:
        """Read a run's folder.

        Raises:
            TrainingError, DatasetError: The run is incomplete, or its weights are of another network.
            UsageError: There is no such recipe.
        """
        described = describe(run)
        chosen, network, facts = read_network(run, described)
        return cls(
            recipe=chosen,
            preset_name=described["preset"],
            network=network,
            data=load(*described["data"]),
            split=Split.read(run / "split.json"),
            seed=int(described["seed"]),
            steps=int(facts["step"]) + steps_before(described),
            described=described,
            pretrained_on=pretrained_on(network, facts),
        )

    @property
    def preset(self) -> Preset:
        return self.recipe.preset(self.preset_name)

    @property
    def data_names(self) -> tuple[str, ...]:
        """The data sets that were trained on, here, before, or by the teachers, sorted."""
        extra = {specification.partition(":")[0] for specification in self.preset.extra}
        taught = {person.partition("/")[0] for person in second_hand(self.described)}
        before = {self.pretrained_on} if self.pretrained_on else set()
        return tuple(sorted({sample.dataset for sample in self.data.samples} | extra | taught | before))

    @property
    def teachers(self) -> tuple[str, ...]:
        """What a distilled run learned from, such as ``deepsign (best) 0123456789abcdef``."""
        named = (f"{one['recipe']} ({one['preset']}) {one['weights'][:16]}" for one in teachers_behind(self.described))
        return tuple(dict.fromkeys(named))

    @property
    def quantisation_aware(self) -> int:
        """How many of ``steps`` the last run took with int8 simulated."""
        return self.steps - steps_before(self.described) if self.described.get("quantisation_aware") else 0

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


def describe(run: Path) -> dict[str, Any]:
    """What a run was asked for: its ``run.json``. Raises TrainingError if there is none."""
    path = run / "run.json"
    try:
        described = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} describes no training run: {error}") from error
    assert isinstance(described, dict)
    return described


def second_hand(described: Mapping[str, Any]) -> frozenset[str]:
    """Everyone a run has learned from through its teachers or the run that it continues."""
    return frozenset(person for source in _sources(described) for person in source["people"])


def learned_from(described: Mapping[str, Any], before: str | None) -> frozenset[str]:
    """Everyone a run has learned from; whoever is behind the pretrained weights of ``before`` has no known names."""
    extra = recipes.get(described["recipe"]).preset(described["preset"]).extra
    people = {*described["train"], *(load(*extra).subjects if extra else ()), *second_hand(described)}
    return frozenset(people | ({f"{before}/unknown"} if before else set()))


def teachers_behind(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The facts of a run's teachers, and of those of the run that it continues."""
    return [teacher for source in _sources(described) for teacher in source["teachers"]]


def steps_before(described: Mapping[str, Any]) -> int:
    """Optimiser steps behind the weights that a run started from."""
    return int((described.get("quantisation_aware") or {}).get("before", 0))


def _sources(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [described[key] for key in ("distillation", "quantisation_aware") if described.get(key)]


def pretrained_on(network: nn.Module, facts: Mapping[str, Any]) -> str | None:
    """The data set behind the weights that a run started from, by the facts noted with its own weights."""
    return network.pretrained_on if facts.get("weights") and isinstance(network, Pretrainable) else None


def read_network(run: Path, described: Mapping[str, Any]) -> tuple[Recipe, nn.Module, dict[str, Any]]:
    """The recipe of a run, the network with the weights that it kept, and the facts noted with them.

    Raises:
        TrainingError: There are no weights, or they are of another network.
        UsageError: There is no such recipe.
    """
    chosen = recipes.get(described["recipe"])
    build = chosen.tiny if described["tiny"] else chosen.network
    network = build(**chosen.preset(described["preset"]).network)
    facts = checkpoint.load_network(run / "best.safetensors", network)
    return chosen, network, facts


def require_embeddings(chosen: Recipe) -> None:
    """Raises UsageError if a recipe does not compare embeddings."""
    if not isinstance(chosen.score, EmbeddingDistance):
        raise UsageError(f"{chosen.name} does not compare embeddings, which students of embeddings and --qat need")


def require_finished(run: Path, described: Mapping[str, Any]) -> None:
    """Raises TrainingError if a run has steps left."""
    _, facts = checkpoint.load(run / "last.safetensors")
    state, patience = facts["state"], described["settings"]["patience"]
    if state["step"] < described["steps"] and state["stale"] < (math.inf if patience is None else patience):
        raise TrainingError(
            f"{run} is unfinished, at step {state['step']} of {described['steps']}: give its own command again first"
        )
