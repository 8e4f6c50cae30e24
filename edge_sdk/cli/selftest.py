"""``edge-sdk selftest``: does this device give the bundle's scores?"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, REJECTED, Parser
from edge_sdk.cli.options import (
    VERIFY_BUNDLE,
    add_bundle,
    add_engine,
    add_json,
    add_threads,
    print_result,
    warn_of_opencv,
)
from edge_sdk.cli.output import wrapped
from edge_sdk.tables import Table

if TYPE_CHECKING:
    from edge_sdk.runtime.selftest import Replay

SUMMARY = "Check that this device gives the scores that the bundle states."
DETAILS = (
    "Runs the bundle's own test inputs with every variant that an engine here can run and compares the scores with "
    "the bundle's. Exit code 0: all agree, 1: one differs, or none could be run."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser, VERIFY_BUNDLE)
    add_engine(parser, all_engines=True)
    add_threads(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay and print a line for each variant and engine."""
    from edge_sdk.runtime.selftest import passed, selftest

    warn_of_opencv()
    replays = selftest(arguments.bundle, engine=arguments.engine, threads=arguments.threads)
    success = passed(replays)
    nothing = all(replay.status == "skipped" for replay in replays)
    last = "passed" if success else f"FAILED{': nothing was replayed' if nothing else ''}"
    values = {"passed": success, "replays": [dataclasses.asdict(replay) for replay in replays]}
    print_result(arguments, values, "\n".join([_table(replays).plain(), *_details(replays), last]))
    return ACCEPTED if success else REJECTED


def _table(replays: Sequence[Replay]) -> Table:
    rows = []
    for replay in replays:
        score = "" if replay.score is None else f"{replay.score:.6f}"
        expected = "" if replay.status == "skipped" else f"{replay.expected:.6f} +- {replay.tolerance:g}"
        rows.append((replay.status.upper(), replay.variant_id, replay.engine, score, expected))
    return Table(("", "variant", "engine", "score", "expected"), rows, text=("", "variant", "engine"))


def _details(replays: Sequence[Replay]) -> list[str]:
    """Why variants were skipped or failed."""
    return [wrapped(f"{replay.variant_id}: {replay.detail}", 2) for replay in replays if replay.detail]
