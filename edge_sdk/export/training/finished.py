"""What a finished training run left behind for the exporter: the network, its people and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.cache import expanded, prepared_rows
from edge_sdk.export.data.load import load
from edge_sdk.export.data.people import datasets_of, unknown_person
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.formats.artifacts import Graphs
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training import checkpoint
from edge_sdk.export.training.records import RunRecord
from edge_sdk.scoring.base import Score
from edge_sdk.scoring.densities.gaussian_mixture import GaussianMixture

CALIBRATION_IMAGES = 128


@dataclass(frozen=True)
class FinishedRun:
    """A run that can be exported.

    Attributes:
        network: With the weights that the run kept.
        data: The people of all groups of ``split``.
        steps: Optimiser steps behind the weights, those of the run that this one continues among them.
        record: The run's ``run.json``; None of a run that is made of others.
        pretrained_on: The data set behind the weights that training started from, if any.
        densities: Those of the score's densities that were fitted before, by path.
    """

    recipe: Recipe
    preset_name: str
    network: Network
    data: Dataset
    split: Split
    seed: int
    steps: int
    record: RunRecord | None = None
    pretrained_on: str | None = None
    densities: Mapping[str, GaussianMixture] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Path) -> FinishedRun:
        """Read a run's folder.

        Raises:
            TrainingError, DatasetError: The run is incomplete, or its weights are of another network.
            UsageError: There is no such recipe.
        """
        record = RunRecord.read(run)
        kept = KeptWeights.read(run, record)
        return cls(
            recipe=kept.recipe,
            preset_name=record.preset,
            network=kept.network,
            data=load(*record.data),
            split=Split.read(run / "split.json"),
            seed=record.seed,
            steps=kept.step + record.steps_before,
            record=record,
            pretrained_on=kept.pretrained_on,
        )

    @property
    def preset(self) -> Preset:
        """The recipe's, as it is registered."""
        return self.recipe.preset(self.preset_name)

    @property
    def described_preset(self) -> str:
        """For provenance: with what the run changed of the preset."""
        return self.record.described_preset if self.record else self.preset_name

    @property
    def data_names(self) -> tuple[str, ...]:
        """The data sets that were trained on, here, before, or by the teachers, sorted."""
        extra = {specification.partition(":")[0] for specification in self.preset.extra}
        second_hand = datasets_of(self.record.second_hand) if self.record else frozenset[str]()
        before = {self.pretrained_on} if self.pretrained_on else set()
        return tuple(sorted({sample.dataset for sample in self.data.samples} | extra | second_hand | before))

    @property
    def own_data(self) -> frozenset[str]:
        """The user's own folders among :attr:`data_names`."""
        return self.data.own | (self.record.all_own_data if self.record else frozenset())

    @property
    def teachers(self) -> tuple[str, ...]:
        """What a distilled run learned from, such as ``deepsign (best) 0123456789abcdef``."""
        return tuple(dict.fromkeys(one.described for one in (self.record.teachers if self.record else ())))

    @property
    def quantisation_aware(self) -> int:
        """How many of ``steps`` the last run took with int8 simulated."""
        return self.steps - self.record.steps_before if self.record and self.record.quantisation_aware else 0

    def people(self, role: str) -> Dataset:
        """The people of one group of the split."""
        return self.data.select(getattr(self.split, role))

    def calibration_images(self) -> NDArray[np.float32]:
        """Rows of training people, drawn by the seed: ``float32 (N, *input_shape)``."""
        return calibration_images(self.people("train"), self.preset, self.seed)

    def scored_by(self, score: Score) -> FinishedRun:
        """The same run with another score than its recipe's."""
        return replace(self, recipe=replace(self.recipe, score=score))

    def graphs(self) -> Graphs:
        """Of the layers that the score needs, as they were trained."""
        model = self.recipe.inference_model(self.network)
        return Graphs(model, self.preset.input_shape, self.calibration_images(), self.recipe.outputs)


@dataclass(frozen=True)
class KeptWeights:
    """The network of a run with the weights that it kept.

    Attributes:
        step: Of the run, at which they were kept.
        pretrained_on: The data set behind the weights that training started from, if any.
    """

    recipe: Recipe
    network: Network
    step: int
    pretrained_on: str | None

    @classmethod
    def read(cls, run: Path, record: RunRecord) -> KeptWeights:
        """Read a run's folder.

        Raises:
            TrainingError: There are no weights, or they are of another network.
            UsageError: There is no such recipe.
        """
        chosen = recipes.get(record.recipe)
        build = chosen.tiny if record.tiny else chosen.network
        network = build(**chosen.preset(record.preset).network)
        facts = checkpoint.load_network(run / "best.safetensors", network)
        return cls(chosen, network, int(facts["step"]), network.pretrained_on if facts.get("weights") else None)


def calibration_images(train: Dataset, preset: Preset, seed: int) -> NDArray[np.float32]:
    """Rows of training people, drawn by the seed: ``float32 (N, *input_shape)``.

    Samples are drawn, and of samples that give many rows, rows of theirs.
    """
    rng = np.random.default_rng(seed)
    chosen = _drawn(len(train.samples), rng)
    rows = expanded(prepared_rows([train.samples[i] for i in chosen], preset.preprocessing).tensors)
    return rows if len(rows) == len(chosen) else rows[_drawn(len(rows), rng)]


def _drawn(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.choice(count, min(CALIBRATION_IMAGES, count), replace=False))


@dataclass(frozen=True)
class Learned:
    """Everyone that weights were learned from.

    Attributes:
        people: Here, before, or by teachers; whoever is behind pretrained weights has no known name.
        own_data: The data sets among theirs that are a user's own folders.
    """

    people: frozenset[str]
    own_data: frozenset[str]

    @classmethod
    def of(cls, record: RunRecord, pretrained_on: str | None) -> Learned:
        """Of a run."""
        preset = recipes.get(record.recipe).preset(record.preset)
        extra = load(*preset.extra) if preset.extra else Dataset("", ())
        unknown = {unknown_person(pretrained_on)} if pretrained_on else set()
        people = frozenset({*record.train, *extra.subjects, *record.second_hand, *unknown})
        return cls(people, record.all_own_data | extra.own)


def require_finished(run: Path, record: RunRecord) -> None:
    """Raises TrainingError unless a run has taken all of its steps, or was stopped early by its patience."""
    _, facts = checkpoint.load(run / "last.safetensors")
    state: dict[str, Any] = facts["state"]
    if state["step"] < record.steps and (record.patience is None or state["stale"] < record.patience):
        raise TrainingError(
            f"{run} is unfinished, at step {state['step']} of {record.steps}: give its own command again first"
        )


def require_embeddings(chosen: Recipe) -> None:
    """Raises UsageError if a recipe does not compare embeddings."""
    if not chosen.embedding_size:
        raise UsageError(f"{chosen.name} does not compare embeddings, which students of embeddings and --qat need")
