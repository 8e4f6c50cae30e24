"""``edge-sdk profile``: how fast a bundle is on the device at hand."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_sdk.cli.command import ACCEPTED, ERROR, Parser
from edge_sdk.cli.options import (
    BUNDLE,
    SPOOF_BUNDLE,
    VERIFY_BUNDLE,
    add_engine,
    add_faces,
    add_json,
    add_precision,
    add_thread_counts,
    print_result,
    quiet_decoders,
    report_progress,
)
from edge_sdk.errors import UsageError

SUMMARY = "Measure latency, memory and power of a bundle on this device."
DETAILS = (
    "Times the whole path from a golden input to the decision, each combination of engine, variant and threads in a "
    "process of its own. Exit code 3 if one of them failed; the others are printed all the same. With --stream it "
    "plays a film to a spoof bundle in real time, and says whether the bundle keeps up with its frames; exit code 3 if "
    "no frame had a score."
)
_STREAM_OPTIONS = ("faces", "fps", "deadline", "loops")


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "bundle",
        nargs="?",
        metavar="BUNDLE",
        help=f"{BUNDLE}; default: {VERIFY_BUNDLE}, with --stream {SPOOF_BUNDLE}",
    )
    add_thread_counts(parser)
    add_engine(parser, all_engines=True)
    add_precision(parser, default="all that the bundle has; with --stream int8 if the bundle has it")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="time for each combination; default: 60. With --stream: play the film for S seconds, again where it ends",
    )
    parser.add_argument(
        "--single-stream", action="store_true", help="follow MLPerf's rule: at least 1,024 calls and 60 seconds"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write an HTML report with tables and plots")
    add_json(parser)
    stream = parser.add_argument_group("a film in real time")
    stream.add_argument(
        "--stream",
        type=Path,
        metavar="FILM",
        help="play a video to a spoof bundle, on one thread, as a camera with one buffer would: a frame that is not "
        "taken before the next one comes is dropped",
    )
    add_faces(stream, default=None)
    stream.add_argument("--fps", type=float, metavar="RATE", help="frames that come a second; default: the film's rate")
    stream.add_argument(
        "--deadline", type=float, metavar="S", help="seconds to reach a decision in; default: the bundle's, else 5"
    )
    stream.add_argument("--loops", type=int, metavar="N", help="play the film N times; default: 1")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    _check(arguments)
    if arguments.report:  # what cannot be written is not measured first
        from edge_sdk import files

        files.check_writable(arguments.report)
    return _configurations(arguments) if arguments.stream is None else _stream(arguments)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.stream is None:
        if given := [name for name in _STREAM_OPTIONS if getattr(arguments, name) is not None]:
            raise UsageError(f"--{given[0]} is for a film: name it with --stream")
    elif arguments.single_stream:
        raise UsageError("--single-stream is not for a film, whose frames come when they come")
    elif arguments.engine == "all" or len(arguments.threads) > 1:
        raise UsageError("a film is played to one engine with one number of threads")


def _configurations(arguments: argparse.Namespace) -> int:
    """Each engine, variant and number of threads, on the golden inputs."""
    import msgspec

    from edge_sdk import files
    from edge_sdk.runtime.profile import SINGLE_STREAM_S, profile
    from edge_sdk.runtime.profile.records import FailedJob
    from edge_sdk.runtime.profile.report import html, text

    report = profile(
        arguments.bundle or VERIFY_BUNDLE,
        engine=arguments.engine,
        precision=arguments.precision,
        threads=arguments.threads,
        seconds=SINGLE_STREAM_S if arguments.seconds is None else arguments.seconds,
        single_stream=arguments.single_stream,
        say=report_progress,
    )
    if arguments.report:
        files.write_text(arguments.report, html(report))
    print_result(arguments, msgspec.to_builtins(report), text(report))
    return ERROR if any(isinstance(run.outcome, FailedJob) for run in report.runs) else ACCEPTED


def _stream(arguments: argparse.Namespace) -> int:
    """A film; what Ctrl-C interrupts is printed as far as it came."""
    quiet_decoders()
    import msgspec

    from edge_sdk import files
    from edge_sdk.opencv import cv2
    from edge_sdk.runtime.profile.stream_report import html, text
    from edge_sdk.runtime.profile.streams import profile_stream

    (threads,) = arguments.threads
    cv2.setNumThreads(threads)
    report = profile_stream(
        arguments.stream,
        arguments.bundle or SPOOF_BUNDLE,
        engine=arguments.engine,
        precision=arguments.precision,
        threads=threads,
        faces=arguments.faces or "cascade",
        fps=arguments.fps,
        deadline=arguments.deadline,
        seconds=arguments.seconds,
        loops=arguments.loops,
        say=report_progress,
    )
    if arguments.report:
        files.write_text(arguments.report, html(report))
    print_result(arguments, msgspec.to_builtins(report), text(report))
    if report.measured.interrupted:
        raise KeyboardInterrupt
    return ERROR if report.measured.held is None else ACCEPTED
