"""Pages of fax machines, whose pixels are twice as high as wide, in every format that says so."""

from __future__ import annotations

import struct
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import ImageTooLargeError

from .made import GRAY, bmp, chunk, exif, jpeg, lines, page, png, segment, tiff, turned

HEIGHT, WIDTH = GRAY.shape


def in_tiff(across: int, down: int) -> bytes:
    tags, strips = page(WIDTH, HEIGHT, [struct.pack("<4I", across, 1, 3 * down, 3), GRAY.tobytes()])
    data = bytearray(tiff((tags | {273: (4, [24]), 279: (4, [GRAY.size]), 282: (5, [8]), 283: (5, [16])}, strips)))
    return bytes(data)


def in_png(across: int, down: int) -> bytes:
    return png((WIDTH, HEIGHT, 8, 0), lines(GRAY), chunk(b"pHYs", struct.pack(">IIB", across, down, 0)))


def in_jpeg(across: int, down: int) -> bytes:
    data = bytearray(jpeg(GRAY))
    struct.pack_into(">BHH", data, 13, 1, across, down)
    return bytes(data)


def in_bmp(across: int, down: int) -> bytes:
    tables = bytes(value for level in range(256) for value in (level, level, level, 0))
    pixels = np.pad(GRAY[::-1], ((0, 0), (0, -WIDTH % 4)))
    data = bytearray(bmp(WIDTH, HEIGHT, 8, pixels.tobytes(), tables=tables))
    struct.pack_into("<ii", data, 38, across, down)
    return bytes(data)


each = pytest.mark.parametrize("made", [in_tiff, in_png, in_jpeg, in_bmp])


@each
@pytest.mark.parametrize(
    ("across", "down", "height", "width"),
    [(204, 98, 83, 61), (200, 100, 80, 61), (204, 391, 40, 117), (8031, 3858, 83, 61)],
)
def test_pixels_of_a_fax_become_square(
    made: Callable[[int, int], bytes], across: int, down: int, height: int, width: int
) -> None:
    stored = images.load(made(1, 1))
    expected = cv2.resize(stored, (width, height), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(images.load(made(across, down)), expected)


@each
@pytest.mark.parametrize(
    ("across", "down"), [(204, 196), (72, 300), (300, 72), (0, 0), (0, 98), (300, 300), (1, 60000)]
)
def test_other_resolutions_change_nothing(made: Callable[[int, int], bytes], across: int, down: int) -> None:
    np.testing.assert_array_equal(images.load(made(across, down)), images.load(made(1, 1)))


def test_a_page_is_stretched_before_it_is_turned() -> None:
    plain = in_jpeg(200, 100)
    data = plain[:20] + segment(0xE1, b"Exif\0\0" + exif(6)) + plain[20:]
    np.testing.assert_array_equal(images.load(data), turned(images.load(plain), 6))


@each
def test_the_stretched_page_is_within_the_budget(made: Callable[[int, int], bytes]) -> None:
    data = made(204, 98)
    with pytest.raises(ImageTooLargeError):
        images.load(data, images.Budget(pixels=2 * GRAY.size))
