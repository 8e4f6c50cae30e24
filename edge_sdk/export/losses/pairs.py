"""Losses of pairs of images: a decision network's, and the cosine embedding loss (document 004)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch.nn import functional

from edge_sdk.errors import UsageError
from edge_sdk.export.data.samples import Labels, Sample
from edge_sdk.export.data.sampling import Origin
from edge_sdk.export.losses.pair_tasks import DecisionTask, DistanceTask, PublishedPairs
from edge_sdk.export.losses.task import Distillation
from edge_sdk.scoring.base import Score

DecisionLoss = Literal["bce", "cross_entropy"]


def _binary(logits: torch.Tensor, mated: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], mated.to(logits.dtype))


def _of_classes(logits: torch.Tensor, mated: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits, mated.long())


_DECISION: Mapping[DecisionLoss, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "bce": _binary,
    "cross_entropy": _of_classes,
}


def cosine_embedding(similarity: torch.Tensor, mated: torch.Tensor, margin: float) -> torch.Tensor:
    """Mean of ``1 - s`` of one person's pairs and ``max(0, s - margin)`` of others, s the cosines ``(P,)``."""
    return torch.where(mated, 1 - similarity, (similarity - margin).clamp(min=0)).mean()


@dataclass(frozen=True)
class PairObjective:
    """What the objectives of pairs have in common.

    Attributes:
        pairs: In a step.
        published: The pairs to learn from and to validate on; None draws them, half of one person and half of two.
    """

    distillation: ClassVar[type[Distillation] | None] = None
    attacks: ClassVar[Origin | None] = None
    without: ClassVar[tuple[str, ...]] = ()

    pairs: int = 14
    published: PublishedPairs | None = None

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise UsageError(f"a step takes at least one pair, not {self.pairs}")


@dataclass(frozen=True)
class PairDecision(PairObjective):
    """Binary cross entropy of one logit, or cross entropy of two: are the two images of one person?

    Validation chooses the weights of the highest accuracy.
    """

    loss_of: DecisionLoss = "bce"

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> DecisionTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        del score, outputs, embedding_size
        return DecisionTask.of(self, labels, samples)

    def loss(self, made: torch.Tensor, mated: torch.Tensor) -> torch.Tensor:
        """Of logits ``(P, 1)`` or ``(P, 2)`` and flags ``(P,)``."""
        return _DECISION[self.loss_of](made.float(), mated)


@dataclass(frozen=True)
class PairCosine(PairObjective):
    """Cosine embedding loss of unit embeddings. Validation chooses the weights of the lowest loss."""

    margin: float = 0.5

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> DistanceTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        del score, outputs, embedding_size
        return DistanceTask.of(self, labels, samples)

    def loss(self, made: torch.Tensor, mated: torch.Tensor) -> torch.Tensor:
        """Of embeddings ``(2 P, D)``, the two of a pair behind one another, and flags ``(P,)``."""
        return cosine_embedding((made[0::2] * made[1::2]).sum(dim=1).float(), mated, self.margin)
