"""Measures of a pre-processed signature."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from edge_sdk.modalities.strokes import MEASURES, measure


def picture() -> np.ndarray:
    """No ink yet, ``float32 (1, 150, 180)``."""
    return np.zeros((1, 150, 180), np.float32)


def measured(tensor: np.ndarray) -> dict[str, float]:
    found = measure(tensor)
    assert found is not None
    return dict(zip(MEASURES, found, strict=True))


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_a_level_line_and_an_upright_one(width: int) -> None:
    level, upright = picture(), picture()
    level[0, 40 : 40 + width, 20:140] = 1
    upright[0, 20:140, 40 : 40 + width] = 1
    for tensor, turned in ((level, 1), (upright, -1)):
        found = measured(tensor)
        assert found["ink_in_box"] == 0
        assert turned * found["aspect"] == pytest.approx(math.log(120 / width))
        assert found["pieces"] == 0
        assert math.exp(found["stroke_width"]) == pytest.approx(width * 4 / math.pi, rel=0.1)
    assert measured(level)["upright"] < 0.1
    assert measured(upright)["upright"] > 0.9


@pytest.mark.parametrize("thickness", [4, 6, 9])
def test_the_width_of_a_bow(thickness: int) -> None:
    tensor = picture()
    cv2.ellipse(tensor[0], (90, 75), (70, 55), 0, 0, 360, 1, thickness)
    assert math.exp(measured(tensor)["stroke_width"]) == pytest.approx(thickness, rel=0.35)


def test_pieces_are_counted_without_the_paper() -> None:
    tensor = picture()
    for k in range(7):
        tensor[0, 20 * k : 20 * k + 5, 30:60] = 1
    assert math.exp(measured(tensor)["pieces"]) == pytest.approx(7)


def test_a_picture_of_ink_alone_is_measured_and_one_without_is_not() -> None:
    assert all(math.isfinite(value) for value in measured(picture() + 1).values())
    assert measure(picture()) is None
    assert measure(picture() + 0.5) is None
