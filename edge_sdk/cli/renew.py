"""``edge-sdk renew``: a template under a new id and by a new key."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, add_template_key, check_apart, print_result
from edge_sdk.cli.output import printable

SUMMARY = "Encrypt a template anew, under a new id and by a new key, without the person."
DETAILS = (
    "Reads TEMPLATE, adds its id to the list that --revoked names, and then writes the renewed one in its place, or to "
    "-o FILE; if it is interrupted between the two, run it again. For a key that somebody may have seen, a template "
    "that was revoked, or one that is plain. The embeddings stay the same: where somebody has read them, only "
    "enrolling with another network helps."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("template", metavar="TEMPLATE", help="the template to renew")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the template to write: a new file, or a template, which is replaced; default: TEMPLATE",
    )
    add_template_key(parser)
    parser.add_argument(
        "--new-key", metavar="NAME", help="the key of the new template, as --key; default: the old one's"
    )
    parser.add_argument(
        "--revoked", metavar="FILE", help="the list to add the old id to; it is made if it is not there"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the list and the template."""
    from edge_sdk.runtime import Template, revocation, template_keys

    output = arguments.template if arguments.output is None else arguments.output
    check_apart(
        output,
        the_key=[arguments.key, arguments.new_key, template_keys.of_environment()],
        the_list_of_revoked_templates=[arguments.revoked],
    )
    named = arguments.key if arguments.new_key is None else arguments.new_key
    new_key = template_keys.for_writing(named, plain=False)
    old = Template.load(arguments.template, key=arguments.key, plain=arguments.plain)
    new = old.renewed()
    Template.check_writable(output)  # before the old one is refused
    if arguments.revoked is not None and old.template_id:
        revocation.revoke(arguments.revoked, old.template_id)
    new.save(output, key=new_key)
    values = {
        "template": output,
        "template_id": new.template_id,
        "old_id": old.template_id or None,
        "revoked": arguments.revoked is not None and bool(old.template_id),
    }
    print_result(
        arguments, values, f"{printable(output)}: renewed as {new.template_id}, before {old.template_id or '-'}"
    )
    return ACCEPTED
