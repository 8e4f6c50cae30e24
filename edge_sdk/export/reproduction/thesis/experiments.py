"""What the figures of the anti-spoofing thesis (document 001) share: its trainings, and its subsets of pictures.

Two thirds of the people with live pictures are learned from, by live pictures alone. The thesis' subsets follow from
that: the pictures learned from, live pictures of other people, and attacks of each species by whether the person whom
they show is one of those learned from (*seen*) or not (*unseen*). The thesis' species are paper prints and latex masks;
here they are those of the data.

A training has the thesis' settings, but for its length, and for a share of the channels with a rate that grows as they
shrink. It takes all of its steps and its last weights: the thesis' criterion for a better epoch is not printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.metrics.verification import Floats
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import split_subjects
from edge_sdk.export.losses.one_class import OneClass
from edge_sdk.export.recipes import Preset

WIDTH = 1 / 8
TRAINING, NEW_LIVE = "training", "unseen live"
STEPS = 300
"""Of a training unless it is asked for otherwise: a few minutes of one core."""
PER_SUBSET = 500
"""Pictures of a subset that are measured at most; the thesis takes 30,000 to 50,000."""

Say = Callable[[str], None]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Experiment:
    """A training of the thesis' chapter 4.

    Attributes:
        printed: Where its settings are printed.
        steps: What is taken here unless it is asked for otherwise.
    """

    name: str
    recipe: str
    preset: str
    printed: str
    steps: int = STEPS

    @property
    def settings(self) -> Preset:
        """As printed."""
        return recipes.get(self.recipe).preset(self.preset)

    @property
    def images(self) -> int:
        """In a step."""
        objective = self.settings.objective
        assert isinstance(objective, OneClass), "the thesis learns live pictures alone"
        return objective.images


BASELINE = Experiment("baseline", "dcvae", "paper_baseline", "section 4.1.1, table 4.2")
EXPERIMENTS = {
    one.name: one
    for one in (
        BASELINE,
        Experiment("filtered", "dcvae", "paper", "section 4.1.2, table 4.4"),
        Experiment("augmented", "dcvae", "paper_augmented", "section 4.1.3, tables 4.5 and 4.6"),
        Experiment("resvae", "resvae", "paper", "section 4.2, tables 4.7 and 4.8"),
    )
}
GANOMALY = Experiment("ganomaly", "ganomaly", "paper", "section 4.4, table 4.9")


@dataclass(frozen=True)
class ThesisRequest:
    """What is wanted.

    Attributes:
        out: Folder of the trainings (``runs``), of what was measured on them, of figures and tables.
        data: Specifications of faces, live and attacks; none prints the thesis' lines alone.
        experiments: Of :data:`EXPERIMENTS`, where a table has several; all if empty.
        steps: Of each training, instead of the experiment's.
        width: Share of the printed channels and latents. The learning rate is the printed one divided by it.
        tiny: The recipes' miniatures.
    """

    out: Path
    data: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    steps: int | None = None
    seed: int = 0
    width: float = WIDTH
    tiny: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.width <= 1:
            raise UsageError(f"the width is a share of the printed channels, above 0 and at most 1, not {self.width}")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"a training takes at least one step, not {self.steps}")


@dataclass(frozen=True, eq=False)
class ThesisPictures:
    """The pictures of a request, by the thesis' subsets.

    Attributes:
        learned: Live pictures of the people that are learned from.
        tested: Of each subset at most :data:`PER_SUBSET`, evenly through its list.
        subsets: The subset of each of ``tested``.
        new: Whether its person is not learned from.
    """

    learned: Dataset
    tested: tuple[Sample, ...]
    subsets: NDArray[np.str_]
    new: NDArray[np.bool_]

    @classmethod
    def of(cls, request: ThesisRequest) -> ThesisPictures:
        """Load the data and choose the people by the seed.

        Raises:
            DatasetError: There are no attacks of new people, or live pictures of fewer than two people.
        """
        data = load(*sorted(request.data))  # in one order, whatever the user's: equal requests train alike
        live = replace(data, samples=tuple(sample for sample in data.samples if sample.genuine))
        people = frozenset(split_subjects(live, (2 / 3, 1 / 3), request.seed)[0])
        if not any(sample.attack and sample.subject not in people for sample in data.samples):
            raise DatasetError(
                f"{data.name}: there are no attacks of people who are not learned from; add print+NAME:PATH, or others"
            )
        found: dict[str, list[Sample]] = {}
        for sample in data.samples:
            found.setdefault(_subset(sample, people), []).append(sample)
        names = sorted(found, key=_place)
        chosen = {name: evenly(found[name], PER_SUBSET) for name in names}
        tested = tuple(sample for name in names for sample in chosen[name])
        return cls(
            learned=live.select(people),
            tested=tested,
            subsets=np.array([name for name in names for _ in chosen[name]]),
            new=np.array([sample.subject not in people for sample in tested]),
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The subsets that there are, live ones first."""
        return tuple(dict.fromkeys(self.subsets.tolist()))

    @property
    def summary(self) -> str:
        """What is learned from and tested, for people."""
        attacks = np.mean([not sample.genuine for sample in self.tested])
        return (
            f"Learned from: {len(self.learned.samples)} live pictures of {len(self.learned.subjects)} people. Tested: "
            f"{len(self.tested)} pictures, {attacks:.0%} of them attacks (the thesis' figure 4.2: around 55 %)."
        )

    def scores(self, values: Floats, chosen: NDArray[np.bool_] | None = None) -> AttackScores:
        """Losses ``(N,)`` of ``tested``, or of those chosen, as scores of liveness: the smaller, the more live."""
        rows = np.arange(len(self.tested)) if chosen is None else np.flatnonzero(chosen)
        samples = [self.tested[row] for row in rows]
        return AttackScores(-values[rows], [kind(one) for one in samples], [one.subject for one in samples])


def kind(sample: Sample) -> str | None:
    """The species of an attack, rendered ones apart from recorded ones; None of a live picture."""
    return f"rendered {sample.attack}" if sample.attack and sample.rendered else sample.attack


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of them, at equal distances."""
    return [items[row] for row in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)]


def _subset(sample: Sample, people: frozenset[str]) -> str:
    seen = sample.subject in people
    if sample.genuine:
        return TRAINING if seen else NEW_LIVE
    return f"{'seen' if seen else 'unseen'} {kind(sample)}"


def _place(subset: str) -> tuple[bool, str, bool]:
    """Live ones first, then by species, seen before unseen."""
    seen, _, species = subset.partition(" ")
    live = subset in (TRAINING, NEW_LIVE)
    return not live, "" if live else species, seen == "unseen"
