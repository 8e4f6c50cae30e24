"""BMP: depths, masks, alpha, run-length codes, both directions."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import ImageDecodeError, ImageTooLargeError, UnsupportedImageError

from .made import ALPHA, RNG, SOFT, bmp, on_white

PALETTE = np.dstack([RNG.integers(0, 256, (1, 16, 3), dtype=np.uint8), np.zeros((1, 16, 1), np.uint8)])[0]


def test_16_bits_reach_white() -> None:
    """5-5-5 without masks, 5-6-5 with them; rows begin at multiples of four bytes, the lowest first."""
    white, blue, half = 0x7FFF, 0x001F, 0x4210
    data = bmp(3, 2, 16, struct.pack("<3Hxx3Hxx", white, blue, half, 0, 0x03E0, 0x7C00))
    expected = [[[0, 0, 0], [0, 255, 0], [0, 0, 255]], [[255] * 3, [255, 0, 0], [132] * 3]]
    assert images.load(data).tolist() == expected
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    data = bmp(2, 1, 16, struct.pack("<2H", 0xFFFF, 0x07E0), 3, masks)
    assert images.load(data).tolist() == [[[255] * 3, [0, 255, 0]]]


def with_alpha(bgra: np.ndarray) -> bytes:
    """With BITMAPV4HEADER, whose last mask is alpha's."""
    info = struct.pack("<IiiHHIIiiII", 108, 61, 40, 1, 32, 3, 0, 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    return struct.pack("<2sIII", b"BM", 0, 0, 14 + 108) + (info + masks).ljust(108, b"\0") + bgra[::-1].tobytes()


def test_alpha_counts_where_the_header_has_it() -> None:
    bgra = np.dstack([SOFT, ALPHA])
    np.testing.assert_array_equal(images.load(with_alpha(bgra)), on_white(SOFT, ALPHA))
    plain = bmp(61, 40, 32, bgra[::-1].tobytes())
    np.testing.assert_array_equal(images.load(plain), SOFT)
    for constant in (0, 255):
        bgrx = np.dstack([SOFT, np.full_like(ALPHA, constant)])
        np.testing.assert_array_equal(images.load(with_alpha(bgrx)), SOFT)


def test_rows_from_the_top() -> None:
    data = bytearray(bmp(61, 40, 32, np.dstack([SOFT, ALPHA]).tobytes()))
    struct.pack_into("<i", data, 22, -40)
    np.testing.assert_array_equal(images.load(bytes(data)), SOFT)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_palettes(bits: int) -> None:
    indices = RNG.integers(0, 1 << min(bits, 4), (5, 9), dtype=np.uint8)
    ones = np.unpackbits(indices[:, :, np.newaxis], axis=2)[:, :, 8 - bits :]
    rows = np.packbits(ones.reshape(5, -1), axis=1)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    data = bmp(9, 5, bits, rows[::-1].tobytes(), 0, PALETTE[: 1 << min(bits, 4)].tobytes())
    np.testing.assert_array_equal(images.load(data), PALETTE[indices][:, :, :3])
    with pytest.raises(ImageDecodeError, match="palette"):
        images.load(bmp(9, 5, bits, rows.tobytes(), 0, PALETTE[:1].tobytes()))
    core = struct.pack("<2sIIIIHHHH", b"BM", 0, 0, 26 + 48, 12, 9, 5, 1, bits) + PALETTE[:, :3].tobytes()
    np.testing.assert_array_equal(images.load(core + rows[::-1].tobytes()), PALETTE[indices][:, :, :3])  # OS/2


RLE8 = b"\3\5\0\3\1\2\3\0\0\0\6\7\0\1"
RLE4 = b"\3\x56\0\3\x12\x30\0\0\6\x77\0\1"


def test_run_length_codes() -> None:
    lower = np.array([5, 5, 5, 1, 2, 3])
    upper = np.full(6, 7)
    colors = PALETTE[:, :3]
    found = images.load(bmp(6, 2, 8, RLE8, 1, PALETTE.tobytes()))
    np.testing.assert_array_equal(found, colors[np.stack([upper, lower])])
    found = images.load(bmp(6, 2, 4, RLE4, 2, PALETTE.tobytes()))
    np.testing.assert_array_equal(found, colors[np.stack([upper, [5, 6, 5, 1, 2, 3]])])


@pytest.mark.parametrize(
    "codes",
    [
        RLE8[:-4] + b"\0\1",  # a row is missing
        RLE8[:-4] + b"\5\7\0\1",  # a pixel is
        RLE8[:-4] + b"\7\7\0\1",  # one too many
        RLE8[:2] + b"\0\2\3\0" + RLE8[10:],  # skips three pixels
        RLE8[:6],
        RLE8 [:-2] + b"\0\0" + RLE8[-4:],  # a row too many
    ],
)  # fmt: skip
def test_run_length_codes_that_leave_pixels_out_are_refused(codes: bytes) -> None:
    with pytest.raises(ImageDecodeError):
        images.load(bmp(6, 2, 8, codes, 1, PALETTE.tobytes()))


def test_run_length_codes_are_limited() -> None:
    with pytest.raises(ImageTooLargeError, match="codes"):
        images.load(bmp(6, 2, 8, RLE8, 1, PALETTE.tobytes()), images.Budget(codes=3))


@pytest.mark.parametrize(("bits", "compression"), [(24, 4), (0, 5), (24, 1), (8, 3), (48, 0)])
def test_other_kinds_are_named(bits: int, compression: int) -> None:
    with pytest.raises(UnsupportedImageError, match=f"compression {compression}"):
        images.load(bmp(6, 2, bits, bytes(100), compression))
