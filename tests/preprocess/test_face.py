"""Pre-processing of faces."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edge_sdk import preprocess
from edge_sdk.preprocess import FACE, FACE_OVAL, Fit, Oval, Standardize, apply

SCALE = Standardize(mean=0.5, std=0.25)
pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=30))


def face(height: int = 160, width: int = 160, seed: int = 0) -> np.ndarray:
    """Smooth random tones, ``uint8 (height, width)``."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(110, 30, (9, 9)).clip(0, 255).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@given(pictures)
def test_standardize_is_the_formula_pixel_by_pixel(image: np.ndarray) -> None:
    before = image.copy()
    values = image.astype(float)
    mean = sum(values.ravel()) / values.size
    deviation = (sum((value - mean) ** 2 for value in values.ravel()) / values.size) ** 0.5
    wanted = 0.5 + 0.25 * (values - mean) / deviation if deviation else np.full(values.shape, 0.5)
    out = SCALE(image)
    assert out.dtype == np.uint8
    assert np.abs(out / 255 - wanted.clip(0, 1)).max() <= 0.5 / 255 + 1e-9
    assert np.array_equal(image, before)


def test_light_does_not_show() -> None:
    """Another exposure and another offset give the same picture, up to what rounding had lost before."""
    bright = face().astype(float)
    for gain, offset in ((0.5, 10), (0.8, 60), (1.2, -20)):
        other = np.rint(bright * gain + offset).clip(0, 255).astype(np.uint8)
        # Half of a level, before it was stretched.
        assert np.abs(apply(FACE, face()) - apply(FACE, other)).max() < 0.03


@pytest.mark.parametrize("shape", [(64, 64), (128, 128), (95, 98), (160, 213), (480, 300, 3), (700, 512, 4), (1, 1)])
def test_face_is_128_x_128_in_0_to_1(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    for operations in (FACE, FACE_OVAL):
        out = apply(operations, rng.integers(0, 256, shape, np.uint8))
        assert out.shape == (1, 128, 128)
        assert out.dtype == np.float32
        assert out.min() >= 0
        assert out.max() <= 1


def test_mean_and_deviation_are_the_thesiss() -> None:
    for seed in range(5):
        out = apply(FACE, face(seed=seed))
        assert out.mean() == pytest.approx(0.5, abs=0.015)
        assert out.std() == pytest.approx(0.25, abs=0.02)  # a little is clipped


@pytest.mark.parametrize("shape", [(160, 160), (160, 100), (90, 200)])
def test_no_face_is_stretched(shape: tuple[int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    cv2.circle(picture, (shape[1] // 2, shape[0] // 2), min(shape) // 4, 255, -1)
    out = apply(FACE, picture)[0] > 0.7
    rows, columns = np.flatnonzero(out.any(axis=1)), np.flatnonzero(out.any(axis=0))
    assert np.ptp(rows) == pytest.approx(64, abs=2)
    assert np.ptp(columns) == pytest.approx(64, abs=2)
    assert rows.mean() == pytest.approx(64, abs=2)


def test_a_grid_finer_than_the_frame_leaves_no_pattern() -> None:
    grid = np.tile(np.array([[90, 160]], np.uint8), (512, 256))
    assert Fit(height=128, width=128, stretch=1.0)(grid).std() < 1


def test_the_background_counts_for_nothing() -> None:
    first, second = face(128, 128), face(128, 128)
    outside = Oval(height=1.0, width=0.8)(np.full((128, 128), 200, np.uint8)) == 200
    assert outside.all()  # a picture of one level stays one
    y, x = np.mgrid[-127:128:2, -127:128:2] / 128
    outside = y**2 + (x / 0.8) ** 2 > 1
    assert outside.mean() == pytest.approx(1 - 0.8 * np.pi / 4, abs=0.01)
    second[outside] = 255
    assert np.array_equal(apply(FACE_OVAL, first), apply(FACE_OVAL, second))
    assert not np.array_equal(apply(FACE, first), apply(FACE, second))
    filled = apply(FACE_OVAL, first)[0]
    assert filled[outside] == pytest.approx(0.5, abs=0.01)
    assert filled[~outside].std() == pytest.approx(0.25, abs=0.01)


@given(pictures, st.sampled_from([0.01, 0.5, 0.8, 1.0]))
def test_oval_keeps_what_is_inside(image: np.ndarray, width: float) -> None:
    before = image.copy()
    out = Oval(height=1.0, width=width)(image)
    rows, columns = image.shape
    inside = [
        (r, c)
        for r in range(rows)
        for c in range(columns)
        if ((2 * r + 1 - rows) / rows) ** 2 + ((2 * c + 1 - columns) / columns / width) ** 2 <= 1
    ]
    assert np.array_equal(image, before)
    if not inside:
        assert np.array_equal(out, image)
        return
    mean = sum(int(image[at]) for at in inside) / len(inside)
    for at in np.ndindex(image.shape):
        assert out[at] == (image[at] if at in inside else round(mean))


def test_round_trip_and_frames_of_other_sizes() -> None:
    for operations in (FACE, FACE_OVAL):
        decoded = msgspec.json.decode(msgspec.json.encode(operations), type=tuple[preprocess.Operation, ...])
        assert decoded == operations
        assert apply(preprocess.framed(operations, 64, 64), face()).shape == (1, 64, 64)
    for wrong in (b'[{"op":"standardize","mean":0.5,"std":0}]', b'[{"op":"oval","height":1.2,"width":1}]'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong, type=tuple[preprocess.Operation, ...])
