"""``edge-sdk enroll``: a template of one person."""

from __future__ import annotations

import argparse

from edge_sdk.cli import walks
from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import print_result
from edge_sdk.cli.output import printable
from edge_sdk.cli.points import counted
from edge_sdk.cli.verify import add_verifier_options, open_verifier, samples

SUMMARY = "Write a template file of one person's reference pictures, or walks."
DETAILS = (
    "`edge-sdk verify` takes the template in place of the pictures. It is valid for the variant of the bundle that "
    "made it. With a bundle of gait the samples are CSV files of walks; - is one that is read from standard input as "
    "it goes on, until there are enough gait cycles."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("samples", nargs="+", metavar="SAMPLE", help="reference pictures, or walks, all of one person")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the template to write")
    add_verifier_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the template."""
    from edge_sdk import files

    files.check_writable(arguments.output)  # before anything is done
    with open_verifier(arguments) as verifier:
        walks.check(arguments.samples, arguments.cycles)
        template = verifier.enroll(samples(verifier, arguments, arguments.samples, enrolling=True))
    template.save(arguments.output)
    values = {
        "template": arguments.output,
        "count": template.count,
        "bundle_name": template.bundle_name,
        "variant_id": template.variant_id,
        "embedding_space_id": template.embedding_space_id,
    }
    references = counted(verifier.bundle.manifest, template.count)
    text = f"{printable(arguments.output)}: {references}, {template.variant_id}"
    print_result(arguments, values, text)
    return ACCEPTED
