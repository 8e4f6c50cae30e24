"""``edge-sdk enroll``: a template of one person."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import print_result
from edge_sdk.cli.output import printable
from edge_sdk.cli.verify import add_verifier_options, open_verifier, sample

SUMMARY = "Write a template file of one person's reference pictures."
DETAILS = (
    "`edge-sdk verify` takes the template in place of the pictures. It is valid for the variant of the bundle that "
    "made it."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="reference pictures, all of one person")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the template to write")
    add_verifier_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the template."""
    with open_verifier(arguments) as verifier:
        template = verifier.enroll([sample(path) for path in arguments.images])
    template.save(arguments.output)
    values = {
        "template": arguments.output,
        "count": template.count,
        "bundle_name": template.bundle_name,
        "variant_id": template.variant_id,
        "embedding_space_id": template.embedding_space_id,
    }
    references = f"{template.count} reference{'' if template.count == 1 else 's'}"
    text = f"{printable(arguments.output)}: {references}, {template.variant_id}"
    print_result(arguments, values, text)
    return ACCEPTED
