"""Streams whose frames are searched as a whole, beside those in which faces are tracked, on the same films.

    python benchmarks/tracking.py liveness --data film+cfp-frontal:PATH --subjects-file FILE [--people N]

Three ways to find faces decide each film: the cascade over the whole of every frame, as ``detect`` does it; the cascade
as a stream tracks with it; and ``face_locator``. Printed are, of recordings, BPCER and APCER as ``edge-sdk rule
--measure`` counts them; of frames, how many have one face, how many have another decision than by the whole search, and
how far the boxes are from its own; of films with a second person, who comes into the picture in the middle, after how
many frames the flag ``several_faces`` stands; and the processor time of a frame of 640 x 480 pixels, from pixels to
decision.

Films are decided as they are. For the time, and for the second person, they are given a border of their own mirrored
picture. All ways take turns, film by film.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge_sdk import SpoofDetector, StreamResult
from edge_sdk.calibration.thresholds import rate
from edge_sdk.cli.options import read_subjects
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.spoof.sessions import RecordingKey, is_error, recordings
from edge_sdk.images import Image
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import device
from edge_sdk.runtime.cut import FaceLocator
from edge_sdk.runtime.faces import Cascade
from edge_sdk.runtime.temporal import Observation

RATE = 20.0
"""Frames a second."""
WIDTH, HEIGHT = 640, 480


@dataclass
class Way:
    """One way to find faces, and what came of it."""

    name: str
    detector: SpoofDetector
    errors: dict[tuple[str, str], list[tuple[str, bool]]] = field(default_factory=lambda: defaultdict(list))
    found: list[int] = field(default_factory=list)
    other_decisions: list[bool] = field(default_factory=list)
    apart: list[tuple[float, float]] = field(default_factory=list)
    noticed: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def stream(self, frames: Sequence[Image]) -> Iterator[StreamResult]:
        """Decide a film."""
        return self.detector.stream((number / RATE, frame) for number, frame in enumerate(frames))


def whole_frames() -> FaceLocator:
    """The cascade as a locator of one's own, which a stream gives whole frames."""
    cascade = Cascade()
    return lambda image: cascade(image)  # noqa: PLW0108 - not a Cascade, with which a stream would track


def color(sample: Sample) -> Image:
    picture = sample.read()
    return picture if picture.ndim == 3 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)


def bordered(picture: Image, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """In the middle of a larger frame, or its middle in a narrower one."""
    across, down = width - picture.shape[1], height - picture.shape[0]
    if across < 0:
        picture, across = picture[:, -across // 2 : -across // 2 + width], 0
    sides = (down // 2, down - down // 2, across // 2, across - across // 2)
    return np.asarray(cv2.copyMakeBorder(picture, *sides, cv2.BORDER_REFLECT_101), np.uint8)


def joined(first: Sequence[Image], second: Sequence[Image]) -> tuple[list[Image], int]:
    """A film of one person beside whom another one appears, and the frame from which on."""
    begin = min(len(first), len(second)) // 2
    nobody = np.asarray(cv2.GaussianBlur(second[0], (0, 0), 30), np.uint8)
    beside = [nobody if number < begin else frame for number, frame in enumerate(second)]
    both = [np.hstack([bordered(a, WIDTH // 2), bordered(b, WIDTH // 2)]) for a, b in zip(first, beside, strict=False)]
    return both, begin


def judge(ways: Sequence[Way], key: RecordingKey, frames: Sequence[Image]) -> None:
    """Decide one film in all ways."""
    results = [list(way.stream(frames)) for way in ways]
    for way, own in zip(ways, results, strict=True):
        seen = [Observation(one.time, one.track, one.frame.score, one.frame.quality) for one in own]
        wrong = is_error(seen, way.detector.rule, way.detector.limits, attack=key[2] is not None)
        way.errors[key[0], key[2] or "live"].append((key[1], wrong))
        for one, reference in zip(own, results[0], strict=True):
            way.found.append(len(one.frame.faces))
            way.other_decisions.append(one.decision is not reference.decision)
            if len(one.frame.faces) == len(reference.frame.faces) == 1:
                way.apart.append(apart(one.frame.faces[0], reference.frame.faces[0]))


def apart(one: Box, other: Box) -> tuple[float, float]:
    """How far the middles are from each other, and how much the widths differ, in shares of the other's width."""
    across = one.left - other.left + (one.width - other.width) / 2
    down = one.top - other.top + (one.height - other.height) / 2
    return float(np.hypot(across, down) / other.width), abs(one.width - other.width) / other.width


def notice(ways: Sequence[Way], first: Sequence[Image], second: Sequence[Image]) -> None:
    """After how many frames a second person is noticed, where the search of whole frames does so at all."""
    frames, begin = joined(first, second)
    after = []
    for way in ways:
        flagged = [number for number, one in enumerate(way.stream(frames)) if "several_faces" in one.frame.quality]
        later = [number for number in flagged if number >= begin]
        after.append(later[0] - begin if later else np.inf)
    for way, frame in zip(ways, after, strict=True):
        if np.isfinite(after[0]):
            way.noticed.append(frame - after[0])


def clock(ways: Sequence[Way], frames: Sequence[Image]) -> None:
    """Processor time of each frame but the first."""
    for way in ways:
        results = way.stream([bordered(frame) for frame in frames])
        next(results)
        start = time.thread_time()
        for _ in results:
            way.milliseconds.append((time.thread_time() - start) * 1e3)
            start = time.thread_time()


def report(ways: Sequence[Way]) -> None:
    print("\n| faces by | " + " | ".join(f"{kind} ({data})" for data, kind in ways[0].errors) + " |")
    print("|---" * (len(ways[0].errors) + 1) + "|")
    for way in ways:
        print(f"| {way.name} | " + " | ".join(map(percent, way.errors.values())) + " |")
    print("\n| faces by | frames with one face, several | another decision | middle off, median, 90 % | width off |")
    print("|---|---|---|---|---|")
    for way in ways:
        one, several = (np.mean(np.array(way.found) == 1), np.mean(np.array(way.found) > 1))
        off = 100 * np.quantile(np.array(way.apart), (0.5, 0.9), axis=0)
        print(
            f"| {way.name} | {100 * one:.1f} %, {100 * several:.1f} % | {100 * np.mean(way.other_decisions):.1f} % | "
            f"{off[0, 0]:.1f} %, {off[1, 0]:.1f} % | {off[0, 1]:.1f} %, {off[1, 1]:.1f} % |"
        )
    print(
        "\n| faces by | second person noticed later by, frames: median, 90 %, most | ms a frame: median, 99 % | times |"
    )
    print("|---|---|---|---|")
    for way in ways:
        later = ", ".join(f"{value:g}" for value in np.quantile(way.noticed, (0.5, 0.9, 1), method="higher"))
        median, p99 = np.quantile(way.milliseconds, (0.5, 0.99))
        print(
            f"| {way.name} | {later} of {len(way.noticed)} | {median:.2f}, {p99:.2f} | "
            f"{np.median(ways[0].milliseconds) / median:.1f} |"
        )


def percent(errors: Iterable[tuple[str, bool]]) -> str:
    people, wrong = map(np.array, zip(*errors, strict=True))
    found = rate(wrong, people)
    return (
        f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}] ({found.errors} of {found.trials})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC")
    parser.add_argument("--subjects-file", type=Path, metavar="FILE")
    parser.add_argument("--people", type=int, metavar="N", help="only so many of them, the first")
    parser.add_argument("--timed", type=int, default=20, metavar="N", help="films whose frames are timed; default: 20")
    parser.add_argument("--engine", default="auto")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    subjects = read_subjects(arguments.subjects_file)[: arguments.people] if arguments.subjects_file else None
    films = list(recordings(load(*arguments.data, subjects=subjects).samples).items())
    kinds: dict[str, Callable[[], FaceLocator | str]] = {
        "the cascade, whole frames": whole_frames,
        "the cascade, tracked": lambda: "cascade",
        "`face_locator`": lambda: "locator",
    }
    with ExitStack() as opened:
        ways = [
            Way(
                name,
                opened.enter_context(
                    SpoofDetector(arguments.bundle, engine=arguments.engine, faces=faces())  # type: ignore[arg-type]
                ),
            )
            for name, faces in kinds.items()
        ]
        before: Sequence[Image] = ()
        for number, (key, samples) in enumerate(films):
            frames = [color(sample) for sample in samples]
            judge(ways, key, frames)
            if number < arguments.timed:
                clock(ways, frames)
            if key[2] is None:
                if before:
                    notice(ways, before, frames)
                before = frames
        detector = ways[0].detector
        people = len({key[1] for key, _ in films})
        print(f"{detector.bundle.id}, {detector.variant.id} on {detector.engine}, {device.instruction_set()}")
        print(f"{len(films)} films of {people} people, {detector.rule}")
        report(ways)


if __name__ == "__main__":
    main()
