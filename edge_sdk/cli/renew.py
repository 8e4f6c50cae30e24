"""``edge-sdk renew``: a template under a new id and by a new key."""

from __future__ import annotations

import argparse
import os

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, add_template_key, check_apart, print_result
from edge_sdk.cli.output import printable
from edge_sdk.errors import RevokedTemplateError, StorageError, UsageError

SUMMARY = "Encrypt a template anew, under a new id and by a new key, without the person."
DETAILS = (
    "Reads TEMPLATE, adds its id to the list that --revoked names, and then writes the renewed one in its place, or to "
    "-o FILE. For a key that somebody may have seen, or a template that is plain. Without --revoked the old id stays "
    "valid. A template that the list revokes already is refused, for renewing lets its person in again: --reinstate "
    "says that this is meant, or finishes a renewal that was interrupted. The embeddings stay the same: where somebody "
    "has read them, only enrolling with another network helps."
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
        "--revoked",
        metavar="FILE",
        help="the list to add the old id to; it is made if it is not there; default: the old id stays valid",
    )
    parser.add_argument(
        "--reinstate",
        action="store_true",
        help="renew the template though the list revokes it, so that its person is let in again, or to finish a "
        "renewal that was interrupted",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the list and the template."""
    from edge_sdk.runtime import Template, template_keys

    if arguments.reinstate and arguments.revoked is None:
        raise UsageError("--reinstate is of templates that a list revokes: name it with --revoked")
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
    lines = [f"{printable(output)}: renewed as {new.template_id}, before {old.template_id or '-'}"]
    revokes = arguments.revoked is not None and bool(old.template_id)
    if revokes:
        new_list = ", a new list" if _revoke(arguments, old.template_id) else ""
        lines.append(f"{old.template_id} is revoked by {printable(arguments.revoked)}{new_list}")
    elif old.template_id:
        lines.append(f"{old.template_id} stays valid: copies of the old template are taken until it is revoked")
    try:
        new.save(output, key=new_key)
    except StorageError as error:
        if not revokes:
            raise
        raise StorageError(
            f"{error}; {old.template_id} is revoked already, so that nobody is let in by it: run it again with "
            "--reinstate"
        ) from error
    values = {
        "template": output,
        "template_id": new.template_id,
        "old_id": old.template_id or None,
        "revoked": revokes,
    }
    print_result(arguments, values, "\n".join(lines))
    return ACCEPTED


def _revoke(arguments: argparse.Namespace, old_id: str) -> bool:
    """Add an id to the list; whether that is a new one. RevokedTemplateError where it is in it, but to reinstate."""
    from edge_sdk.runtime import revocation

    path = arguments.revoked
    if not arguments.reinstate and os.path.lexists(path) and old_id in revocation.RevocationList(path).ids:
        raise RevokedTemplateError(
            f"template {old_id} is revoked already, by the list {path}: if its person is to be let in again, or to "
            "finish a renewal that was interrupted, say --reinstate"
        )
    return revocation.revoke(path, old_id)
