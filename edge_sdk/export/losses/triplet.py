"""FaceNet's triplet loss with semi-hard mining, by pytorch-metric-learning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.losses.metric import EmbeddingObjective
from edge_sdk.export.losses.tasks import EmbeddingTask
from edge_sdk.extras import needs_extra
from edge_sdk.scoring.base import Score


@dataclass(frozen=True)
class Triplets(EmbeddingObjective):
    """``[d(a, p) - d(a, n) + margin]+`` over triplets of a batch, d being *squared* Euclidean distances.

    a and p are two images of one person, n is one of another. Only triplets that break the margin are taken, and of
    those with ``negatives="semihard"`` only such whose n is farther than p, as FaceNet selects them. The essay's
    equation 1 lacks the network on the negative.

    A batch has ``people * images + strangers`` images: up to ``images`` each of ``people`` people who have at least
    two, and for negatives any others.

    Attributes:
        negatives: ``any`` takes negatives closer than the positive too; a fresh network may fold on them.
        reduction: FaceNet's ``sum`` over the triplets, or their ``mean``.
    """

    people: int = 45
    images: int = 40
    strangers: int = 0
    margin: float = 0.2
    negatives: Literal["semihard", "any"] = "semihard"
    reduction: Literal["sum", "mean"] = "sum"

    def __post_init__(self) -> None:
        if self.people < 2 or self.images < 2 or self.strangers < 0:
            raise UsageError(f"triplets need at least 2 people with 2 images each, not {self.people}, {self.images}")
        if not 0 < self.margin < math.inf:
            raise UsageError(f"a margin is above 0, not {self.margin}")

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> EmbeddingTask:
        """See the base; MissingToolError without the library, before anything is prepared."""
        _library()
        return super().task(labels, samples, score=score, outputs=outputs, embedding_size=embedding_size)

    def batch(self, labels: Labels, bank: NDArray[np.float32], rng: np.random.Generator) -> Indices:
        """See :class:`edge_sdk.export.losses.tasks.MetricObjective`; forgeries are nobody's images."""
        del bank  # negatives are mined within the batch, from this step's embeddings
        several = [person for person in range(labels.subjects) if len(labels.originals[person]) >= 2]
        if len(several) < 2:
            raise DatasetError("triplets need at least two people with two images each")
        chosen = rng.permutation(several)[: self.people]
        drawn = [
            rng.choice(own, min(self.images, own.size), replace=False)
            for own in (labels.originals[person] for person in chosen)
        ]
        indices = np.concatenate(drawn)
        others = np.setdiff1d(np.flatnonzero(labels.genuine), indices)
        left = self.people * self.images + self.strangers - indices.size
        return np.concatenate([indices, rng.choice(others, min(left, others.size), replace=False)])

    def loss(self, embeddings: torch.Tensor, subject: torch.Tensor, genuine: torch.Tensor) -> torch.Tensor:
        """See :class:`edge_sdk.export.losses.tasks.MetricObjective`; 0 where no triplet breaks the margin."""
        del genuine
        library = _library()
        # The library's own distance is not squared, its own miner takes any negative, its own mean leaves out zeros.
        distance = library.distances.LpDistance(normalize_embeddings=False, p=2, power=2)
        kind = "semihard" if self.negatives == "semihard" else "all"
        miner = library.miners.TripletMarginMiner(self.margin, type_of_triplets=kind, distance=distance)
        reducers = {"sum": library.reducers.SumReducer, "mean": library.reducers.MeanReducer}
        criterion = library.losses.TripletMarginLoss(self.margin, distance=distance, reducer=reducers[self.reduction]())
        loss: torch.Tensor = criterion(embeddings, subject, miner(embeddings, subject))
        return loss


def _library() -> Any:
    """Imported when a run needs it: the recipe can be looked at and exported without."""
    with needs_extra("export"):
        import pytorch_metric_learning.distances
        import pytorch_metric_learning.losses
        import pytorch_metric_learning.miners
        import pytorch_metric_learning.reducers
    return pytorch_metric_learning
