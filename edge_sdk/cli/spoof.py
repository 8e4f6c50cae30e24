"""``edge-sdk spoof``: a live face, or a presentation attack? In pictures, videos and cameras."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import ACCEPTED, ERROR, REJECTED, Parser
from edge_sdk.cli.options import (
    SPOOF_BUNDLE,
    add_audit,
    add_bundle_option,
    add_engine,
    add_faces,
    add_precision,
    add_threads,
    add_threshold,
    quiet_decoders,
)
from edge_sdk.cli.spoof_output import JsonLines, SpoofOutput, Text
from edge_sdk.cli.spoof_summary import Summary
from edge_sdk.errors import ImageDecodeError, InputError, UnsupportedImageError, UsageError
from edge_sdk.results import SpoofDecision

if TYPE_CHECKING:
    from edge_sdk.images import Image
    from edge_sdk.runtime.detector import SpoofDetector
    from edge_sdk.runtime.folders import FolderItem
    from edge_sdk.runtime.temporal import Rule

    Frames = Iterator[tuple[float, Image | Path | None]]

SUMMARY = "Decide whether a face is live, in pictures, videos or a camera."
DETAILS = (
    "Pictures are decided one by one, videos and cameras frame by frame and over time. Exit code 0: all of it is "
    "LIVE; 1: something is SPOOF, UNCERTAIN or shows no face; 3: something could not be read."
)


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="a picture, a folder of pictures, or a video")
    parser.add_argument("--camera", type=int, metavar="N", help="read camera number N, from 0; Ctrl-C ends it")
    add_bundle_option(parser, SPOOF_BUNDLE)
    add_precision(parser)
    add_engine(parser)
    add_threads(parser)
    add_threshold(
        parser,
        "the bundle's threshold to use, such as apcer_5e-2 (`edge-sdk inspect` lists them); default: that of the "
        "lowest APCER that still accepts 7 in 10 live captures",
    )
    add_faces(parser)
    add_audit(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line: each result, then a summary")
    stream = parser.add_argument_group("decisions over time, of videos and cameras")
    stream.add_argument(
        "--fps",
        type=float,
        metavar="RATE",
        help="read each folder as a video of so many frames a second, its pictures in the order of their names",
    )
    rule = stream.add_mutually_exclusive_group()
    rule.add_argument(
        "--votes",
        nargs=3,
        type=int,
        metavar=("LIVE", "SPOOF", "WINDOW"),
        help="decide LIVE from LIVE live frames among the last WINDOW, SPOOF from SPOOF others; default: the rule "
        "that the bundle was tuned for (`edge-sdk inspect` shows it), else 7 4 10",
    )
    rule.add_argument(
        "--sequential",
        nargs=2,
        type=float,
        metavar=("SLOPE", "OFFSET"),
        help="decide by Wald's sequential test; a frame's log-likelihood ratio is SLOPE * score + OFFSET",
    )
    limits = (
        ("deadline", "seconds to reach a decision in", 5),
        ("cooldown", "seconds that SPOOF stays", 3),
        ("gap", "seconds that a face may be out of sight", 1),
    )
    for name, meaning, default in limits:
        stream.add_argument(
            f"--{name}", type=float, metavar="S", help=f"{meaning}; default: the bundle's, else {default}"
        )
    stream.add_argument("--seconds", type=float, metavar="S", help="stop each video or camera after S seconds")
    stream.add_argument("--frames", type=int, metavar="N", help="stop each video or camera after N frames")


@dataclass(frozen=True)
class _Stream:
    """Frames that are decided over time. A ``live`` one ends with Ctrl-C."""

    source: str
    open: Callable[[], Frames]
    live: bool = False


def run(arguments: argparse.Namespace) -> int:
    """Decide, and print each result as it comes."""
    _check(arguments)
    quiet_decoders()
    sources = _sources(arguments)  # a missing file is reported before anything is decided
    output: SpoofOutput = JsonLines() if arguments.json else Text()
    with _open(arguments) as detector:
        rule = _rule(arguments, detector.threshold)
        summaries = [_pictures(detector, sources.items, output)] if sources.items else []
        summaries += [_stream(detector, stream, rule, output, arguments) for stream in sources.streams]
    if any(summary.errors for summary in summaries):
        return ERROR
    decided = [summary.decision for summary in summaries if summary.source or summary.frames]
    live = bool(decided) and all(decision is SpoofDecision.LIVE for decision in decided)
    return ACCEPTED if live else REJECTED


def _check(arguments: argparse.Namespace) -> None:
    if bool(arguments.sources) == (arguments.camera is not None):
        raise UsageError("name pictures, folders or videos, or else one camera: --camera 0")
    if arguments.camera is not None and arguments.camera < 0:
        raise UsageError(f"--camera is {arguments.camera}; cameras are counted from 0")
    for option in ("fps", "seconds", "frames"):
        value = getattr(arguments, option)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{option} is {value}; it must be positive")


def _open(arguments: argparse.Namespace) -> SpoofDetector:
    from edge_sdk.bundle import Bundle
    from edge_sdk.runtime.detector import SpoofDetector
    from edge_sdk.runtime.temporal import limits_of

    bundle = Bundle.open(arguments.bundle)
    given = {f"{name}_s": getattr(arguments, name) for name in ("gap", "cooldown", "deadline")}
    return SpoofDetector(
        bundle,
        engine=arguments.engine,
        precision=arguments.precision,
        operating_point=arguments.operating_point,
        threshold=arguments.threshold,
        threads=arguments.threads,
        faces=arguments.faces,
        audit=arguments.audit,
        limits=replace(
            limits_of(bundle.manifest), **{name: value for name, value in given.items() if value is not None}
        ),
    )


def _rule(arguments: argparse.Namespace, threshold: float) -> Rule | None:
    from edge_sdk.runtime.temporal import KOfN, SequentialTest

    if arguments.votes:
        live, spoof, window = arguments.votes
        return KOfN(threshold, live=live, spoof=spoof, window=window)
    if arguments.sequential:
        slope, offset = arguments.sequential
        return SequentialTest(slope, offset)
    return None


@dataclass(frozen=True)
class _Sources:
    """What the arguments name. ``items``: pictures, and what else lies in folders beside them."""

    items: list[FolderItem]
    streams: list[_Stream]


def _sources(arguments: argparse.Namespace) -> _Sources:
    from edge_sdk.runtime import folders, sources

    items: list[FolderItem] = []
    streams: list[_Stream] = []
    if arguments.camera is not None:
        streams.append(_Stream(f"camera {arguments.camera}", partial(sources.camera, arguments.camera), live=True))
    for source in arguments.sources:
        path = Path(source)
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            found = folders.items(path)
            if arguments.fps is not None:
                found = [item for item in found if item.use != "picture"]
                streams.append(_Stream(source, partial(folders.frames, path, arguments.fps)))
            items += found
        elif sources.is_picture(path):
            items.append(folders.FolderItem(path, "picture"))
        else:
            streams.append(_Stream(source, partial(sources.video, path)))
    return _Sources(items, streams)


def _pictures(detector: SpoofDetector, items: list[FolderItem], output: SpoofOutput) -> Summary:
    """Decide each picture by itself; one that cannot be read is shown as an error, and the next one follows."""
    summary = Summary()
    for path, use, reason in items:
        if use == "other":
            summary.skipped += 1
            output.skipped(str(path), reason)
            continue
        try:
            if use == "unsupported":
                raise UnsupportedImageError(f"{path}: {reason}")
            if use == "unreadable":
                raise ImageDecodeError(f"{path}: {reason}")
            result = detector.detect(path)
        except InputError as exc:
            summary.errors += 1
            output.error(str(path), exc)
        else:
            summary.add(result)
            output.picture(str(path), result)
    output.summary(summary)
    return summary


def _stream(
    detector: SpoofDetector, stream: _Stream, rule: Rule | None, output: SpoofOutput, arguments: argparse.Namespace
) -> Summary:
    """Decide a stream to its end, its limit, an error, or Ctrl-C."""
    summary = Summary(stream.source, detector.limits.gap_s)
    try:
        frames = _limited(stream.open(), arguments.seconds, arguments.frames)
        for result in detector.stream(frames, rule):
            summary.add(result)
            output.frame(stream.source, summary.frames - 1, result)
    except InputError as exc:
        summary.errors += 1
        output.error(stream.source, exc)
    except KeyboardInterrupt:
        if not stream.live:
            raise
    output.summary(summary)
    return summary


def _limited(frames: Frames, seconds: float | None, count: int | None) -> Frames:
    """The frames of the first seconds, and no more than ``count``; None is no limit."""
    start = None
    for time, frame in islice(frames, count):
        start = time if start is None else start
        if seconds is not None and time - start >= seconds:
            return
        yield time, frame
