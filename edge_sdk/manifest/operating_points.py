"""Thresholds, and the error rates that were measured at them."""

import operator
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Annotated, ClassVar

import msgspec

from edge_sdk.schema import Count, Name, Strict, Text, require
from edge_sdk.scoring.base import Task

# A score is rounded to eight decimals; beyond, a float64 has not so many.
Threshold = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Target = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class Rate(Strict, frozen=True, kw_only=True):
    """An error rate ``errors / trials`` with its 95 % interval, all in [0, 1].

    A percentile interval over few subjects need not contain ``value``, so that is not required.
    """

    value: Share
    low: Share
    high: Share
    errors: Count
    trials: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.errors <= self.trials, f"{self.errors} errors in {self.trials} trials")
        require(self.low <= self.high, f"interval [{self.low}, {self.high}] is not ordered")
        require(abs(self.value - self.errors / self.trials) < 1e-6, "value is not errors / trials")


class VerifyPoint(Strict, frozen=True, kw_only=True, tag_field="kind", tag="verify"):
    """A threshold with the false match and false non-match rates measured at it; ``target`` is the FMR asked for.

    ``references`` is the number of references, or rows such as gait cycles, that each enrolment was of.
    """

    task: ClassVar[Task] = "verify"

    name: Name
    threshold: Threshold
    target: Target | None
    fmr: Rate
    fnmr: Rate
    data: Text
    subjects: Positive
    references: Positive = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_at_most(self.target, self.fmr, "FMR")

    @property
    def rejected(self) -> Rate:
        """The share of genuine comparisons that are rejected."""
        return self.fnmr

    @property
    def rates(self) -> dict[str, Rate]:
        """By the name that ISO/IEC 19795 gives them."""
        return {"FMR": self.fmr, "FNMR": self.fnmr}


class SpoofPoint(Strict, frozen=True, kw_only=True, tag_field="kind", tag="spoof"):
    """A threshold with APCER and BPCER (ISO/IEC 30107-3); ``target`` is the APCER asked for.

    ``species`` holds the APCER of each attack species and ``apcer`` is its maximum.
    """

    task: ClassVar[Task] = "spoof"
    references: ClassVar[int] = 1

    name: Name
    threshold: Threshold
    target: Target | None
    apcer: Rate
    bpcer: Rate
    species: Annotated[dict[Name, Rate], msgspec.Meta(max_length=1000)]
    data: Text

    def __post_init__(self) -> None:
        super().__post_init__()
        worst = max((rate.value for rate in self.species.values()), default=None)
        require(worst == self.apcer.value, "apcer is not the maximum over the attack species")
        _require_at_most(self.target, self.apcer, "APCER")

    @property
    def rejected(self) -> Rate:
        """The share of live captures that are rejected."""
        return self.bpcer

    @property
    def rates(self) -> dict[str, Rate]:
        """By the name that ISO/IEC 30107-3 gives them."""
        return {"APCER": self.apcer, "BPCER": self.bpcer}


class BonaFidePoint(Strict, frozen=True, kw_only=True, tag_field="kind", tag="bona_fide"):
    """A threshold fitted on live captures alone, with the BPCER measured of them; ``target`` is the BPCER asked for.

    No APCER was measured: the captures of one's own camera held no attacks.
    """

    task: ClassVar[Task] = "spoof"
    references: ClassVar[int] = 1

    name: Name
    threshold: Threshold
    target: Target
    bpcer: Rate
    data: Text
    subjects: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_at_most(self.target, self.bpcer, "BPCER")

    @property
    def rejected(self) -> Rate:
        """The share of live captures that are rejected."""
        return self.bpcer

    @property
    def rates(self) -> dict[str, Rate]:
        """By the name that ISO/IEC 30107-3 gives it."""
        return {"BPCER": self.bpcer}


class LocatePoint(Strict, frozen=True, kw_only=True, tag_field="kind", tag="locate"):
    """A threshold with what a locator finds at it; ``target`` is the share of ``false_boxes`` asked for.

    ``false_boxes`` are the pictures in which something is called a face that is none, ``missed`` the true faces without
    a box that overlaps them enough.
    """

    task: ClassVar[Task] = "locate"
    references: ClassVar[int] = 1

    name: Name
    threshold: Threshold
    target: Target | None
    false_boxes: Rate
    missed: Rate
    data: Text
    subjects: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_at_most(self.target, self.false_boxes, "the share of pictures with a false box")

    @property
    def rejected(self) -> Rate:
        """The share of faces that are missed."""
        return self.missed

    @property
    def rates(self) -> dict[str, Rate]:
        """What is wrong, by name: the first falls with the threshold, the second rises."""
        return {"pictures with a false box": self.false_boxes, "missed faces": self.missed}


class UnsupportedPoint(Strict, frozen=True, kw_only=True, tag_field="kind", tag="unsupported"):
    """An operating point that the data could not support, and why: it has no threshold, so nobody can use it.

    ``target`` and ``references`` are those that were asked for.
    """

    task: ClassVar[Task | None] = None

    name: Name
    target: Target | None
    reason: Text
    references: Positive = 1


OperatingPoint = VerifyPoint | SpoofPoint | BonaFidePoint | LocatePoint | UnsupportedPoint


def require_consistent(points: Sequence[OperatingPoint]) -> None:
    """Of points measured alike, the one of the higher threshold accepts no more, of impostors and of others.

    Alike is on the same data with as many references. The last of a point's rates rises with the threshold, what is
    before it falls.

    Catches a threshold that was changed, or exchanged with another, while its error rates were kept.
    """
    measured = [point for point in points if not isinstance(point, UnsupportedPoint)]
    for _, same in groupby(sorted(measured, key=_measured_on), key=_measured_on):
        for lower, higher in pairwise(sorted(same, key=lambda point: point.threshold)):
            below, above = ([rate.value for rate in point.rates.values()] for point in (lower, higher))
            ordered = below[-1] <= above[-1] and all(map(operator.ge, below[:-1], above[:-1]))
            ordered &= lower.threshold < higher.threshold or below == above
            require(ordered, f"the error rates of {lower.name} and {higher.name} do not go with their thresholds")


def _measured_on(point: VerifyPoint | SpoofPoint | BonaFidePoint | LocatePoint) -> tuple[str, int]:
    return point.data, point.references


def _require_at_most(target: float | None, rate: Rate, name: str) -> None:
    require(target is None or rate.value <= target, f"{name} is {rate.value:g}, above the target {target}")
