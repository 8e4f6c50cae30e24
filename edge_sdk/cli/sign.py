"""``edge-sdk sign``: a bundle signed with a vendor's key."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_bundle, add_json, add_out_bundle, print_result
from edge_sdk.cli.output import printable
from edge_sdk.cli.signatures import read_keys, signature_line

SUMMARY = "Sign a bundle with a private key, so that devices can tell who made it."
DETAILS = (
    "Reads BUNDLE, checks every file's hash, and writes signature.json beside its manifest, or with --out a signed "
    "copy; nothing else of the bundle changes. Signatures that it had are replaced: give all keys that are to sign. "
    "`edge-sdk keygen signing` makes a key."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser)
    parser.add_argument(
        "--key",
        nargs="+",
        type=Path,
        required=True,
        metavar="KEY",
        help="private Ed25519 keys in PEM, such as the old and the new one while devices learn a new key",
    )
    add_out_bundle(parser, required=False)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Sign, and print by which keys."""
    from edge_sdk.bundle import sign_bundle

    bundle = sign_bundle(arguments.bundle, read_keys(arguments.key), arguments.out)
    values = {
        "bundle": str(bundle.path),
        "id": bundle.id,
        "sha256": bundle.sha256,
        "signed_by": [one.key_id for one in bundle.signatures()],
    }
    print_result(arguments, values, f"{bundle.id} in {printable(bundle.path)}: {signature_line(bundle)}")
    return ACCEPTED
