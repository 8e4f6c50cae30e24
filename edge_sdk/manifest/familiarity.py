"""How far a sample may be from those that a bundle was made with, before results say that it is unlike them."""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec

from edge_sdk.manifest.operating_points import Positive, Share
from edge_sdk.schema import Name, Strict, Text, require, require_unique

UNFAMILIAR = "unfamiliar"
"""The quality flag of a sample that is unlike those that the bundle was made with. It forbids nothing."""
MAX_MEASURES = 32

_Row = Annotated[tuple[float, ...], msgspec.Meta(max_length=MAX_MEASURES)]


class Familiarity(Strict, frozen=True, kw_only=True):
    """A normal distribution of a modality's measures over people, and the distance from it that is still like them.

    The distance is Mahalanobis', the length of ``whitening @ (measures - mean)``.

    Attributes:
        measures: Names of what is measured of a prepared sample, as its modality has them.
        mean: Of each measure.
        whitening: A row for each measure, as long as there are measures.
        limit: Samples at a larger distance are :data:`UNFAMILIAR`.
        data: Whose samples these are.
        subjects: People.
        samples: Theirs.
        flagged: The share of these samples, each person counting alike, that is beyond the limit.
    """

    measures: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_MEASURES)]
    mean: _Row
    whitening: Annotated[tuple[_Row, ...], msgspec.Meta(max_length=MAX_MEASURES)]
    limit: Annotated[float, msgspec.Meta(gt=0)]
    data: Text
    subjects: Positive
    samples: Positive
    flagged: Share

    def __post_init__(self) -> None:
        super().__post_init__()
        count = len(self.measures)
        require(count > 0, "familiarity needs measures")
        require_unique(self.measures, "measure")
        sizes = {len(self.mean), len(self.whitening), *map(len, self.whitening)}
        require(sizes == {count}, f"familiarity has {count} measures, but a mean or whitening of {sizes - {count}}")
        numbers = (*self.mean, *(value for row in self.whitening for value in row))
        require(all(map(math.isfinite, numbers)), "familiarity has numbers that are not finite")

    def distance(self, values: Sequence[float]) -> float:
        """Of a sample's measures from the mean, in standard deviations."""
        away = [value - mean for value, mean in zip(values, self.mean, strict=True)]
        return math.hypot(*(math.fsum(map(float.__mul__, row, away)) for row in self.whitening))

    def knows(self, values: Sequence[float] | None) -> bool:
        """Whether a sample with these measures is like the others; one of which nothing could be measured is not."""
        return values is not None and self.distance(values) <= self.limit
