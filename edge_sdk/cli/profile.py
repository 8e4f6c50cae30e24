"""``edge-sdk profile``: how fast a bundle is on the device at hand."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, ERROR, Parser
from edge_sdk.cli.options import (
    VERIFY_BUNDLE,
    add_bundle,
    add_engine,
    add_json,
    add_precision,
    add_thread_counts,
    print_result,
    report_progress,
)

SUMMARY = "Measure latency, memory and power of a bundle on this device."
DETAILS = (
    "Times the whole path from a golden input to the decision, each combination of engine, variant and threads in a "
    "process of its own. Exit code 3 if one of them failed; the others are printed all the same."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    add_bundle(parser, VERIFY_BUNDLE)
    add_thread_counts(parser)
    add_engine(parser, all_engines=True)
    add_precision(parser, default="all that the bundle has")
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="time for each combination; default: 60"
    )
    parser.add_argument(
        "--single-stream", action="store_true", help="follow MLPerf's rule: at least 1,024 calls and 60 seconds"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write an HTML report with tables and plots")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    import msgspec

    from edge_sdk import files
    from edge_sdk.runtime.profile import profile
    from edge_sdk.runtime.profile.records import FailedJob
    from edge_sdk.runtime.profile.report import html, text

    if arguments.report:  # what cannot be written is not measured first
        files.check_writable(arguments.report)
    report = profile(
        arguments.bundle,
        engine=arguments.engine,
        precision=arguments.precision,
        threads=arguments.threads,
        seconds=arguments.seconds,
        single_stream=arguments.single_stream,
        say=report_progress,
    )
    if arguments.report:
        files.write_text(arguments.report, html(report))
    print_result(arguments, msgspec.to_builtins(report), text(report))
    return ERROR if any(isinstance(run.outcome, FailedJob) for run in report.runs) else ACCEPTED
