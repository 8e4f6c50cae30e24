"""``edge-sdk spoof``: live, or a picture of a face? Of pictures, videos and cameras."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_sdk.cli import ACCEPTED, ERROR, REJECTED
from edge_sdk.cli.tally import Tally
from edge_sdk.cli.views import JsonLines, Text, View
from edge_sdk.errors import InputError, UsageError
from edge_sdk.results import SpoofDecision

if TYPE_CHECKING:
    from edge_sdk.images import Image
    from edge_sdk.runtime.detector import SpoofDetector
    from edge_sdk.runtime.temporal import Rule

    Frames = Iterator[tuple[float, Image | Path | None]]

DEFAULT_BUNDLE = "liveness"


def add_parsers(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "spoof",
        help="is this a live face, or a picture of one? Of pictures, videos, a camera",
        description="Judge pictures one by one, and videos and cameras frame by frame and over time.",
        epilog="The exit code is 0 only if everything is LIVE, 1 if anything is SPOOF, UNCERTAIN or without a face, "
        "and 3 if something could not be read.",
    )
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="a picture, a folder of pictures, or a video")
    parser.add_argument("--camera", type=int, metavar="N", help="a camera by its number, from 0; Ctrl-C ends it")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE, help="shipped name, folder or .edge file (%(default)s)")
    parser.add_argument("--precision", metavar="NAME", help="int8, fp32 or an artifact's id; default: int8 if there")
    parser.add_argument("--engine", default="auto", metavar="NAME")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the engine (%(default)s)")
    parser.add_argument(
        "--operating-point", metavar="NAME", help="default: the least APCER that accepts 7 in 10 live captures"
    )
    parser.add_argument(
        "--faces",
        choices=("cascade", "cropped"),
        default="cascade",
        help="find the face in the whole frame, or take every picture as a crop of one (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line: each picture, then the summary")
    stream = parser.add_argument_group("over time")
    stream.add_argument(
        "--fps", type=float, metavar="RATE", help="take a folder for a video: its pictures in the order of their names"
    )
    rule = stream.add_mutually_exclusive_group()
    rule.add_argument(
        "--votes",
        nargs=3,
        type=int,
        metavar=("LIVE", "SPOOF", "WINDOW"),
        help="LIVE from so many of the last WINDOW frames, SPOOF from so many (7 4 10)",
    )
    rule.add_argument(
        "--sequential",
        nargs=2,
        type=float,
        metavar=("SLOPE", "OFFSET"),
        help="Wald's test instead, of these log-likelihood ratios: SLOPE * score + OFFSET",
    )
    stream.add_argument("--deadline", type=float, default=5.0, metavar="S", help="seconds to decide in (%(default)s)")
    stream.add_argument("--cooldown", type=float, default=3.0, metavar="S", help="how long SPOOF stands (%(default)s)")
    stream.add_argument("--gap", type=float, default=1.0, metavar="S", help="how long a face may be away (%(default)s)")
    stream.add_argument("--seconds", type=float, metavar="S", help="end each video or camera after so long")
    stream.add_argument("--frames", type=int, metavar="N", help="end each video or camera after so many")
    parser.set_defaults(handler=_spoof)


@dataclass(frozen=True)
class _Stream:
    """Frames to judge over time. A ``live`` one has no end: Ctrl-C is how it is ended."""

    source: str
    open: Callable[[], Frames]
    live: bool = False


def _spoof(arguments: argparse.Namespace) -> int:
    _check(arguments)
    # The decoders' own complaints would tear the view apart; what comes of them is shown in it.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    stills, streams = _sorted(arguments)  # what is not there is said before anything is judged
    view: View = JsonLines() if arguments.json else Text()
    with _open(arguments) as detector:
        rule = _rule(arguments, detector.threshold)
        tallies = [_judge(detector, stills, view)] if stills else []
        tallies += [_watch(detector, stream, rule, view, arguments) for stream in streams]
    if any(tally.errors for tally in tallies):
        return ERROR
    return ACCEPTED if all(tally.decision is SpoofDecision.LIVE for tally in tallies) else REJECTED


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
    from edge_sdk.runtime.detector import SpoofDetector
    from edge_sdk.runtime.temporal import Limits

    return SpoofDetector(
        arguments.bundle,
        engine=arguments.engine,
        precision=arguments.precision,
        operating_point=arguments.operating_point,
        threads=arguments.threads,
        faces=arguments.faces,
        limits=Limits(gap_s=arguments.gap, cooldown_s=arguments.cooldown, deadline_s=arguments.deadline),
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


def _sorted(arguments: argparse.Namespace) -> tuple[list[Path], list[_Stream]]:
    """What to judge: pictures, and streams."""
    from edge_sdk.runtime import sources

    stills: list[Path] = []
    streams: list[_Stream] = []
    if arguments.camera is not None:
        streams.append(_Stream(f"camera {arguments.camera}", partial(sources.camera, arguments.camera), live=True))
    for source in arguments.sources:
        path = Path(source)
        if path.is_dir():
            if arguments.fps is None:
                stills += sources.pictures(path)
            else:
                streams.append(_Stream(source, partial(sources.folder, path, arguments.fps)))
        elif sources.is_picture(path):
            stills.append(path)
        else:
            streams.append(_Stream(source, partial(sources.video, path)))
    return stills, streams


def _judge(detector: SpoofDetector, pictures: list[Path], view: View) -> Tally:
    """Judge each picture by itself; one that cannot be read is shown as an error, and the next one follows."""
    tally = Tally()
    for path in pictures:
        try:
            result = detector.detect(path)
        except InputError as exc:
            tally.errors += 1
            view.error(str(path), exc)
        else:
            tally.add(result)
            view.picture(str(path), result)
    view.summary(tally)
    return tally


def _watch(
    detector: SpoofDetector, stream: _Stream, rule: Rule | None, view: View, arguments: argparse.Namespace
) -> Tally:
    """Judge a stream to its end, its limit, an error, or Ctrl-C."""
    tally = Tally(stream.source)
    try:
        frames = _limited(stream.open(), arguments.seconds, arguments.frames)
        for result in detector.stream(frames, rule):
            tally.add(result)
            view.frame(stream.source, tally.frames - 1, result)
    except InputError as exc:
        tally.errors += 1
        view.error(stream.source, exc)
    except KeyboardInterrupt:
        if not stream.live:
            raise
    view.summary(tally)
    return tally


def _limited(frames: Frames, seconds: float | None, count: int | None) -> Frames:
    """The frames of the first seconds, and no more than ``count``; None is no limit."""
    start = None
    for time, frame in islice(frames, count):
        start = time if start is None else start
        if seconds is not None and time - start >= seconds:
            return
        yield time, frame
