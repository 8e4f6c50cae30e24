"""Operating points as commands name them: with the number of references, or gait cycles, they were measured with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_sdk.cli.output import wrapped

if TYPE_CHECKING:
    from edge_sdk.manifest import Manifest, OperatingPoint
    from edge_sdk.results import IdentifyResult, VerifyResult

_NAMES = 40
"""Characters of the names of data sets that are shown."""


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


def listed(manifest: Manifest, points: Sequence[OperatingPoint]) -> list[str]:
    """Lines about the points of a variant: a table for each number of references, and on which data it was measured."""
    from edge_sdk.manifest import UnsupportedPoint

    by_head: dict[str, list[OperatingPoint]] = {}
    for point in points:
        head = counted(manifest, point.references) if manifest.task == "verify" else "operating point"
        by_head.setdefault(head, []).append(point)
    width = max((len(point.name) for point in points), default=0)
    lines = [line for head, group in by_head.items() for line in _table(head, group, width)]
    data = dict.fromkeys(point.data for point in points if not isinstance(point, UnsupportedPoint))
    return [*lines, *(wrapped(f"  measured on {shortened(one)}", 4) for one in data)]


def shortened(data: str) -> str:
    """What points were measured on, of many data sets the first ones; the manifest and the model card have all."""
    names, comma, more = data.partition(", ")
    if len(names) > _NAMES:
        names = f"{names[:_NAMES].rpartition('+')[0] or names[:_NAMES]}+..."
    return names + comma + more


def _table(head: str, points: Sequence[OperatingPoint], width: int) -> list[str]:
    """Of points with one number of references; then why others have no threshold."""
    from edge_sdk.manifest import UnsupportedPoint
    from edge_sdk.tables import Table

    measured = [point for point in points if not isinstance(point, UnsupportedPoint)]
    rates = list(dict.fromkeys(name for point in measured for name in point.rates))
    rows = [
        (
            f"{point.name:<{width}}",
            f"{point.threshold:#.4g}",
            *(
                f"{100 * rate.value:.2f} [{100 * rate.low:.2f}, {100 * rate.high:.2f}]" if rate else ""
                for rate in map(point.rates.get, rates)
            ),
        )
        for point in measured
    ]
    columns = ("threshold", *(f"{name}, %" for name in rates)) if measured else ()
    table = Table((head, *columns), rows, text=(head,)).plain()
    reasons = (
        wrapped(f"  {point.name:<{width}}  not supported: {point.reason}", 4)
        for point in points
        if isinstance(point, UnsupportedPoint)
    )
    return [*(f"  {line}" for line in table.splitlines()), *reasons]
