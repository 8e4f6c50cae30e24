"""Thresholds, and the error rates that were measured at them."""

from __future__ import annotations

from typing import ClassVar

from edge_sdk.schema import Strict, require, require_finite
from edge_sdk.scoring.base import Task


class Rate(Strict, frozen=True, kw_only=True):
    """An error rate ``errors / trials`` with its 95 % interval, all in [0, 1].

    A percentile interval over few subjects need not contain ``value``, so that is not required.
    """

    value: float
    low: float
    high: float
    errors: int
    trials: int

    def __post_init__(self) -> None:
        require(0 <= self.errors <= self.trials and self.trials > 0, "a rate needs 0 <= errors <= trials, trials > 0")
        require(0 <= self.low <= self.high <= 1, f"interval [{self.low}, {self.high}] is not ordered in [0, 1]")
        require(abs(self.value - self.errors / self.trials) < 1e-6, "value is not errors / trials")


class VerifyPoint(Strict, frozen=True, kw_only=True, tag_field="kind", tag="verify"):
    """A threshold with the false match and false non-match rates measured at it; ``target`` is the FMR asked for."""

    task: ClassVar[Task] = "verify"

    name: str
    threshold: float
    target: float | None
    fmr: Rate
    fnmr: Rate
    data: str
    subjects: int

    def __post_init__(self) -> None:
        require_finite(self)
        _require_target(self.target)
        require(self.subjects > 0, "subjects must be positive")

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

    name: str
    threshold: float
    target: float | None
    apcer: Rate
    bpcer: Rate
    species: dict[str, Rate]
    data: str

    def __post_init__(self) -> None:
        require_finite(self)
        _require_target(self.target)
        worst = max((rate.value for rate in self.species.values()), default=None)
        require(worst == self.apcer.value, "apcer is not the maximum over the attack species")

    @property
    def rejected(self) -> Rate:
        """The share of live captures that are rejected."""
        return self.bpcer

    @property
    def rates(self) -> dict[str, Rate]:
        """By the name that ISO/IEC 30107-3 gives them."""
        return {"APCER": self.apcer, "BPCER": self.bpcer}


class UnsupportedPoint(Strict, frozen=True, kw_only=True, tag_field="kind", tag="unsupported"):
    """An operating point that the data could not support, and why: it has no threshold, so nobody can use it."""

    task: ClassVar[Task | None] = None

    name: str
    target: float
    reason: str

    def __post_init__(self) -> None:
        _require_target(self.target)


OperatingPoint = VerifyPoint | SpoofPoint | UnsupportedPoint


def _require_target(target: float | None) -> None:
    require(target is None or 0 < target < 1, f"target {target} is not in (0, 1)")
