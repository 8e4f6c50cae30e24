"""Margin softmax over everybody in the training set, with prototypes that are remembered instead of learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.metrics.verification import auroc, eer
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.data.sampling import Origin
from edge_sdk.export.losses.distillation import ViewDistillation
from edge_sdk.export.losses.task import Distillation, StepTarget, ValidationMetrics
from edge_sdk.scoring.base import Score


def margin_softmax(
    embeddings: torch.Tensor, prototypes: torch.Tensor, person: torch.Tensor, *, scale: float, margin: float
) -> torch.Tensor:
    """Mean cross entropy of ``scale * (cos - margin [own person])``: CosFace (Wang et al., 2018), equation 4.

    Args:
        embeddings: Unit embeddings ``(B, D)``.
        prototypes: ``(S, D)``, of unit length.
        person: ``int64 (B,)``, 0..S-1.
    """
    cosines = embeddings @ prototypes.T
    own = functional.one_hot(person, len(prototypes)).to(cosines.dtype)
    return functional.cross_entropy(scale * (cosines - margin * own), person)


@dataclass(frozen=True)
class PrototypeMargin:
    """The objective of networks that are shown many people, most of them in few pictures.

    A person's prototype is the direction of the mean of the last embeddings of all of the person's pictures, as in
    "Prototype Memory for Large-scale Face Representation Learning" (Smirnov et al., 2021): it needs no weights of its
    own, and is right from a person's first picture on. People with a single picture count too: its earlier embedding,
    of another view, is the prototype, and they are impostors to all others.

    A person with n pictures is drawn in proportion to the root of n, so that few do not fill the batches. Forgeries are
    not learned from.

    Attributes:
        images: In a step.
        scale, margin: Of :func:`margin_softmax`.
    """

    distillation: ClassVar[type[Distillation]] = ViewDistillation
    attacks: ClassVar[Origin | None] = None
    without: ClassVar[tuple[str, ...]] = ()

    images: int = 256
    scale: float = 32.0
    margin: float = 0.3

    def __post_init__(self) -> None:
        if self.images < 2 or not (self.scale > 0 and 0 <= self.margin < 1):
            raise UsageError(f"a step takes 2 images or more, with a scale above 0 and a margin in [0, 1), not {self}")

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> PrototypeTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        del score  # validation compares cosines, whatever a device does
        if embedding_size < 1 or len(outputs) != 1:
            raise UsageError(f"{type(self).__name__} takes a network with one output of embeddings, not {outputs}")
        if attack := next((sample for sample in samples if sample.attack is not None), None):
            raise DatasetError(f"{attack.path} is a presentation attack, of which no person is learned: leave them out")
        if labels.subjects < 2:
            raise DatasetError("there is one person alone, so there is no impostor to learn from")
        return PrototypeTask(self, labels, embedding_size)


class PrototypeTask:
    """Tell all people of the training set apart: validation AUROC and EER against strangers.

    Attributes:
        bank: ``(N, D)``, the last embedding seen of each image, zeros where there is none yet.
    """

    def __init__(self, objective: PrototypeMargin, labels: Labels, size: int) -> None:
        self.objective, self.people = objective, labels.subjects
        self.subject = torch.from_numpy(labels.subject)
        self.bank = torch.zeros(len(labels.subject), size)
        share = labels.genuine / np.sqrt(np.bincount(labels.subject))[labels.subject]
        self.chance = share / share.sum()

    def batch(self, rng: np.random.Generator) -> Indices:
        count = self.objective.images
        return rng.choice(len(self.chance), count, replace=bool(count > np.count_nonzero(self.chance)), p=self.chance)

    def loss(self, made: torch.Tensor, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        embeddings = made.float()
        labelled = embeddings[: len(indices)]
        self.bank, self.subject = self.bank.to(made.device), self.subject.to(made.device)  # once
        chosen = torch.from_numpy(indices).to(made.device)
        sums = self.bank.new_zeros(self.people, self.bank.shape[1]).index_add_(0, self.subject, self.bank)
        loss = margin_softmax(
            labelled,
            functional.normalize(sums, dim=1),
            self.subject[chosen],
            scale=self.objective.scale,
            margin=self.objective.margin,
        )
        self.bank[chosen] = labelled.detach()
        return target.loss(embeddings, loss) if target else loss

    def outputs(self, network: Any, images: torch.Tensor) -> NDArray[np.floating]:
        return np.asarray(network(images).float().cpu().numpy())

    def measure(
        self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any = None
    ) -> ValidationMetrics:
        del network
        people, genuine = [sample.subject for sample in samples], [sample.genuine for sample in samples]
        groups = [sample.dataset for sample in samples]
        scores = verification_scores(outputs, people, genuine, groups=groups, forgeries="random")
        return ValidationMetrics(auroc=auroc(scores), eer=float(eer(scores).eer))

    def state(self) -> dict[str, torch.Tensor]:
        return {"bank": self.bank.cpu()}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.bank = state["bank"].to(self.bank.device)
