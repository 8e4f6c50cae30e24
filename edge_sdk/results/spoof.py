"""Live or not, of one frame and of a stream."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_sdk.results.base import Result, plain

if TYPE_CHECKING:
    from edge_sdk.preprocess.crop import Box


class SpoofDecision(enum.Enum):
    """What a presentation attack detector saw."""

    LIVE = "live"
    SPOOF = "spoof"
    UNCERTAIN = "uncertain"
    NO_FACE = "no_face"


@dataclass(frozen=True)
class SpoofResult(Result[SpoofDecision]):
    """Live or not: ask :attr:`is_live`, or ``decision``. The scores of UNCERTAIN and NO_FACE are NaN.

    ``faces``: where they are in the frame; a frame that is unfit as a whole is not searched.
    """

    faces: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        if self.decision is SpoofDecision.LIVE and not self.score >= self.threshold:
            raise ValueError(f"live with score {self.score} below threshold {self.threshold}")

    @property
    def is_live(self) -> bool:
        """Whether the capture is live; SPOOF, UNCERTAIN and NO_FACE are not."""
        return self.decision is SpoofDecision.LIVE

    def __bool__(self) -> bool:
        """Return :attr:`is_live`, which says it better: a result that is false may be SPOOF, no lack of one."""
        return self.is_live


@dataclass(frozen=True)
class StreamDecision:
    """What is known after a frame of a stream, and why: at least one reason (:mod:`edge_sdk.runtime.temporal`)."""

    decision: SpoofDecision
    reasons: tuple[str, ...]

    @property
    def is_live(self) -> bool:
        """Whether the face is live; SPOOF, UNCERTAIN and NO_FACE are not."""
        return self.decision is SpoofDecision.LIVE

    def __bool__(self) -> bool:
        """Return :attr:`is_live`, as that of :class:`SpoofResult`."""
        return self.is_live


@dataclass(frozen=True)
class StreamResult(StreamDecision):
    """What is known after a frame of a stream, and what the frame by itself shows.

    ``time`` is the frame's, in seconds; ``track`` numbers its face, None without exactly one; ``frame`` is the result
    of this frame alone.
    """

    time: float
    track: int | None
    frame: SpoofResult

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for :func:`json.dumps`, as those of the other results."""
        return {key: plain(value) for key, value in dataclasses.asdict(self).items()}
