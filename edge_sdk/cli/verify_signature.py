"""``edge-sdk verify-signature``: whether a trusted key signed a bundle, and all of it is as it was then."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_bundle, add_json, print_result
from edge_sdk.cli.output import printable
from edge_sdk.errors import SignatureError, UsageError

SUMMARY = "Check that a trusted key signed a bundle, and that every file is as it was signed."
DETAILS = (
    "Reads BUNDLE and the public keys, and writes nothing. Exit code 0: a key that is trusted signed it, no file was "
    "changed, and it is no older than it may be; 3: not so, and the message says why. Without --key the trust file of "
    "this device counts, as it does for every command that opens a bundle."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser)
    parser.add_argument(
        "--key",
        nargs="+",
        type=Path,
        default=[],
        metavar="PUBLIC_KEY",
        help="public Ed25519 keys in PEM, one of which has to have signed; default: those of the trust file "
        "(EDGE_SDK_TRUST, or trust.json in your configuration folder)",
    )
    parser.add_argument(
        "--minimum-version", metavar="VERSION", help="refuse an older version of the bundle than this, such as 1.2.0"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print who signed."""
    import dataclasses

    from edge_sdk.bundle import Bundle, Trust
    from edge_sdk.bundle.trust import default_trust

    trust = Trust(keys=arguments.key) if arguments.key else dataclasses.replace(default_trust(), policy="require")
    if not trust.public_keys:
        raise UsageError("no key is trusted here: give --key PUBLIC_KEY, or make a trust file (docs/trust.md)")
    bundle = Bundle.open(arguments.bundle, trust=trust)
    if arguments.minimum_version is not None:
        bundle.check_trust(Trust(policy="off", minimum_versions={bundle.manifest.name: arguments.minimum_version}))
    if bundle.shipped:
        raise SignatureError(f"{bundle.id} has no signature: it comes with edge-sdk, which vouches for it by itself")
    signed_by = bundle.check_trust(trust)  # the same once more, lest a signature that came in between is told
    for entry in bundle.manifest.files:
        bundle.read(entry)
    bundle.check_models()
    values = {"bundle": str(bundle.path), "id": bundle.id, "sha256": bundle.sha256, "signed_by": signed_by}
    lines = [f"{bundle.id} in {printable(bundle.path)}: every file fits; signed with", *signed_by]
    print_result(arguments, values, "\n  ".join(lines))
    return ACCEPTED
