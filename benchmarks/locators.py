"""Locators side by side, by the pose and size of faces: the cascade, a bundle, and published detectors.

    python benchmarks/locators.py face_locator --data scene+cfp:PATH [scene+lfw:PATH] [--split split.json]
        [--precision int8] [--yunet FILE.onnx] [--blazeface FILE.tflite] [--frames 500]

How fast the bundle is beside the cascade at the same share of faces found: ``locate.py``. Here each locator has the
threshold that it comes with: OpenCV's cascade as ``SpoofDetector`` uses it, the bundle at its default and, where their
files are given, OpenCV's YuNet and MediaPipe's BlazeFace (the 256 x 256 model of the back camera). ``--split`` takes a
run's ``split.json`` and keeps its test people only. Everything runs on one core and one thread, the locators in turns
on each frame, as colour frames of a camera; times are medians of processor time.

A face counts if its box is at least 0.2 of the frame's shorter side, the cascade's default. It is found by a box that
overlaps it by half; every other box is a false one. Rates have 95 % intervals over people. The error of points is the
mean distance of five points (of BlazeFace the first three, which it has) over the box's side.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_sdk import images
from edge_sdk.calibration.thresholds import rate
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.locate.matching import OVERLAP, match
from edge_sdk.images import Image
from edge_sdk.preprocess.crop import Box, LocatedFace
from edge_sdk.runtime.engines import load_engine
from edge_sdk.runtime.faces import Cascade
from edge_sdk.runtime.locator import SMALLEST, Locator

Points = tuple[tuple[float, float], ...]
NOWHERE: Points = ((0.0, 0.0),) * 5
Locate = Callable[[Image], Sequence[Box]]


@dataclass(frozen=True, eq=False)
class Contestant:
    """A locator, and how many of the five points it has, from the first."""

    name: str
    locate: Locate
    points: int


def face(edges: Sequence[float], points: Points, shape: Sequence[int]) -> LocatedFace:
    """A face with its box rounded and cut off at the frame's border."""
    left, top, right, bottom = edges
    x, y = (int(np.clip(round(value), 0, limit - 1)) for value, limit in ((left, shape[1]), (top, shape[0])))
    end_x, end_y = min(shape[1], max(x + 1, round(right))), min(shape[0], max(y + 1, round(bottom)))
    return LocatedFace(x, y, end_x - x, end_y - y, points=points, confidence=1.0)


def yunet(path: Path, threshold: float = 0.6) -> Locate:
    """OpenCV's own detector with YuNet's file."""
    detector = cv2.FaceDetectorYN.create(str(path), "", (640, 480), threshold, 0.3)

    def locate(frame: Image) -> list[LocatedFace]:
        detector.setInputSize((frame.shape[1], frame.shape[0]))
        rows: Any = detector.detect(frame)[1]  # None where there is no face
        found = []
        for x, y, width, height, *points in () if rows is None else rows[:, :14].tolist():
            pairs = tuple(zip(points[::2], points[1::2], strict=True))
            found.append(face((x, y, x + width, y + height), pairs, frame.shape))
        return found

    return locate


def blazeface(path: Path, threshold: float = 0.5) -> Locate:
    """MediaPipe's back-camera model: 256 x 256, 16 x 16 cells with two anchors and 8 x 8 with six."""
    engine = load_engine("litert", path.read_bytes(), "tflite", threads=1)
    anchors = np.array(
        [
            ((column + 0.5) / side, (row + 0.5) / side)
            for side, count in ((16, 2), (8, 6))
            for row in range(side)
            for column in range(side)
            for _ in range(count)
        ]
    )

    def locate(frame: Image) -> list[LocatedFace]:
        side = max(frame.shape[:2])
        top, left = (side - frame.shape[0]) // 2, (side - frame.shape[1]) // 2
        square = np.zeros((side, side, 3), np.uint8)
        square[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
        small = cv2.resize(square, (256, 256), interpolation=cv2.INTER_AREA)[..., ::-1]
        scaled = (small.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / 127.5
        outputs = engine.run({engine.inputs[0].name: scaled})
        shapes, logits = sorted((one.reshape(896, -1) for one in outputs.values()), key=lambda one: -one.shape[1])
        confidence = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
        kept = np.flatnonzero(confidence >= threshold)
        kept = kept[np.argsort(-confidence[kept])]
        values = shapes[kept] / 256
        values[:, :2] += anchors[kept]
        values[:, 4:] += np.tile(anchors[kept], 6)
        found: list[LocatedFace] = []
        for row, sure in zip(values, confidence[kept], strict=True):
            x, y, width, height = row[0] - row[2] / 2, row[1] - row[3] / 2, row[2], row[3]
            points = [(float(px * side - left), float(py * side - top)) for px, py in row[4:].reshape(6, 2)]
            five = (points[0], points[1], points[2], points[3], points[3])
            edges = np.array([x, y, x + width, y + height]) * side - (left, top, left, top)
            one = replace(face(edges.tolist(), five, frame.shape), confidence=float(sure))
            if all(one.overlap(other) < 0.3 for other in found):
                found.append(one)
        return found

    return locate


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one contestant made of one frame: of its face, if it has one that counts, and of the rest."""

    sample: Sample
    counts: bool
    found: bool
    false: int
    error: float


def outcome(sample: Sample, boxes: Sequence[Box], shape: tuple[int, ...], points: int) -> Outcome:
    faces = [
        box
        if isinstance(box, LocatedFace)
        else LocatedFace(box.left, box.top, box.width, box.height, points=NOWHERE, confidence=1.0)
        for box in boxes
    ]
    matched = match(sample, shape, faces)
    error = float("nan")
    if points and any(matched.found) and sample.faces:
        true = sample.faces[0]
        near = max(faces, key=true.overlap)
        apart = np.subtract(true.points[:points], near.points[:points])
        error = float(np.hypot(*apart.T).mean() / max(true.width, true.height))
    return Outcome(sample, bool(matched.found), any(matched.found), len(matched.false), error)


def groups(rows: Sequence[Outcome], shorter: int = 480) -> dict[str, list[Outcome]]:
    """The outcomes of faces by pose and by size."""
    with_face = [row for row in rows if row.counts]

    def share(row: Outcome) -> float:
        assert row.sample.faces
        return max(row.sample.faces[0].width, row.sample.faces[0].height) / shorter

    profile = [row for row in with_face if "profile" in row.sample.path.parts]
    return {
        "all faces": with_face,
        "frontal": [row for row in with_face if "profile" not in row.sample.path.parts],
        "profile": profile,
        "0.2 to 0.4": [row for row in with_face if share(row) < 0.4],
        "0.4 to 0.7": [row for row in with_face if 0.4 <= share(row) < 0.7],
        "0.7 and more": [row for row in with_face if share(row) >= 0.7],
    }


def report(contestant: Contestant, rows: Sequence[Outcome], seconds: Sequence[float]) -> None:
    people = np.array([row.sample.subject for row in rows])
    false = rate(np.array([row.false > 0 for row in rows]), people)
    print(f"\n{contestant.name}: {1e3 * statistics.median(seconds):.2f} ms a frame")
    print(f"  frames with a false box {false.value:.4f} [{false.low:.4f}, {false.high:.4f}] of {false.trials}")
    for name, group in groups(rows).items():
        if not group:
            continue
        found = rate(np.array([row.found for row in group]), np.array([row.sample.subject for row in group]))
        errors = np.array([row.error for row in group if row.found])
        near = (
            f", points {np.nanmedian(errors):.4f}, 90 % {np.nanquantile(errors, 0.9):.4f}" if contestant.points else ""
        )
        print(f"  {name:13} found {found.value:.4f} [{found.low:.4f}, {found.high:.4f}] of {found.trials}{near}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC")
    parser.add_argument("--split", type=Path)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--yunet", type=Path)
    parser.add_argument("--blazeface", type=Path)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    data = load(*arguments.data)
    if arguments.split:
        test = set(Split.read(arguments.split).test)
        data = data.select([person for person in data.subjects if person in test])
    order = np.random.default_rng(arguments.seed).permutation(len(data.samples))[: arguments.frames]
    samples = [data.samples[index] for index in sorted(order)]
    locator = Locator(arguments.bundle, engine=arguments.engine, precision=arguments.precision)
    contestants = [
        Contestant("OpenCV's cascade", Cascade(), 0),
        Contestant(f"{arguments.bundle} {arguments.precision} on {arguments.engine}", locator, 5),
    ]
    if arguments.yunet:
        contestants.append(Contestant("YuNet", yunet(arguments.yunet), 5))
    if arguments.blazeface:
        contestants.append(Contestant("BlazeFace", blazeface(arguments.blazeface), 3))
    rows: list[list[Outcome]] = [[] for _ in contestants]
    seconds: list[list[float]] = [[] for _ in contestants]
    for sample in samples:
        gray = images.load(sample.path)
        frame = np.asarray(gray if gray.ndim == 3 else cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), np.uint8)
        for number, contestant in enumerate(contestants):
            start = time.process_time()
            boxes = contestant.locate(frame)
            seconds[number].append(time.process_time() - start)
            rows[number].append(outcome(sample, boxes, frame.shape, contestant.points))
    print(f"{len(samples)} frames of {len({sample.subject for sample in samples})} people, overlap {OVERLAP}, ", end="")
    print(f"faces from {SMALLEST} of the shorter side")
    for contestant, results, times in zip(contestants, rows, seconds, strict=True):
        report(contestant, results, times)


if __name__ == "__main__":
    main()
