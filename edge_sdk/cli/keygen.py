"""``edge-sdk keygen``: a random key."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, print_result
from edge_sdk.cli.output import printable

SUMMARY = "Make a random key, and keep it in a new file or in the system's key store."
DETAILS = (
    "template: a key of AES-256, by which `edge-sdk enroll` encrypts templates. signing: a key of Ed25519 in PEM, by "
    "which `edge-sdk sign` signs bundles, and beside NAME.pem its public key, NAME.pub.pem, for the devices. The file "
    "of a secret key is its owner's alone. A key that is there already is never replaced: without it nobody reads what "
    "it encrypted."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("kind", choices=("signing", "template"), help="what the key is for")
    parser.add_argument(
        "output",
        metavar="OUT",
        help="the file to write, or for a template's key keyring:SERVICE/NAME, the system's key store",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the key and print its id."""
    return _signing(arguments) if arguments.kind == "signing" else _template(arguments)


def _signing(arguments: argparse.Namespace) -> int:
    from edge_sdk.bundle import SigningKey
    from edge_sdk.bundle.signing import public_path

    key, public = SigningKey.create(arguments.output), str(public_path(arguments.output))
    values = {"key": arguments.output, "public_key": public, "key_id": key.key_id}
    name = printable(arguments.output)
    text = f"{name}: key that signs bundles, with the id\n  {key.key_id}\n{printable(public)}: its public key"
    print_result(arguments, values, text)
    return ACCEPTED


def _template(arguments: argparse.Namespace) -> int:
    from edge_sdk.runtime import template_keys

    key = template_keys.create(arguments.output)
    values = {"key": arguments.output, "key_id": key.id}
    print_result(arguments, values, f"{printable(arguments.output)}: key of templates {key.id}")
    return ACCEPTED
