"""``edge-sdk selftest``: does this device give the bundle's scores?"""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, REJECTED, Parser
from edge_sdk.cli.options import VERIFY_BUNDLE, add_bundle, add_engine, add_json, add_threads, print_result

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

    replays = selftest(arguments.bundle, engine=arguments.engine, threads=arguments.threads)
    success = passed(replays)
    nothing = all(replay.status == "skipped" for replay in replays)
    last = "passed" if success else f"FAILED{': nothing was replayed' if nothing else ''}"
    values = {"passed": success, "replays": [dataclasses.asdict(replay) for replay in replays]}
    print_result(arguments, values, "\n".join([*map(_line, replays), last]))
    return ACCEPTED if success else REJECTED


def _line(replay: Replay) -> str:
    score = "" if replay.score is None else f"{replay.score:.6f}, "
    wanted = f"expected {replay.expected:.6f} +- {replay.tolerance:g}   "
    what = f"{replay.status.upper():<8} {replay.artifact_id:<16} {replay.engine:<14}"
    return f"{what} {'' if replay.status == 'skipped' else score + wanted}{replay.detail}".rstrip()
