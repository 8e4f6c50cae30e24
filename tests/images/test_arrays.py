"""Arrays as cameras and drivers give them: layouts, byte orders, and fewer bits than the type has."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import BitDepthError, UnsupportedImageError, UsageError

GRAY = np.random.default_rng(0).integers(0, 256, (40, 61), dtype=np.uint8)
BGR = np.random.default_rng(1).integers(0, 256, (40, 61, 3), dtype=np.uint8)


class Frame(np.ndarray):
    """A camera's own kind of array."""


def mapped(picture: np.ndarray, path: Path) -> np.ndarray:
    path.write_bytes(picture.tobytes())
    return np.memmap(path, np.uint8, "r", shape=picture.shape)


def test_whatever_the_memory_is_like_the_pixels_are_these(tmp_path: Path) -> None:
    wide = np.repeat(BGR, 2, axis=1)
    frozen = BGR.copy()
    frozen.setflags(write=False)
    alike = {
        "every second column": wide[:, ::2],
        "bottom-up": BGR[::-1].copy()[::-1],
        "RGB turned round": BGR[:, :, ::-1].copy()[:, :, ::-1],
        "by columns": np.asfortranarray(BGR),
        "by channels": np.ascontiguousarray(BGR.transpose(2, 0, 1)).transpose(1, 2, 0),
        "read-only": frozen,
        "from a file": mapped(BGR, tmp_path / "frame"),
        "of a class of its own": BGR.view(Frame),
        "padded rows": np.pad(BGR, ((0, 0), (0, 3), (0, 0)))[:, :61],
        "16 bits, little end first": (BGR.astype(np.uint16) * 257).astype("<u2"),
        "16 bits, big end first": (BGR.astype(np.uint16) * 257).astype(">u2"),
    }
    for name, array in alike.items():
        loaded = images.load(array)
        assert type(loaded) is np.ndarray and loaded.flags.c_contiguous, name
        np.testing.assert_array_equal(loaded, BGR, name)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (GRAY > 99, "255"),
        (np.ma.masked_greater(GRAY, 99), "masked"),
        (GRAY.astype(np.int8), "int8"),
        (GRAY.astype(np.uint32), "uint32"),
        (GRAY.astype(object), "object"),
        (np.array(7, np.uint8), "shape"),
    ],
    ids=["truth values", "masked", "int8", "uint32", "objects", "one number"],
)
def test_what_could_be_meant_in_two_ways_is_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(UnsupportedImageError, match=words):
        images.load(array)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_than_16_are_not_guessed(bits: int) -> None:
    deep = GRAY.astype(np.uint16) * 257 >> (16 - bits)
    for array in (deep, deep.astype(">u2"), np.dstack([deep] * 3), np.dstack([deep] * 4)):
        with pytest.raises(BitDepthError, match="from_bits"):
            images.load(array)
    np.testing.assert_array_equal(images.from_bits(deep, bits), GRAY)
    np.testing.assert_allclose(images.load(deep << (16 - bits)), GRAY, atol=1)  # the upper bits of a word


def test_where_16_bits_start() -> None:
    array = np.zeros((40, 40), np.uint16)
    with pytest.raises(BitDepthError):
        images.load(array)
    array[3, 3] = 16383
    with pytest.raises(BitDepthError, match="16383"):
        images.load(array)
    array[3, 3] = 16384
    assert images.load(array)[3, 3] == 64


def test_files_hold_16_bits_to_full_scale() -> None:
    dark = np.full((40, 40), 1028, np.uint16)
    for suffix in (".png", ".tiff"):
        assert images.load(cv2.imencode(suffix, dark)[1].tobytes()).max() == 4


def test_bits_are_scaled_from_full_scale_to_full_scale() -> None:
    assert images.from_bits(np.array([0, 1, 2, 512, 1021, 1023], np.uint16), 10).tolist() == [0, 0, 0, 128, 255, 255]
    assert images.from_bits(np.array([[0, 1]], np.uint8), 1).tolist() == [[0, 255]]
    assert images.from_bits(np.array([[4095]], ">u2"), 12).tolist() == [[255]]
    with pytest.raises(UnsupportedImageError, match="1024, 10 bits end at 1023"):
        images.from_bits(np.array([[1024]], np.uint16), 10)
    with pytest.raises(UnsupportedImageError, match="int16"):
        images.from_bits(np.array([[1]], np.int16), 10)
    for bits in (0, 17, None, "10", 2.5, 8.0, True):
        with pytest.raises(UsageError, match="bits"):
            images.from_bits(GRAY, bits)  # type: ignore[arg-type]
