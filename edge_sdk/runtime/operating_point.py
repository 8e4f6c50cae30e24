"""Which of a variant's operating points decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from edge_sdk.errors import OperatingPointError
from edge_sdk.manifest import BonaFidePoint, LocatePoint, SpoofPoint, Task, UnsupportedPoint, Variant, VerifyPoint

MAX_REJECTED: Mapping[Task, float] = {"verify": 0.5, "spoof": 0.3, "locate": 0.1}
"""Share that a default may wrongly reject where the manifest names none: half, for one that rejects more of those it is
for helps nobody; 3 in 10 of live pictures, for the default rule over time asks 7 in 10 of a face's frames; 1 in 10
faces of a locator's."""

CUSTOM = "custom"
"""What results call a threshold that the application chose itself."""

Point = TypeVar("Point", bound=VerifyPoint | SpoofPoint | BonaFidePoint | LocatePoint)


class ActiveThreshold(msgspec.Struct, frozen=True):
    """The number that decides, the name that results give it, and with how many references it was measured.

    Nothing was measured at a threshold of one's own.
    """

    name: str
    value: float
    references: int | None = None


def choose_points(variant: Variant, name: str | None, *kinds: type[Point]) -> tuple[Point, ...]:
    """Choose an operating point: as it was measured for each number of references, the fewest first.

    Args:
        variant: Whose points.
        name: Name of a point, such as the manifest's ``default_point``. None takes that of the highest threshold of a
            target that wrongly rejects at most :data:`MAX_REJECTED` of those it was measured on, with the fewest
            references that there are; or ``eer``; or the answer is empty if there is neither.
        kinds: What points of the task are.

    Raises:
        OperatingPointError: The variant has no point of this name, or its data could not support it.
    """
    usable = [point for point in variant.operating_points if isinstance(point, kinds)]
    wanted = _default(usable) if name is None else name
    found = sorted((point for point in usable if point.name == wanted), key=lambda point: point.references)
    if found or name is None:
        return tuple(found)
    for point in variant.operating_points:
        if isinstance(point, UnsupportedPoint) and point.name == name:
            raise OperatingPointError(f"{variant.id} has no threshold for {name}: {point.reason}")
    there = ", ".join(dict.fromkeys(point.name for point in variant.operating_points))
    raise OperatingPointError(f"{variant.id} has no operating point {name!r}; it has {there or 'none'}")


def point_for(points: Sequence[Point], references: int) -> Point:
    """The one that decides about an enrolment of so many references.

    It is the one of those that were measured with as many or fewer that is nearest; where all were measured with more,
    the one of the fewest.

    Args:
        points: As :func:`choose_points` gives them, at least one.
        references: From 1.
    """
    return next((point for point in reversed(points) if point.references <= references), points[0])


def verify_points(variant: Variant, references: int) -> dict[str, VerifyPoint]:
    """By name, the points that decide about enrolments of so many references."""
    found = (point for point in variant.operating_points if isinstance(point, VerifyPoint))
    ordered = sorted(found, key=lambda point: point.references)
    return {
        name: point_for([point for point in ordered if point.name == name], references)
        for name in dict.fromkeys(point.name for point in variant.operating_points)
        if any(point.name == name for point in ordered)
    }


def _default(points: Sequence[Point]) -> str:
    fewest = min((point.references for point in points), default=1)
    strict = [
        point
        for point in points
        if point.references == fewest and point.target is not None and point.rejected.value <= MAX_REJECTED[point.task]
    ]
    chosen = max(strict, key=lambda point: (point.threshold, -(point.target or 0)), default=None)
    return chosen.name if chosen else "eer"
