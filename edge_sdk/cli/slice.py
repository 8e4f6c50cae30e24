"""``edge-sdk slice``: a bundle with only what one application needs."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_bundle, add_json, add_out_bundle, print_result
from edge_sdk.cli.output import printable

SUMMARY = "Copy a bundle with the variants of one format or precision only."
DETAILS = "Reads BUNDLE and writes a smaller one. Files that stay keep their bytes, so templates stay valid."


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser)
    parser.add_argument("--format", choices=("onnx", "tflite"), help="keep this format only; default: all there are")
    parser.add_argument(
        "--precision",
        metavar="NAME",
        help="keep this precision only: fp32, int8, int8-io or int8-sym; default: all there are",
    )
    add_out_bundle(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the smaller bundle."""
    from edge_sdk.slicing import slice_bundle

    bundle = slice_bundle(arguments.bundle, arguments.out, format=arguments.format, precision=arguments.precision)
    variants = [variant.id for variant in bundle.manifest.variants]
    size = sum(entry.size for entry in bundle.manifest.files)
    values = {"bundle": str(bundle.path), "id": bundle.id, "variants": variants, "bytes": size}
    print_result(
        arguments, values, f"{bundle.id} in {printable(bundle.path)}: {', '.join(variants)}, {size / 1e6:.3f} MB"
    )
    return ACCEPTED
