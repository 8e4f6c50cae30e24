"""Faces cut out of frames, with what lies outside the frame."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import InputError
from edge_sdk.manifest import Image
from edge_sdk.preprocess.crop import Box, FaceCrop, LocatedFace

PICTURE = np.arange(1, 31, dtype=np.uint8).reshape(5, 6)
OVERFLOWS = st.sampled_from(["replicate", "black", "shift"])


@st.composite
def boxes(draw: st.DrawFn, height: int = 5, width: int = 6) -> Box:
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return Box(left, top, draw(st.integers(1, width - left)), draw(st.integers(1, height - top)))


def test_a_square_inside_is_cut_as_it_is() -> None:
    for overflow in ("replicate", "black", "shift"):
        cut = FaceCrop(scale=1.0, overflow=overflow)(PICTURE, Box(1, 2, 3, 3))
        np.testing.assert_array_equal(cut, PICTURE[2:5, 1:4])


def test_overflow() -> None:
    corner = Box(0, 0, 2, 2)  # a square of 4 from (-1, -1)
    repeated = [[1, 1, 2, 3], [1, 1, 2, 3], [7, 7, 8, 9], [13, 13, 14, 15]]
    black = [[0, 0, 0, 0], [0, 1, 2, 3], [0, 7, 8, 9], [0, 13, 14, 15]]
    assert FaceCrop(scale=2.0, overflow="replicate")(PICTURE, corner).tolist() == repeated
    assert FaceCrop(scale=2.0, overflow="black")(PICTURE, corner).tolist() == black
    np.testing.assert_array_equal(FaceCrop(scale=2.0, overflow="shift")(PICTURE, corner), PICTURE[:4, :4])
    np.testing.assert_array_equal(FaceCrop(scale=2.0, overflow="shift")(PICTURE, Box(4, 3, 2, 2)), PICTURE[1:, 2:])
    np.testing.assert_array_equal(FaceCrop(scale=4.0, overflow="shift")(PICTURE, Box(2, 1, 2, 2)), PICTURE[:, 1:])


@given(boxes(), st.floats(0.05, 4), OVERFLOWS)
def test_every_pixel_is_that_of_its_place(box: Box, scale: float, overflow: str) -> None:
    before = PICTURE.copy()
    cut = FaceCrop(scale=scale, overflow=overflow)(PICTURE, box)  # type: ignore[arg-type]
    np.testing.assert_array_equal(PICTURE, before)
    side = max(1, int(scale * max(box.width, box.height) + 0.5))
    if overflow == "shift":
        assert cut.shape == (min(side, 5),) * 2
        return
    assert cut.shape == (side, side)
    left = int(np.floor(box.left + (box.width - side) / 2 + 0.5))
    top = int(np.floor(box.top + (box.height - side) / 2 + 0.5))
    for y in range(side):
        for x in range(side):
            row, column = top + y, left + x
            inside = 0 <= row < 5 and 0 <= column < 6
            nearest = PICTURE[min(max(row, 0), 4), min(max(column, 0), 5)]
            assert cut[y, x] == (nearest if inside or overflow == "replicate" else 0)


def test_colour_frames_stay_colour() -> None:
    colour = np.dstack([PICTURE, PICTURE, PICTURE])
    assert FaceCrop(scale=3.0, overflow="black")(colour, Box(0, 0, 2, 2)).shape == (6, 6, 3)


@pytest.mark.parametrize("box", [(-1, 0, 2, 2), (0, -1, 2, 2), (5, 0, 2, 2), (0, 4, 2, 2), (10, 10, 1, 1)])
def test_a_box_outside_the_frame_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError, match="inside the frame"):
        FaceCrop(scale=1.0, overflow="black")(PICTURE, Box(*box))
    with pytest.raises(InputError, match="holds nothing"):
        Box(0, 0, 0, 1)


@given(boxes(), boxes())
def test_overlap_counts_pixels(first: Box, second: Box) -> None:
    masks = []
    for box in (first, second):
        mask = np.zeros((5, 6), bool)
        mask[box.top : box.top + box.height, box.left : box.left + box.width] = True
        masks.append(mask)
    expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert first.overlap(second) == second.overlap(first) == pytest.approx(expected)


def test_the_rule_is_a_record_of_the_manifest() -> None:
    source = Image(face=FaceCrop(scale=1.25, overflow="replicate"))
    assert msgspec.json.decode(msgspec.json.encode(source), type=Image) == source
    for bad in (b'{"scale": 0, "overflow": "black"}', b'{"scale": 1, "overflow": "wrap"}', b'{"scale": 1}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=FaceCrop)


def test_a_located_face_is_a_box_with_points() -> None:
    points = ((1.0, 2.0), (3.0, 2.0), (2.0, 3.0), (1.0, 4.0), (3.0, -4.5))
    face = LocatedFace(1, 2, 3, 3, points, 0.75)
    assert FaceCrop(scale=1.0, overflow="black")(PICTURE, face).tolist() == PICTURE[2:5, 1:4].tolist()
    assert face.overlap(Box(1, 2, 3, 3)) == 1


@pytest.mark.parametrize(
    ("points", "confidence"),
    [
        (((1.0, 2.0),) * 4, 0.5),
        (((1.0, float("nan")),) * 5, 0.5),
        (((1.0, 2.0, 3.0),) * 5, 0.5),
        (((1.0, 2.0),) * 5, 1.5),
        (((1.0, 2.0),) * 5, float("nan")),
    ],
)
def test_a_located_face_needs_five_points_and_a_confidence(points: object, confidence: float) -> None:
    with pytest.raises(InputError, match="located face"):
        LocatedFace(1, 2, 3, 3, points, confidence)  # type: ignore[arg-type]
