"""The flips and rotations of document 004."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.export.data.faces.flip_rotate import FlipRotate

SIDE = 41


def changed(image: np.ndarray, degrees: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    change = FlipRotate(degrees).for_person(rng)
    return change(image, rng)


def test_half_are_mirrored() -> None:
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    kept = image.copy()
    flips = 0
    for seed in range(400):
        found = changed(image, 0, seed)
        mirrored = np.array_equal(found, image[:, ::-1])
        assert mirrored or np.array_equal(found, image)
        flips += mirrored
    assert 160 < flips < 240
    assert np.array_equal(image, kept)


def test_a_point_turns_about_the_middle_by_at_most_so_many_degrees() -> None:
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[18:23, 34:39] = 200  # a block 16 pixels to the right of the middle, 20, 20
    angles = []
    for seed in range(60):
        found = changed(image, 20, seed).astype(float)
        rows, columns = np.indices(found.shape)
        x = (found * columns).sum() / found.sum() - 20
        y = (found * rows).sum() / found.sum() - 20
        assert math.hypot(x, y) == pytest.approx(16, abs=0.1)
        angles.append(math.degrees(math.atan2(-y, abs(x))))
    assert max(map(abs, angles)) < 20.3
    assert max(angles) > 12
    assert min(angles) < -12


def test_what_turns_in_is_black() -> None:
    image = np.full((SIDE, SIDE), 255, np.uint8)
    corners = [changed(image, 20, seed)[[0, 0, -1, -1], [0, -1, 0, -1]].max() for seed in range(20)]
    assert np.mean(np.array(corners) == 0) > 0.8
    with pytest.raises(UsageError, match="0 to 180"):
        FlipRotate(200)
