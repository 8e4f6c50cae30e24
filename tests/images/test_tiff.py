"""TIFF: every way to store a page gives the page, or a refusal that says why."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import ImageDecodeError, ImageTooLargeError, InputError, UnsupportedImageError
from edge_sdk.images import tiff_codecs

from .made import ALPHA, GRAY, RNG, SOFT, coded, jpeg, on_white, page, tiff

RGB = np.ascontiguousarray(SOFT[:, :, ::-1])
ORDERS = pytest.mark.parametrize("order", ["<", ">"])

# Eight rows of 2,700 pixels, as libtiff 4.7 writes them: short runs and runs of more than 2,560 pixels.
Y, X = np.mgrid[:8, :2700]
FAX = ~(((X // 7 + Y) % 5 == 0) & (X < 40) | (X >= 45 + Y) & (X < 2640 + Y // 3) & (Y % 4 > 0))  # True: black
CODED = {
    (2, 0): "f0ccc01f03c350350ccf0a03e26058350d9e19c07c480b003507f0cb01f1202b351f80f81e0cc0f0ccc0803e340560350ccf"
    "05c07c681640350d9e05c07c0c1640",
    (3, 0): "001f0ccc01f03c350004d4333c280f898160009a86cf0ce03e240580026a0fe19603e240560026a3f01f03c198007c333020"
    "0f8d0158009a866782e03e340b20026a1b3c0b80f8182c80",
    (3, 1): "001f866600f81e1a800226a1987c2901f1302c0019a86cf0ce03e24058002907f6e003351f80f81e0cc0023e198702101f1a"
    "02b0019a866782e03e340b200290d9ef",
    (4, 0): "3e1987007c0f0d426a1987c2901f1302c90d9ef907f6f23f19f0cc381080f8d0159350cc3e0bbc86cf78008008",
}
SCHEMES = pytest.mark.parametrize("scheme", CODED)


def fax(scheme: tuple[int, int], data: bytes, **tags: int) -> bytes:
    return tiff(page(2700, 8, [data], **{"t258": 1, "t259": scheme[0], "t292": scheme[1], "t262": 0, **tags}))


@SCHEMES
def test_fax_pages_are_decoded(scheme: tuple[int, int]) -> None:
    data = bytes.fromhex(CODED[scheme])
    expected = np.where(FAX, 0, 255)
    np.testing.assert_array_equal(images.load(fax(scheme, data)), expected)
    np.testing.assert_array_equal(images.load(fax(scheme, data, t262=1)), 255 - expected)
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    np.testing.assert_array_equal(images.load(fax(scheme, mirrored, t266=2)), expected)


@SCHEMES
def test_a_fax_page_without_all_its_rows_is_refused(scheme: tuple[int, int]) -> None:
    data = bytes.fromhex(CODED[scheme])
    for cut in (1, 9, 30, len(data) - 8):
        with pytest.raises(ImageDecodeError, match="strip 1 of 1"):
            images.load(fax(scheme, data[:cut]))
    with pytest.raises(ImageDecodeError, match="strip 1 of 1"):
        images.load(fax(scheme, data[:20] + bytes(8) + data[28:]))
    with pytest.raises(ImageDecodeError, match="strip 1 of 1"):
        images.load(fax(scheme, data + data))


def lzw(data: bytes) -> bytes:
    """TIFF 6.0, section 13."""
    bits, table, width, string = f"{256:09b}", {bytes((n,)): n for n in range(256)}, 9, b""
    for n in range(len(data)):
        longer = string + data[n : n + 1]
        if longer in table:
            string = longer
            continue
        bits += f"{table[string]:0{width}b}"
        table[longer] = len(table) + 2
        width = 9 + sum(len(table) + 2 > limit for limit in (511, 1023, 2047))
        if len(table) + 2 == 4095:
            bits += f"{256:012b}"
            table, width = {bytes((n,)): n for n in range(256)}, 9
        string = data[n : n + 1]
    bits += f"{table[string]:0{width}b}"
    width = 9 + sum(len(table) + 3 > limit for limit in (511, 1023, 2047))
    bits += f"{257:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8))


def packbits(data: bytes) -> bytes:
    """Runs of 2, and 3 as they are; a byte 128 between them says nothing."""
    parts = []
    for n in range(0, len(data), 5):
        five = data[n : n + 5]
        parts.append(b"\x80" + bytes((len(five) - 1,)) + five if five[:1] != five[1:2] else b"\xff" + five[:1])
        if five[:1] == five[1:2] and len(five) > 2:
            parts.append(bytes((len(five) - 3,)) + five[2:])
    return b"".join(parts)


PACKERS = {5: lzw, 8: zlib.compress, 32946: zlib.compress, 32773: packbits, 1: bytes}
packed = pytest.mark.parametrize("compression", PACKERS)


@packed
@ORDERS
def test_every_compression_gives_the_page(compression: int, order: str) -> None:
    noise = RNG.integers(0, 256, (40, 61, 3), dtype=np.uint8)  # fills tables of LZW
    for picture in (RGB, noise):
        strips = [PACKERS[compression](picture[top : top + 16].tobytes()) for top in (0, 16, 32)]
        data = tiff(page(61, 40, strips, t258=[8] * 3, t259=compression, t262=2, t277=3, t278=16), order=order)
        np.testing.assert_array_equal(images.load(data), picture[:, :, ::-1])


@packed
def test_a_damaged_strip_is_refused(compression: int) -> None:
    strips = [PACKERS[compression](RGB[top : top + 10].tobytes()) for top in range(0, 40, 10)]
    tags = {"t258": [8] * 3, "t259": compression, "t262": 2, "t277": 3, "t278": 10}
    for hurt in (
        strips[2][:-20],
        b"",
        strips[2][:10] if compression == 1 else strips[2][:10] + bytes(len(strips[2]) - 10),
    ):
        with pytest.raises(ImageDecodeError, match="strip"):
            images.load(tiff(page(61, 40, [*strips[:2], hurt, strips[3]], **tags)))
    with pytest.raises(ImageDecodeError, match="3 strips"):
        images.load(tiff(page(61, 40, strips[:3], **tags)))


@pytest.mark.parametrize("compression", [5, 8])
@pytest.mark.parametrize("bits", [8, 16])
@ORDERS
def test_differences_are_added_up(compression: int, bits: int, order: str) -> None:
    depth = np.dtype(f"{order}u{bits // 8}")
    values = (RGB.astype(np.uint32) * (257 if bits == 16 else 1)).astype(depth)
    stored = values.copy()
    stored[:, 1:] -= values[:, :-1]
    tags = {"t258": [bits] * 3, "t259": compression, "t262": 2, "t277": 3, "t317": 2}
    data = tiff(page(61, 40, [PACKERS[compression](stored.tobytes())], **tags), order=order)
    np.testing.assert_array_equal(images.load(data), SOFT)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("inverted", [False, True])
def test_white_may_be_zero(bits: int, inverted: bool) -> None:
    levels = RNG.integers(0, 1 << min(bits, 8), (40, 61), dtype=np.uint8)
    if bits == 16:
        rows = (levels.astype("<u2") * 257).tobytes()
    else:
        ones = np.unpackbits(levels[:, :, np.newaxis], axis=2)[:, :, 8 - bits :]
        rows = np.packbits(ones.reshape(40, -1), axis=1).tobytes()
    seen = levels * (255 // ((1 << min(bits, 8)) - 1))
    data = tiff(page(61, 40, [rows], t258=bits, t262=0 if inverted else 1))
    np.testing.assert_array_equal(images.load(data), 255 - seen if inverted else seen)


@ORDERS
def test_planes_and_tiles_are_put_together(order: str) -> None:
    planes = [RGB[top : top + 16, :, n].tobytes() for n in range(3) for top in (0, 16, 32)]
    tags = {"t258": [8] * 3, "t262": 2, "t277": 3}
    np.testing.assert_array_equal(images.load(tiff(page(61, 40, planes, **tags, t278=16, t284=2), order=order)), SOFT)
    wide = np.pad(RGB, ((0, 8), (0, 3), (0, 0)))
    tiles = [wide[top : top + 16, left : left + 32] for top in (0, 16, 32) for left in (0, 32)]
    whole = [tile.tobytes() for tile in tiles]
    np.testing.assert_array_equal(images.load(tiff(page(61, 40, whole, **tags, t322=32, t323=16), order=order)), SOFT)
    split = [tile[:, :, n].tobytes() for n in range(3) for tile in tiles]
    data = tiff(page(61, 40, split, **tags, t322=32, t323=16, t284=2), order=order)
    np.testing.assert_array_equal(images.load(data), SOFT)


@pytest.mark.parametrize("scale", [1, 256, 257])
def test_palettes_of_8_and_16_bits(scale: int) -> None:
    palette = RNG.integers(1, 256, (3, 256))
    palette[0, 0] = 255
    data = tiff(page(61, 40, [GRAY.tobytes()], t262=3, t320=(palette * scale).ravel().tolist()))
    np.testing.assert_array_equal(images.load(data), palette[::-1].T[GRAY])


def test_only_alpha_is_alpha() -> None:
    four = np.dstack([RGB, ALPHA])
    tags = {"t258": [8] * 4, "t262": 2, "t277": 4}
    np.testing.assert_array_equal(images.load(tiff(page(61, 40, [four.tobytes()], **tags, t338=0))), SOFT)
    straight = on_white(SOFT, ALPHA)
    np.testing.assert_array_equal(images.load(tiff(page(61, 40, [four.tobytes()], **tags, t338=2))), straight)
    np.testing.assert_array_equal(images.load(tiff(page(61, 40, [four.tobytes()], **tags))), straight)
    black = np.dstack([np.zeros_like(RGB), ALPHA])
    data = tiff(page(61, 40, [black.tobytes()], **tags, t338=1))
    np.testing.assert_array_equal(images.load(data), np.dstack([255 - ALPHA] * 3))
    for constant in (0, 255):
        opaque = np.dstack([RGB, np.full_like(ALPHA, constant)])
        np.testing.assert_array_equal(images.load(tiff(page(61, 40, [opaque.tobytes()], **tags))), SOFT)
    gray = tiff(page(61, 40, [np.dstack([GRAY, ALPHA]).tobytes()], t258=[8, 8], t277=2, t338=2))
    np.testing.assert_array_equal(images.load(gray), on_white(GRAY, ALPHA))


def test_jpeg_strips_are_decoded_or_refused() -> None:
    whole = jpeg(SOFT)
    tags, strips = page(61, 40, [whole], t258=[8] * 3, t259=7, t262=6, t277=3)
    np.testing.assert_array_equal(images.load(tiff((tags, strips))), images.load(whole))
    start, end = coded(whole)
    with pytest.raises(ImageDecodeError, match="strip 1 of 1"):
        images.load(tiff((tags, [whole[: (start + end) // 2] + whole[end:]])))


def test_jpeg_tables_may_stand_in_the_directory() -> None:
    whole = jpeg(SOFT)
    at, tables, rest = 2, b"", b""
    while whole[at + 1] != 0xDA:
        length = 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
        if whole[at + 1] in (0xDB, 0xC4):
            tables += whole[at : at + length]
        else:
            rest += whole[at : at + length]
        at += length
    tags, _ = page(61, 40, [], t258=[8] * 3, t259=7, t262=6, t277=3)
    shared = {347: (7, list(b"\xff\xd8" + tables + b"\xff\xd9"))}
    data = tiff((tags | shared, [b"\xff\xd8" + rest + whole[at:]]))
    np.testing.assert_array_equal(images.load(data), images.load(whole))


def test_the_page_is_taken_and_its_thumbnail_not() -> None:
    small = page(6, 4, [bytes(24)], t254=1)
    full = page(61, 40, [GRAY.tobytes()])
    for pages in ((small, full), (full, small), (full,)):
        np.testing.assert_array_equal(images.load(tiff(*pages)), GRAY)
    assert images.load(tiff(small)).shape == (4, 6)


def test_a_thumbnail_is_not_taken_for_the_picture_within_it() -> None:
    """Raw files of cameras begin with one; its directory says where the picture's lies."""
    small = tiff(page(8, 5, [bytes(40)], t254=1))
    assert images.load(small).shape == (5, 8)
    with pytest.raises(UnsupportedImageError, match="thumbnail"):
        images.load(tiff(page(8, 5, [bytes(40)], t254=1, t330=8)))
    assert images.load(tiff(page(8, 5, [bytes(40)], t330=8))).shape == (5, 8)


def test_a_second_page_is_never_dropped() -> None:
    full = page(61, 40, [GRAY.tobytes()])
    with pytest.raises(UnsupportedImageError, match="2 pages"):
        images.load(tiff(full, full))
    with pytest.raises(UnsupportedImageError, match="mask"):
        images.load(tiff(full, page(61, 40, [GRAY.tobytes()], t254=4)))


def test_directories_in_a_circle_are_refused() -> None:
    data = bytearray(tiff(page(61, 40, [GRAY.tobytes()])))
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    with pytest.raises(ImageDecodeError, match="circle"):
        images.load(bytes(data))
    struct.pack_into("<I", data, at + 2 + 12 * count, len(data) + 100)
    with pytest.raises(ImageDecodeError):
        images.load(bytes(data))


def test_tags_that_are_not_needed_are_not_read() -> None:
    tags, strips = page(61, 40, [GRAY.tobytes()])
    data = bytearray(tiff((tags | {50000 + n: (4, [7]) for n in range(500)}, strips)))
    np.testing.assert_array_equal(images.load(bytes(data)), GRAY)
    at = struct.unpack_from("<I", data, 4)[0]
    for n in range(500):  # each announces 4 GB
        struct.pack_into("<I", data, at + 2 + 12 * (9 + n) + 4, 2**30)
    np.testing.assert_array_equal(images.load(bytes(data)), GRAY)
    struct.pack_into("<H", data, at, 5000)
    with pytest.raises(ImageDecodeError, match="5000 tags"):
        images.load(bytes(data))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"t259": 34712}, "JPEG 2000"),
        ({"t259": 6}, "old-style JPEG"),
        ({"t259": 50000}, "Zstandard"),
        ({"t259": 12345}, "compression 12345"),
        ({"t339": 3}, "floating-point"),
        ({"t339": 2}, "signed"),
        ({"t258": 32}, "32 bits"),
        ({"t258": 12}, "12 bits"),
        ({"t262": 5, "t277": 4, "t258": [8] * 4}, "CMYK"),
        ({"t262": 8, "t277": 3, "t258": [8] * 3}, "L\\*a\\*b"),
        ({"t262": 6, "t277": 3, "t258": [8] * 3}, "YCbCr"),
        ({"t262": 32803}, "raw sensor"),
        ({"t50706": 1}, "DNG"),
        ({"t259": 8, "t317": 3}, "predictor 3"),
    ],
)
def test_other_kinds_are_named(tags: dict[str, int | list[int]], words: str) -> None:
    with pytest.raises(UnsupportedImageError, match=words):
        images.load(tiff(page(61, 40, [bytes(61 * 40 * 4)], **tags)))


@pytest.mark.parametrize(
    "tags",
    [
        {"t262": 2},  # RGB of one sample
        {"t262": 3, "t320": [0] * 30},
        {"t259": 4, "t258": 8},
        {"t278": 0},
        {"t322": 16, "t323": 0},
        {"t322": 60_000, "t323": 16},
    ],
)
def test_tags_that_contradict_each_other_are_refused(tags: dict[str, int | list[int]]) -> None:
    with pytest.raises(InputError):
        images.load(tiff(page(61, 40, [GRAY.tobytes()], **tags)))


@pytest.mark.parametrize("scheme", [(4, 0), 5, 32773])
def test_code_words_are_limited(scheme: int | tuple[int, int]) -> None:
    if isinstance(scheme, tuple):
        data = fax(scheme, bytes.fromhex(CODED[scheme]))
    else:
        data = tiff(page(61, 40, [PACKERS[scheme](GRAY.tobytes())], t259=scheme))
    images.load(data)
    with pytest.raises(ImageTooLargeError, match="code words"):
        images.load(data, images.Budget(codes=220))


def test_code_words_are_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decoded where even the longest codes would be too many."""
    data = tiff(page(61, 40, [PACKERS[5](GRAY.tobytes())], t259=5))
    monkeypatch.setattr(tiff_codecs, "lzw", None)
    with pytest.raises(ImageTooLargeError, match="code words"):
        images.load(data, images.Budget(codes=220))


def test_what_opencv_writes_is_read() -> None:
    for picture in (GRAY, SOFT, GRAY.astype(np.uint16) * 257):
        for compression in (1, 5, 8, 32773):
            data = cv2.imencode(".tiff", picture, [cv2.IMWRITE_TIFF_COMPRESSION, compression])[1].tobytes()
            np.testing.assert_array_equal(images.load(data), SOFT if picture.ndim == 3 else GRAY)
