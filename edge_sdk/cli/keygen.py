"""``edge-sdk keygen``: a random key."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, print_result
from edge_sdk.cli.output import printable

SUMMARY = "Make a random key, and keep it in a new file or in the system's key store."
DETAILS = (
    "template: a key of AES-256, by which `edge-sdk enroll` encrypts templates; the file is its owner's alone. A key "
    "that is there already is never replaced: without it nobody reads what it encrypted."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("kind", choices=("template",), help="what the key is for")
    parser.add_argument(
        "output", metavar="OUT", help="the file to write, or keyring:SERVICE/NAME for the system's key store"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the key and print its id."""
    from edge_sdk.runtime import template_keys

    key = template_keys.create(arguments.output)
    values = {"key": arguments.output, "key_id": key.id}
    print_result(arguments, values, f"{printable(arguments.output)}: key of templates {key.id}")
    return ACCEPTED
