"""What all results have: their fields, the times of the stages, and plain values for JSON."""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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


@dataclass(frozen=True)
class Result(Generic[Decision]):
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
        return {key: plain(value) for key, value in dataclasses.asdict(self).items()}


def plain(value: Any) -> Any:
    """Plain values for :func:`json.dumps`: enums by value, tuples as lists, numbers not finite as None."""
    match value:
        case enum.Enum():
            return value.value
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
