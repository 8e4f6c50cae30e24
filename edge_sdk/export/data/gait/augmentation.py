"""Random changes of gait cycles: what differs between two walks of one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UsageError
from edge_sdk.export.data.augmentation import Change, SampleKind

MOST_WARPED = 0.1
"""Time still runs forwards at every moment: 0.1 (pi + 2 pi) is below 1."""


@dataclass(frozen=True)
class CycleAugmentation:
    """Changes of cycles ``float32 (4, T)``: three axes, the first of which points up, and the magnitude.

    Attributes:
        flip: Chance that the cycle is turned by half a turn about the first axis, as of a phone that lies in the pocket
            the other way round. 0 where no axis points up.
        rotation: Standard deviation of the angle, in degrees, by which the phone lies otherwise, about a random axis.
        roll: Chance that the cycle begins with the other step: nobody knows which foot a cycle starts with.
        shift: How much earlier or later a cycle begins at most, as a share of it. Where its start lies exactly is a
            matter of how it was found, and without this a network learns it by heart.
        warp: Largest shift of a moment, as a share of the cycle: speed changes smoothly, both ends stay.
        scale: Standard deviation of the logarithm of what all values are multiplied by.
        noise: Standard deviation of what is added to each value.
    """

    kinds: ClassVar[tuple[SampleKind, ...]] = ("recordings",)

    flip: float = 0.5
    rotation: float = 10.0
    roll: float = 0.5
    shift: float = 0.06
    warp: float = 0.02
    scale: float = 0.03
    noise: float = 0.02

    def __post_init__(self) -> None:
        chances = (self.flip, self.roll, self.shift)
        sizes = (self.rotation, self.warp, self.scale, self.noise)
        if min(*chances, *sizes) < 0 or max(chances) > 1 or self.warp > MOST_WARPED:
            raise UsageError(
                f"chances are from 0 to 1, sizes are at least 0, and moments shift by at most {MOST_WARPED}; not {self}"
            )

    def for_person(self, rng: np.random.Generator) -> Change:
        """Nothing is shared by the cycles of a person: they come from different walks."""
        del rng
        return self._change

    def _change(self, cycle: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        changed = np.array(cycle, np.float64)
        if rng.random() < self.flip:
            changed[1:3] *= -1
        changed[:3] = rotation(rng.standard_normal(3), np.radians(self.rotation * rng.standard_normal())) @ changed[:3]
        if rng.random() < self.roll:
            changed = np.roll(changed, changed.shape[1] // 2, axis=1)
        most = round(self.shift * changed.shape[1])
        changed = np.roll(changed, rng.integers(-most, most, endpoint=True), axis=1)
        changed = warped(changed, self.warp * rng.uniform(-1, 1, 2))
        changed *= np.exp(self.scale * rng.standard_normal())
        changed += self.noise * rng.standard_normal(changed.shape)
        return changed.astype(np.float32)


def rotation(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """``(3, 3)``, by an angle in radians about an axis of any length: Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    made: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return made


def warped(cycle: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """A cycle ``(C, T)`` read at ``t + shifts[0] sin(pi t) + shifts[1] sin(2 pi t)``, t from 0 to 1."""
    moments = np.linspace(0, 1, cycle.shape[1])
    read = moments + shifts[0] * np.sin(np.pi * moments) + shifts[1] * np.sin(2 * np.pi * moments)
    return np.stack([np.interp(read, moments, row) for row in cycle])
