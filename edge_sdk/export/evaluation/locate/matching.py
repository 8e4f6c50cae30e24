"""Which of the boxes that a locator found show a true face, and which show none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import DatasetError
from edge_sdk.export.data.samples import Sample
from edge_sdk.preprocess.crop import LocatedFace
from edge_sdk.runtime.locator import SMALLEST

OVERLAP = 0.5
"""The least intersection over union of a true face's box and one that shows it, as of the WIDER FACE benchmark."""
FLOOR = 0.01
"""The least confidence of a box that is looked at; a face without one has the score 0."""


@dataclass(frozen=True)
class PictureOutcome:
    """What was found in one picture.

    Attributes:
        subject: Whose picture it is.
        found: For each true face that counts, the confidence of the box that shows it; 0 without one.
        false: The confidences of the boxes that show no true face, the highest first.
        point_errors: For each true face that was found, the mean distance of its points as a share of its box's side.
    """

    subject: str
    found: tuple[float, ...]
    false: tuple[float, ...]
    point_errors: tuple[float, ...]


def match(sample: Sample, shape: tuple[int, ...], found: Sequence[LocatedFace]) -> PictureOutcome:
    """Give each box, the surest first, to the true face that it overlaps most, if that has none yet.

    A second box on a face is a false one. True faces below the size that counts
    (:data:`edge_sdk.runtime.locator.SMALLEST`) are neither missed nor falsely found.

    Args:
        shape: Of the picture.
        found: All boxes from a low threshold on: what a higher one finds is part of them.

    Raises:
        DatasetError: Where its faces are is not known.
    """
    if sample.faces is None:
        raise DatasetError(f"{sample.path}: nothing says where its faces are; give data sets that do")
    least = SMALLEST * min(shape[:2])
    owner: dict[int, LocatedFace] = {}
    false = []
    for box in sorted(found, key=lambda one: -one.confidence):
        overlaps = [box.overlap(face) for face in sample.faces]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= OVERLAP and best not in owner:
            owner[best] = box
        elif max(box.width, box.height) >= least:
            false.append(box.confidence)
    counting = [number for number, face in enumerate(sample.faces) if max(face.width, face.height) >= least]
    return PictureOutcome(
        sample.subject,
        tuple(owner[number].confidence if number in owner else 0.0 for number in counting),
        tuple(false),
        tuple(point_error(sample.faces[number], owner[number]) for number in counting if number in owner),
    )


def point_error(true: LocatedFace, found: LocatedFace) -> float:
    """The mean distance of the points, as a share of the true box's longer side."""
    apart = np.subtract(true.points, found.points)
    return float(np.hypot(apart[:, 0], apart[:, 1]).mean() / max(true.width, true.height))


def score_set(outcomes: Sequence[PictureOutcome]) -> ScoreSet:
    """Outcomes as comparisons: each true face is a mated one, and each picture an impostor.

    The score of a face is the confidence with which it is found; that of a picture the highest of a false box in it, 0
    without one. So FNMR is the share of faces that are missed, FMR that of pictures with a false box.
    """
    faces = [(score, outcome.subject) for outcome in outcomes for score in outcome.found]
    pictures = [(max(outcome.false, default=0.0), outcome.subject) for outcome in outcomes]
    scores, subjects = zip(*faces, *pictures, strict=True) if pictures else ((), ())
    return ScoreSet(scores, [True] * len(faces) + [False] * len(pictures), subjects)
