"""The measures behind the quality flags of faces: how they are spread, and what few pixels and blur do to error rates.

    python benchmarks/face_quality.py --cfp PATH [--lfw PATH] [--locator BUNDLE] [--bundle face_lite] [--people 300]

The first table has quantiles of each measure over training people alone: CFP's folds 01 to 06, frontal pictures and
profiles apart, and LFW's people in no fold. Faces are found by a bundle of task ``locate``. The last column is the
share of the pictures with the flag that blocks, or forbids to enrol, at the limits of
:mod:`edge_sdk.runtime.face_quality`.

With ``--bundle`` a second table has what becomes of that bundle's error rates when frontal pictures are made small or
blurred: FMR and FNMR at the threshold whose FMR is 1 % on the pictures as they are. "one" compares a bad picture with
a good one, "both" two bad ones, where the harder limits come from. The bundle has seen these people; the table says
what changes, not how well it recognises others.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk import LocatedFace, Locator, Verifier, images
from edge_sdk.export.data.load import load
from edge_sdk.export.data.pair_lists import load_pairs
from edge_sdk.images import Image
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.runtime.face_quality import Geometry, assess, sharpness
from edge_sdk.tables import Table

TRAINING_FOLDS = range(1, 7)
QUANTILES = (0.0, 0.005, 0.01, 0.05, 0.5, 0.95, 0.99, 0.995, 1.0)
FLAGS = {"eyes": "too_small", "yaw": "turned_away", "pitch": "turned_away", "roll": "tilted", "sharpness": "blurred"}
EYES = (32, 24, 20, 16, 12, 8)
BLURS = (1.0, 1.5, 2.0, 3.0, 4.0)
ALIGNMENT = FaceAlignment()
Find = Callable[[Image], Sequence[LocatedFace]]


def groups(cfp: Path, lfw: Path | None, people: int) -> dict[str, list[Path]]:
    """Two pictures of each training person and kind."""
    train = sorted(load_pairs(f"cfp-pooled:{cfp}").people(TRAINING_FOLDS))[:people]
    found: dict[str, list[Path]] = defaultdict(list)
    taken: dict[tuple[str, str], int] = defaultdict(int)
    for sample in load(f"cfp:{cfp}").select(train).samples:
        kind = f"CFP {sample.path.parent.name}"
        taken[sample.subject, kind] += 1
        if taken[sample.subject, kind] <= 2:
            found[kind].append(sample.path)
    if lfw is not None:
        pairs = load_pairs(f"lfw:{lfw}")
        tested = pairs.people(pairs.numbers)
        data = load(f"lfw:{lfw}")
        train = sorted(set(data.subjects) - tested)[: 2 * people]
        for sample in data.select(train).samples:
            taken[sample.subject, "LFW"] += 1
            if taken[sample.subject, "LFW"] <= 1:
                found["LFW"].append(sample.path)
    return found


def spread(find: Find, pictures: dict[str, list[Path]]) -> Table:
    """Quantiles of each measure."""
    rows = []
    for kind, paths in pictures.items():
        measured: dict[str, list[float]] = defaultdict(list)
        flagged: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        found = [(image, faces[0]) for image in map(images.load, paths) if (faces := find(image))]
        for image, face in found:
            geometry = Geometry.of(face.points, ALIGNMENT, image.shape)
            aligned = ALIGNMENT(image, face.points)
            for name in ("eyes", "yaw", "pitch", "roll"):
                measured[name].append(getattr(geometry, name))
            measured["sharpness"].append(sharpness(aligned))
            result = assess(aligned, geometry)
            for name, flag in FLAGS.items():
                flagged[name][0] += flag in result.blocking
                flagged[name][1] += flag in result.flags
        for name, values in measured.items():
            shares = "/".join(f"{count / len(found):.2%}" for count in flagged[name])
            rows.append((kind, f"{len(found)}/{len(paths)}", name, *_numbers(np.quantile(values, QUANTILES)), shares))
    head = ("pictures", "found", "measure", *(f"{share:.1%}" for share in QUANTILES), "blocks/flag")
    return Table(head, rows)


def _numbers(values: NDArray[np.float64]) -> list[str]:
    return [f"{value:.3g}" for value in values]


def degraded(bundle: str, find: Find, paths: list[Path]) -> Table:
    """Error rates of pictures that were made small or blurred."""
    located = [(path, image, faces[0]) for path in paths if (faces := find(image := images.load(path)))]
    people = np.array([path.parents[1].name for path, _, _ in located])
    same = people[:, None] == people
    other, mated = ~same, same & ~np.eye(len(people), dtype=bool)
    rows: list[tuple[str, ...]] = []
    with Verifier(bundle, faces="aligned", threshold=0.5) as verifier:
        matrix = verifier.bundle.manifest.score.matrix

        def row(name: str, faces: list[Image]) -> None:
            values = verifier.embed(faces)
            one, both = matrix(good, values), matrix(values, values)
            rates = [np.mean(scores[other] >= threshold) for scores in (one, both)]
            rates += [np.mean(scores[mated] < threshold) for scores in (one, both)]
            measured = np.median([sharpness(face) for face in faces])
            rows.append((name, f"{measured:.3f}", *(f"{rate:.2%}" for rate in rates)))

        sound = [ALIGNMENT(image, face.points) for _, image, face in located]
        good = verifier.embed(sound)
        threshold = float(np.quantile(matrix(good, good)[other], 0.99))
        row("as they are", sound)
        for eyes in EYES:
            row(f"{eyes} pixels between the eyes", [_small(image, face, eyes) for _, image, face in located])
        for blur in BLURS:
            row(f"blur of {blur:g} pixels of 112", [_blurred(face, blur) for face in sound])
    return Table(("pictures", "sharpness", "FMR one", "FMR both", "FNMR one", "FNMR both"), rows)


def _small(image: Image, face: LocatedFace, eyes: float) -> Image:
    """The face as a frame would show it in which its eyes are so far apart."""
    scale = min(1.0, eyes / Geometry.of(face.points, ALIGNMENT, image.shape).eyes)
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    ratio = small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]
    return ALIGNMENT(small, np.asarray(face.points) * ratio)


def _blurred(face: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(face, (0, 0), sigma), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfp", type=Path, required=True)
    parser.add_argument("--lfw", type=Path)
    parser.add_argument("--locator", default="face_locator")
    parser.add_argument("--bundle")
    parser.add_argument("--people", type=int, default=300)
    arguments = parser.parse_args()
    pictures = groups(arguments.cfp, arguments.lfw, arguments.people)
    with Locator(arguments.locator) as locator:
        print(spread(locator, pictures).plain())
        if arguments.bundle:
            print()
            print(degraded(arguments.bundle, locator, pictures["CFP frontal"]).plain())


if __name__ == "__main__":
    main()
