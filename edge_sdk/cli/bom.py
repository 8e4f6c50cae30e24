"""``edge-sdk bom``: the bill of materials of a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_bundle, add_json, print_result
from edge_sdk.cli.output import printable
from edge_sdk.errors import UsageError

SUMMARY = "Write a bundle's bill of materials (CycloneDX ML-BOM)."
DETAILS = (
    "Reads BUNDLE, checks every file's hash and writes one JSON file: the model with its card, its files with their "
    "hashes, the data sets with their licences, and the packages that trained it. The same bundle and edge-sdk give "
    "the same bytes."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="the file to write, such as NAME.cdx.json: a new one, or a CycloneDX document, which is replaced",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file."""
    from edge_sdk import files
    from edge_sdk.bundle import Bundle
    from edge_sdk.export.packaging.bom import SPEC_VERSION, bill_of_materials, is_bill_of_materials

    if arguments.out.is_file() and not is_bill_of_materials(arguments.out):
        raise UsageError(f"{arguments.out} exists and is no CycloneDX document: not replaced; name another file")
    bundle = Bundle.open(arguments.bundle)
    document = bill_of_materials(bundle)
    files.write_bytes(arguments.out, document)
    values = {
        "bom": str(arguments.out),
        "id": bundle.id,
        "format": f"CycloneDX {SPEC_VERSION}",
        "bytes": len(document),
    }
    print_result(arguments, values, f"{bundle.id}: CycloneDX {SPEC_VERSION} in {printable(arguments.out)}")
    return ACCEPTED
