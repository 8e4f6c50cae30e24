"""Operating points as commands name them: with the number of references, or gait cycles, they were measured with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_sdk.manifest import Manifest, OperatingPoint
    from edge_sdk.results import IdentifyResult, VerifyResult


def counted(manifest: Manifest, references: int) -> str:
    """``1 reference``, or ``10 gait cycles`` of a bundle that takes walks."""
    from edge_sdk.manifest import Image

    unit = "reference" if isinstance(manifest.source, Image) else "gait cycle"
    return f"{references} {unit}{'' if references == 1 else 's'}"


def deciding(manifest: Manifest, result: VerifyResult | IdentifyResult) -> str:
    """``eer, measured with 5 references``; nothing was measured at a threshold of one's own."""
    if result.references is None:
        return result.operating_point
    return f"{result.operating_point}, measured with {counted(manifest, result.references)}"


def labels(manifest: Manifest, points: Sequence[OperatingPoint]) -> list[str]:
    """Of each point its name, and for comparisons of people the number of references; all of one width."""
    named = [point.name for point in points]
    if manifest.task == "verify":
        counts = [counted(manifest, point.references) for point in points]
        width = max(map(len, named), default=0)
        named = [f"{name:<{width}}   {count}" for name, count in zip(named, counts, strict=True)]
    width = max(map(len, named), default=0)
    return [f"{name:<{width}}" for name in named]
