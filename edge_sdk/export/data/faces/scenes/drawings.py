"""Pictures without a face: pages of writing, shapes and lines, drawn by OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789&?!"


def drawings(count: int, height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """``uint8 (count, 1, height, width)``."""
    return np.stack([_drawing(height, width, rng)[None] for _ in range(count)])


def _drawing(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    paper = int(rng.choice(np.array([255, 235, rng.integers(40, 255), 20])))
    page = np.full((2 * height, 2 * width), paper, np.uint8)
    for _ in range(int(rng.integers(1, 14))):
        ink = int(np.clip(paper + rng.choice([-1, 1]) * rng.integers(25, 220), 0, 255))
        _draw(page, ink, rng)
    return np.asarray(cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _draw(page: NDArray[np.uint8], ink: int, rng: np.random.Generator) -> None:
    size = np.array(page.shape[::-1])
    at = tuple(int(value) for value in rng.integers(0, size))
    thick = int(rng.integers(1, 7))
    match int(rng.integers(5)):
        case 0:  # writing
            text = "".join(LETTERS[k] for k in rng.integers(0, len(LETTERS), int(rng.integers(2, 12))))
            cv2.putText(page, text, at, int(rng.integers(8)), float(rng.uniform(0.4, 3)), ink, min(thick, 3))
        case 1:  # a stroke of a pen
            steps = rng.normal(0, rng.uniform(3, 25), (int(rng.integers(10, 80)), 2)).cumsum(0)
            smooth = np.stack([np.convolve(one, np.ones(5) / 5, "valid") for one in steps.T], 1)
            cv2.polylines(page, [np.int32(smooth + at)], bool(rng.random() < 0.2), ink, min(thick, 4), cv2.LINE_AA)
        case 2:  # an ellipse, often a full circle
            axes = rng.integers(4, 120, 2) if rng.random() < 0.6 else np.repeat(rng.integers(4, 90), 2)
            filled = -1 if rng.random() < 0.5 else thick
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(page, at, (int(axes[0]), int(axes[1])), turn, 0, 360, ink, filled, cv2.LINE_AA)
        case 3:  # a rectangle
            end = tuple(int(value) for value in rng.integers(0, size))
            cv2.rectangle(page, at, end, ink, -1 if rng.random() < 0.4 else thick)
        case _:  # a polygon
            corners = rng.normal(0, rng.uniform(10, 90), (int(rng.integers(3, 7)), 2)) + at
            cv2.fillPoly(page, [np.int32(corners)], ink, cv2.LINE_AA)
