"""Training on live images *and* attacks: a network with one verdict, evenly drawn batches, and their loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.datasets import Sample
from edge_sdk.export.objectives import Indices

LOGIT = "logit"
Origin = Literal["recorded", "rendered"]
"""Of an attack: it was before a camera, or was made of a live picture by ``print+`` or ``screen+``."""


class Judgement(NamedTuple):
    """What a :class:`Judge` makes of images ``(B, 1, H, W)`` in [0, 1].

    Attributes:
        features: ``(B, F)``, of which the verdict is a weighted sum.
        logit: ``(B, 1)``; its sigmoid is the probability of "live".
    """

    image: torch.Tensor
    features: torch.Tensor
    logit: torch.Tensor


class Judge(nn.Module):
    """Tells live images from attacks, ``(N, 1, H, W)`` in [0, 1].

    In training mode ``forward`` returns a :class:`Judgement`, in evaluation mode its logits.

    Args:
        features: Images to ``(N, count)``.
        dropout: Share of the features that the verdict does without in training.
    """

    def __init__(self, features: nn.Module, count: int, *, dropout: float) -> None:
        super().__init__()
        self.features = features
        self.verdict = nn.Sequential(nn.Dropout(dropout), nn.Linear(count, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor | Judgement:
        made = self.judge(x)
        return made if self.training else made.logit

    def on_device(self) -> nn.Module:
        """The network as artifacts compute it, if weights have to change for that; else itself."""
        return self

    def judge(self, x: torch.Tensor) -> Judgement:
        features = self.features(x)
        return Judgement(x, features.float(), self.verdict(features).float())


@dataclass(frozen=True)
class LiveAgainstAttacks:
    """The objective of a recipe that is shown attacks: mean binary cross entropy of batches that are half live.

    Which images a batch holds decides what is learned. Live images come evenly from all data sets, there from all
    people, there from all recordings. Half of the attacks were before a camera and half were rendered, where there are
    both, for the one teaches little of the other; each half comes evenly from all species, then as the live ones. So
    neither the species that is cheapest to render, nor a film's thousand frames, nor the set with the most people
    outweighs the others. A data set is that of the person shown: a rendered attack counts as one on the set of the live
    image.

    A network that shall be an expert of recorded or of rendered attacks sees no others, neither in training nor in
    validation: :func:`kept` says which images are left.

    There is no label smoothing and no focal weight: both bend the probability that thresholds and fusion start from.

    Attributes:
        images: In a step; even.
        attacks: Only those of this origin; None takes all.
    """

    images: int
    attacks: Origin | None = None

    def __post_init__(self) -> None:
        if self.images < 2 or self.images % 2:
            raise UsageError(f"a step takes an even number of images, half of them live, not {self.images}")

    def loss(self, logit: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
        """Scalar loss of logits ``(B, 1)`` and flags ``(B,)``."""
        return functional.binary_cross_entropy_with_logits(logit[:, 0], live.to(logit.dtype))


@dataclass(frozen=True, eq=False)
class Shares:
    """Who is drawn how often.

    Attributes:
        live, attacks: ``(N,)``, chances to be drawn as the one or the other; each sums to 1.
    """

    live: NDArray[np.float64]
    attacks: NDArray[np.float64]

    @classmethod
    def of(cls, samples: Sequence[Sample], attacks: Origin | None = None) -> Shares:
        """As :class:`LiveAgainstAttacks` says.

        Raises:
            DatasetError: There are no live images, or no attacks, among the images that are learned from.
        """
        live = np.array([sample.genuine for sample in samples], np.bool_)
        attack = ~live & kept(samples, attacks)
        if not live.any() or not attack.any():
            missing = named(attacks) if live.any() else "live images"
            example = "nuaa-train:PATH" if missing == "recorded attacks" else "print+lfw:PATH to lfw:PATH"
            raise DatasetError(
                f"there are no {missing} among the training people, and both are learned from; add some, such as "
                f"{example}"
            )
        home = [sample.subject.partition("/")[0] for sample in samples]
        person = [sample.subject for sample in samples]
        recording = [sample.session or "" for sample in samples]
        species = [sample.attack or "" for sample in samples]
        origin = [origin_of(sample) for sample in samples]
        return cls(evenly(live, home, person, recording), evenly(attack, origin, species, home, person, recording))

    def draw(self, count: int, rng: np.random.Generator) -> Indices:
        """``count`` indices, the first half of live images, the second of attacks, repeats allowed."""
        return np.concatenate(
            [rng.choice(len(chances), count // 2, p=chances) for chances in (self.live, self.attacks)]
        )


def origin_of(sample: Sample) -> Origin:
    """Where an attack comes from."""
    return "rendered" if sample.rendered else "recorded"


def named(attacks: Origin | None) -> str:
    """Attacks of one origin, or of both, as messages call them."""
    return f"{attacks} attacks" if attacks else "attacks"


def kept(samples: Sequence[Sample], attacks: Origin | None) -> NDArray[np.bool_]:
    """``(N,)``: all live images, and the attacks of one origin, or of both where that is None."""
    return np.array([s.genuine or attacks in (None, origin_of(s)) for s in samples], np.bool_)


def evenly(chosen: NDArray[np.bool_], *levels: Sequence[str]) -> NDArray[np.float64]:
    """``(N,)``: chances to draw each ``chosen`` image; others have none.

    They are shared evenly among the first level's values, each value's among the next level's that occur with it, and
    so on; at last among the images.

    >>> evenly(np.array([True, True, True, True, False]), ["a", "a", "a", "b", "b"], ["x", "x", "y", "x", "x"])
    array([0.125, 0.125, 0.25 , 0.5  , 0.   ])
    """
    chance = np.zeros(len(chosen))
    chance[chosen] = 1
    group = np.zeros(np.count_nonzero(chosen), np.int64)
    for level in (*levels, [str(number) for number in range(len(chosen))]):
        number = np.unique(np.array(level)[chosen], return_inverse=True)[1]
        inner, within = np.unique(np.stack([group, number]), axis=1, return_inverse=True)
        chance[chosen] /= np.bincount(inner[0])[group]
        group = within.ravel()
    return chance
