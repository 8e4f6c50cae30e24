"""The box of a face by its five points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SIDE = 2.5
"""Side of the box over the distance between the eyes, or between eyes and mouth, whichever is longer. With this and
the next, the box of a frontal face is that of OpenCV's cascade: medians of 482 pictures of CFP's training people."""
RISE = 0.075
"""How far the box's centre lies above the middle of eyes and mouth, as a share of its side."""
MIRRORED = (1, 0, 2, 4, 3)
"""The order of the points of a picture that is mirrored."""


def face_box(points: Floats) -> Floats:
    """The square round a face: left, top, right, bottom ``(..., 4)``, in the unit of the points.

    A face that is turned away shows its nose off the line from eyes to mouth; its head lies as far on the other side.

    Args:
        points: ``(..., 5, 2)``: x and y of the person's right eye, left eye, nose tip, right and left mouth corner.
    """
    eyes, mouth, nose = points[..., :2, :].mean(-2), points[..., 3:, :].mean(-2), points[..., 2, :]
    down = mouth - eyes
    length = np.maximum(np.linalg.norm(down, axis=-1, keepdims=True), np.float32(1e-6))
    side = SIDE * np.maximum(length, np.linalg.norm(points[..., 0, :] - points[..., 1, :], axis=-1, keepdims=True))
    down = down / length
    ahead = nose - eyes
    ahead = ahead - (ahead * down).sum(-1, keepdims=True) * down
    center = (eyes + mouth) / 2 - RISE * side * down - ahead
    return np.concatenate([center - side / 2, center + side / 2], axis=-1).astype(np.float32)
