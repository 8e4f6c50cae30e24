"""The locator beside OpenCV's cascade, on the same frames, in one run, on one thread.

    python benchmarks/locate.py face_locator --data scene+cfp:PATH [--split split.json] [--precision int8.onnx]

Both search every frame of 640 x 480 pixels, as BGR. Printed are the share of faces found (a box that overlaps the true
one by half), the false boxes, how far points are off, and the processor time of a call from the frame to the boxes.
Both take turns in blocks of frames, for a device runs one of them alone, with its caches; medians count.

The locator has three rows: at its default threshold; at the highest one at which it finds at least as many faces as
the cascade; and at the lowest one at which it has no more false boxes than the cascade. The last two are set on these
very frames, for a fair comparison, and are no device's. ``--split`` takes a run's ``split.json`` and keeps its test
people.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from edge_sdk import Locator
from edge_sdk.calibration.thresholds import rate
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.locate.matching import FLOOR, PictureOutcome, match
from edge_sdk.images import Image
from edge_sdk.preprocess import ToColor
from edge_sdk.preprocess.crop import Box, LocatedFace
from edge_sdk.runtime import device
from edge_sdk.runtime.faces import Cascade

NOWHERE = ((0.0, 0.0),) * 5
BLOCK, BLOCKS = 20, 12
"""Frames that each searches before the other's turn, and how often; the rest are not timed."""


def outcome(sample: Sample, frame: Image, boxes: Sequence[Box]) -> PictureOutcome:
    """What was found; a box without a confidence is sure."""
    faces = [box if isinstance(box, LocatedFace) else as_face(box) for box in boxes]
    return match(sample, frame.shape, faces)


def as_face(box: Box) -> LocatedFace:
    return LocatedFace(box.left, box.top, box.width, box.height, NOWHERE, 1.0)


def milliseconds(call: Callable[[Image], object], frames: Sequence[Image]) -> list[float]:
    times = []
    for frame in frames:
        start = time.process_time()
        call(frame)
        times.append((time.process_time() - start) * 1e3)
    return times


def row(name: str, outcomes: Sequence[PictureOutcome], threshold: float, time_ms: float) -> str:
    found = np.array([score >= threshold for one in outcomes for score in one.found])
    people = np.array([one.subject for one in outcomes for _ in one.found])
    counts = [sum(score >= threshold for score in one.false) for one in outcomes]
    recall = rate(found, people)
    wrong = rate(np.array(counts) > 0, np.array([one.subject for one in outcomes]))
    fields = (
        name,
        f"{threshold:.4f}",
        f"{recall.value:.3f} [{recall.low:.3f}, {recall.high:.3f}] ({recall.errors} of {recall.trials})",
        f"{wrong.value:.3f} [{wrong.low:.3f}, {wrong.high:.3f}]",
        str(sum(counts)),
        f"{time_ms:.2f}",
    )
    return "| " + " | ".join(fields) + " |"


def recall(outcomes: Sequence[PictureOutcome], threshold: float) -> int:
    return sum(score >= threshold for one in outcomes for score in one.found)


def false_boxes(outcomes: Sequence[PictureOutcome], threshold: float) -> int:
    return sum(score >= threshold for one in outcomes for score in one.false)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="SPEC", help="frames of which is known where faces are"
    )
    parser.add_argument("--split", type=Path, metavar="FILE")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    data = load(*arguments.data)
    if arguments.split:
        data = data.select(set(Split.read(arguments.split).test) & set(data.subjects))
    samples = [sample for sample in data.samples if sample.faces is not None]
    cascade = Cascade()
    by_cascade, by_locator = [], []
    with Locator(arguments.bundle, engine=arguments.engine, precision=arguments.precision) as locator:
        frames = [ToColor(order="bgr")(sample.read()) for sample in samples[: BLOCK * BLOCKS]]
        blocks = [frames[start : start + BLOCK] for start in range(0, len(frames), BLOCK)]
        times = [(milliseconds(cascade, block), milliseconds(locator, block)) for block in blocks]
        for sample in samples:
            frame = ToColor(order="bgr")(sample.read())
            by_cascade.append(outcome(sample, frame, cascade(frame)))
            by_locator.append(outcome(sample, frame, locator.candidates(frame, FLOOR)))
        default = locator.threshold
        print(f"{locator.bundle.id}, {locator.variant.id} on {locator.engine}, {device.instruction_set()}")
    cascade_ms, locator_ms = (statistics.median(chain.from_iterable(column)) for column in zip(*times, strict=True))
    scores = sorted({score for one in by_locator for score in (*one.found, *one.false)} | {1.0})
    as_many = max((one for one in scores if recall(by_locator, one) >= recall(by_cascade, 1.0)), default=FLOOR)
    as_few = min((one for one in scores if false_boxes(by_locator, one) <= false_boxes(by_cascade, 1.0)), default=1.0)
    print(f"{data.name}: {len(samples)} frames, {len({one.subject for one in samples})} people")
    print("| | threshold | faces found [95 %] | frames with a false box [95 %] | false boxes | ms |")
    print("|---|---|---|---|---|---|")
    print(row("cascade", by_cascade, 1.0, cascade_ms))
    print(row("locator, default", by_locator, default, locator_ms))
    print(row("locator, as many faces", by_locator, as_many, locator_ms))
    print(row("locator, as few false boxes", by_locator, as_few, locator_ms))
    errors = [error for one in by_locator for error in one.point_errors]
    print(f"points off by {np.median(errors):.3f} of the box's side (90 %: {np.quantile(errors, 0.9):.3f})")
    print(f"the cascade takes {cascade_ms / locator_ms:.1f} times as long")


if __name__ == "__main__":
    main()
