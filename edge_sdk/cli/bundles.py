"""``edge-sdk bundles``: the bundles that come with the package."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, print_result
from edge_sdk.cli.output import printable

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.manifest import Rate, Variant

SUMMARY = "List the bundles that come with edge-sdk."
DETAILS = (
    "For each: task, modality, variants with their sizes, the error rate at its equal error rate threshold with its "
    "interval and data, and whether the training data allow commercial use. `edge-sdk inspect NAME` says more."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read every shipped manifest and print a few lines of each."""
    from edge_sdk.bundle import Bundle, shipped

    described = [_described(Bundle.open(name)) for name in shipped()]
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
    lines = [f"{bundle['name']}   {bundle['task']}, {bundle['modality']}; {use}: {bundle['license']}"]
    for variant in bundle["variants"]:
        rates = (
            f"{name} {100 * rate['value']:.1f} % [{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"
            for name, rate in variant["errors"].items()
        )
        measured = "   ".join(rates) or "not measured"
        lines.append(f"  {variant['id']:<16} {variant['bytes'] / 1e6:>8.3f} MB   {measured}")
    data = sorted({variant["data"] for variant in bundle["variants"] if variant["data"]})
    return "\n".join(map(printable, [*lines, *(f"  measured on {name}" for name in data)]))
