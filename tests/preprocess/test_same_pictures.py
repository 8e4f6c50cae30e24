"""The fast operations give the pictures of the slow ones to the bit, with all that a pipeline may be given."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edge_sdk import images, preprocess, quality
from edge_sdk.errors import UsageError
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.preprocess import (
    INK,
    Binarize,
    ClearBorder,
    CropToInk,
    Despeckle,
    Fit,
    FlattenPaper,
    LimitSize,
    Standardize,
    ToColor,
    ToGray,
    apply,
    block_means,
)
from edge_sdk.preprocess.boxed import Boxed
from edge_sdk.preprocess.region import InkRegion

from ..paths import DATA
from . import reference

Random = np.random.Generator


def scan(random: Random) -> np.ndarray:
    return SyntheticWriter(int(random.integers(50))).genuine(int(random.integers(5)))


def sized(random: Random) -> np.ndarray:
    """Any size and aspect ratio."""
    width, height = (int(side) for side in np.exp(random.uniform(0, np.log(1500), 2)))
    return cv2.resize(scan(random), (max(1, width), max(1, height)), interpolation=cv2.INTER_AREA)


def gray_paper(random: Random) -> np.ndarray:
    """Light from one side, and a sensor's noise."""
    picture = scan(random)
    light = np.linspace(random.uniform(0.4, 1), random.uniform(0.4, 1), picture.shape[1])
    return np.clip(picture * light + random.normal(0, random.uniform(0, 4), picture.shape), 0, 255).astype(np.uint8)


def photograph(random: Random) -> np.ndarray:
    """Turned, blurred, in colour, with a shadow and what lies beside the page."""
    picture = cv2.cvtColor(gray_paper(random), cv2.COLOR_GRAY2BGR)
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-180, 180), random.uniform(0.5, 2))
    picture = cv2.warpAffine(picture, turn, (width, height), borderValue=(40, 50, 60))
    cv2.fillPoly(picture, [random.integers(0, width, (3, 2)).astype(np.int32)], (120, 110, 100))
    return cv2.GaussianBlur(picture, (0, 0), random.uniform(0.3, 3))


def ruled(random: Random) -> np.ndarray:
    picture = scan(random)
    for row in range(int(random.integers(5, 40)), picture.shape[0], int(random.integers(20, 70))):
        cv2.line(picture, (0, row), (picture.shape[1], row + int(random.integers(-9, 9))), 130, 1)
    return picture


def clipped(random: Random) -> np.ndarray:
    """Ink over the border, and dots along it."""
    picture = scan(random)
    picture[: int(random.integers(1, 9)) : int(random.integers(1, 4)), :: int(random.integers(1, 9))] = 20
    return picture[int(random.integers(picture.shape[0] // 2)) :, int(random.integers(picture.shape[1] // 2)) :]


def noise(random: Random) -> np.ndarray:
    height, width = random.integers(1, 500, 2)
    picture = random.integers(0, 256, (height, width), np.uint8)
    return cv2.blur(picture, (int(random.integers(1, 30)),) * 2)


def level(random: Random) -> np.ndarray:
    return np.full(random.integers(1, 500, 2), random.choice([0, 1, 128, 254, 255]), np.uint8)


def strided(random: Random) -> np.ndarray:
    """Views in whatever order the bytes lie."""
    picture = gray_paper(random)
    return [picture.T, picture[::-1], picture[:, ::-1], picture[:, ::2], picture[1::2]][int(random.integers(5))]


KINDS = (scan, sized, gray_paper, photograph, ruled, clipped, noise, level, strided)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_pipeline_gives_the_same_picture(kind, seed) -> None:
    picture = kind(np.random.default_rng([seed, KINDS.index(kind)]))
    expected = reference.apply(INK, picture)
    np.testing.assert_array_equal(apply(INK, picture), expected)
    for region in (None, InkRegion()):
        tensor, _ = quality.prepare(INK, quality.seen(INK, picture, region))
        np.testing.assert_array_equal(quality.prepare(INK, picture, region)[0], tensor)


@pytest.mark.parametrize(
    "folder", ["cedar/full_org", "cedar/full_forg", "cedar_raw/full_org", "sigcomp2011_dutch/001", "lfw/Tony_Blair"]
)
def test_pictures_of_the_data_sets_are_the_same(folder) -> None:
    files = sorted((DATA / folder).glob("*.*g"))[::9]
    if not files:
        pytest.skip(f"no {folder}")
    for file in files:
        np.testing.assert_array_equal(apply(INK, images.load(file)), reference.apply(INK, images.load(file)))


STEPS = st.one_of(
    st.builds(FlattenPaper, window=st.integers(1, 80), shrink=st.integers(2, 9)),
    st.builds(Binarize, floor=st.integers(0, 255), fraction=st.floats(0.1, 0.9), percentile=st.floats(1, 100)),
    st.builds(ClearBorder, share=st.floats(0.01, 0.99)),
    st.builds(Despeckle, area=st.integers(1, 8)),
    st.builds(CropToInk, tail=st.floats(0, 0.49), margin=st.floats(0, 1)),
    st.builds(Fit, height=st.integers(1, 60), width=st.integers(1, 60), stretch=st.floats(1, 4)),
    st.builds(LimitSize, side=st.integers(1, 60)),
    st.builds(Standardize, mean=st.floats(0.01, 1), std=st.floats(0.01, 1)),
)
GRAY = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=70), elements=st.integers(0, 255), fill=st.just(0)
)
TWO_VALUED = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.sampled_from([0, 255]), fill=st.just(0)
)


@settings(max_examples=400, deadline=None)
@given(step=STEPS, picture=GRAY | TWO_VALUED)
def test_each_operation_gives_the_same_picture(step, picture) -> None:
    before = picture.copy()
    np.testing.assert_array_equal(step(picture), reference.OPERATIONS[type(step)](step, picture))
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("shape", [(2048, 2048, 3), (1, 5, 3), (33, 17, 3), (40, 60)])
def test_levels_of_faces_are_the_same(shape) -> None:
    picture = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8) // 3 + 9
    step = Standardize(mean=0.5, std=0.25)
    for view in (picture, picture[:, ::-1], picture[::2]):
        np.testing.assert_array_equal(step(view), reference.standardize(step, view))


@settings(max_examples=200, deadline=None)
@given(ink=TWO_VALUED, steps=st.lists(STEPS, max_size=3))
def test_operations_in_a_box_give_the_same_picture(ink, steps) -> None:
    expected, found = ink, Boxed.around(ink)
    np.testing.assert_array_equal(found.whole(), ink)
    for step in steps:
        expected, found = step(expected), step.boxed(found) if isinstance(found, Boxed) else step(found)
        np.testing.assert_array_equal(found.whole() if isinstance(found, Boxed) else found, expected)


@settings(max_examples=200, deadline=None)
@given(ink=TWO_VALUED)
def test_ink_in_a_box_has_the_same_flags(ink) -> None:
    found = Boxed.around(ink)
    assert quality.assess(found, ink) == quality.assess(ink, ink)
    assert InkRegion().may_be_page(found) == InkRegion().may_be_page(ink)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1)])
def test_means_of_two_pixels_are_those_of_opencv(shape) -> None:
    """All pairs of levels."""
    levels = np.arange(256, dtype=np.uint8)
    pairs = np.stack(np.meshgrid(levels, levels), axis=-1).reshape(256, 512)
    pairs = pairs if shape == (1, 2) else np.ascontiguousarray(pairs.T)
    np.testing.assert_array_equal(
        block_means(pairs, *shape), cv2.resize(pairs, (256, 256), interpolation=cv2.INTER_AREA)
    )


def test_white_paper_is_divided_by_255() -> None:
    levels = np.full((300, 300), 255, np.uint8)
    levels[100:116, 100:116] = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(FlattenPaper(window=96)(levels), levels)


@pytest.mark.parametrize("operations", [INK, (ToColor(order="rgb"), Fit(height=40, width=50, stretch=1.0))])
def test_the_result_goes_where_it_is_wanted(operations) -> None:
    picture = SyntheticWriter(3).genuine(1)
    expected = apply(operations, picture)
    batch = np.full((3, *expected.shape), -1, np.float32)
    assert apply(operations, picture, batch[1]).base is batch
    np.testing.assert_array_equal(batch[1], expected)
    assert (batch[[0, 2]] == -1).all()
    for wrong in (batch, batch[1, :, 1:], batch[1].astype(np.float64)):
        with pytest.raises(UsageError, match="out is"):
            apply(operations, picture, wrong)


def test_an_operation_without_a_form_for_boxes_gets_all_of_the_picture() -> None:
    pipeline = (ToGray(), *INK[2:4], preprocess.MedianBlur(size=3, iterations=1), *INK[-2:])
    picture = SyntheticWriter(7).genuine(2)
    np.testing.assert_array_equal(apply(pipeline, picture), reference.apply(pipeline, picture))
