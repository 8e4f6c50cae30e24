"""Distillation of embeddings to a student that is shown pictures changed in batches.

Several teachers count as one, as in :mod:`edge_sdk.export.distillation.embeddings`. The cosines of published embeddings
are about their mean: some, made to be compared by their distance, all point the same way. So each teacher's mean over
the training set is taken off first.

Teachers see a view as it is; the student sees it degraded, as by a worse camera, and is to say the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.nn import functional

from edge_sdk.export.data import cache
from edge_sdk.export.data.batch_augmentation import BatchViews
from edge_sdk.export.data.samples import Indices
from edge_sdk.export.distillation.embeddings import EmbeddingTarget, principal
from edge_sdk.export.distillation.teachers import AnyTeacher
from edge_sdk.export.distillation.view_pool import Chunk, TeachersAnswers, ViewPool
from edge_sdk.export.losses.distillation import ViewDistillation
from edge_sdk.export.training.hooks import Student
from edge_sdk.export.training.progress import ProgressDisplay

BASIS_VIEWS = 20_000
"""Views that the principal directions are taken of, at most."""


@dataclass(frozen=True, eq=False)
class JoinedAnswers:
    """Several teachers' embeddings, side by side, as one: the similarity of two pictures is their weighted mean.

    Attributes:
        sizes: Of each teacher's embeddings.
        means: ``(T,)``.
        shares: How much each teacher counts.
    """

    sizes: tuple[int, ...]
    means: torch.Tensor
    shares: tuple[float, ...]

    @classmethod
    def of(cls, answers: torch.Tensor, teachers: Sequence[AnyTeacher], sizes: Sequence[int]) -> JoinedAnswers:
        """With the means of answers ``(N, T)``."""
        return cls(tuple(sizes), answers.float().mean(dim=0), tuple(teacher.share for teacher in teachers))

    def __call__(self, answers: torch.Tensor) -> torch.Tensor:
        """Unit embeddings ``(N, T)`` of answers ``(N, T)``."""
        parts = (answers.float() - self.means).split(self.sizes, dim=1)
        weights = (math.sqrt(share / sum(self.shares)) for share in self.shares)
        return torch.cat([w * functional.normalize(part, dim=1) for w, part in zip(weights, parts, strict=True)], dim=1)


@dataclass(frozen=True, eq=False)
class ViewTargets:
    """Draws the targets of steps out of a pool.

    Attributes:
        joined: Makes the teachers' answers one.
        basis: ``(T, D)``, see :func:`~edge_sdk.export.distillation.embeddings.principal`.
    """

    settings: ViewDistillation
    pool: ViewPool
    joined: JoinedAnswers
    basis: torch.Tensor

    def __call__(self, indices: Indices, rng: np.random.Generator) -> EmbeddingTarget:
        """One view of each picture of a batch, then mixtures of any."""
        device, pool = self.basis.device, self.pool
        rounds = torch.from_numpy(rng.integers(len(pool.views), size=len(indices))).to(device)
        chosen = torch.from_numpy(indices).to(device)
        count = min(round(self.settings.mixed * len(indices)), len(pool.mixtures))
        others = torch.from_numpy(rng.choice(len(pool.mixtures), count, replace=False)).to(device)
        pictures = torch.cat([pool.views[rounds, chosen], pool.mixtures[others]]).float() / 255
        teacher = self.joined(torch.cat([pool.view_answers[rounds, chosen], pool.mixture_answers[others]]))
        target = functional.normalize(teacher @ self.basis, dim=1)
        return EmbeddingTarget(self.settings, pictures, teacher, target)

    @classmethod
    def of(
        cls,
        settings: ViewDistillation,
        pool: ViewPool,
        teachers: Sequence[AnyTeacher],
        *,
        size: int,
        path: Path,
        fabric: Fabric,
    ) -> ViewTargets:
        """For a student of ``size`` coordinates.

        Args:
            path: Where the principal directions are kept: another processor may give them other signs.
        """
        with torch.no_grad():
            sizes = [len(teacher.network(torch.zeros_like(pool.views[0, :1]).float())[0]) for teacher in teachers]
        answers = pool.view_answers.flatten(0, 1)
        joined = JoinedAnswers.of(answers, teachers, sizes)
        if fabric.is_global_zero and not cache.trusted(path):
            some = answers[:: max(1, len(answers) // BASIS_VIEWS)]
            cache.store(path, principal(joined(some).cpu().numpy(), size))
        fabric.barrier()
        return cls(settings, pool, joined, torch.from_numpy(np.load(path)).to(answers.device))


def view_targets(
    settings: ViewDistillation,
    teachers: Sequence[AnyTeacher],
    student: Student,
    fabric: Fabric,
    progress: ProgressDisplay,
) -> ViewTargets:
    """Ask the teachers, or read what they said before. It is kept in the run's folder under ``teacher``.

    Raises:
        DatasetError: A picture cannot be read.
        TrainingError: A teacher gives no finite embeddings.
    """
    preset, samples = student.preset, student.learned.samples
    assert preset.views is not None, "the settings are those of such a preset"
    views = BatchViews.of(samples, preset.preprocessing, preset.views, fabric.device)
    folder = student.folder / "teacher"
    answers = TeachersAnswers.by(teachers, samples, views, settings.mixed, folder=folder, fabric=fabric)
    chunks = Chunk.all([np.arange(len(samples))], settings.views, student.seed)
    bar = progress.bar("asking the teachers", len(chunks))
    for done, mine in enumerate(chunks[fabric.global_rank :: fabric.world_size], start=1):
        if not answers.path(mine).exists():
            answers.of(mine, mine.drawn(views, settings.mixed)[0])
        bar.update(min(done * fabric.world_size, len(chunks)))
    bar.finish()
    fabric.barrier()
    pool = ViewPool.of(chunks, views, settings.mixed, answers)
    basis = folder / answers.key / "basis.npy"
    return ViewTargets.of(settings, pool, teachers, size=student.recipe.embedding_size, path=basis, fabric=fabric)
