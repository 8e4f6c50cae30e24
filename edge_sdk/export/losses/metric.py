"""What training minimises, and which images it asks for in a step.

An objective draws the indices of a batch and computes the loss of that batch's embeddings. Distances are Euclidean
between unit embeddings, D^2 = 2 - 2 cos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.data.sampling import Origin
from edge_sdk.export.losses.distillation import EmbeddingDistillation
from edge_sdk.export.losses.task import Distillation
from edge_sdk.export.losses.tasks import EmbeddingTask
from edge_sdk.scoring.base import Score

ENROLLED = 3
"""Fewest genuine samples of a writer in a batch: one is compared with the others, and those have a scatter."""

LEAST = 1e-4
"""Added to squared distances of unit embeddings before their logarithm."""


def contrastive(distance: torch.Tensor, genuine: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """Mean contrastive loss: D^2 for genuine pairs, max(0, margin - D)^2 for forged ones.

    Equation 1 of the DeepSign paper with its two terms swapped: as printed it would pull forgeries together.

    Args:
        distance: ``(P,)``, at least 0.
        genuine: ``bool (P,)``.
    """
    return torch.where(genuine, distance**2, (margin - distance).clamp(min=0) ** 2).mean()


def l2(network: nn.Module, coefficients: Mapping[str, float]) -> torch.Tensor:
    """Sum of ``c * sum(w^2)`` over parameters w by name: what Keras' ``kernel_regularizer=l2(c)`` adds to the loss.

    Raises UsageError for a name that the network does not have.
    """
    parameters = dict(network.named_parameters())
    if missing := coefficients.keys() - parameters.keys():
        raise UsageError(f"no such parameter to penalise: {', '.join(sorted(missing))}")
    start = next(network.parameters()).new_zeros(())
    return sum((c * parameters[name].square().sum() for name, c in coefficients.items()), start)


def enrolment_ratios(
    embeddings: torch.Tensor, subject: torch.Tensor, genuine: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The logarithms of ratios of samples to enrolments of a batch, each of all genuine samples of a writer but one.

    What :mod:`edge_sdk.scoring.person_model` computes, as far as a batch knows it: with the n enrolled samples' mean m
    and scatter s around it, two further samples as scattered as all writers' in the mean among them, the ratio of a
    sample x is ``log s - 2 log(|x - m|^2 / (1 + 1/n))``. The distance from everybody is taken as 1, that of unit
    embeddings in all directions.

    Args:
        embeddings: Unit, ``(B, D)``.
        subject: ``(B,)``.
        genuine: ``bool (B,)``.

    Returns:
        Of the genuine samples that were left out, each to its own enrolment; of the writers' forgeries, and of others'
        genuine samples, to every enrolment: ``(K,)``, ``(L,)`` and ``(M,)``. Writers of less than three genuine samples
        are not enrolled.
    """
    people = [who for who in subject.unique() if int((genuine & (subject == who)).sum()) >= ENROLLED]
    if not people:
        return (embeddings.new_zeros(0),) * 3
    enrolled = []
    for who in people:
        own = embeddings[genuine & (subject == who)]
        count = len(own) - 1
        mean = (own.sum(dim=0) - own) / count
        squares = own.square().sum(dim=1)
        enrolled.append((own, mean, (squares.sum() - squares - count * mean.square().sum(dim=1)) / (count - 1)))
    usual = torch.stack([scatter.mean() for _, _, scatter in enrolled]).mean()
    mated: list[torch.Tensor] = []
    forged: list[torch.Tensor] = []
    random: list[torch.Tensor] = []
    for who, (own, mean, scatter) in zip(people, enrolled, strict=True):
        count = len(own) - 1
        level = ((scatter * (count - 1) + 2 * usual) / (count + 1) + LEAST).log()
        widening = 1 + 1 / count
        mated.append(level - 2 * ((own - mean).square().sum(dim=1) / widening + LEAST).log())
        for found, others in ((forged, ~genuine & (subject == who)), (random, genuine & (subject != who))):
            squared = torch.cdist(embeddings[others], mean).square() / widening
            found.append((level - 2 * (squared + LEAST).log()).flatten())
    return torch.cat(mated), torch.cat(forged), torch.cat(random)


class EmbeddingObjective:
    """What objectives of embeddings have in common."""

    distillation: ClassVar[type[Distillation]] = EmbeddingDistillation
    attacks: ClassVar[Origin | None] = None
    without: ClassVar[tuple[str, ...]] = ()

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> EmbeddingTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        if embedding_size < 1:
            raise UsageError(f"{type(self).__name__} takes a network of embeddings, and the recipe gives no size")
        if len(outputs) != 1:
            raise UsageError(f"{type(self).__name__} takes one output of embeddings, the score {score} names {outputs}")
        return EmbeddingTask.of(self, labels, samples, embedding_size)  # type: ignore[arg-type]  # has both methods


@dataclass(frozen=True)
class ContrastivePairs(EmbeddingObjective):
    """The paper's pairs (section 4): all genuine-genuine and forged-genuine pairs of a writer, equally likely.

    Where a data set has no forgeries at all, half of the pairs are of one person and half of two.

    Attributes:
        pairs: In a step.
        margin: Of :func:`contrastive`.
        by_accuracy: Weights are chosen, and training stopped, by the validation pairs' accuracy at the threshold where
            it is highest (sections 3.2 and 5.2); else by their AUROC.
    """

    pairs: int = 32
    margin: float = 1.0
    by_accuracy: bool = True

    def task(
        self, labels: Labels, samples: Sequence[Sample], *, score: Score, outputs: Sequence[str], embedding_size: int
    ) -> EmbeddingTask:
        """See :class:`edge_sdk.export.losses.task.Objective`."""
        task = super().task(labels, samples, score=score, outputs=outputs, embedding_size=embedding_size)
        return replace(task, by_accuracy=self.by_accuracy)

    def batch(self, labels: Labels, bank: NDArray[np.float32], rng: np.random.Generator) -> Indices:
        del bank
        counts = np.array(
            [
                [len(g) * (len(g) - 1) / 2, len(g) * len(f)]
                for g, f in zip(labels.originals, labels.forgeries, strict=True)
            ]
        ).ravel()
        if counts.sum() == 0:
            raise DatasetError("no writer has two signatures, so there are no pairs to train on")
        if not any(map(len, labels.forgeries)):
            return self._with_strangers(labels, rng)
        drawn = rng.choice(counts.size, self.pairs, p=counts / counts.sum())
        indices = []
        for writer, forged in zip(*np.divmod(drawn, 2), strict=True):
            originals = labels.originals[writer]
            if forged:
                indices += [rng.choice(originals), rng.choice(labels.forgeries[writer])]
            else:
                indices += rng.choice(originals, 2, replace=False).tolist()
        return np.array(indices, np.int64)

    def _with_strangers(self, labels: Labels, rng: np.random.Generator) -> Indices:
        several = np.array([person for person in range(labels.subjects) if len(labels.originals[person]) >= 2])
        if labels.subjects < 2:
            raise DatasetError("there is one person alone and no forgery, so there is no impostor to learn from")
        indices: list[int] = []
        for pair in range(self.pairs):
            if pair % 2:
                indices += rng.choice(labels.originals[rng.choice(several)], 2, replace=False).tolist()
            else:
                two = rng.choice(labels.subjects, 2, replace=False)
                indices += [int(rng.choice(labels.originals[person])) for person in two]
        return np.array(indices, np.int64)

    def loss(self, embeddings: torch.Tensor, subject: torch.Tensor, genuine: torch.Tensor) -> torch.Tensor:
        first, second = embeddings[0::2], embeddings[1::2]
        distance = (first - second).norm(dim=1)
        mated = genuine[0::2] & genuine[1::2] & (subject[0::2] == subject[1::2])
        return contrastive(distance, mated, self.margin)


@dataclass(frozen=True)
class MinedMetric(EmbeddingObjective):
    """Ranking and verification at once, over all pairs of a batch of writers.

    With cosine similarities s, for each pair (a, p) of one writer's genuine images the ranking term is
    ``-log(e^(s_ap/t) / (e^(s_ap/t) + sum_n e^(s_an/t)))`` over all negatives n of a: the writer's skilled forgeries
    and every image of other writers. It only orders pairs round one anchor, and a verifier has one threshold for all
    people; so the verification term is the logistic loss of ``sharpness * (s - centre)`` with half of its weight on
    genuine pairs and half on impostor pairs, the share ``skilled`` of those on forgeries.

    The enrolment term is of what a model of each person decides: the logistic loss of :func:`enrolment_ratios`, with
    the weights of the verification term.

    Writers, and forgeries within a writer, are mined in embedding space: half of a batch's writers are neighbours of
    a random one, and forgeries closer to their writer's centre are drawn more often.

    Attributes:
        verification: Weight of the verification term, beside 1 of the ranking term.
        enrolment: Weight of the enrolment term.
    """

    writers: int = 8
    genuine: int = 5
    forged: int = 3
    temperature: float = 0.1
    sharpness: float = 8.0
    centre: float = 0.5
    skilled: float = 0.7
    hardness: float = 4.0
    verification: float = 1.0
    enrolment: float = 0.0

    def __post_init__(self) -> None:
        if self.enrolment and self.genuine < ENROLLED:
            raise UsageError(
                f"an enrolment takes {ENROLLED} genuine samples of a writer in a batch, not {self.genuine}"
            )

    def batch(self, labels: Labels, bank: NDArray[np.float32], rng: np.random.Generator) -> Indices:
        eligible = np.array([s for s in range(labels.subjects) if len(labels.originals[s]) >= 2])
        if eligible.size < 2:
            raise DatasetError("metric learning needs at least two writers with two genuine signatures each")
        centres = np.stack([bank[labels.originals[s]].mean(axis=0) for s in eligible])
        chosen = rng.permutation(eligible.size)[: max(1, self.writers - self.writers // 2)]
        affinity = centres @ centres[chosen[0]]
        affinity[chosen] = -np.inf
        neighbours = np.argsort(-affinity, kind="stable")[: self.writers - chosen.size]
        neighbours = neighbours[np.isfinite(affinity[neighbours])]
        indices: list[int] = []
        for position in (*chosen, *neighbours):
            originals, forgeries = labels.originals[eligible[position]], labels.forgeries[eligible[position]]
            indices += rng.choice(originals, min(self.genuine, originals.size), replace=False).tolist()
            if forgeries.size:
                weight = np.exp(self.hardness * (bank[forgeries] @ centres[position]))
                count = min(self.forged, forgeries.size)
                indices += rng.choice(forgeries, count, replace=False, p=weight / weight.sum()).tolist()
        return np.array(indices, np.int64)

    def loss(self, embeddings: torch.Tensor, subject: torch.Tensor, genuine: torch.Tensor) -> torch.Tensor:
        similarity = embeddings @ embeddings.T
        same = subject[:, None] == subject[None, :]
        anchor = genuine[:, None]
        other = ~torch.eye(len(subject), dtype=torch.bool, device=subject.device)
        positive = same & anchor & genuine[None, :] & other
        forgery = same & anchor & ~genuine[None, :]
        stranger = ~same & anchor & genuine[None, :]
        logits = similarity / self.temperature
        negatives = logits.masked_fill(~(forgery | (~same & anchor)), -torch.inf).logsumexp(dim=1, keepdim=True)
        loss = functional.softplus(negatives - logits)[positive].mean()
        if self.verification:
            margin = self.sharpness * (similarity - self.centre)
            loss = loss + self.verification * self._logistic(margin[positive], margin[forgery], margin[stranger])
        if self.enrolment:
            loss = loss + self.enrolment * self._logistic(*enrolment_ratios(embeddings, subject, genuine))
        return loss

    def _logistic(self, mated: torch.Tensor, forged: torch.Tensor, random: torch.Tensor) -> torch.Tensor:
        """The logistic loss of comparisons, half of its weight on mated ones; a kind without any costs nothing."""
        terms = (
            (0.5, functional.softplus(-mated)),
            (0.5 * self.skilled, functional.softplus(forged)),
            (0.5 * (1 - self.skilled), functional.softplus(random)),
        )
        return sum((weight * value.mean() for weight, value in terms if value.numel()), mated.new_zeros(()))
