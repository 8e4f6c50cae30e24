"""The variants of a bundle: a precision and a format for all of its graphs, and what was measured of each."""

from typing import Annotated, Literal

import msgspec

from edge_sdk.manifest.operating_points import OperatingPoint, Positive, Share, require_consistent
from edge_sdk.schema import Count, Name, Strict, Text, require, require_unique

# "int8-io": int8 input and output tensors too; "int8-sym": symmetric ranges (zero points 0).
Precision = Literal["fp32", "int8", "int8-io", "int8-sym"]
Format = Literal["onnx", "tflite"]
MAX_POINTS = 100
Difference = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class CalibrationProvenance(Strict, frozen=True, kw_only=True):
    """What int8 was calibrated with: data, number and digest of the samples, method and seed.

    ``float_nodes`` names the layers that had to stay float, most harmful first.
    """

    data: Text
    count: Count
    digest: Name
    method: Name
    seed: Count
    float_nodes: Annotated[tuple[Text, ...], msgspec.Meta(max_length=10_000)] = ()


class AccuracyDifference(Strict, frozen=True, kw_only=True):
    """What quantisation cost against the float model: paired bootstrap over ``subjects`` people.

    ``delta`` and its upper 90 % bound are fractions (0.005 = 0.5 points); ``agreement`` is the share of equal
    decisions, each variant at its own threshold; further than ``agreement_band`` from it at least 99.9 % are equal.
    Only ``upper90 <= budget`` may be called a pass.
    """

    metric: Name
    budget: Difference
    delta: Difference
    upper90: Difference
    subjects: Positive
    verdict: Literal["pass", "fail", "undecidable"]
    data: Text
    agreement: Share | None = None
    agreement_band: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.verdict != "pass" or self.upper90 <= self.budget, "a difference over its budget is no pass")
        require(self.agreement is None or 0 <= self.agreement <= 1, "agreement is not in [0, 1]")


class Variant(Strict, frozen=True, kw_only=True):
    """One precision and format for all graphs, with the operating points measured for exactly their files."""

    precision: Precision
    format: Format
    operating_points: Annotated[tuple[OperatingPoint, ...], msgspec.Meta(max_length=MAX_POINTS)]
    accuracy: Annotated[tuple[AccuracyDifference, ...], msgspec.Meta(max_length=MAX_POINTS)] = ()
    calibration: CalibrationProvenance | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for references in {point.references for point in self.operating_points}:
            alike = (point.name for point in self.operating_points if point.references == references)
            require_unique(alike, "operating point")
        require_consistent(self.operating_points)

    @property
    def id(self) -> str:
        """Precision and format, such as ``int8.onnx``."""
        return f"{self.precision}.{self.format}"
