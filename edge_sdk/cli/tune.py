"""``edge-sdk tune``: which engine and variant are fastest here."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, Parser
from edge_sdk.cli.options import (
    VERIFY_BUNDLE,
    add_bundle,
    add_json,
    add_thread_counts,
    print_result,
    report_progress,
)
from edge_sdk.tables import Table

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.runtime.tune import TimedRun

SUMMARY = "Time every engine here, and let --engine auto take the fastest."
DETAILS = (
    "Runs each variant of the bundle on each installed engine, prints the times and stores the order for this bundle "
    "in the file that EDGE_SDK_TUNING names (by default in your configuration folder). What engines "
    "compile of their fastest variants is kept in the folder that EDGE_SDK_CACHE names, so that they start quicker."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser, VERIFY_BUNDLE)
    add_thread_counts(parser)
    parser.add_argument(
        "--seconds", type=float, default=10.0, metavar="S", help="time for all measurements together; default: 10"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, store and print."""
    from edge_sdk.bundle import Bundle
    from edge_sdk.runtime import tuning_store
    from edge_sdk.runtime.tune import keep_compiled, rows, tune

    bundle = Bundle.open(arguments.bundle)
    runs = tune(bundle, threads=arguments.threads, seconds=arguments.seconds, say=report_progress)
    problem = tuning_store.store(rows(bundle, runs))
    stored = "" if problem else str(tuning_store.path())
    best = [next(one for one in runs if one.threads == count) for count in sorted(set(arguments.threads))]
    best = [one for one in best if one.median_ms is not None]
    keep_compiled(bundle, runs)
    values = {
        "id": bundle.id,
        "runs": [dataclasses.asdict(one) for one in runs],
        "best": [dataclasses.asdict(one) for one in best],
        "stored": stored or None,
        "problem": problem or None,
    }
    print_result(arguments, values, f"{_table(runs).plain()}\n{_advice(bundle, best, stored, problem)}")
    return ACCEPTED


def _table(runs: tuple[TimedRun, ...]) -> Table:
    rows = []
    for one in runs:
        times = (f"{one.median_ms:.3f}", f"{one.p99_ms:.3f}", str(one.passes), "") if one.passes else None
        excluded = ("", "", "", f"no: {one.excluded}")
        rows.append((one.engine, one.variant, str(one.threads), f"{one.size / 1e6:.3f}", *(times or excluded)))
    head = ("engine", "variant", "threads", "MB", "median ms", "p99 ms", "passes", "")
    return Table(head, rows, text=("engine", "variant", ""))


def _advice(bundle: Bundle, best: list[TimedRun], stored: str, problem: str) -> str:
    options = [f"--engine {one.engine} --precision {one.variant} --threads {one.threads}" for one in best]
    if stored:
        return "\n".join([f"stored for {bundle.id} in {stored}; --engine auto now means:", *options])
    return "\n".join([f"not stored ({problem}); say what was found:", *options])
