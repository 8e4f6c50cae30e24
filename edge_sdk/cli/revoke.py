"""``edge-sdk revoke``: templates that are refused from now on."""

from __future__ import annotations

import argparse

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, print_result
from edge_sdk.cli.output import printable

SUMMARY = "Add templates to a list, by which verify and identify refuse them."
DETAILS = (
    "Reads the ids of templates and writes the list, which `--revoked` names. A copy of the template is refused, too. "
    "Without --key the ids are taken as the files show them: who may write a file could have put another id into it, "
    "so that the wrong template is revoked. The person can be enrolled again, or the template renewed (`edge-sdk "
    "renew --reinstate`)."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("revoked", nargs="+", metavar="TEMPLATE", help="a template, or its id of 32 hexadecimal digits")
    parser.add_argument(
        "--list", required=True, metavar="FILE", help="the list; it is made if it is not there, its folder is not"
    )
    parser.add_argument(
        "--key", metavar="NAME", help="the key of the templates, by which their ids are checked; default: unchecked"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the list."""
    from edge_sdk.runtime import Template, revocation, template_keys

    key = None if arguments.key is None else template_keys.of(arguments.key)  # that of the environment may be another
    ids, unchecked = list[str](), list[str]()
    for one in arguments.revoked:
        if not Template.is_at(one):
            ids.append(one)
        elif key is not None:
            ids.append(Template.load(one, key=key).template_id)
        else:
            ids.append(Template.id_at(one))
            unchecked.append(ids[-1])
    new_list = revocation.revoke(arguments.list, *ids)
    count = len(revocation.RevocationList(arguments.list).ids)
    how = "a new list" if new_list else "added to"
    text = f"{printable(arguments.list)}: {how}, {len(ids)} revoked now, {count} in all"
    if unchecked:
        text += f"\nunchecked without --key: {', '.join(unchecked)}"
    values = {"list": arguments.list, "new_list": new_list, "revoked": ids, "unchecked": unchecked, "count": count}
    print_result(arguments, values, text)
    return ACCEPTED
