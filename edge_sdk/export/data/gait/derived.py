"""People who do not exist, made of those who do: more to tell apart where few have walked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UsageError
from edge_sdk.export.data.cache import PreparedRows

Cycles = NDArray[np.float32]


@dataclass(frozen=True)
class DerivedWalkers:
    """Makes further people of gait cycles ``float32 (R, 4, T)``: up, two level axes and magnitude, not centred.

    A person who walks backwards in time walks as nobody does, and is another person each time; as changes of speed make
    further speakers in speaker recognition.

    Attributes:
        reverse: Whether everybody also walks backwards in time.
        invert: Whether everybody, and everybody backwards, also moves down where they move up.
    """

    reverse: bool = True
    invert: bool = True

    def __post_init__(self) -> None:
        if not (self.reverse or self.invert):
            raise UsageError("derived walkers are reversed, inverted or both")

    def __call__(self, rows: PreparedRows) -> PreparedRows:
        """The rows, then those of the further people, with names of their own and the files of the originals."""
        parts = [("", rows.tensors)]
        if self.reverse:
            parts += [(f"{name}~reversed", cycles[:, :, ::-1]) for name, cycles in parts]
        if self.invert:
            parts += [(f"{name}~inverted", inverted(cycles)) for name, cycles in parts]
        return PreparedRows(
            np.concatenate([cycles for _, cycles in parts]),
            tuple(replace(one, subject=f"{one.subject}{name}") for name, _ in parts for one in rows.samples),
            rows.left_out,
        )


def inverted(cycles: Cycles) -> Cycles:
    """The same with each cycle's first axis mirrored about its mean, and the magnitude of what comes of it."""
    mirrored = cycles.copy()
    mirrored[:, 0] = 2 * cycles[:, 0].mean(axis=1, keepdims=True) - cycles[:, 0]
    mirrored[:, 3] = np.linalg.norm(mirrored[:, :3], axis=1)
    return mirrored
