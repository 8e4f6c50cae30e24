"""Distillation of embeddings by teachers that see every step's views, and mixtures of two.

Several teachers count as one, as in :mod:`edge_sdk.export.distillation.embeddings`. The cosines of published embeddings
are about their mean: some, made to be compared by their distance, all point the same way. So each teacher's mean over
the training set is taken off first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from edge_sdk.errors import TrainingError
from edge_sdk.export.data import cache
from edge_sdk.export.data.samples import Indices
from edge_sdk.export.distillation.embeddings import EmbeddingTarget, principal
from edge_sdk.export.distillation.teachers import AnyTeacher
from edge_sdk.export.losses.distillation import Autocast, ViewDistillation
from edge_sdk.export.networks.memory_format import batch, channels_last
from edge_sdk.export.training.hooks import Student
from edge_sdk.export.training.progress import ProgressDisplay

BATCH = 64


class JoinedTeachers(nn.Module):
    """Teachers as one: pictures ``(N, C, H, W)`` in [0, 1] to unit embeddings ``(N, sum of T)``.

    Args:
        means: Of each teacher's embeddings, ``(T,)``.
        shares: How much each counts: the similarity of two pictures is the mean of the teachers', so weighted.
    """

    def __init__(self, networks: Sequence[nn.Module], means: Sequence[torch.Tensor], shares: Sequence[float]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.means = list(means)
        self.weights = [math.sqrt(share / sum(shares)) for share in shares]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        parts = [
            weight * functional.normalize(network(pictures).float() - mean, dim=1)
            for network, mean, weight in zip(self.networks, self.means, self.weights, strict=True)
        ]
        return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class ViewTargets:
    """Makes the targets of steps.

    Attributes:
        basis: ``(T, D)``, see :func:`~edge_sdk.export.distillation.embeddings.principal`.
    """

    settings: ViewDistillation
    teachers: nn.Module
    basis: torch.Tensor
    autocast: Autocast

    def __call__(self, indices: Indices, rng: np.random.Generator, views: torch.Tensor | None) -> EmbeddingTarget:
        """The views of a batch, then mixtures of two of them each, and what the teachers make of all."""
        del indices, rng
        assert views is not None, "a student of views has such a preset"
        pictures = torch.cat([views, mixed(views, round(self.settings.mixed * len(views)))])
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), self.autocast():
            teacher = self.teachers(pictures)
        target = functional.normalize(teacher @ self.basis, dim=1)
        return EmbeddingTarget(self.settings, pictures, teacher, target)


def mixed(views: torch.Tensor, count: int) -> torch.Tensor:
    """``count`` weighted means of two of the views, each view at most once as the first; weights uniform in [0, 1]."""
    first, second = torch.randperm(len(views), device=views.device)[:count], torch.randperm(len(views))[:count]
    share = torch.rand(count, 1, 1, 1, device=views.device)
    return share * views[first] + (1 - share) * views[second.to(views.device)]


def view_targets(
    settings: ViewDistillation,
    teachers: Sequence[AnyTeacher],
    student: Student,
    fabric: Fabric,
    progress: ProgressDisplay,
) -> ViewTargets:
    """Ask the teachers about every picture as it is, for means and basis, which are kept in the run's folder.

    Raises:
        DatasetError: A picture cannot be read.
        TrainingError: A teacher gives no finite embeddings.
    """
    networks = [teacher.network.eval().requires_grad_(requires_grad=False) for teacher in teachers]
    networks = [channels_last(network.to(fabric.device)) for network in networks]
    shares = [teacher.share for teacher in teachers]
    folder = student.folder / "teacher"
    paths = [folder / f"mean-{teacher.weights[:32]}.npy" for teacher in teachers]
    basis = folder / f"basis-{'-'.join(teacher.weights[:16] for teacher in teachers)}.npy"
    if fabric.is_global_zero and not basis.exists():
        images = cache.prepared(student.learned.samples, student.preset.preprocessing)
        found = _ask(networks, images, fabric, progress)
        parts = []
        for path, embeddings, share in zip(paths, found, shares, strict=True):
            mean = embeddings.mean(axis=0)
            cache.store(path, mean)
            centred = embeddings - mean
            parts.append(centred * (math.sqrt(share) / np.linalg.norm(centred, axis=1, keepdims=True)))
        cache.store(basis, principal(np.concatenate(parts, axis=1), student.recipe.embedding_size))
    fabric.barrier()
    means = [_loaded(path, fabric) for path in paths]
    return ViewTargets(settings, JoinedTeachers(networks, means, shares), _loaded(basis, fabric), fabric.autocast)


@torch.no_grad()
def _ask(
    networks: Sequence[nn.Module], images: NDArray[Any], fabric: Fabric, progress: ProgressDisplay
) -> list[NDArray[np.float32]]:
    """Each network's embeddings ``(N, T)`` of prepared images."""
    bar = progress.bar("embedding by the teachers", len(images))
    made: list[list[torch.Tensor]] = [[] for _ in networks]
    for start in range(0, len(images), BATCH):
        pictures = batch(np.asarray(images[start : start + BATCH]), fabric.device)
        with fabric.autocast():
            for found, network in zip(made, networks, strict=True):
                found.append(network(pictures).float())
        bar.update(start + len(pictures))
    bar.finish()
    joined = [torch.cat(found).cpu().numpy() for found in made]
    if not all(np.isfinite(embeddings).all() for embeddings in joined):
        raise TrainingError("a teacher's embeddings are not finite: choose another")
    return joined


def _loaded(path: Path, fabric: Fabric) -> torch.Tensor:
    return torch.from_numpy(np.load(path)).to(fabric.device)
