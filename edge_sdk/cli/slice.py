"""``edge-sdk slice``: a bundle with only what one application needs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from edge_sdk.cli import ACCEPTED


def add_parsers(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "slice",
        help="cut a bundle down to one format or precision",
        description="Write a bundle with fewer variants. It can be verified as before, and templates stay valid.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="shipped name, folder or .edge file")
    parser.add_argument("--format", choices=("onnx", "tflite"), help="default: all there are")
    parser.add_argument("--precision", metavar="NAME", help="fp32, int8, int8-io or int8-sym; default: all there are")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="a .edge file, or a folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(handler=_slice)


def _slice(arguments: argparse.Namespace) -> int:
    from edge_sdk.slicing import slice_bundle

    bundle = slice_bundle(arguments.bundle, arguments.out, format=arguments.format, precision=arguments.precision)
    variants = [variant.id for variant in bundle.manifest.variants]
    size = sum(entry.size for entry in bundle.manifest.files)
    if arguments.json:
        print(json.dumps({"bundle": str(bundle.path), "id": bundle.id, "variants": variants, "bytes": size}))
    else:
        print(f"{bundle.id} in {bundle.path}: {', '.join(variants)}, {size / 1e6:.3f} MB")
    return ACCEPTED
