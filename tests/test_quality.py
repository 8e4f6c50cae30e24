"""Flags: what they are for, where they start, and that a sound signature has none."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge_sdk import images, preprocess, quality
from edge_sdk.preprocess import INK, PAPER

PIPELINES = pytest.mark.parametrize("pipeline", [PAPER, INK], ids=["paper", "ink"])


def flags(pipeline: tuple[preprocess.Operation, ...], picture: np.ndarray) -> tuple[str, ...]:
    return quality.prepare(pipeline, picture)[1]


@PIPELINES
def test_a_sound_signature_has_no_flag(pipeline: tuple[preprocess.Operation, ...], signature: np.ndarray) -> None:
    assert flags(pipeline, signature) == ()
    assert flags(pipeline, cv2.cvtColor(signature, cv2.COLOR_GRAY2BGR)) == ()


@PIPELINES
def test_the_tensor_is_that_of_preprocessing(pipeline: tuple[preprocess.Operation, ...], signature: np.ndarray) -> None:
    before = signature.copy()
    np.testing.assert_array_equal(quality.prepare(pipeline, signature)[0], preprocess.apply(pipeline, signature))
    np.testing.assert_array_equal(signature, before)


@PIPELINES
@pytest.mark.parametrize("level", [0, 255])
def test_white_and_black_are_empty(pipeline: tuple[preprocess.Operation, ...], level: int) -> None:
    assert "empty" in flags(pipeline, np.full((380, 600), level, np.uint8))


@PIPELINES
def test_an_invisible_signature_is_empty(pipeline: tuple[preprocess.Operation, ...], signature: np.ndarray) -> None:
    transparent = np.dstack([signature, signature, signature, np.zeros_like(signature)])
    transparent = images.load(cv2.imencode(".png", transparent)[1].tobytes())
    assert "empty" in flags(pipeline, transparent)


@PIPELINES
@pytest.mark.parametrize("size", [(1, 1), (1, 600), (380, 1), (31, 600)])
def test_small_pictures_are_too_small(pipeline: tuple[preprocess.Operation, ...], size: tuple[int, int]) -> None:
    for level in (0, 100, 255):
        assert "too_small" in flags(pipeline, np.full(size, level, np.uint8))


@PIPELINES
def test_a_dot_is_too_small_and_too_little(pipeline: tuple[preprocess.Operation, ...]) -> None:
    picture = np.full((380, 600), 255, np.uint8)
    cv2.circle(picture, (300, 190), 6, 0, -1)
    assert flags(pipeline, picture) == ("too_little_ink", "too_small")


@PIPELINES
def test_a_short_line_is_too_little_ink(pipeline: tuple[preprocess.Operation, ...]) -> None:
    picture = np.full((380, 600), 255, np.uint8)
    picture[190:194, 100:160] = 0  # 240 pixels
    assert flags(pipeline, picture) == ("too_little_ink",)


@PIPELINES
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_strokes_that_leave_the_picture_are_clipped_but_do_not_block(
    pipeline: tuple[preprocess.Operation, ...], side: str, signature: np.ndarray
) -> None:
    waves = {"top": signature[190:], "bottom": signature[:190]}
    waves |= {"left": np.rot90(waves["top"]), "right": np.rot90(waves["bottom"])}
    assert flags(pipeline, np.ascontiguousarray(waves[side])) == ("clipped",)
    assert "clipped" not in quality.BLOCKING


@PIPELINES
def test_a_picture_cut_to_its_ink_is_not_clipped(
    pipeline: tuple[preprocess.Operation, ...], signature: np.ndarray
) -> None:
    left, top, width, height = cv2.boundingRect((signature < 200).astype(np.uint8))
    assert flags(pipeline, signature[top : top + height, left : left + width]) == ()


@pytest.mark.parametrize(
    ("ink", "expected"),
    [
        (np.s_[10:16, 10:60], ()),  # 300 pixels
        (np.s_[10:15, 10:69], ("too_little_ink",)),  # 295 pixels
        (np.s_[10:17, 10:58], ()),  # 48 wide
        (np.s_[10:17, 10:57], ("too_small",)),  # 47 wide
        (np.s_[10:58, 10:17], ()),  # 48 high
        (np.s_[5:60, 5:105], ()),  # half of 11,000
        (np.s_[5:60, 4:105], ("empty",)),  # more than half
        (np.s_[20:50, 0:30], ("too_small",)),
        (np.s_[10:60, 0:3], ("too_little_ink",)),
    ],
)
def test_limits(ink: tuple[slice, slice], expected: tuple[str, ...]) -> None:
    mask = np.zeros((100, 110), np.uint8)
    mask[ink] = 255
    assert quality.assess(mask, mask) == expected


def test_two_strokes_are_clipped_and_neither_one_nor_dust_nor_a_dark_edge_is() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[40:60, 50:150] = 255
    mask[0:10, 20:80:12] = 255  # dust: too short to be strokes
    mask[0:6, 100:] = 255  # a scan's edge
    assert quality.assess(mask, mask) == ()
    mask[0:40, 60:64] = 255
    assert quality.assess(mask, mask) == ()
    mask[0:11, 80:84] = 255
    assert quality.assess(mask, mask) == ("clipped",)
    assert quality.assess(mask, mask, (False, True, True, True)) == ()


def test_two_ends_of_one_bow_along_the_border_are_not_clipped() -> None:
    mask = np.zeros((100, 200), np.uint8)
    cv2.ellipse(mask, (100, 50), (60, 50), 0, 0, 360, 255, 4)  # touches above and below
    assert mask[0].any()
    assert quality.assess(mask, mask) == ()


def test_a_sound_signature_survives_a_third_of_the_resolution(signer: Callable[..., np.ndarray]) -> None:
    small = cv2.resize(signer(1), (200, 127), interpolation=cv2.INTER_AREA)
    assert flags(INK, small) == ()
