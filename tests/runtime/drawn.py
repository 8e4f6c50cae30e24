"""Faces drawn from ellipses: as much of one as the cascade needs."""

from __future__ import annotations

import cv2
import numpy as np

WALL = 90


def face(side: int = 200) -> np.ndarray:
    """A face before a wall, ``uint8 (side, side)``."""
    scale = side / 200
    picture = np.full((side, side), WALL, np.uint8)
    parts = [  # centre, axes, first and last angle, level: head, hair, eye sockets, eyes, brows, nose, nostrils, mouth
        ((100, 105), (68, 90), 0, 360, 180),
        ((100, 45), (66, 35), 180, 360, 50),
        *[((x, y), axes, 0, 360, v) for x in (72, 128)
          for y, axes, v in ((88, (20, 12), 110), (90, (14, 6), 60), (76, (20, 4), 60))],
        ((100, 118), (8, 24), 0, 360, 210),
        ((100, 140), (14, 5), 0, 360, 120),
        ((100, 162), (26, 7), 0, 360, 85),
    ]  # fmt: skip
    for centre, axes, first, last, level in parts:
        at, size = (tuple(int(v * scale) for v in pair) for pair in (centre, axes))
        cv2.ellipse(picture, at, size, 0, first, last, level, -1)
    return cv2.GaussianBlur(picture, (0, 0), 4 * scale)


def frame(*faces: tuple[int, int, int], seed: int = 0, height: int = 480, width: int = 640) -> np.ndarray:
    """Faces at (left, top, side) before a wall lit from one side, with a sensor's noise, which ``seed`` draws.

    ``uint8 (height, width, 3)``.
    """
    picture = np.tile(np.linspace(WALL - 20, WALL + 20, width).astype(np.int16), (height, 1))
    for left, top, side in faces:
        picture[top : top + side, left : left + side] = face(side)
    noise = np.random.default_rng(seed).integers(-2, 3, (height, width, 3))
    return (picture[:, :, None] + noise).astype(np.uint8)
