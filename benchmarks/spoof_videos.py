"""Decisions over time on video files: people before the camera, and prints and screens of the same people.

    python benchmarks/spoof_videos.py BUNDLE --data cfp-frontal:PATH [--split split.json...] [--people 60] [--out films]
        [--faces cascade locator]

For each person one live picture, the first in which the cascade finds a face, becomes three films, written as Motion
JPEG: the face itself, a print and a screen, before the same kind of camera and moved by the same kind of hand. Each
film is then read as any video file is, faces are found by the cascade, or by each that ``--faces`` names, and the
default rule decides. ``--split`` takes the ``split.json`` of runs, the detector's and the locator's, and leaves out all
people but their test people.

A film of an attack is an error if it is LIVE after any frame; one of a person, if it is SPOOF after any frame or never
LIVE. Such films have the media of :mod:`edge_sdk.export.data.faces.instruments`, which training may have seen on
other people: they test the path from the file to the decision, not how real attacks fare.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge_sdk import Locator, SpoofDetector
from edge_sdk.calibration.thresholds import rate
from edge_sdk.export.data.faces.instruments import INSTRUMENTS, AttackInstrument, NoInstrument
from edge_sdk.export.data.faces.recapture import CAMERA, Picture, Shot, recapture
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.images import Image
from edge_sdk.preprocess import ToGray
from edge_sdk.results import SpoofDecision, StreamResult
from edge_sdk.runtime.faces import Cascade
from edge_sdk.runtime.sources import video

LIVE = "live"
WIDTH, HEIGHT = 400, 300
FPS, FRAMES = 12, 30

Film = list[StreamResult]


def film(face: Image, medium: AttackInstrument, rng: np.random.Generator) -> Iterator[Image]:
    """``uint8 (HEIGHT, WIDTH, 3)`` frames of a face, ``uint8 (H, W)``, or of a picture of it on a medium."""
    if not isinstance(medium, NoInstrument):
        face = Picture.draw(rng)(face, rng)
    shot, place = Shot.draw(rng), np.zeros((4, 2))
    for _ in range(FRAMES):
        # A hand trembles about a place that it does not quite keep.
        place = 0.8 * place + rng.normal(0, 0.004, (1, 2)) + rng.normal(0, 0.001, (4, 2))
        held = replace(shot, corners=(shot.corners + place).astype(np.float32))
        yield np.asarray(cv2.cvtColor(framed(recapture(face, medium, held, rng)), cv2.COLOR_GRAY2BGR), np.uint8)


def write(path: Path, frames: Iterator[Image]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise SystemExit(f"{path} cannot be written")
    for frame in frames:
        writer.write(frame)
    writer.release()


def framed(face: Image) -> Image:
    """``uint8 (HEIGHT, WIDTH)`` with the face ``(H, W)`` in its middle, as large as the camera makes it."""
    scale = CAMERA / max(face.shape)
    scaled = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    side, top = WIDTH - scaled.shape[1], HEIGHT - scaled.shape[0]
    frame = cv2.copyMakeBorder(scaled, top // 2, top - top // 2, side // 2, side - side // 2, cv2.BORDER_REPLICATE)
    return np.asarray(frame, np.uint8)


def learned_from(split: Split) -> set[str]:
    """All but the test people."""
    return set(split.everybody).difference(split.test)


def locatable(person: Dataset) -> Sample | None:
    """Their first live picture in which the cascade finds one face."""
    cascade = Cascade()
    live = (sample for sample in person.samples if sample.genuine)
    return next((sample for sample in live if len(cascade(framed(ToGray()(sample.read())))) == 1), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC", help="live faces with some surroundings")
    parser.add_argument("--split", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--people", type=int, default=60, metavar="N")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the films there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--faces", nargs="+", default=["cascade"], metavar="NAME", help="who finds faces: cascade, locator, or a bundle"
    )
    arguments = parser.parse_args()
    data = load(*arguments.data)
    for split in arguments.split:
        data = data.select(set(data.subjects).difference(learned_from(Split.read(split))))
    people = np.random.default_rng(arguments.seed).permutation(data.subjects)[: arguments.people]
    pictures = [picture for person in people if (picture := locatable(data.select([person]))) is not None]
    print(f"the cascade finds a face of {len(pictures)} of {len(people)} people")
    decided: dict[tuple[str, str], list[Film]] = {}
    with contextlib.ExitStack() as opened:
        folder = arguments.out or Path(opened.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        detectors = {name: opened.enter_context(detector(arguments.bundle, name, opened)) for name in arguments.faces}
        for number, picture in enumerate(pictures):
            face = ToGray()(picture.read())
            for index, kind in enumerate((LIVE, *INSTRUMENTS)):
                rng = np.random.default_rng([arguments.seed, number, index])
                path = folder / f"{kind}-{number:03d}.avi"
                write(path, film(face, INSTRUMENTS[kind].draw(rng) if kind in INSTRUMENTS else NoInstrument(), rng))
                for name, one in detectors.items():
                    decided.setdefault((kind, name), []).append(list(one.stream(video(path))))
                if not arguments.out:
                    path.unlink()
            print(f"{number + 1}/{len(pictures)} people", flush=True)
    print("| film | faces by | people | error | rate [95 %] | median frames to decide | one face | decisions |")
    print("|---|---|---|---|---|---|---|---|")
    for (kind, name), films in decided.items():
        print(line(kind, name, films, [picture.subject for picture in pictures]))


def detector(bundle: str, faces: str, opened: contextlib.ExitStack) -> SpoofDetector:
    """With the faces of the cascade, of the shipped locator as the detector uses it, or of a bundle as they are."""
    known: dict[str, Literal["cascade", "locator"]] = {"cascade": "cascade", "locator": "locator"}
    return SpoofDetector(bundle, faces=known[faces] if faces in known else opened.enter_context(Locator(faces)))


def line(kind: str, name: str, films: list[Film], people: list[str]) -> str:
    final = (SpoofDecision.LIVE, SpoofDecision.SPOOF)
    decided = [[result.decision for result in film] for film in films]
    ever = [{decision for decision in film if decision in final} for film in decided]
    wrong = [SpoofDecision.LIVE in one if kind in INSTRUMENTS else one != {SpoofDecision.LIVE} for one in ever]
    found = rate(np.array(wrong), np.array(people))
    firsts = (next((n for n, decision in enumerate(film, 1) if decision in final), None) for film in decided)
    after = [n for n in firsts if n]
    outcomes = Counter(" and ".join(sorted(decision.name for decision in one)) or "undecided" for one in ever)
    counts = ", ".join(f"{what} {count}" for what, count in outcomes.most_common())
    one_face = np.mean([len(result.frame.faces) == 1 for film in films for result in film])
    fields = (
        kind,
        name,
        str(len(people)),
        "APCER" if kind in INSTRUMENTS else "BPCER",
        f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]",
        f"{np.median(after):g}" if after else "",
        f"{one_face:.3f}",
        counts,
    )
    return "| " + " | ".join(fields) + " |"


if __name__ == "__main__":
    main()
