"""Finished runs whose test people are new to them, their artifacts, and the embeddings that these make of people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edge_sdk import files, preprocess
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export.data import cache
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.formats.artifacts import Graphs, VariantKind
from edge_sdk.export.formats.inference import Embeddings, embed
from edge_sdk.export.recipes import Preset
from edge_sdk.export.reproduction.protocols import PlannedTraining
from edge_sdk.export.training.finished import (
    KeptWeights,
    Learned,
    calibration_images,
    require_embeddings,
    require_finished,
)
from edge_sdk.export.training.records import RunRecord
from edge_sdk.scoring.embedding import EmbeddingDistance, Metric

INT8_METHOD = "mse"
"""How int8 ranges are calibrated: as those of the bundle ``deepsign``, for which validation people chose it."""


@dataclass(frozen=True, eq=False)
class FoldRun:
    """A finished run and the people whom it is tested on.

    Attributes:
        name: Of the planned training.
        train: The people that its weights were learned from, as far as they are among the data.
        test: Others.
    """

    name: str
    record: RunRecord
    kept: KeptWeights
    train: Dataset
    test: Dataset

    @classmethod
    def read(cls, run: Path, planned: PlannedTraining, data: Dataset) -> FoldRun:
        """Read a run's folder.

        Raises:
            UsageError: Its recipe does not compare embeddings.
            TrainingError: The run is unfinished or incomplete, or has learned from somebody whom it would test.
        """
        record = RunRecord.read(run)
        require_finished(run, record)
        kept = KeptWeights.read(run, record)
        require_embeddings(kept.recipe)
        if shared := sorted(Learned.of(record, kept.pretrained_on).people.intersection(planned.test)):
            raise TrainingError(f"{run} has learned from {', '.join(shared[:5])}, whom {planned.name} tests")
        known = set(record.train).intersection(data.subjects)
        return cls(planned.name, record, kept, data.select(known), data.select(planned.test))

    @property
    def preset(self) -> Preset:
        """The recipe's, as it is registered."""
        return self.kept.recipe.preset(self.record.preset)

    @property
    def metric(self) -> Metric:
        """How the recipe's score compares embeddings; a score that is fitted to people has the distance on a sphere."""
        score = self.kept.recipe.score
        return score.metric if isinstance(score, EmbeddingDistance) else "euclidean"

    @property
    def settings(self) -> tuple[str, str, int]:
        """Recipe, preset with what the run changed of it, and steps of the training."""
        return self.kept.recipe.name, self.record.described_preset, self.record.steps

    @cached_property
    def artifacts(self) -> dict[str, bytes]:
        """The kept weights as ONNX: ``fp32``, and ``int8`` calibrated on pictures of training people."""
        recipe = self.kept.recipe
        samples = calibration_images(self.train, self.preset, self.record.seed)
        graphs = Graphs(recipe.inference_model(self.kept.network), self.preset.input_shape, samples, recipe.outputs)
        int8 = graphs.quantizer(VariantKind("int8", "onnx")).quantize(INT8_METHOD)
        return {"fp32": graphs.onnx, "int8": int8}

    def embeddings(self, artifact: str, people: Dataset) -> Embeddings:
        """Unit embeddings ``(N, D)`` of the people's samples, by one of :attr:`artifacts`; kept in the cache folder.

        Raises:
            DatasetError: A sample cannot be read.
            StorageError: The cache cannot be read or written.
        """
        model, operations = self.artifacts[artifact], self.preset.preprocessing
        made_by = hashlib.sha256(model).hexdigest() + preprocess.digest(operations)
        path = files.cache_folder() / "embeddings-v1" / f"{cache.key(people.samples, made_by)[:32]}.npy"
        found = cache.stored(path)
        if found is None or found.dtype != np.float32 or found.ndim != 2 or len(found) != len(people.samples):
            found = embed(model, cache.prepared(people.samples, operations))
            cache.store(path, found)
        return np.asarray(found)


def fold_runs(runs: Sequence[Path], planned: Sequence[PlannedTraining], data: Dataset) -> tuple[FoldRun, ...]:
    """Finished runs in the places of planned trainings: for each the one that knows nobody whom it tests.

    A run may have been trained by ``edge-sdk train --fold``, or on other data sets alone.

    Raises:
        UsageError: Not one run for each training, or runs of different recipes, presets or lengths.
        TrainingError: A run is unfinished or incomplete.
    """
    if len(set(runs)) != len(planned):
        names = ", ".join(one.name for one in planned)
        raise UsageError(f"{len(set(runs))} runs were given for {len(planned)} trainings ({names}); give one for each")
    known = {run: _known(run) for run in runs}
    found = []
    for one in planned:
        new = [run for run in runs if not known[run].intersection(one.test)]
        if len(new) != 1:
            which = " and ".join(map(str, new)) or "none"
            raise UsageError(
                f"of these runs {which} learned from and chose by nobody whom {one.name} tests, where one should: "
                "train with --fold and the same data and seed, or without the data set that is left out"
            )
        found.append(FoldRun.read(new[0], one, data))
    if len({one.settings for one in found}) > 1:
        settings = "; ".join(f"{one.name}: {', '.join(map(str, one.settings))}" for one in found)
        raise UsageError(f"runs of one table must be alike in recipe, preset and steps: {settings}")
    return tuple(found)


def _known(run: Path) -> frozenset[str]:
    """Whom a run has learned from, or chosen its weights by."""
    record = RunRecord.read(run)
    kept = KeptWeights.read(run, record)
    return Learned.of(record, kept.pretrained_on).people.union(record.validation)
