"""Faces mirrored, turned, moved and without colours."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.export.data.augmentation import change_sample
from edge_sdk.export.data.faces.augmentation import NEVER, Chance
from edge_sdk.export.data.faces.placement import FacePlacement

GRADIENT = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None, :], 60, axis=0)
COLOURS = np.stack([GRADIENT, GRADIENT[::-1].T, np.full_like(GRADIENT, 7)], axis=2)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("image", [GRADIENT, COLOURS], ids=["gray", "colour"])
def test_right_and_left_are_swapped_and_nothing_else(image: np.ndarray) -> None:
    before = image.copy()
    assert np.array_equal(FacePlacement(flip=1.0)(image, rng()), image[:, ::-1])
    assert np.array_equal(FacePlacement(flip=0.0)(image, rng()), image)
    assert np.array_equal(image, before)


def test_a_turn_moves_pixels_by_its_angle() -> None:
    turned = FacePlacement(flip=0.0, rotation=Chance(1.0, 20.0))
    angle = np.deg2rad(Chance(1.0, 20.0).draw(rng()))
    found = turned(GRADIENT, rng()).astype(float)
    for row, column in ((20, 25), (35, 40), (30, 29)):
        x, y = column - 29.5, row - 29.5
        # OpenCV's positive angles turn the picture counter-clockwise: what is here was to the right and below.
        expected = 4 * (29.5 + x * np.cos(angle) - y * np.sin(angle))
        assert found[row, column] == pytest.approx(expected, abs=1)


def test_a_shift_is_a_share_of_the_sides() -> None:
    moved = FacePlacement(flip=0.0, translation=Chance(1.0, 0.1))
    across, _ = Chance(1.0, 0.1).draws(_after_one(), 2)
    found = moved(GRADIENT, rng()).astype(float)
    assert found[30, 30] == pytest.approx(4 * (30 - 60 * across), abs=1)


def _after_one() -> np.random.Generator:
    generator = rng()
    NEVER.draw(generator)
    return generator


def test_without_colours_the_channels_are_equal() -> None:
    found = change_sample(FacePlacement(flip=0.0, gray=1.0), np.moveaxis(COLOURS, 2, 0).copy(), rng())
    assert found.shape == (3, 60, 60)
    weights = COLOURS[..., 0] * 0.299 + COLOURS[..., 1] * 0.587 + COLOURS[..., 2] * 0.114
    for channel in found:
        assert np.abs(channel - weights).max() <= 1
    assert np.array_equal(FacePlacement(flip=0.0, gray=1.0)(GRADIENT, rng()), GRADIENT)


def test_frequencies_are_checked() -> None:
    for wrong in ({"flip": 1.5}, {"gray": -0.1}):
        with pytest.raises(UsageError, match="0 to 1"):
            FacePlacement(**wrong)
