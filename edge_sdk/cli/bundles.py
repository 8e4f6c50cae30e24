"""``edge-sdk bundles``: the bundles that come with the package."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, print_result
from edge_sdk.cli.output import printable, wrapped
from edge_sdk.cli.points import shortened
from edge_sdk.tables import Table

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.manifest import Rate, Variant

SUMMARY = "List the bundles that come with edge-sdk."
DETAILS = (
    "For each: task, modality, variants with their sizes, the error rates at the equal error rate threshold with 95 % "
    "intervals, the data they were measured on (of many data sets the first ones), and whether the training data allow "
    "commercial use. `edge-sdk inspect NAME` says more, and --json all."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read every shipped manifest and print a few lines of each."""
    from edge_sdk.bundle import Bundle, shipped
    from edge_sdk.bundle.trust import default_trust

    trust = default_trust()
    described = [_described(Bundle.open(name, trust=trust)) for name in shipped()]
    print_result(arguments, {"bundles": described}, "\n\n".join(map(_text, described)) or "none")
    return ACCEPTED


def _described(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "id": bundle.id,
        "path": str(bundle.path),
        "task": manifest.task,
        "modality": manifest.modality,
        "commercial_use": manifest.data_license.commercial_use,
        "license": manifest.data_license.statement,
        "variants": [_variant(one, manifest.variant_size(one.id)) for one in manifest.variants],
    }


def _variant(variant: Variant, size: int) -> dict[str, Any]:
    from edge_sdk.manifest import UnsupportedPoint

    supported = (point for point in variant.operating_points if not isinstance(point, UnsupportedPoint))
    point = next((point for point in supported if point.name == "eer"), None)
    return {
        "id": variant.id,
        "bytes": size,
        "threshold": point and point.threshold,
        "errors": {name: _rate(rate) for name, rate in point.rates.items()} if point else {},
        "data": point and point.data,
    }


def _rate(rate: Rate) -> dict[str, float]:
    return {"value": rate.value, "low": rate.low, "high": rate.high}


def _text(bundle: dict[str, Any]) -> str:
    use = "commercial use allowed" if bundle["commercial_use"] else "NO commercial use"
    names = list(dict.fromkeys(name for variant in bundle["variants"] for name in variant["errors"]))
    rows = [
        (variant["id"], f"{variant['bytes'] / 1e6:.3f}", *(_percent(variant["errors"].get(name)) for name in names))
        for variant in bundle["variants"]
    ]
    head = ("variant", "MB", *(f"{name}, %" for name in names or ["error rates"]))
    table = Table(head, rows if names else [(*row, "not measured") for row in rows], text=("variant",))
    data = dict.fromkeys(variant["data"] for variant in bundle["variants"] if variant["data"])
    lines = [
        printable(f"{bundle['name']}   {bundle['task']}, {bundle['modality']}; {use}"),
        *(f"  {line}" for line in table.plain().splitlines()),
        *(wrapped(f"  measured on {shortened(one)}", 4) for one in data),
    ]
    return "\n".join(lines)


def _percent(rate: dict[str, float] | None) -> str:
    if rate is None:
        return "not measured"
    return f"{100 * rate['value']:.1f} [{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"
