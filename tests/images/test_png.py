"""PNG: what colours stand for, what is transparent, and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import ImageDecodeError, ImageTooLargeError, UnsupportedImageError

from .made import ALPHA, GRAY, RNG, SOFT, chunk, lines, on_white, png

PALETTE = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
INDICES = RNG.integers(0, 16, (40, 61), dtype=np.uint8)


def packed(indices: np.ndarray, bits: int) -> np.ndarray:
    ones = np.unpackbits(indices[:, :, np.newaxis], axis=2)[:, :, -bits:]
    return np.packbits(ones.reshape(len(indices), -1), axis=1)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_gray_of_few_bits_is_spread(bits: int) -> None:
    indices = INDICES & ((1 << bits) - 1)
    data = png((61, 40, bits, 0), lines(packed(indices, bits)))
    np.testing.assert_array_equal(images.load(data), indices * (255 // ((1 << bits) - 1)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_with_transparent_colours_is_put_on_paper(bits: int) -> None:
    indices = INDICES & ((1 << bits) - 1)
    alpha = RNG.integers(0, 256, 7, dtype=np.uint8)  # the other colours are opaque
    data = png(
        (61, 40, bits, 3),
        lines(packed(indices, bits)),
        chunk(b"PLTE", PALETTE.tobytes()),
        chunk(b"tRNS", alpha.tobytes()),
    )
    full = np.concatenate([alpha, np.full(9, 255, np.uint8)])
    np.testing.assert_array_equal(images.load(data), on_white(PALETTE[indices][:, :, ::-1], full[indices]))


@pytest.mark.parametrize("deep", [False, True])
def test_alpha_is_put_on_paper(deep: bool) -> None:
    def stored(samples: np.ndarray) -> np.ndarray:
        return (samples.astype(">u2") * 257).astype(">u2") if deep else samples

    bits = 16 if deep else 8
    gray = png((61, 40, bits, 4), lines(stored(np.dstack([GRAY, ALPHA]))))
    np.testing.assert_array_equal(images.load(gray), on_white(GRAY, ALPHA))
    color = png((61, 40, bits, 6), lines(stored(np.dstack([SOFT[:, :, ::-1], ALPHA]))))
    np.testing.assert_array_equal(images.load(color), on_white(SOFT, ALPHA))


def test_one_level_or_colour_can_be_transparent() -> None:
    gray = png((61, 40, 8, 0), lines(GRAY), chunk(b"tRNS", bytes((0, GRAY[3, 3]))))
    np.testing.assert_array_equal(images.load(gray), np.where(GRAY[3, 3] == GRAY, 255, GRAY))
    few = png((61, 40, 4, 0), lines(packed(INDICES, 4)), chunk(b"tRNS", b"\0\5"))
    np.testing.assert_array_equal(images.load(few), np.where(INDICES == 5, 255, INDICES * 17))
    key = SOFT[3, 3]
    color = png((61, 40, 8, 2), lines(SOFT[:, :, ::-1]), chunk(b"tRNS", bytes((0, key[2], 0, key[1], 0, key[0]))))
    same = (key == SOFT).all(axis=2, keepdims=True)
    np.testing.assert_array_equal(images.load(color), np.where(same, 255, SOFT))
    deep = (GRAY.astype(">u2") * 257 + 1).astype(">u2")  # as 8 bits the same as the key, but another level
    other = png((61, 40, 16, 0), lines(deep), chunk(b"tRNS", bytes((GRAY[3, 3], GRAY[3, 3]))))
    np.testing.assert_array_equal(images.load(other), GRAY)


def test_a_fully_transparent_picture_is_white_paper() -> None:
    data = png((61, 40, 8, 6), lines(np.dstack([SOFT, np.zeros_like(GRAY)])))
    assert (images.load(data) == 255).all()


@pytest.mark.parametrize("under", [0, 255])
def test_edges_keep_their_ink_whatever_an_editor_writes_below(under: int) -> None:
    """Editors that write white or black into pixels that are not opaque keep the edge's darkness in alpha alone."""
    page = np.full((80, 120), 255, np.uint8)
    cv2.line(page, (10, 15), (110, 62), 0, 4, cv2.LINE_AA)
    alpha = 255 - page
    colors = np.where(alpha < 255, under, 0).astype(np.uint8)
    data = png((120, 80, 8, 4), lines(np.dstack([colors, alpha])))
    np.testing.assert_array_equal(images.load(data), page)


def test_interlaced_files_are_decoded() -> None:
    data = bytearray(png((1, 1, 8, 0), b"\0\x7b"))
    header = data[16:28] + b"\1"
    data[8:33] = chunk(b"IHDR", bytes(header))
    assert images.load(bytes(data)).tolist() == [[123]]


def test_a_profile_is_not_unpacked() -> None:
    """Nor gamma applied: levels are what the file says."""
    bomb = chunk(b"iCCP", b"x\0\0" + bytes(1000)) + chunk(b"gAMA", b"\0\0\0\1")
    np.testing.assert_array_equal(images.load(png((61, 40, 8, 0), lines(GRAY), bomb)), GRAY)


def test_an_animation_is_refused() -> None:
    control = chunk(b"acTL", b"\0\0\0\2\0\0\0\0")
    with pytest.raises(UnsupportedImageError, match="several pictures"):
        images.load(png((61, 40, 8, 0), lines(GRAY), control))
    one = chunk(b"acTL", b"\0\0\0\1\0\0\0\0")
    np.testing.assert_array_equal(images.load(png((61, 40, 8, 0), lines(GRAY), one)), GRAY)


@pytest.mark.parametrize(
    "data",
    [
        png((61, 40, 8, 3), lines(INDICES), chunk(b"PLTE", bytes(9))),  # of 16 indices 3 have a colour
        png((61, 40, 8, 3), lines(INDICES)),
        png((61, 40, 8, 0), lines(GRAY[:39])),
        png((61, 40, 8, 0), b"\7" + lines(GRAY)[1:]),
        png((61, 40, 3, 0), lines(GRAY)),
        png((61, 40, 16, 3), lines(GRAY)),
        png((61, 40, 8, 0), lines(GRAY), chunk(b"NEWC")),
    ],
    ids=["colours", "no palette", "rows", "filter", "bits", "palette bits", "unknown chunk"],
)
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(ImageDecodeError):
        images.load(data)


def test_what_a_picture_costs_counts_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)  # calling it would raise TypeError
    with pytest.raises(ImageTooLargeError, match="64 bits"):
        images.load(png((8000, 8000, 16, 6), b""))
    with pytest.raises(ImageTooLargeError, match="at most 1000"):
        images.load(png((61, 40, 8, 0), lines(GRAY)), images.Budget(decoded_bytes=1000))
