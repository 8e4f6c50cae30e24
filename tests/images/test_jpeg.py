"""JPEG: a picture whose data are missing is refused, whatever decoders make of it."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import ImageDecodeError, ImageTooLargeError, InputError, UnsupportedImageError
from edge_sdk.images import jpeg_data

from .made import RNG, coded, jpeg, segment

SCENE = cv2.GaussianBlur(RNG.integers(0, 256, (240, 330, 3), dtype=np.uint8), (0, 0), 2)
SCENE = cv2.normalize(SCENE, None, 0, 255, cv2.NORM_MINMAX)
KINDS = {
    "colour": jpeg(SCENE),
    "gray": jpeg(SCENE[:, :, 0]),
    "4:4:4": jpeg(SCENE, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "optimized": jpeg(SCENE, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "restarts": jpeg(SCENE, cv2.IMWRITE_JPEG_RST_INTERVAL, 21),
    "flat": jpeg(np.full((100, 100, 3), 255, np.uint8), cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "middle gray": jpeg(np.full((100, 100, 3), 128, np.uint8), cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "progressive": jpeg(SCENE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
}
each = pytest.mark.parametrize("kind", KINDS)
sequential = pytest.mark.parametrize("kind", ["colour", "gray", "4:4:4", "optimized", "restarts"])


@each
def test_whole_pictures_are_what_opencv_decodes(kind: str) -> None:
    data = KINDS[kind]
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    for whole in (data, data + b"a second picture", data.replace(b"\xff\xda", b"\xff\xff\xff\xff\xda", 1)):
        np.testing.assert_array_equal(images.load(whole), expected)


@sequential
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_data_that_end_early_are_found(kind: str, share: float) -> None:
    data = KINDS[kind]
    start, end = coded(data)
    with pytest.raises(ImageDecodeError, match="JPEG"):
        images.load(data[: start + int(share * (end - start))] + data[end:])


@sequential
@pytest.mark.parametrize("where", [0.05, 0.3, 0.6])
def test_data_that_are_missing_in_the_middle_are_found(kind: str, where: float) -> None:
    data = KINDS[kind]
    start, end = coded(data)
    at = start + int(where * (end - start))
    with pytest.raises(ImageDecodeError, match="JPEG"):
        images.load(data[:at] + data[at + (end - start) // 5 :])


@sequential
@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_a_lost_block_of_a_disk_is_found(kind: str, byte: bytes) -> None:
    data = KINDS[kind]
    at = sum(coded(data)) // 2
    with pytest.raises(ImageDecodeError, match="JPEG"):
        images.load(data[:at] + byte * 512 + data[at + 512 :])


def test_a_lost_restart_interval_is_found() -> None:
    data = KINDS["restarts"]
    first, second, third = (data.index(bytes((0xFF, 0xD0 + n))) for n in range(3))
    for damaged in (
        data[:first] + data[second:],
        data[:first] + data[second:third] + data[first:second] + data[third:],
        data[: first + 2] + data[second:],
        data.replace(segment(0xDD, b"\0\x15"), b""),
    ):
        with pytest.raises(ImageDecodeError, match="JPEG"):
            images.load(damaged)


def test_zeros_that_stand_for_empty_blocks_are_no_damage() -> None:
    """The best codes for a blank page are long runs of zero bits."""
    page = np.full((1200, 1600), 255, np.uint8)
    cv2.line(page, (100, 1100), (1500, 1150), 0, 9)
    data = jpeg(page, cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    assert bytes(64) in data
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    np.testing.assert_array_equal(images.load(data), expected)


def test_a_few_bytes_before_the_end_marker_are_a_cameras() -> None:
    data = KINDS["colour"]
    for spare in (b"\x5a\xa5", bytes(200)):
        np.testing.assert_array_equal(images.load(data[:-2] + spare + data[-2:]), images.load(data))


@pytest.mark.skipif(cv2.__version__.startswith("4.10."), reason="OpenCV 4.10 decodes on where data end")
def test_data_that_are_left_over_are_found() -> None:
    data = KINDS["colour"]
    with pytest.raises(ImageDecodeError, match="JPEG"):
        images.load(data[:-2] + b"\x5a\xa5" * 40 + data[-2:])


def scans(data: bytes) -> list[int]:
    return [n for n in range(len(data) - 1) if data[n : n + 2] == b"\xff\xda"]


def test_a_missing_scan_is_found() -> None:
    data = KINDS["progressive"]
    for at in scans(data)[1:]:
        with pytest.raises(ImageDecodeError, match="scan"):
            images.load(data[:at] + b"\xff\xd9")


@pytest.mark.parametrize("restarts", [0, 7])
def test_data_that_are_missing_in_any_scan_are_found(restarts: int) -> None:
    options = cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, restarts
    data = jpeg(SCENE, *options)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    np.testing.assert_array_equal(images.load(data), expected)
    ends = [*(data.rindex(b"\xff\xc4", 0, at) for at in scans(data)[1:]), len(data) - 2]
    for at in ends:  # of each scan's data; tables of the next scan follow
        for damaged in (data[: at - 20] + data[at:], data[:at] + b"\x5a\xa5" + data[at:]):
            with pytest.raises(ImageDecodeError, match="JPEG"):
                images.load(damaged)


def in_scans(*scans: tuple[tuple[int, ...], bytes]) -> bytes:
    """A sequential picture of 330 x 240 with halved colours; of each scan, the components and the coded data."""
    gray = KINDS["gray"]
    at, start = gray.index(b"\xff\xc0"), gray.index(b"\xff\xda")
    parts = bytes((1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0))
    out = gray[:at] + segment(0xC0, struct.pack(">BHHB", 8, 240, 330, 3) + parts) + gray[at + 13 : start]
    for numbers, data in scans:
        components = b"".join(bytes((n, 0)) for n in numbers)
        out += segment(0xDA, bytes((len(numbers),)) + components + bytes((0, 63, 0))) + data
    return out + b"\xff\xd9"


def test_a_scan_for_each_component() -> None:
    """As scanners and web pages of the nineties wrote them; the coded data of gray pictures are those of one."""
    planes = [SCENE[:, :, 0], *(cv2.resize(SCENE[:, :, n], (165, 120)) for n in (1, 2))]
    coded_planes = [jpeg(plane) for plane in planes]
    parts = [((n,), data[slice(*coded(data))]) for n, data in enumerate(coded_planes, 1)]
    data = in_scans(*parts)
    loaded = images.load(data)
    np.testing.assert_array_equal(loaded, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    y = cv2.cvtColor(loaded, cv2.COLOR_BGR2YCrCb)[:, :, 0].astype(int)
    assert np.median(abs(y - planes[0])) < 4
    for n, (numbers, part) in enumerate(parts):
        short = [*parts[:n], (numbers, part[: len(part) // 2]), *parts[n + 1 :]]
        with pytest.raises(ImageDecodeError, match="JPEG"):
            images.load(in_scans(*short))
        if not cv2.__version__.startswith("4.10."):  # which decodes on where data end
            longer = [*parts[:n], (numbers, part + b"\x5a\xa5" * 40), *parts[n + 1 :]]
            with pytest.raises(ImageDecodeError, match="JPEG"):
                images.load(in_scans(*longer))


def test_a_scan_of_two_components_is_refused() -> None:
    """Both colours in one: 21 x 15 times two blocks without difference (00) and without coefficients (1010)."""
    flat = int("001010" * 2 * 21 * 15 + "1111", 2).to_bytes(473, "big")
    luminance = KINDS["gray"][slice(*coded(KINDS["gray"]))]
    with pytest.raises(UnsupportedImageError, match="two components"):
        images.load(in_scans(((1,), luminance), ((2, 3), flat)))


@pytest.mark.parametrize("kind", ["colour", "gray", "progressive"])
@pytest.mark.parametrize("interval", [1302, 5000, 65535])
def test_a_restart_interval_may_be_longer_than_the_picture(kind: str, interval: int) -> None:
    data = KINDS[kind]
    longer = data[:2] + segment(0xDD, struct.pack(">H", interval)) + data[2:]
    np.testing.assert_array_equal(images.load(longer), images.load(data))


def test_code_words_of_progressive_pictures_are_limited() -> None:
    with pytest.raises(ImageTooLargeError, match="code words"):
        images.load(KINDS["progressive"], images.Budget(codes=1000))


def test_restart_intervals_that_end_gray_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    images.load(KINDS["middle gray"])
    monkeypatch.setattr(jpeg_data, "_MOST", 10)
    with pytest.raises(ImageTooLargeError, match="image: a JPEG of too many restart intervals"):
        images.load(KINDS["middle gray"])


def test_scans_are_limited() -> None:
    data = KINDS["progressive"]
    images.load(data, images.Budget(scans=len(scans(data))))
    with pytest.raises(ImageTooLargeError, match="scans"):
        images.load(data, images.Budget(scans=len(scans(data)) - 1))


@pytest.mark.parametrize(
    ("marker", "edit", "words"),
    [
        (0xC3, None, "lossless"),
        (0xC5, None, "hierarchical"),
        (0xC9, None, "arithmetic"),
        (0xC1, (4, 12), "12 bits"),
        (0xC0, (9, 2), "2-component"),
    ],
)
def test_other_kinds_are_named(marker: int, edit: tuple[int, int] | None, words: str) -> None:
    data = bytearray(KINDS["colour"])
    at = data.index(b"\xff\xc0")
    data[at + 1] = marker
    if edit:
        data[at + edit[0]] = edit[1]
    with pytest.raises(UnsupportedImageError, match=words):
        images.load(bytes(data))


def test_cmyk_is_refused() -> None:
    frame = segment(0xC0, b"\x08\0\x10\0\x10\4" + b"".join(bytes((n, 0x11, 0)) for n in range(4)))
    with pytest.raises(UnsupportedImageError, match="CMYK"):
        images.load(b"\xff\xd8" + frame + b"\xff\xd9")


@pytest.mark.parametrize("fill", [b"\xff" * 2**20, b"\xff\xfe\0\2" * 30_000])
def test_fillings_end(fill: bytes) -> None:
    data = KINDS["gray"]
    filled = data[:2] + fill + data[2:]
    if fill[1] == 0xFF:
        np.testing.assert_array_equal(images.load(filled), images.load(data))
    else:
        with pytest.raises(InputError, match="segments"):
            images.load(filled)


def in_three_scans() -> bytes:
    """Sequential, a scan for each component: three gray files in one."""
    luma, red, blue = (jpeg(plane) for plane in cv2.split(cv2.cvtColor(SCENE, cv2.COLOR_BGR2YCrCb)))
    files = (luma, blue, red)
    frame = segment(0xC0, b"\x08\0\xf0\x01\x4a\3" + b"".join(bytes((n, 0x11, 0)) for n in (1, 2, 3)))
    at = luma.index(b"\xff\xc0")
    tables = luma[:at] + luma[at + 13 : luma.index(b"\xff\xda")]
    coded_scans = [segment(0xDA, bytes((1, n, 0, 0, 63, 0))) + x[slice(*coded(x))] for n, x in enumerate(files, 1)]
    return tables + frame + b"".join(coded_scans) + b"\xff\xd9"


def test_each_of_several_scans_must_be_whole() -> None:
    data = in_three_scans()
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    np.testing.assert_array_equal(images.load(data), expected)
    for at in [*scans(data)[1:], len(data) - 2]:
        with pytest.raises(ImageDecodeError, match="missing"):
            images.load(data[: at - 40] + data[at:])
    with pytest.raises(ImageDecodeError, match="scans"):
        images.load(data[: scans(data)[2]] + b"\xff\xd9")
