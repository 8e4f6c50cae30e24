"""Which of a variant's operating points decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from edge_sdk.errors import OperatingPointError
from edge_sdk.manifest import BonaFidePoint, LocatePoint, SpoofPoint, Task, UnsupportedPoint, Variant, VerifyPoint

MAX_REJECTED: Mapping[Task, float] = {"verify": 0.5, "spoof": 0.3, "locate": 0.1}
"""Share that a default may wrongly reject: half, for one that rejects more of those it is for helps nobody; 3 in 10 of
live pictures, for the default rule over time asks 7 in 10 of a face's frames; 1 in 10 faces of a locator's."""

CUSTOM = "custom"
"""What results call a threshold that the application chose itself."""

Point = TypeVar("Point", bound=VerifyPoint | SpoofPoint | BonaFidePoint | LocatePoint)


class ActiveThreshold(msgspec.Struct, frozen=True):
    """The number that decides, and the name that results give it."""

    name: str
    value: float


def choose_point(variant: Variant, name: str | None, *kinds: type[Point]) -> Point | None:
    """Choose an operating point.

    Args:
        variant: Whose points.
        name: Name of a point; None takes the highest threshold of a target that wrongly rejects at most
            :data:`MAX_REJECTED` of those it was measured on, or ``eer``, or None if there is neither.
        kinds: What points of the task are.

    Raises:
        OperatingPointError: The variant has no point of this name, or its data could not support it.
    """
    points = {point.name: point for point in variant.operating_points}
    if name is None:
        usable = [point for point in points.values() if isinstance(point, kinds)]
        strict = [
            point for point in usable if point.target is not None and point.rejected.value <= MAX_REJECTED[point.task]
        ]
        fallback = next((point for point in usable if point.name == "eer"), None)
        return max(strict, key=lambda point: (point.threshold, -(point.target or 0)), default=fallback)
    point = points.get(name)
    if isinstance(point, kinds):
        return point
    if isinstance(point, UnsupportedPoint):
        raise OperatingPointError(f"{variant.id} has no threshold for {name}: {point.reason}")
    raise OperatingPointError(f"{variant.id} has no operating point {name!r}; it has {', '.join(points) or 'none'}")
