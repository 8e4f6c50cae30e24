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
    "One that does not fit is refused, if it is by one of them or a key of the trust file. `edge-sdk keygen signing` "
    "makes a key."
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
    """Sign, and print by which keys, and by which it no longer is."""
    from edge_sdk.bundle import Bundle, sign_bundle
    from edge_sdk.bundle.trust import OFF
    from edge_sdk.bundle.writer import signed_before

    opened, keys = Bundle.open(arguments.bundle, trust=OFF), read_keys(arguments.key)
    before = signed_before(opened, keys)
    bundle = sign_bundle(opened, keys, arguments.out)
    signed_by = [one.key_id for one in bundle.signatures()]
    gone = {key_id: checked for key_id, checked in before.items() if key_id not in signed_by}
    values = {
        "bundle": str(bundle.path),
        "id": bundle.id,
        "sha256": bundle.sha256,
        "signed_by": signed_by,
        "no_longer_signed_by": list(gone),
    }
    lines = [
        f"{bundle.id} in {printable(bundle.path)}: {signature_line(bundle)}",
        *(
            f"no longer signed with {key_id[:12]}{'' if checked else ', which could not be checked here'}: "
            "devices that trust no other key refuse it"
            for key_id, checked in gone.items()
        ),
    ]
    print_result(arguments, values, "\n".join(lines))
    return ACCEPTED
