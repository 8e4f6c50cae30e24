"""Which images a training step draws: evenly over data sets, people, recordings and species of attack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.people import dataset_of
from edge_sdk.export.data.samples import Indices, Sample

Origin = Literal["recorded", "rendered"]
"""Of an attack: it was before a camera, or was made of a live picture by ``print+`` or ``screen+``."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Who is drawn how often.

    Attributes:
        live, attacks: ``(N,)``, chances to be drawn as the one or the other; each sums to 1.
    """

    live: NDArray[np.float64]
    attacks: NDArray[np.float64]

    @classmethod
    def of(cls, samples: Sequence[Sample], attacks: Origin | None = None, without: Collection[str] = ()) -> Shares:
        """As :class:`~edge_sdk.export.losses.classification.AttackClassification` describes it.

        Raises:
            DatasetError: There are no live images, or no attacks, among the images that are learned from.
        """
        genuine, shown = np.array([sample.genuine for sample in samples], np.bool_), kept(samples, attacks, without)
        live, attack = genuine & shown, ~genuine & shown
        if not live.any() or not attack.any():
            missing = named(attacks) if live.any() else "live images"
            example = "nuaa-train:PATH" if missing == "recorded attacks" else "print+lfw:PATH to lfw:PATH"
            raise DatasetError(
                f"there are no {missing} among the training people, and both are learned from; add some, such as "
                f"{example}"
            )
        home = [dataset_of(sample.subject) for sample in samples]
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


def kept(samples: Sequence[Sample], attacks: Origin | None, without: Collection[str] = ()) -> NDArray[np.bool_]:
    """``(N,)``: live images, and attacks of one origin, or of both where that is None; by no camera of ``without``."""
    left_out = set(without)
    return np.array(
        [(s.genuine or attacks in (None, origin_of(s))) and left_out.isdisjoint(cameras_of(s)) for s in samples],
        np.bool_,
    )


def cameras_of(sample: Sample) -> tuple[str, ...]:
    """The names by which a sample's camera can be left out: its data set's, and its own where that is known.

    A rendering has two cameras: its own, and that of the picture that it was made of.
    """
    home = dataset_of(sample.subject)
    if sample.camera is None:
        return (home,)
    return home, sample.camera if sample.rendered else f"{home} {sample.camera}"


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
