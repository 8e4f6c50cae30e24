"""Enrol a driver from five frames of a camera, liveness first; later let only a live driver verify.

    python examples/driver_enrolment.py enrol SOURCE driver.template
    python examples/driver_enrolment.py verify SOURCE driver.template

SOURCE is a video, or the number of a camera. The environment variable EDGE_SDK_TEMPLATE_KEY names the key of the
template, which `edge-sdk keygen template` makes. Exit code 0: enrolled or accepted; 1: not; 2: usage; 3: an error.

Liveness is decided over time, from the frames of one face. Only frames that belong to a LIVE decision are enrolled or
compared: a frame taken before, or after the face was gone for a moment, may show somebody else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from edge_sdk import EdgeSdkError, Shots, SpoofDetector, Template, TemplateKey, Verifier
from edge_sdk.runtime import sources

FRAMES = 5
APART_S = 0.4
PATIENCE_S = 15.0

Frames = Iterable[tuple[float, Any]]


class NotEnrolled(Exception):  # noqa: N818 - an outcome, no error
    """Nobody was enrolled, and why."""


def live(frames: Frames, detector: SpoofDetector) -> Iterator[tuple[float, int | None, Any]]:
    """Time, track and picture of the frames that show a live face, by themselves and over time; for some seconds."""
    shown: list[Any] = []

    def passing() -> Iterator[tuple[float, Any]]:
        start = None
        for time, picture in frames:
            start = time if start is None else start
            if time - start > PATIENCE_S:
                return
            shown[:] = [picture]
            yield time, picture

    for result in detector.stream(passing()):
        if result.is_live and result.frame.is_live:
            yield result.time, result.track, shown[0]


def enrol(frames: Frames, detector: SpoofDetector, verifier: Verifier) -> Template:
    """A template of five good frames of one live face, each of which matches the other four."""
    chosen: list[Any] = []
    last = known = None
    for time, track, picture in live(frames, detector):
        if track != known:  # another face, or the same after it was lost: start anew
            chosen, last, known = [], None, track
        if last is not None and time - last < APART_S:
            continue
        prepared = verifier.prepare(picture)
        if prepared.blocking or prepared.not_enrolled:
            continue
        chosen, last = [*chosen, picture], time
        if len(chosen) == FRAMES:
            break
    if len(chosen) < FRAMES:
        raise NotEnrolled(f"{len(chosen)} of {FRAMES} good frames of a live face: look into the camera, in even light")
    for number, picture in enumerate(chosen):
        if not verifier.verify(chosen[:number] + chosen[number + 1 :], picture):
            raise NotEnrolled("the frames do not match each other")
    return verifier.enroll(chosen)


def verify(frames: Frames, template: Template, detector: SpoofDetector, verifier: Verifier) -> bool:
    """Whether a live face is the enrolled one: the best of its frames, within a few seconds."""
    shots: list[tuple[float, Any]] = []
    known = None
    for time, track, picture in live(frames, detector):
        if track != known:
            shots, known = [], track
        shots.append((time, picture))
        if time - shots[0][0] >= APART_S * FRAMES:
            break
    return bool(shots) and verifier.verify(template, Shots(shots)).decision


def main(command: str, source: str, path: str) -> int:
    key = TemplateKey.named(os.environ.get("EDGE_SDK_TEMPLATE_KEY", ""))  # before anybody looks into the camera
    frames = sources.camera(int(source)) if source.isdecimal() else sources.video(source)
    with SpoofDetector("liveness") as detector, Verifier("face_lite") as verifier:
        if command == "enrol":
            enrol(frames, detector, verifier).save(path, key=key)
            print(f"enrolled: {path}")
            return 0
        accepted = verify(frames, Template.load(path, key=key), detector, verifier)
        print("accepted" if accepted else "not accepted")
        return 0 if accepted else 1


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("enrol", "verify"):
        print(f"usage: {sys.argv[0]} enrol|verify SOURCE TEMPLATE", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(*sys.argv[1:]))
    except NotEnrolled as outcome:
        print(f"not enrolled: {outcome}")
        sys.exit(1)
    except EdgeSdkError as error:  # whatever goes wrong, nobody is accepted
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3)
