"""``edge-sdk enroll``: a template of one person, or more samples for one."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli import walks
from edge_sdk.cli.command import ACCEPTED, REJECTED, Parser
from edge_sdk.cli.options import add_template_key, check_apart, print_result
from edge_sdk.cli.output import printable
from edge_sdk.cli.points import counted
from edge_sdk.cli.verify import add_verifier_options, open_verifier, samples
from edge_sdk.errors import RejectedSampleError, UsageError

SUMMARY = "Write a template file of one person's reference pictures, or walks."
DETAILS = (
    "Reads the samples and writes the template to -o FILE, whole or not at all; `edge-sdk verify` takes it in place of "
    "the pictures. It is encrypted by the key that --key names, which `edge-sdk keygen template` makes, and valid for "
    "the variant of the bundle that made it. With a bundle of gait the samples are CSV files of walks; - is one that "
    "is read from standard input as it goes on, until there are enough gait cycles. With --update the samples join a "
    "template that accepts them surely, without their pictures; exit code 1: it does not, and nothing is written."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("samples", nargs="+", metavar="SAMPLE", help="reference pictures, or walks, all of one person")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the template to write: a new file, or a template, which is replaced; with --update by default the one "
        "that is updated",
    )
    parser.add_argument("--update", metavar="TEMPLATE", help="add the samples to this template, all or none")
    add_template_key(parser)
    add_verifier_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the template."""
    from edge_sdk.runtime import Template, template_keys

    output = arguments.update if arguments.output is None else arguments.output
    if output is None:
        raise UsageError("name the template to write with -o FILE")
    if arguments.output is not None:
        check_apart(
            output,
            one_of_the_samples=arguments.samples,
            the_key=[arguments.key, template_keys.of_environment()],
            the_list_of_revoked_templates=[arguments.revoked],
            the_audit=[arguments.audit],
        )
    key = template_keys.for_writing(arguments.key, plain=arguments.plain)  # before anything is done
    with open_verifier(arguments) as verifier:
        known = None
        if arguments.update is not None:
            with verifier.preparing("update"):
                known = Template.load(arguments.update, key=key, plain=arguments.plain)
        Template.check_writable(output)
        walks.check(arguments.samples, arguments.cycles)
        given = samples(verifier, arguments, arguments.samples, enrolling=True)
        try:
            template = verifier.enroll(given) if known is None else verifier.update(known, given)
        except RejectedSampleError as refusal:
            print_result(arguments, {"template": output, "rejected": str(refusal)}, f"REJECTED   {refusal}")
            return REJECTED
    replaced = known is None and Path(output).exists()
    template.save(output, key=key, plain=arguments.plain)
    values = {
        "template": output,
        "replaced": replaced,
        "template_id": template.template_id,
        "encrypted": not arguments.plain,
        "count": template.count,
        "added": template.added,
        "bundle_name": template.bundle_name,
        "variant_id": template.variant_id,
        "embedding_space_id": template.embedding_space_id,
    }
    references = counted(verifier.bundle.manifest, template.count)
    if template.added:
        references += f", {template.added} of them added"
    text = f"{printable(output)}: {references}, {template.variant_id}, id {template.template_id or '-'}"
    if replaced:
        text += ", in place of what was there"
    print_result(arguments, values, text)
    return ACCEPTED
