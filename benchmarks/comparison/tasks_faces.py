"""Tasks on faces: films, and a stream of their frames."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from comparison.tasks import task
from edge_sdk import SpoofDetector

WIDTH, HEIGHT, FPS = 640, 480, 30
_DETECTORS: dict[str, SpoofDetector] = {}


@task
def films(nuaa: str, lfw: str, people: int, cache: str) -> list[dict[str, Any]]:
    """Films of LFW's people by the product's generator: kind, person, and the frames in their order.

    They are of the people who were dealt to the test of the bundle ``liveness``, which has learned from no picture of
    them: of its data sets, each shuffled in turn, the last 120 people of LFW.
    """
    from edge_sdk.export.data.load import load

    os.environ["EDGE_SDK_CACHE"] = cache  # the user's own: films take longer to render than to decide
    rng = np.random.default_rng(0)
    rng.permutation(sorted(load(f"nuaa-train:{nuaa}").subjects))
    drawn = rng.permutation(sorted(load(f"lfw:{lfw}").subjects))[-120:]
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for person in drawn:
        if len({who for who, _ in found}) == people:
            break
        try:
            shown = load(f"film+lfw:{lfw}", subjects=[str(person)])
        except ValueError:  # the cascade finds no face in this person's pictures
            continue
        for sample in shown.samples:
            found[sample.subject, sample.attack or "live"].append(str(sample.path))
    return [{"person": who, "kind": kind, "frames": frames} for (who, kind), frames in found.items()]


@task
def open_stream(name: str, bundle: str, options: dict[str, Any]) -> dict[str, str]:
    """A detector whose streams are timed."""
    detector = SpoofDetector(bundle, **options)
    _DETECTORS[name] = detector
    return {"engine": detector.engine}


@task
def play(name: str, frames: Sequence[str]) -> dict[str, Any]:
    """Milliseconds of the processor from a frame's pixels to its decision, and what was decided of frame and stream."""
    pictures = [as_full_frame(path) for path in frames]

    def arriving() -> Iterator[tuple[float, Any]]:
        for number, picture in enumerate(pictures):
            yield number / FPS, picture

    times, single, over_time = list[float](), list[str](), list[str]()
    stream = _DETECTORS[name].stream(arriving())
    while True:
        start = time.process_time()
        result = next(stream, None)
        taken = (time.process_time() - start) * 1e3
        if result is None:
            return {"ms": times, "frames": single, "stream": over_time}
        times.append(taken)
        single.append(result.frame.decision.name)
        over_time.append(result.decision.name)


def as_full_frame(path: str) -> Any:
    """A frame of a film as a camera of 640 x 480 pixels gives it, BGR."""
    picture: Any = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    return cv2.cvtColor(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)
