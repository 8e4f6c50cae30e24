"""``edge-sdk revoke``: templates that are refused from now on."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, print_result
from edge_sdk.cli.output import printable

SUMMARY = "Add templates to a list, by which verify and identify refuse them."
DETAILS = (
    "Reads the ids of templates, without their keys, and writes the list, which `--revoked` names. A copy of the "
    "template is refused, too. The person can be enrolled again, or the template renewed (`edge-sdk renew`)."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("revoked", nargs="+", metavar="TEMPLATE", help="a template, or its id of 32 hexadecimal digits")
    parser.add_argument("--list", required=True, metavar="FILE", help="the list, which is made if it is not there")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the list."""
    from edge_sdk.runtime import Template, revocation

    ids = [Template.id_at(one) if Template.is_at(one) else one for one in arguments.revoked]
    revocation.revoke(arguments.list, *ids)
    count = len(revocation.RevocationList(arguments.list).ids)
    text = f"{printable(arguments.list)}: {len(ids)} revoked now, {count} in all"
    print_result(arguments, {"list": arguments.list, "revoked": ids, "count": count}, text)
    return ACCEPTED
