"""Teachers: the networks of finished runs, and their embeddings of every view of every image, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from edge_sdk import preprocess
from edge_sdk.errors import TrainingError
from edge_sdk.export.data import cache
from edge_sdk.export.data.augmentation import Views
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.losses.task import Distillation
from edge_sdk.export.networks.memory_format import batch, channels_last
from edge_sdk.export.networks.network import Network
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.finished import KeptWeights, Learned
from edge_sdk.export.training.progress import ProgressBar, ProgressDisplay
from edge_sdk.export.training.records import RunRecord, TeacherRecord

CHUNK = 256
"""Images in one file of embeddings: what a killed run repeats at most, some seconds."""
BATCH = 32


class AnyTeacher(Protocol):
    """What a student can learn from: a finished run, or a published network.

    Attributes:
        name: For messages.
        network: In evaluation mode.
        weights: SHA-256 of the file that they come from.
        people: Everyone it has learned from; :func:`~edge_sdk.export.data.people.unknown_person` of a data set where
            nobody knows.
        own_data: The data sets among theirs that are a user's own folders.
        preprocessing: Of the pictures that it takes.
        distillation: The settings of students that it suits; None if of none.
        share: How much it counts beside other teachers of views; that of a run is 1.
    """

    @property
    def name(self) -> str: ...
    @property
    def network(self) -> nn.Module: ...
    @property
    def weights(self) -> str: ...
    @property
    def people(self) -> frozenset[str]: ...
    @property
    def own_data(self) -> frozenset[str]: ...
    @property
    def preprocessing(self) -> tuple[preprocess.Operation, ...]: ...
    @property
    def distillation(self) -> type[Distillation] | None: ...
    @property
    def share(self) -> float: ...

    def record(self) -> TeacherRecord:
        """What tells this teacher from others."""
        ...


@dataclass(frozen=True)
class Teacher:
    """The network of a finished run.

    Attributes:
        network: In evaluation mode.
        weights: SHA-256 of the file that they come from.
        people: Everyone it has learned from, also through teachers of its own or before it came here.
        own_data: The data sets among theirs that are a user's own folders.
    """

    recipe: Recipe
    preset_name: str
    network: Network
    weights: str
    people: frozenset[str]
    own_data: frozenset[str] = frozenset()

    @classmethod
    def read(cls, run: Path) -> Teacher:
        """Read a run's folder. The data it was trained on need not be there.

        Raises:
            TrainingError: There is no run, or it has no weights, or those of another network.
            UsageError: Its recipe is unknown.
        """
        record = RunRecord.read(run)
        kept = KeptWeights.read(run, record)
        learned = Learned.of(record, kept.pretrained_on)
        weights = hashlib.sha256((run / "best.safetensors").read_bytes()).hexdigest()
        kept.network.eval()
        return cls(kept.recipe, record.preset, kept.network, weights, learned.people, learned.own_data)

    @property
    def preset(self) -> Preset:
        return self.recipe.preset(self.preset_name)

    @property
    def name(self) -> str:
        return f"{self.recipe.name} ({self.preset_name})"

    @property
    def preprocessing(self) -> tuple[preprocess.Operation, ...]:
        return self.preset.preprocessing

    @property
    def distillation(self) -> type[Distillation] | None:
        return self.preset.objective.distillation

    @property
    def share(self) -> float:
        return 1.0

    def record(self) -> TeacherRecord:
        """What tells this teacher from others."""
        return TeacherRecord(
            recipe=self.recipe.name,
            preset=self.preset_name,
            preprocessing=preprocess.digest(self.preset.preprocessing),
            weights=self.weights,
        )


@dataclass(frozen=True)
class EmbeddingCache:
    """A teacher's embeddings of every view of every image, computed once.

    Files lie in ``folder/KEY``, a chunk of images in one view each, and appear whole, so that a killed run goes on
    with the next. The key is the digest of the teacher, the images' files, and the views. Processes share the chunks.

    Attributes:
        persons: ``(N,)``, the person's number of each sample.
    """

    folder: Path
    samples: Sequence[Sample]
    persons: NDArray[np.int64]
    views: Views
    fabric: Fabric

    def of(self, teacher: Teacher, bar: ProgressBar, done: int = 0) -> NDArray[np.float32]:
        """Unit embeddings ``(N, views, D)``, on the run's device and in its precision.

        Raises:
            DatasetError: An image cannot be read.
            TrainingError: An embedding is not finite.
        """
        starts = range(0, len(self.samples), CHUNK)
        folder = self.folder / self._key(teacher)
        chunks = [[folder / f"{view}-{start}.npy" for start in starts] for view in range(self.views.count)]
        images = cache.prepared(self.samples, teacher.preset.preprocessing)
        network = channels_last(teacher.network.to(self.fabric.device))
        mine = 0
        for view, paths in enumerate(chunks):
            for start, path in zip(starts, paths, strict=True):
                if mine % self.fabric.world_size == self.fabric.global_rank and not cache.trusted(path):
                    cache.store(path, self._compute(network, images, range(len(images))[start : start + CHUNK], view))
                mine += 1
                done += min(CHUNK, len(images) - start)
                bar.update(done)
        network.cpu()
        self.fabric.barrier()
        return np.stack([np.concatenate([np.load(path) for path in paths]) for paths in chunks], axis=1)

    @torch.no_grad()
    def _compute(
        self, network: nn.Module, images: NDArray[Any], numbers: Sequence[int], view: int
    ) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(numbers), BATCH):
            some = [
                self.views(np.asarray(images[i]), i, int(self.persons[i]), view) for i in numbers[start : start + BATCH]
            ]
            with self.fabric.autocast():
                parts.append(network(batch(np.stack(some), self.fabric.device)).float().cpu().numpy())
        embeddings = np.concatenate(parts)
        if not np.isfinite(embeddings).all():
            raise TrainingError("the teacher's embeddings are not finite; its training has failed: choose another")
        return embeddings

    def _key(self, teacher: Teacher) -> str:
        purpose = json.dumps([teacher.record().as_dict(), asdict(self.views), self.persons.tolist()])
        return cache.key(self.samples, purpose)[:32]


def embed_all(teachers: Sequence[Teacher], cached: EmbeddingCache, progress: ProgressDisplay) -> NDArray[np.float32]:
    """The teachers as one: unit embeddings ``(N, views, sum of D)``.

    Each teacher's part is divided by the root of their number, so that the similarity of two images is the mean of
    the teachers' similarities.
    """
    share = len(cached.samples) * cached.views.count
    bar = progress.bar("embedding by the teachers", share * len(teachers))
    parts = [cached.of(teacher, bar, share * index) for index, teacher in enumerate(teachers)]
    bar.finish()
    return np.concatenate(parts, axis=2) / np.float32(np.sqrt(len(teachers)))
