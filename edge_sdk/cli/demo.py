"""``edge-sdk demo``: from synthetic signatures to decisions, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import export_extra

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


def run(arguments: argparse.Namespace) -> int:
    """Go through all steps."""
    with export_extra():
        from edge_sdk.export.demo import demo
    demo(arguments.out, lambda line: print(line, flush=True))
    return ACCEPTED
