"""Which of an artifact's operating points decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edge_sdk.errors import OperatingPointError
from edge_sdk.manifest import Artifact, Rate, SpoofPoint, UnsupportedPoint, VerifyPoint

MAX_REJECTED = {VerifyPoint: 0.5, SpoofPoint: 0.3}
"""Share that a default may wrongly reject: half, for one that rejects more of those it is for helps nobody; 3 in 10 of
live pictures, for the default rule over time asks 7 in 10 of a face's frames."""

Point = TypeVar("Point", VerifyPoint, SpoofPoint)


def choose_point(
    artifact: Artifact, name: str | None, kind: type[Point], rejected: Callable[[Point], Rate]
) -> Point | None:
    """Choose an operating point.

    Args:
        artifact: Whose points.
        name: Name of a point; None takes the strictest target that wrongly rejects at most :data:`MAX_REJECTED` of
            those it was measured on, or ``eer``, or None if there is neither.
        kind: What a point of the task is.
        rejected: The rate of wrong rejections of a point.

    Raises:
        OperatingPointError: The artifact has no point of this name, or its data could not support it.
    """
    points = {point.name: point for point in artifact.operating_points}
    if name is None:
        usable = [point for point in points.values() if isinstance(point, kind)]
        strict = [point for point in usable if point.target is not None and rejected(point).value <= MAX_REJECTED[kind]]
        fallback = next((point for point in usable if point.name == "eer"), None)
        return min(strict, key=lambda point: point.target or 1.0, default=fallback)
    point = points.get(name)
    if isinstance(point, kind):
        return point
    if isinstance(point, UnsupportedPoint):
        raise OperatingPointError(f"{artifact.id} has no threshold for {name}: {point.reason}")
    raise OperatingPointError(f"{artifact.id} has no operating point {name!r}; it has {', '.join(points) or 'none'}")
