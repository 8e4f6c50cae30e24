"""What fitting the thresholds of one variant on people gives, whatever the task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_sdk.calibration.thresholds import MIN_SUBJECTS
from edge_sdk.calibration.unusable import UnusablePicture, named
from edge_sdk.errors import DatasetError
from edge_sdk.manifest import OperatingPoint


@dataclass(frozen=True)
class FittedThresholds:
    """The operating points of one variant, by the engine that served it.

    Attributes:
        impostors: What a person was compared with, such as ``skilled forgeries``.
        subjects: People with usable pictures.
        unusable: Pictures that took no part.
    """

    variant: str
    engine: str
    points: tuple[OperatingPoint, ...]
    impostors: str
    subjects: int
    unusable: tuple[UnusablePicture, ...]


def require_people(data: str, people: Iterable[str], who: str, unusable: tuple[UnusablePicture, ...]) -> None:
    """Raise DatasetError unless there are enough people for any threshold (:data:`MIN_SUBJECTS`)."""
    count = len(set(people))
    if count < MIN_SUBJECTS:
        raise DatasetError(
            f"{data}: {count} people {who}; thresholds need at least {MIN_SUBJECTS}, and far more for low error rates"
            f"{named(unusable)}"
        )
