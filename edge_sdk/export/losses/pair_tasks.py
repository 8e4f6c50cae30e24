"""The tasks of pairs of images: the two of each pair go through one branch, and are compared there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.pairs import Comparisons, build_pairs
from edge_sdk.calibration.metrics.verification import Floats, ScoreSet, auroc, eer
from edge_sdk.errors import DatasetError, ScoreError, UsageError
from edge_sdk.export.data.pair_lists import PairList
from edge_sdk.export.data.samples import Indices, Labels, Sample
from edge_sdk.export.losses.task import StepTarget, ValidationMetrics

if TYPE_CHECKING:
    from typing_extensions import Self

_AT_ONCE = 512
"""Pairs that a decision network compares in one batch."""


class PublishedPairs:
    """Pairs of pictures that a data set publishes, for whoever learns from some of its people or validates on them.

    Args:
        listed: The pairs of all of them.
    """

    def __init__(self, listed: PairList) -> None:
        self.name = listed.name
        paths = [sample.path for sample in listed.data.samples]
        self._pairs = [
            (paths[first], paths[second], bool(mated))
            for first, second, mated in zip(listed.first, listed.second, listed.mated, strict=True)
        ]

    def __str__(self) -> str:
        text = "\n".join(f"{first} {second} {mated}" for first, second, mated in self._pairs)
        return f"{self.name}, {len(self._pairs)} pairs {hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def among(self, samples: Sequence[Sample]) -> Comparisons:
        """Those that have both pictures among these samples. Raises DatasetError if there is none."""
        place = {sample.path: number for number, sample in enumerate(samples)}
        found = [(place[a], place[b], mated) for a, b, mated in self._pairs if a in place and b in place]
        if not found:
            raise DatasetError(f"no pair of {self.name} has both of its pictures among the {len(samples)} given ones")
        first, second, mated = zip(*found, strict=True)
        return Comparisons(np.array(first)[:, None], np.array(second), np.array(mated))


class PairLoss(Protocol):
    """Computes the loss of a step's pairs."""

    @property
    def pairs(self) -> int:
        """In a step."""
        ...

    @property
    def published(self) -> PublishedPairs | None:
        """Pairs to take, instead of drawing them."""
        ...

    def loss(self, made: torch.Tensor, mated: torch.Tensor) -> torch.Tensor:
        """Scalar loss of what a network, in training mode, made of pairs, with flags ``(P,)``."""
        ...


@dataclass(frozen=True, eq=False)
class PairTask:
    """Tell whether two images are of one person.

    A step takes published pairs at random, or draws pairs, half of one person and half of two. So does validation,
    which then takes every pair of one person there is, and as many of two.

    Attributes:
        published: Of the training samples.
    """

    objective: PairLoss
    labels: Labels
    published: Comparisons | None

    @classmethod
    def of(cls, objective: PairLoss, labels: Labels, samples: Sequence[Sample]) -> Self:
        """Raises DatasetError where there are no pairs, of one person and of two, to learn from."""
        if attack := next((sample for sample in samples if sample.attack is not None), None):
            raise DatasetError(
                f"{attack.path} is a presentation attack ({attack.attack}), of which no person is learned"
            )
        if labels.subjects < 2 or max(map(len, labels.originals)) < 2:
            raise DatasetError("pairs need two people, and somebody with two images")
        return cls(objective, labels, objective.published.among(samples) if objective.published else None)

    def batch(self, rng: np.random.Generator) -> Indices:
        """The two of each pair behind one another."""
        count = self.objective.pairs
        if self.published is not None:
            drawn = rng.choice(len(self.published.queries), count, replace=len(self.published.queries) < count)
            pairs = np.stack([self.published.references[drawn, 0], self.published.queries[drawn]], axis=1)
            return pairs.ravel().astype(np.int64)
        originals = self.labels.originals
        several = [person for person, own in enumerate(originals) if len(own) > 1]
        indices: list[int] = []
        for pair in range(count):
            if pair % 2:
                indices += rng.choice(originals[rng.choice(several)], 2, replace=False).tolist()
            else:
                people = rng.choice([person for person, own in enumerate(originals) if len(own)], 2, replace=False)
                indices += [int(rng.choice(originals[person])) for person in people]
        return np.array(indices, np.int64)

    def loss(self, made: torch.Tensor, indices: Indices, target: StepTarget | None) -> torch.Tensor:
        if target is not None:
            raise UsageError("a network of pairs cannot have a teacher")
        people = torch.from_numpy(self.labels.subject[indices]).to(made.device)
        return self.objective.loss(made, people[0::2] == people[1::2])

    def outputs(self, network: Any, images: torch.Tensor) -> NDArray[np.floating]:
        return np.asarray(network(images).float().cpu().numpy())

    def comparisons(self, samples: Sequence[Sample]) -> Comparisons:
        """The pairs that validation takes of its samples. Raises DatasetError where there are none of either kind."""
        if self.objective.published:
            return self.objective.published.among(samples)
        people, genuine = [sample.subject for sample in samples], [sample.genuine for sample in samples]
        try:
            every = build_pairs(people, genuine, forgeries="random")
        except ScoreError as error:
            raise DatasetError(f"there are no pairs to validate on: {error}; give more people") from error
        mated, others = np.flatnonzero(every.mated), np.flatnonzero(~every.mated)
        drawn = np.random.default_rng(0).permutation(others)[: mated.size]
        kept = np.concatenate([mated, drawn])
        return Comparisons(every.references[kept], every.queries[kept], every.mated[kept])

    def state(self) -> dict[str, torch.Tensor]:
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        assert not state


class DecisionTask(PairTask):
    """Pairs through a decision network: validation accuracy at a probability of a half, AUROC and EER."""

    def measure(self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any) -> ValidationMetrics:
        pairs = self.comparisons(samples)
        scores = probabilities(network, outputs, pairs)
        accuracy = float(np.mean((scores >= 0.5) == pairs.mated))
        return ValidationMetrics(accuracy=accuracy, **_curve(scores, pairs))


class DistanceTask(PairTask):
    """Pairs of unit embeddings: validation loss, AUROC, EER, and accuracy at :func:`percentile_threshold`."""

    def measure(self, outputs: NDArray[np.floating], samples: Sequence[Sample], network: Any) -> ValidationMetrics:
        del network
        pairs = self.comparisons(samples)
        first, second = torch.from_numpy(outputs[pairs.references[:, 0]]), torch.from_numpy(outputs[pairs.queries])
        joined = torch.stack([first, second], dim=1).flatten(0, 1)
        loss = float(self.objective.loss(joined, torch.from_numpy(pairs.mated)))
        scores = (first * second).sum(dim=1).double().numpy()
        accuracy = float(np.mean((scores >= percentile_threshold(scores, pairs.mated)) == pairs.mated))
        return ValidationMetrics(validation_loss=loss, accuracy=accuracy, **_curve(scores, pairs))


@torch.no_grad()
def probabilities(network: Any, templates: NDArray[np.floating], pairs: Comparisons) -> Floats:
    """``(P,)``: the probability of "one person", the mean over both orders of a pair.

    Args:
        network: A :class:`~edge_sdk.export.networks.siamese.DecisionNetwork`.
        templates: ``(N, size)``, what its branch gives.
    """
    head = network.comparison().eval()
    device = next(head.parameters()).device
    found = []
    for start in range(0, len(pairs.queries), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        first = torch.from_numpy(np.asarray(templates[pairs.references[part, 0]])).to(device)
        second = torch.from_numpy(np.asarray(templates[pairs.queries[part]])).to(device)
        orders = [head(torch.cat(pair, dim=1)).double().sigmoid() for pair in ((first, second), (second, first))]
        found.append(torch.stack(orders).mean(dim=0)[:, 0].cpu().numpy())
    return np.concatenate(found)


def percentile_threshold(similarity: Floats, mated: NDArray[np.bool_]) -> float:
    """Document 004's threshold for Arch 2: of highest accuracy among those between two percentiles.

    These are the 5th of pairs of one person, and the 95th of the others; the candidates are the similarities between
    them, and the percentiles themselves. Of equal ones the lowest.
    """
    ends = np.sort([np.percentile(similarity[mated], 5), np.percentile(similarity[~mated], 95)])
    inside = similarity[(similarity >= ends[0]) & (similarity <= ends[1])]
    candidates = np.unique(np.concatenate([ends, inside]))
    right = [np.mean((similarity >= candidate) == mated) for candidate in candidates]
    return float(candidates[int(np.argmax(right))])


def _curve(scores: Floats, pairs: Comparisons) -> dict[str, float]:
    every = ScoreSet(scores, pairs.mated, pairs.references[:, 0])
    return {"auroc": auroc(every), "eer": float(eer(every).eer)}
