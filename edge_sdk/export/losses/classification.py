"""Loss of networks that are shown live images *and* attacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_sdk.errors import UsageError
from edge_sdk.export.data.samples import Labels, Sample
from edge_sdk.export.data.sampling import Origin, Shares, kept
from edge_sdk.export.losses.distillation import LogitDistillation
from edge_sdk.export.losses.task import Distillation
from edge_sdk.export.losses.tasks import AttackTask, require_sample_score
from edge_sdk.scoring.base import Score


@dataclass(frozen=True)
class AttackClassification:
    """The objective of a recipe that is shown attacks: mean binary cross entropy of batches that are half live.

    Which images a batch holds decides what is learned. Live images come evenly from all data sets, there from all
    people, there from all recordings. Half of the attacks were before a camera and half were rendered, where there are
    both, for the one teaches little of the other; each half comes evenly from all species, then as the live ones. So
    neither the species that is cheapest to render, nor a film's thousand frames, nor the set with the most people
    outweighs the others. A data set is that of the person shown: a rendered attack counts as one on the set of the live
    image.

    A network for recorded or for rendered attacks alone learns no others, and is not validated on them either:
    :meth:`kept` chooses the images.

    There is no label smoothing and no focal weight: both bend the probability that thresholds and fusion start from.

    Attributes:
        images: In a step; even.
        attacks: Only those of this origin; None takes all.
        without: Cameras whose images are left out of training and validation, by the names that
            :func:`~edge_sdk.export.data.sampling.cameras_of` gives them.
    """

    distillation: ClassVar[type[Distillation]] = LogitDistillation

    images: int
    attacks: Origin | None = None
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images < 2 or self.images % 2:
            raise UsageError(f"a step takes an even number of images, half of them live, not {self.images}")

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> AttackTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        require_sample_score(score, embedding_size)
        shares = Shares.of(samples, self.attacks, self.without)
        return AttackTask(self, self.images, score, tuple(outputs), shares, labels.genuine)

    def kept(self, samples: Sequence[Sample]) -> NDArray[np.bool_]:
        """``(N,)``, which samples are learned from or validated on."""
        return kept(samples, self.attacks, self.without)

    def loss(self, logit: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
        """Scalar loss of logits ``(B, 1)`` and flags ``(B,)``."""
        return functional.binary_cross_entropy_with_logits(logit[:, 0], live.to(logit.dtype))
