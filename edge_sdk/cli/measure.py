"""``edge-sdk tune`` and ``edge-sdk profile``: how fast a bundle is on the device at hand."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.cli import ACCEPTED, ERROR

if TYPE_CHECKING:
    from edge_sdk.bundle import Bundle
    from edge_sdk.runtime.tune import TimedRun

DEFAULT_BUNDLE = "deepsign"


def add_parsers(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Register both commands."""
    tune = subparsers.add_parser(
        "tune",
        help="measure every engine here and let --engine auto take the fastest",
        description="Measure every installed engine and artifact on this device, and store the order for this bundle.",
    )
    _add_bundle(tune)
    tune.add_argument("--seconds", type=float, default=10.0, metavar="S", help="in all (%(default)s)")
    tune.set_defaults(handler=_tune)

    profile = subparsers.add_parser(
        "profile",
        help="latency, memory and power of a bundle here, from the picture to the decision",
        description="Measure each configuration in a process of its own; the exit code is 3 if one of them failed.",
    )
    _add_bundle(profile)
    profile.add_argument("--engine", default="auto", metavar="NAME", help="or all: every engine that is installed")
    profile.add_argument("--precision", metavar="NAME", help="int8, fp32 or an artifact's id; default: all there are")
    profile.add_argument("--seconds", type=float, default=60.0, metavar="S", help="of each run (%(default)s)")
    profile.add_argument(
        "--single-stream", action="store_true", help="MLPerf's rule: at least 1,024 calls and 60 seconds"
    )
    profile.add_argument("--report", type=Path, metavar="FILE", help="write an HTML page with tables and plots")
    profile.set_defaults(handler=_profile)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", nargs="?", default=DEFAULT_BUNDLE, metavar="BUNDLE")
    parser.add_argument("--threads", type=_counts, default=(1,), metavar="N,N", help="threads of the engine (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(word) for word in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one number from 1 on, or several separated by commas")
    return counts


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tune(arguments: argparse.Namespace) -> int:
    from edge_sdk.bundle import Bundle
    from edge_sdk.runtime import tuning_store
    from edge_sdk.runtime.tune import rows, tune

    bundle = Bundle.open(arguments.bundle)
    laps = tune(bundle, threads=arguments.threads, seconds=arguments.seconds, say=_say)
    stored, problem = "", ""
    try:
        stored = str(tuning_store.store(rows(bundle, laps)))
    except (OSError, RuntimeError) as exc:  # a read-only system; RuntimeError: no home
        problem = str(exc)
    best = [next(lap for lap in laps if lap.threads == count) for count in sorted(set(arguments.threads))]
    best = [lap for lap in best if lap.median_ms is not None]
    if arguments.json:
        values = {
            "id": bundle.id,
            "laps": [dataclasses.asdict(lap) for lap in laps],
            "best": [dataclasses.asdict(lap) for lap in best],
            "stored": stored or None,
            "problem": problem or None,
        }
        print(json.dumps(values, allow_nan=False))
    else:
        print(_table(laps))
        print(_advice(bundle, best, stored, problem))
    return ACCEPTED


def _table(laps: tuple[TimedRun, ...]) -> str:
    lines = [f"{'engine':<16}{'artifact':<16}{'threads':>7}{'MB':>9}{'median ms':>12}{'p99 ms':>10}{'passes':>9}"]
    for lap in laps:
        measured = f"{lap.median_ms:12.3f}{lap.p99_ms:10.3f}{lap.passes:9}" if lap.passes else f"  no: {lap.excluded}"
        lines.append(f"{lap.engine:<16}{lap.artifact:<16}{lap.threads:>7}{lap.size / 1e6:9.3f}{measured}")
    return "\n".join(lines)


def _advice(bundle: Bundle, best: list[TimedRun], stored: str, problem: str) -> str:
    options = [f"--engine {lap.engine} --precision {lap.artifact} --threads {lap.threads}" for lap in best]
    if stored:
        return "\n".join([f"stored for {bundle.id} in {stored}; --engine auto now means:", *options])
    return "\n".join([f"not stored ({problem}); say what was found:", *options])


def _profile(arguments: argparse.Namespace) -> int:
    import msgspec

    from edge_sdk import files
    from edge_sdk.runtime.profile import profile
    from edge_sdk.runtime.profile.records import Failed
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
        say=_say,
    )
    if arguments.report:
        files.write_text(arguments.report, html(report))
    print(json.dumps(msgspec.to_builtins(report), allow_nan=False) if arguments.json else text(report))
    return ERROR if any(isinstance(run.outcome, Failed) for run in report.runs) else ACCEPTED
