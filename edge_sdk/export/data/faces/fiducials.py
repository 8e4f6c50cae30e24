"""Five points of a face from CFP's thirty, which mark one half of it.

``Data/Fiducials/NNN/{frontal,profile}/NN.txt`` holds a line ``x,y`` in pixels for each point. In frontal pictures they
are on the person's right half (left in the picture), in profiles on the half that is seen, in this order (from 1):

    1-9    jaw, from the ear to the chin (9)
    10-12  eyebrow, towards the nose
    13-18  eye: outer corner, upper lid twice, inner corner (16), lower lid twice
    19-22  ridge of the nose, down to its tip (22)
    23-25  below the nose, from the middle to the wing
    26     corner of the mouth
    27-30  middle of the lips: above, upper edge inside (28), below (29), lower edge inside (30)

So an eye, a corner of the mouth and the tip of the nose are marked; the other eye and corner are derived: a mean face
(:data:`SHAPE`) is turned, scaled and moved onto the points, and the marked ones are mirrored in its middle plane. In a
profile, where the other half is hidden, they lie where they would be seen through the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import DatasetError

Floats = NDArray[np.float64]

COUNT = 30
_OUTER, _NASION, _TIP, _CORNER, _LIP = 13, 19, 22, 26, 27
_EYE, _LIPS = range(13, 19), (28, 30)

SHAPE = {
    1: (-1.14, 0.07, -1.46),
    2: (-1.12, 0.37, -1.44),
    3: (-1.09, 0.67, -1.43),
    10: (-0.94, -0.20, -0.30),
    11: (-0.61, -0.33, -0.09),
    12: (-0.24, -0.25, 0.02),
    13: (-0.70, 0.03, -0.33),
    14: (-0.58, -0.05, -0.23),
    15: (-0.44, -0.05, -0.16),
    16: (-0.32, 0.03, -0.14),
    17: (-0.45, 0.07, -0.31),
    18: (-0.57, 0.08, -0.11),
    19: (0.00, 0.00, 0.00),
    20: (0.00, 0.20, 0.09),
    21: (0.00, 0.40, 0.20),
    22: (0.00, 0.61, 0.31),
    23: (0.00, 0.78, 0.04),
    24: (-0.11, 0.76, -0.05),
    25: (-0.20, 0.71, -0.14),
    26: (-0.42, 1.12, -0.30),
    27: (0.00, 1.00, 0.00),
    28: (0.00, 1.10, -0.04),
    29: (0.00, 1.35, -0.12),
    30: (0.00, 1.20, -0.11),
}
"""Mean positions of points on the right half, by number: x to the person's left, y down, z forward, from the root of
the nose (19), in units of its distance to the upper lip (27). They are the alternating least squares of scaled
orthographic projections on the fiducials of CFP's people 001 to 300, with the middle of the face held at x = 0."""
RIGID = (1, 2, 3, *range(10, 26), 27)
"""The points that the mean face is laid onto: the jaw below, the lips and the corner of the mouth move."""
PRIOR = 0.25
"""What the mean face's distance of a point from the middle plane weighs against its own: as the square of the x axis'
length, relative to the scale, by which that is measured."""


@dataclass(frozen=True, eq=False)
class FivePoints:
    """Five points of a face.

    Attributes:
        points: ``float64 (5, 2)``, x and y in the picture's pixels: the person's right eye (left in a frontal picture),
            left eye, tip of the nose, right and left corner of the mouth. Derived ones may lie outside the picture.
        marked: ``bool (5,)``, whether the data set marks the point; the others are derived.
        yaw: Degrees that the head is turned by, towards the right of the picture, estimated with the mean face.
    """

    points: Floats
    marked: NDArray[np.bool_]
    yaw: float


def read(picture: Path) -> Floats:
    """The 30 points of a picture of CFP, ``float64 (30, 2)``.

    Raises:
        DatasetError: The file is missing, or does not hold 30 points.
    """
    folders = picture.parts
    if len(folders) < 4 or folders[-4] != "Images":
        raise DatasetError(f"{picture} does not lie in a folder Data/Images of CFP, beside which the fiducials are")
    path = Path(*folders[:-4], "Fiducials", *folders[-3:]).with_suffix(".txt")
    try:
        points = np.array([[float(word) for word in line.split(",")] for line in path.read_text("ascii").split()])
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: no fiducials, or they cannot be read: {error}; fetch CFP again") from error
    if points.shape != (COUNT, 2) or not np.isfinite(points).all():
        raise DatasetError(f"{path}: expected {COUNT} lines such as 23.34,74.42, not an array of {points.shape}")
    return points


def five_points(fiducials: Floats) -> FivePoints:
    """The five points of :func:`read`'s thirty, ``float64 (30, 2)``. Raises DatasetError if all lie on one line."""
    down, outwards = _at(fiducials, _LIP) - _at(fiducials, _NASION), _at(fiducials, _OUTER) - _at(fiducials, _NASION)
    right = down[0] * outwards[1] - down[1] * outwards[0] > 0
    half = fiducials if right else fiducials * [-1, 1]
    axes, origin = _fit(half)
    eye = half[np.array(_EYE) - 1].mean(axis=0)
    eye_shape = np.mean([SHAPE[number] for number in _EYE], axis=0)
    other_eye = _mirrored(eye, eye_shape[0], origin + axes @ (eye_shape * [0, 1, 1]), axes)
    corner, corner_shape = _at(half, _CORNER), np.array(SHAPE[_CORNER])
    # The mouth opens and moves, so that the middle is taken from the lips.
    from_lips = corner_shape - np.mean([SHAPE[number] for number in _LIPS], axis=0)
    middle = half[np.array(_LIPS) - 1].mean(axis=0) + axes @ (from_lips * [0, 1, 1])
    other_corner = _mirrored(corner, corner_shape[0], middle, axes)
    points = np.stack([eye, other_eye, _at(half, _TIP), corner, other_corner])
    marked = np.array([True, False, True, True, False])
    yaw = float(np.degrees(np.arctan2(axes[0, 2], axes[0, 0])))
    if right:
        return FivePoints(points, marked, yaw)
    swapped = [1, 0, 2, 4, 3]
    return FivePoints((points * [-1, 1])[swapped], marked[swapped], -yaw)


def _at(points: Floats, number: int) -> Floats:
    return points[number - 1]


def _fit(half: Floats) -> tuple[Floats, Floats]:
    """The mean face on the points: where its axes point in the picture, (2, 3), and its origin, (2,).

    The least-squares affine map, made a scaled orthographic projection: its singular values are replaced by their mean.
    """
    shape, seen = np.array([SHAPE[number] for number in RIGID]), half[np.array(RIGID) - 1]
    middle, place = shape.mean(axis=0), seen.mean(axis=0)
    affine = np.linalg.lstsq(shape - middle, seen - place, rcond=None)[0].T
    rotation, scales, turned = np.linalg.svd(affine, full_matrices=False)
    if scales[1] <= 1e-6 * max(scales[0], 1):
        raise DatasetError("the fiducials lie on one line, so that they are of no face")
    axes = scales.mean() * rotation @ turned
    return axes, place - axes @ middle


def _mirrored(point: Floats, width: float, middle: Floats, axes: Floats) -> Floats:
    """A marked point mirrored in the middle plane, whose distance is measured along the x axis of the mean face.

    Seen from the side that axis is short, and its distance in the mean face counts the more.

    Args:
        point: The marked one.
        width: Its x in the mean face.
        middle: Where it would be with x = 0.
        axes: Of the mean face in the picture, (2, 3).
    """
    across, weight = axes[:, 0], PRIOR * (axes**2).sum() / 2
    distance = (across @ (point - middle) + weight * width) / (across @ across + weight)
    return point - 2 * distance * across
