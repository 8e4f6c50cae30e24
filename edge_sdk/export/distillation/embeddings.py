"""Distillation of embeddings: the student's recipe and the teachers' may be any that make some.

A student minimises ``labels * objective + relation * L_rel + embedding * L_emb``.

``L_rel``, :func:`relational`, asks for the teacher's similarities between the images of a batch; it ties the student
to no coordinates, so teacher and student may differ in everything. "Similarity-Preserving Knowledge Distillation"
(Tung and Mori, 2019) compares the rows of these matrices, "Relational Knowledge Distillation" (Park et al., 2019)
distances; here they are the cosines that the verifier will compare with its threshold, as they are.

``L_emb``, :func:`aligned`, asks for the teacher's embeddings themselves.

Several teachers count as one whose embedding is the concatenation of theirs: its cosines are the mean of theirs. Their
own embeddings have unrelated coordinates, so that a mean of these would mean nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch.nn import functional

from edge_sdk.errors import UsageError
from edge_sdk.export.data import cache
from edge_sdk.export.data.augmentation import Views
from edge_sdk.export.data.samples import Dataset, Indices
from edge_sdk.export.distillation.teachers import Answers, Teacher, ask_all
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.finished import require_embeddings
from edge_sdk.export.training.progress import Progress
from edge_sdk.export.training.run import Run


@dataclass(frozen=True)
class Distillation:
    """How much of what.

    Attributes:
        relation, embedding: Weights of the teacher's similarities and of its embeddings, at least one above 0.
        labels: Weight of the recipe's own objective.
        views: Fixed augmented versions of each image that the teacher is asked about.
        unlabeled: Images without labels in a step, where such are given.
    """

    relation: float = 10.0
    embedding: float = 1.0
    labels: float = 1.0
    views: int = 8
    unlabeled: int = 16

    def __post_init__(self) -> None:
        weights = (self.relation, self.embedding, self.labels)
        if not (np.isfinite(weights).all() and min(weights) >= 0 and self.relation + self.embedding > 0):
            raise UsageError(
                f"weights are at least 0, and that of relation or embedding is above 0; not relation {self.relation}, "
                f"embedding {self.embedding}, labels {self.labels}"
            )
        if self.views < 1 or self.unlabeled < 1:
            raise UsageError(f"distillation needs at least one view and one unlabeled image, not {self}")

    def require(self, recipe: Recipe, preset: Preset, teachers: Sequence[Teacher]) -> None:
        del preset  # frames may differ: each is shown its own picture of an image
        for one in (recipe, *(teacher.recipe for teacher in teachers)):
            require_embeddings(one)

    def lessons(
        self,
        teachers: Sequence[Teacher],
        run: Run,
        learned: Dataset,
        unlabeled: Dataset | None,
        *,
        fabric: Fabric,
        progress: Progress,
    ) -> Lessons:
        """Ask the teachers, or read what they said when they were asked before.

        The answers are kept in the run's folder under ``teacher``.

        Raises:
            DatasetError: An image cannot be read.
            TrainingError: A teacher gives no finite embeddings.
        """
        samples = (*learned.samples, *(unlabeled.samples if unlabeled else ()))
        number = {subject: index for index, subject in enumerate(learned.subjects)}
        known = [number[sample.subject] for sample in learned.samples]
        nobody = range(len(number), len(number) + len(samples) - len(known))
        writers = np.array([*known, *nobody], np.int64)
        augmentation = run.preset.augmentation
        views = Views(augmentation, run.seed, self.views if augmentation else 1)
        answers = ask_all(teachers, Answers(run.folder / "teacher", samples, writers, views, fabric), progress)
        return Lessons(
            settings=self,
            images=cache.prepared(samples, run.preset.preprocessing),
            labelled=len(known),
            writers=writers,
            views=views,
            answers=answers,
            basis=_basis(run.folder / "teacher", answers, run.recipe.embedding_size, fabric),
            device=fabric.device,
        )


def relational(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of the cosine similarities of all pairs of two images, in [0, 4].

    Args:
        student, teacher: Unit embeddings ``(B, D)`` and ``(B, T)`` of the same images, B at least 2.
    """
    pairs = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    return functional.mse_loss((student @ student.T)[pairs], (teacher @ teacher.T)[pairs])


def aligned(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean of ``1 - cos(student, teacher)`` over unit embeddings ``(B, D)`` of the same images, in [0, 2]."""
    return 1 - (student * teacher).sum(dim=1).mean()


def principal(answers: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Orthonormal ``(T, size)``: takes embeddings ``(..., T)`` to ``size`` coordinates and keeps their cosines best.

    The principal directions, about 0, of all ``answers``: by Eckart and Young no other projection of that size comes
    closer to the matrix of their inner products. No projection where T is ``size``, zeros behind where it is smaller.
    """
    width = answers.shape[-1]
    if width <= size:
        return np.eye(width, size, dtype=np.float32)
    flat = answers.reshape(-1, width)
    _, directions = np.linalg.eigh(flat.T @ flat)  # by ascending share
    return np.ascontiguousarray(directions[:, ::-1][:, :size])


@dataclass(frozen=True)
class Lesson:
    """One step's images and what the teacher says of them.

    Attributes:
        images: ``(B + U, H, W)``: views of the batch, then of images without labels.
        teacher: ``(B + U, T)``, unit embeddings.
        target: ``(B + U, D)``, the same in the student's number of coordinates.
    """

    settings: Distillation
    images: NDArray[np.uint8]
    teacher: torch.Tensor
    target: torch.Tensor

    def loss(self, made: torch.Tensor, objective: torch.Tensor) -> torch.Tensor:
        embeddings = made.float()
        return (
            self.settings.labels * objective
            + self.settings.relation * relational(embeddings, self.teacher)
            + self.settings.embedding * aligned(embeddings, self.target)
        )


@dataclass(frozen=True)
class Lessons:
    """Draws lessons.

    Attributes:
        images: ``(N, H, W)``, pre-processed for the student: those with labels, then those without.
        labelled: How many have labels.
        writers: ``(N,)``, numbers of people; an image without a label has a number of its own.
        answers: ``(N, views, T)``, the teacher's unit embeddings of every view.
        basis: ``(T, D)``, see :func:`principal`.
    """

    settings: Distillation
    images: NDArray[np.uint8]
    labelled: int
    writers: NDArray[np.int64]
    views: Views
    answers: NDArray[np.float32]
    basis: NDArray[np.float32]
    device: torch.device

    def __call__(self, indices: Indices, rng: np.random.Generator) -> Lesson:
        """The lesson of a batch: each writer in one random view."""
        others = len(self.images) - self.labelled
        drawn = self.labelled + rng.choice(others, min(self.settings.unlabeled, others), replace=False)
        chosen = np.concatenate([indices, drawn])
        writers = self.writers[chosen].tolist()
        view_of = {writer: int(rng.integers(self.views.count)) for writer in dict.fromkeys(writers)}
        seen = [view_of[writer] for writer in writers]
        images = [
            self.views(np.asarray(self.images[i]), i, writer, view)
            for i, writer, view in zip(chosen.tolist(), writers, seen, strict=True)
        ]
        teacher = torch.from_numpy(self.answers[chosen, seen]).to(self.device)
        target = functional.normalize(teacher @ torch.from_numpy(self.basis).to(self.device), dim=1)
        return Lesson(self.settings, np.stack(images), teacher, target)


def _basis(folder: Path, answers: NDArray[np.float32], size: int, fabric: Fabric) -> NDArray[np.float32]:
    """:func:`principal`, computed once: on another processor eigenvectors may come out with other signs."""
    path = folder / f"basis-{hashlib.sha256(answers.tobytes()).hexdigest()[:32]}.npy"
    if fabric.is_global_zero and not path.exists():
        cache.store(path, principal(answers, size))
    fabric.barrier()
    return np.asarray(np.load(path))
