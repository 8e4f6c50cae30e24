"""``edge-sdk slice``: a bundle with only what one application needs."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_bundle, add_json, add_out_bundle, print_result
from edge_sdk.cli.output import printable
from edge_sdk.cli.signatures import add_sign_key, read_keys, signature_line

SUMMARY = "Copy a bundle with the variants of one format or precision only."
DETAILS = (
    "Reads BUNDLE and writes a smaller one. Files that stay keep their bytes, so templates stay valid. The bundle's "
    "signature does not hold for the smaller one: --sign-key signs it. Where nothing is left out the signature stays."
)


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
    add_sign_key(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the smaller bundle."""
    from edge_sdk.bundle import Bundle
    from edge_sdk.slicing import slice_bundle

    keys, whole = read_keys(arguments.sign_key), Bundle.open(arguments.bundle)
    was_signed = whole.has_signature
    bundle = slice_bundle(whole, arguments.out, format=arguments.format, precision=arguments.precision, sign_with=keys)
    variants = [variant.id for variant in bundle.manifest.variants]
    written = bundle.path.rglob("*") if bundle.path.is_dir() else [bundle.path]
    size = sum(file.stat().st_size for file in written if file.is_file())
    values = {
        "bundle": str(bundle.path),
        "id": bundle.id,
        "variants": variants,
        "bytes": size,
        "signed": bundle.has_signature,
    }
    lines = [f"{bundle.id} in {printable(bundle.path)}: {', '.join(variants)}, {size / 1e6:.3f} MB"]
    lines += filter(None, [signature_line(bundle, was_signed=was_signed)])
    print_result(arguments, values, "\n".join(lines))
    return ACCEPTED
