"""Where the faces of a picture are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_sdk.results.base import Result

if TYPE_CHECKING:
    from edge_sdk.preprocess.crop import LocatedFace


@dataclass(frozen=True)
class LocateResult(Result[bool]):
    """The faces of a picture, the largest first; ``decision`` is whether there is one.

    ``score`` is the highest confidence in the picture, also where it is below the threshold or the face too small.
    """

    faces: tuple[LocatedFace, ...] = ()

    def __post_init__(self) -> None:
        if self.decision is not bool(self.faces) or (self.decision and not self.score >= self.threshold):
            raise ValueError(f"{len(self.faces)} faces with score {self.score}, threshold {self.threshold}")

    def __bool__(self) -> bool:
        """Return whether there is a face."""
        return self.decision
