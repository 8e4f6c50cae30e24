"""``edge-sdk demo``: from synthetic signatures to decisions, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import add_json, export_extra, print_result, report_progress
from edge_sdk.cli.output import show

SUMMARY = "Train, quantise, verify and measure a small model on synthetic signatures."
DETAILS = (
    "Needs no data set and takes a few minutes. Writes the training run, the bundle and an HTML report. A demo that "
    "was interrupted is resumed."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="folder to write to; default: runs/demo"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Go through all steps and print each as it begins, with ``--json`` on standard error."""
    with export_extra():
        from edge_sdk.export.demo import demo
    made = demo(arguments.out, report_progress if arguments.json else show)
    values = {"bundle": str(made.bundle.path), "id": made.bundle.id, "files": [str(path) for path in made.report]}
    print_result(arguments, values, f"next: open {made.report[-1]}, or try edge-sdk verify and edge-sdk train --help")
    return ACCEPTED
