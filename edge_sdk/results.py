"""What the runtime answers: frozen results that an application can log as JSON."""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from edge_sdk.preprocess.crop import Box, LocatedFace

Decision = TypeVar("Decision")


@dataclass(frozen=True)
class Timings:
    """Wall time of one call, in milliseconds; ``total_ms`` also holds what the stages leave out.

    ``inference_ms`` is the engine, ``postprocess_ms`` the scores and the decision. ``locate_ms`` is the part of
    ``preprocess_ms`` that a :class:`~edge_sdk.runtime.detector.SpoofDetector` looked for faces; of others it is 0.
    """

    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float
    total_ms: float
    locate_ms: float = 0.0


class SpoofDecision(enum.Enum):
    """What a presentation attack detector saw."""

    LIVE = "live"
    SPOOF = "spoof"
    UNCERTAIN = "uncertain"
    NO_FACE = "no_face"


@dataclass(frozen=True)
class _Result(Generic[Decision]):
    """Fields of every result.

    ``score``: higher is more genuine; ``raw_score``: the same in the model's own unit (a distance, a log-likelihood);
    ``threshold``: of ``operating_point``, or the
    application's own, called ``"custom"``; ``quality``: flags of the input, empty if nothing was found wrong.
    """

    decision: Decision
    score: float
    raw_score: float
    threshold: float
    operating_point: str
    quality: tuple[str, ...]
    timings: Timings
    bundle_id: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for :func:`json.dumps`: enums by value, tuples as lists, numbers not finite as None."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


@dataclass(frozen=True)
class VerifyResult(_Result[bool]):
    """Same person or not: ``decision`` is ``score >= threshold`` and no quality flag stood in the way."""

    def __post_init__(self) -> None:
        if self.decision and not self.score >= self.threshold:
            raise ValueError(f"accepted with score {self.score} below threshold {self.threshold}")

    def __bool__(self) -> bool:
        """Return the decision, so that ``if verifier.verify(a, b):`` does what it says."""
        return self.decision


@dataclass(frozen=True)
class Candidate:
    """One enrolled person of a candidate list (ISO/IEC 19795-1), with the score that ``verify`` would give."""

    name: str
    score: float
    raw_score: float


@dataclass(frozen=True)
class IdentifyResult(_Result[bool]):
    """Who of the enrolled people it is, if any: ``decision`` is whether somebody was identified.

    ``score`` and ``raw_score`` are those of the best candidate. ``identity`` is that candidate's name where its score
    reaches the threshold, else None; ``candidates`` are the best of the ``enrolled`` people, the best first, and none
    if a quality flag stood in the way.
    """

    identity: str | None = None
    candidates: tuple[Candidate, ...] = ()
    enrolled: int = 0

    def __post_init__(self) -> None:
        if self.decision and not self.score >= self.threshold:
            raise ValueError(f"identified with score {self.score} below threshold {self.threshold}")
        if self.decision != (self.identity is not None):
            raise ValueError(f"decision {self.decision} with identity {self.identity!r}")

    def __bool__(self) -> bool:
        """Return whether somebody was identified."""
        return self.decision


@dataclass(frozen=True)
class SpoofResult(_Result[SpoofDecision]):
    """Live or not: true in a condition only when LIVE. The scores of UNCERTAIN and NO_FACE are NaN.

    ``faces``: where they are in the frame; a frame that is unfit as a whole is not searched.
    """

    faces: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        if self.decision is SpoofDecision.LIVE and not self.score >= self.threshold:
            raise ValueError(f"live with score {self.score} below threshold {self.threshold}")

    def __bool__(self) -> bool:
        """Return whether the capture is live; UNCERTAIN and NO_FACE are not."""
        return self.decision is SpoofDecision.LIVE


@dataclass(frozen=True)
class LocateResult(_Result[bool]):
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


@dataclass(frozen=True)
class StreamDecision:
    """What is known after a frame of a stream, and why: at least one reason (:mod:`edge_sdk.runtime.temporal`)."""

    decision: SpoofDecision
    reasons: tuple[str, ...]

    def __bool__(self) -> bool:
        """Return whether the face is live; UNCERTAIN and NO_FACE are not."""
        return self.decision is SpoofDecision.LIVE


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
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}


def _plain(value: Any) -> Any:
    match value:
        case enum.Enum():
            return value.value
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
