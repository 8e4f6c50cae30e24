"""The same eight orientations in every format that carries one."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk import images

from .made import GRAY, SOFT, chunk, exif, jpeg, lines, page, png, segment, tiff, turned

EIGHT = range(1, 9)


def tagged_jpeg(picture: np.ndarray, block: bytes, *, behind_jfif: bool = True) -> bytes:
    plain = jpeg(picture)
    at = 20 if behind_jfif else 2  # JFIF's segment has 18 bytes
    return plain[:at] + segment(0xE1, b"Exif\0\0" + block) + plain[at:]


@pytest.mark.parametrize("orientation", EIGHT)
@pytest.mark.parametrize("picture", [GRAY, SOFT], ids=["gray", "bgr"])
def test_png_jpeg_and_tiff_are_turned_alike(orientation: int, picture: np.ndarray) -> None:
    gray = picture.ndim == 2
    rgb = picture if gray else picture[:, :, ::-1]
    lossless = [
        png((61, 40, 8, 0 if gray else 2), lines(rgb), chunk(b"eXIf", exif(orientation))),
        tiff(
            page(
                61, 40, [rgb.tobytes()], t274=orientation, t262=1 if gray else 2, t277=1 if gray else 3,
                t258=[8] if gray else [8, 8, 8],
            )
        ),
    ]  # fmt: skip
    for data in lossless:
        np.testing.assert_array_equal(images.load(data), turned(picture, orientation))
    plain = images.load(jpeg(picture))
    for order, before, behind in (("<", 0, True), (">", 3, True), ("<", 2, False)):
        data = tagged_jpeg(picture, exif(orientation, order, before), behind_jfif=behind)
        np.testing.assert_array_equal(images.load(data), turned(plain, orientation))


def test_a_block_of_exif_may_begin_as_in_jpeg() -> None:
    for block in (exif(6), b"Exif\0\0" + exif(6)):
        data = png((61, 40, 8, 0), lines(GRAY), chunk(b"eXIf", block))
        np.testing.assert_array_equal(images.load(data), turned(GRAY, 6))


@pytest.mark.parametrize("block", [exif(0), exif(9), exif(6)[:12], b"II*\0\xff\xff\xff\xff", b"hello", b""])
def test_what_is_no_orientation_leaves_a_picture_as_it_is(block: bytes) -> None:
    np.testing.assert_array_equal(images.load(tagged_jpeg(GRAY, block)), images.load(jpeg(GRAY)))


def test_only_the_first_directory_counts() -> None:
    """A second one is the thumbnail's."""
    first = exif(1)
    second = exif(6)[8:]
    block = first[:-4] + len(first).to_bytes(4, "little") + second
    np.testing.assert_array_equal(images.load(tagged_jpeg(GRAY, block)), images.load(jpeg(GRAY)))
