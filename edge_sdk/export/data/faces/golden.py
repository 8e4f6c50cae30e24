"""Drawn faces: golden inputs that show nobody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image

SIDE = 160
WALL, SKIN, HAIR, SHADE = 90, 180, 50, 85


def pngs() -> dict[str, bytes]:
    """Two crops of a face as files, by name: ``plain``, and ``screen``, the same with a display's rows."""
    plain = portrait()
    screen = plain.copy()
    screen[::3] = screen[::3] // 2
    return _files(plain=plain, screen=screen)


def pair() -> dict[str, bytes]:
    """Two crops of one face as files, by name: ``reference``, and ``query``, nearer and darker."""
    reference = portrait()
    return _files(reference=reference, query=reference[6:-6, 6:-6] // 8 * 7)


def frames() -> dict[str, bytes]:
    """Two frames with one face each as files, by name: ``landscape``, and ``square``, which it nearly fills."""
    return _files(landscape=_framed(portrait(), 240, 320, 50, 110), square=_framed(portrait(), 176, 176, 8, 8))


def _framed(face: Image, height: int, width: int, top: int, left: int) -> Image:
    frame: NDArray[np.uint8] = np.full((height, width), WALL, np.uint8)
    frame[top : top + SIDE, left : left + SIDE] = face
    return frame


def _files(**pictures: Image) -> dict[str, bytes]:
    return {f"{name}.png": cv2.imencode(".png", picture)[1].tobytes() for name, picture in pictures.items()}


def portrait() -> Image:
    """A face of ellipses before a wall, lit from the left, with a sensor's noise: ``uint8 (160, 160)``."""
    picture: NDArray[np.uint8] = np.full((SIDE, SIDE), WALL, np.uint8)
    parts = [  # centre, axes, level; a head with hair, then eyes, brows, nose and mouth
        ((80, 84), (54, 72), SKIN),
        ((80, 26), (52, 24), HAIR),
        *(((x, y), axes, level) for x in (58, 102) for y, axes, level in ((72, (11, 5), HAIR), (60, (16, 3), SHADE))),
        ((80, 94), (6, 18), SKIN + 30),
        ((80, 130), (21, 6), SHADE),
    ]
    for centre, axes, level in parts:
        cv2.ellipse(picture, centre, axes, 0, 0, 360, level, -1)
    light = np.linspace(1.1, 0.8, SIDE)
    noise = np.random.default_rng(0).normal(0, 2, picture.shape)
    return np.rint(cv2.GaussianBlur(picture, (0, 0), 2) * light + noise).clip(0, 255).astype(np.uint8)
