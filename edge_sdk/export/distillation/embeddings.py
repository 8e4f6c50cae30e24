"""Distillation of embeddings: teachers' embeddings are computed once, for fixed views of every image, and kept on disk.

The student's recipe and the teachers' may be any that make embeddings. Several teachers count as one whose embedding
is the concatenation of theirs: its cosines are the mean of theirs. Their own embeddings have unrelated coordinates, so
that a mean of these would mean nothing. The terms of the loss are in :mod:`edge_sdk.export.losses.distillation`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch.nn import functional

from edge_sdk.export.data import cache
from edge_sdk.export.data.augmentation import Views
from edge_sdk.export.data.samples import Dataset, Indices, Labels
from edge_sdk.export.distillation.teachers import EmbeddingCache, Teacher, embed_all
from edge_sdk.export.losses.distillation import EmbeddingDistillation, ViewDistillation
from edge_sdk.export.training.hooks import Student
from edge_sdk.export.training.progress import ProgressDisplay


def principal(embeddings: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Orthonormal ``(T, size)``: takes embeddings ``(..., T)`` to ``size`` coordinates and keeps their cosines best.

    The principal directions, about 0, of all ``embeddings``: by Eckart and Young no other projection of that size comes
    closer to the matrix of their inner products. No projection where T is ``size``, zeros behind where it is smaller.
    """
    width = embeddings.shape[-1]
    if width <= size:
        return np.eye(width, size, dtype=np.float32)
    flat = embeddings.reshape(-1, width)
    _, directions = np.linalg.eigh(flat.T @ flat)  # by ascending share
    return np.ascontiguousarray(directions[:, ::-1][:, :size])


@dataclass(frozen=True)
class EmbeddingTarget:
    """One step's images, and the teacher's embeddings of them.

    Attributes:
        images: ``(B + U, ...)``: views of the batch, then of images without labels.
        teacher: ``(B + U, T)``, unit embeddings.
        target: ``(B + U, D)``, the same in the student's number of coordinates.
    """

    settings: EmbeddingDistillation | ViewDistillation
    images: NDArray[Any] | torch.Tensor
    teacher: torch.Tensor
    target: torch.Tensor

    def loss(self, made: torch.Tensor, objective: torch.Tensor) -> torch.Tensor:
        return self.settings.labels * objective + self.settings.term(made, self.teacher, self.target)


@dataclass(frozen=True)
class EmbeddingTargets:
    """Draws the targets of steps.

    Attributes:
        images: ``(N, ...)``, pre-processed for the student: those with labels, then those without.
        labelled: How many have labels.
        persons: ``(N,)``, numbers of people; an image without a label has a number of its own.
        embeddings: ``(N, views, T)``, the teacher's unit embeddings of every view.
        basis: ``(T, D)``, see :func:`principal`.
    """

    settings: EmbeddingDistillation
    images: NDArray[Any]
    labelled: int
    persons: NDArray[np.int64]
    views: Views
    embeddings: NDArray[np.float32]
    basis: NDArray[np.float32]
    device: torch.device

    def __call__(self, indices: Indices, rng: np.random.Generator) -> EmbeddingTarget:
        """The target of a batch: each person in one random view."""
        others = len(self.images) - self.labelled
        drawn = self.labelled + rng.choice(others, min(self.settings.unlabeled, others), replace=False)
        chosen = np.concatenate([indices, drawn])
        persons = self.persons[chosen].tolist()
        view_of = {person: int(rng.integers(self.views.count)) for person in dict.fromkeys(persons)}
        views = [view_of[person] for person in persons]
        images = [
            self.views(np.asarray(self.images[i]), i, person, view)
            for i, person, view in zip(chosen.tolist(), persons, views, strict=True)
        ]
        teacher = torch.from_numpy(self.embeddings[chosen, views]).to(self.device)
        target = functional.normalize(teacher @ torch.from_numpy(self.basis).to(self.device), dim=1)
        return EmbeddingTarget(self.settings, np.stack(images), teacher, target)


def embedding_targets(
    settings: EmbeddingDistillation,
    teachers: Sequence[Teacher],
    student: Student,
    unlabeled: Dataset | None,
    *,
    fabric: Fabric,
    progress: ProgressDisplay,
) -> EmbeddingTargets:
    """Compute the teachers' embeddings, or read those that were computed before.

    They are kept in the run's folder under ``teacher``.

    Raises:
        DatasetError: An image cannot be read.
        TrainingError: A teacher gives no finite embeddings.
    """
    learned, folder = student.learned, student.folder / "teacher"
    samples = (*learned.samples, *(unlabeled.samples if unlabeled else ()))
    known = Labels.of(learned).subject.tolist()
    nobody = range(len(learned.subjects), len(learned.subjects) + len(samples) - len(known))
    persons = np.array([*known, *nobody], np.int64)
    augmentation = student.preset.augmentation
    views = Views(augmentation, student.seed, settings.views if augmentation else 1)
    embeddings = embed_all(teachers, EmbeddingCache(folder, samples, persons, views, fabric), progress)
    return EmbeddingTargets(
        settings=settings,
        images=cache.prepared(samples, student.preset.preprocessing),
        labelled=len(known),
        persons=persons,
        views=views,
        embeddings=embeddings,
        basis=_basis(folder, embeddings, student.recipe.embedding_size, fabric),
        device=fabric.device,
    )


def _basis(folder: Path, embeddings: NDArray[np.float32], size: int, fabric: Fabric) -> NDArray[np.float32]:
    """:func:`principal`, computed once: on another processor eigenvectors may come out with other signs."""
    path = folder / f"basis-{hashlib.sha256(embeddings.tobytes()).hexdigest()[:32]}.npy"
    if fabric.is_global_zero and not cache.trusted(path):
        cache.store(path, principal(embeddings, size))
    fabric.barrier()
    return np.asarray(np.load(path))
