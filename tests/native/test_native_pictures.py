"""Pictures that the device library takes are Python's to the pixel; what is not whole is refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import InputError

from .hooks import Hooks
from .interface import BGR8, GRAY8, RGB8, RGBA8, Image, NativeError, image


def colorful(height: int = 97, width: int = 131, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(4)
    smooth = cv2.resize(
        rng.integers(0, 256, (7, 9, channels), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.ascontiguousarray(smooth)


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def jpeg(picture: np.ndarray, *settings: int) -> bytes:
    return cv2.imencode(".jpg", picture, settings)[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    return data[:33] + chunk(kind, body) + data[33:]


def exif(orientation: int, kind: str = "H") -> bytes:
    """The number is stored as a BYTE (B), SHORT (H) or LONG (I) of TIFF."""
    value = struct.pack(">" + kind, orientation).ljust(4, b"\0")
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHI4sI", 1, 274, " B HI".index(kind), 1, value, 0)


def app1(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def turned_jpeg(*segments: bytes) -> bytes:
    data = jpeg(colorful())
    return data[:2] + b"".join(map(app1, segments)) + data[2:]


def raw_png(samples: np.ndarray, depth: int, color: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of samples (H, W) or (H, W, S) in its own order, RGB."""
    height, width = samples.shape[:2]
    if depth < 8:
        bits = np.unpackbits(samples.astype(np.uint8)[..., np.newaxis], axis=2)[..., 8 - depth :]
        samples = np.packbits(bits.reshape(height, -1), axis=1)
    rows = samples.astype(">u2" if depth == 16 else np.uint8).reshape(height, -1)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    return b"".join([b"\x89PNG\r\n\x1a\n", head, *(chunk(*one) for one in chunks), data, chunk(b"IEND", b"")])


def levels(depth: int) -> np.ndarray:
    """Every level, or 256 of 65,536 ones."""
    step = 257 if depth == 16 else 1
    return np.random.default_rng(depth).integers(0, min(1 << depth, 256), (30, 41)) * step


def key(*samples: int) -> tuple[bytes, bytes]:
    """The chunk that makes one gray level or one colour transparent."""
    return b"tRNS", struct.pack(f">{len(samples)}H", *samples)


def palette(opacity: bytes = b"\xff\x80", depth: int = 8, colors: int = 3) -> bytes:
    """A PNG of the indices 0 to 2, or 0 and 1."""
    table = bytes((10, 20, 30, 200, 0, 90, 250, 240, 10))[: 3 * colors]
    return raw_png(np.minimum(levels(2), min(2, (1 << depth) - 1)), depth, 3, (b"PLTE", table), (b"tRNS", opacity))


def progressive() -> bytes:
    return jpeg(colorful(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


GRAY = colorful(channels=1)
ALPHA = np.dstack([colorful(), np.random.default_rng(1).integers(0, 256, (97, 131), np.uint8)])
WHITE_EDGES = np.dstack([np.full((97, 131, 3), 255, np.uint8), np.zeros((97, 131), np.uint8)])
WHITE_EDGES[40:44, 20:90] = (0, 0, 0, 255)
WHITE_EDGES[44:46, 20:90, 3] = 100

FILES: dict[str, Callable[[], bytes]] = {
    "gray png": lambda: png(GRAY),
    "colour png": lambda: png(colorful()),
    "16 bits": lambda: png(colorful().astype(np.uint16) * 251),
    "transparent": lambda: png(ALPHA),
    "white edges": lambda: png(WHITE_EDGES),
    "a fourth channel of 255": lambda: png(np.dstack([colorful(), np.full((97, 131), 255, np.uint8)])),
    "transparent everywhere": lambda: png(np.dstack([colorful(), np.zeros((97, 131), np.uint8)])),
    "16 bits of alpha that round to 0": lambda: png(
        np.dstack([colorful().astype(np.uint16) * 251, np.full((97, 131), 100, np.uint16)])
    ),
    "gray and alpha": lambda: raw_png(ALPHA[..., 2:], 8, 4),
    "gray and alpha of 16 bits": lambda: raw_png(ALPHA[..., 2:].astype(np.uint16) * 251, 16, 4),
    "gray, transparent everywhere": lambda: raw_png(np.dstack([GRAY, np.zeros_like(GRAY)]), 8, 4),
    "palette": palette,
    "palette of 1 bit": lambda: palette(depth=1, colors=2),
    "palette of 2 bits": lambda: palette(depth=2),
    "palette of 4 bits": lambda: palette(depth=4),
    "palette, transparent everywhere": lambda: palette(bytes(3)),
    "palette of more opacities than colours": lambda: palette(bytes(range(0, 250, 50))),
    "gray of 1 bit with a key": lambda: raw_png(levels(1), 1, 0, key(0)),
    "gray of 2 bits with a key": lambda: raw_png(levels(2), 2, 0, key(2)),
    "gray of 4 bits with a key": lambda: raw_png(levels(4), 4, 0, key(0xF3)),
    "gray of 8 bits with a key": lambda: raw_png(levels(8), 8, 0, key(0)),
    "gray of 16 bits with a key": lambda: raw_png(levels(16), 16, 0, key(7 * 257)),
    "gray with an empty key": lambda: raw_png(levels(8), 8, 0, key()),
    "colour with a key": lambda: raw_png(levels(8)[..., np.newaxis] // (1, 2, 3), 8, 2, key(80, 40, 26)),
    "colour of 16 bits with a key": lambda: raw_png(levels(16)[..., np.newaxis] // (1, 2, 3), 16, 2, key(257, 128, 85)),
    "alpha with a key": lambda: with_chunk(png(ALPHA), *key(0, 0, 0)),
    "png turned": lambda: with_chunk(png(colorful()), b"eXIf", exif(6)),
    "png turned, transparent": lambda: with_chunk(png(ALPHA), b"eXIf", exif(8)),
    "png turned, with the prefix of a jpeg": lambda: with_chunk(png(colorful()), b"eXIf", b"Exif\0\0" + exif(6)),
    "png turned, two eXIf": lambda: with_chunk(with_chunk(png(colorful()), b"eXIf", exif(3)), b"eXIf", exif(6)),
    "gray jpeg": lambda: jpeg(GRAY),
    "colour jpeg": lambda: jpeg(colorful()),
    "jpeg, not subsampled": lambda: jpeg(
        colorful(), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    ),
    "jpeg, restarts": lambda: jpeg(colorful(), cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
    "jpeg, other tables": lambda: jpeg(colorful(), cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_QUALITY, 100),
    "jpeg turned": lambda: turned_jpeg(b"Exif\0\0" + exif(8)),
    "jpeg turned, behind XMP": lambda: turned_jpeg(b"http://ns.adobe.com/xap/1.0/\0<x/>", b"Exif\0\0" + exif(6)),
    "jpeg turned, behind a vendor's block": lambda: turned_jpeg(b"Vendor\0data", b"Exif\0\0" + exif(5)),
    "jpeg turned by a BYTE": lambda: turned_jpeg(b"Exif\0\0" + exif(7, "B")),
    "jpeg turned by a LONG": lambda: turned_jpeg(b"Exif\0\0" + exif(6, "I")),
    "jpeg turned, two blocks": lambda: turned_jpeg(b"Exif\0\0" + exif(3), b"Exif\0\0" + exif(6)),
    "jpeg turned, an empty block first": lambda: turned_jpeg(b"Exif\0\0", b"Exif\0\0" + exif(6)),
    "jpeg of no orientation there is": lambda: turned_jpeg(b"Exif\0\0" + exif(9)),
    "jpeg with a preview behind it": lambda: jpeg(colorful()) + jpeg(GRAY),
}  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_files_are_decoded_as_python_does(hooks: Hooks, file: str) -> None:
    data = FILES[file]()
    expected = images.load(data)
    found = hooks.decode(image(data))
    assert found.shape == expected.shape
    if "jpeg" in file:  # two versions of libjpeg may round differently
        assert np.abs(found.astype(int) - expected).max() <= 2
    else:
        np.testing.assert_array_equal(found, expected)


def damaged_middle(data: bytes) -> bytes:
    middle = len(data) * 2 // 3
    return data[:middle] + data[middle + 50 :]


REFUSED: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"this is no picture at all",
    "half a png": lambda: png(colorful())[:-900],
    "a png without its end": lambda: png(colorful())[:-12],
    "a png with a hole": lambda: damaged_middle(png(colorful())),
    "a png without a picture": lambda: png(GRAY)[:33] + chunk(b"IEND", b""),
    "a png of no pixels": lambda: b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 0, 0, 0, 0)) * 2,
    "a png of 20,000 pixels a side": lambda: b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)),
    "a palette too short": lambda: palette(colors=2),
    "a palette of no colours": lambda: palette(colors=0),
    "half a key": lambda: raw_png(levels(8)[..., np.newaxis] // (1, 2, 3), 8, 2, key(80, 40)),
    "a header that no png has": lambda: raw_png(levels(16), 16, 3, (b"PLTE", bytes(768))),
    "a chunk that no decoder knows": lambda: with_chunk(png(GRAY), b"ABCD", b""),
    "an animated png": lambda: with_chunk(png(GRAY), b"acTL", struct.pack(">II", 2, 0)),
    "half a jpeg": lambda: jpeg(colorful())[:-700],
    "a jpeg without its end": lambda: jpeg(colorful())[:-2],
    "a jpeg cut and closed": lambda: jpeg(colorful())[:-300] + b"\xff\xd9",
    "a jpeg with a hole": lambda: damaged_middle(jpeg(colorful(400, 400))),
    "a lost restart interval": lambda: jpeg(colorful(), cv2.IMWRITE_JPEG_RST_INTERVAL, 3).replace(b"\xff\xd1", b"", 1),
    "a jpeg's header alone": lambda: jpeg(colorful())[:100],
    "a jpeg of nothing": lambda: b"\xff\xd8\xff\xd9",
    "a jpeg with a marker where none may be": lambda: jpeg(GRAY).replace(b"\xff\xe0", b"\xff\x01", 1),
    "a gif": lambda: b"GIF89a" + bytes(100),
}  # fmt: skip


@pytest.mark.parametrize("file", REFUSED)
def test_a_file_that_is_not_whole_is_refused_as_by_python(hooks: Hooks, file: str) -> None:
    data = REFUSED[file]()
    with pytest.raises(InputError):
        images.load(data)
    with pytest.raises(NativeError) as refused:
        hooks.decode(image(data))
    assert refused.value.status == "INPUT"


@pytest.mark.parametrize(
    "data",
    [
        progressive(),
        cv2.imencode(".bmp", GRAY)[1].tobytes(),
        with_chunk(png(GRAY), b"pHYs", struct.pack(">IIB", 204, 98, 1)),
    ],
    ids=["progressive", "bmp", "pixels that are not square"],
)  # fmt: skip
def test_what_python_alone_decodes_is_an_error_that_says_what_to_do(hooks: Hooks, data: bytes) -> None:
    images.load(data)
    with pytest.raises(NativeError, match="save it") as refused:
        hooks.decode(image(data))
    assert refused.value.status == "INPUT"


def test_every_shorter_jpeg_is_refused(hooks: Hooks) -> None:
    data = jpeg(colorful(24, 24))
    for length in range(4, len(data) - 1):
        with pytest.raises(NativeError):
            hooks.decode(image(data[:length]))


def test_pixels_in_every_order(hooks: Hooks) -> None:
    color = colorful()
    np.testing.assert_array_equal(hooks.decode(image(GRAY)), GRAY)
    np.testing.assert_array_equal(hooks.decode(image(color)), color)
    np.testing.assert_array_equal(hooks.decode(image(color[:, :, ::-1], RGB8)), color)
    expected = images.load(ALPHA)
    np.testing.assert_array_equal(hooks.decode(image(ALPHA)), expected)
    np.testing.assert_array_equal(hooks.decode(image(ALPHA[:, :, [2, 1, 0, 3]], RGBA8)), expected)


@pytest.mark.parametrize("fourth", [0, 255])
def test_a_fourth_channel_that_is_the_same_everywhere_is_no_alpha_of_pixels(hooks: Hooks, fourth: int) -> None:
    pixels = np.dstack([colorful(), np.full((97, 131), fourth, np.uint8)])
    np.testing.assert_array_equal(hooks.decode(image(pixels)), images.load(pixels))
    np.testing.assert_array_equal(images.load(pixels), colorful())


def test_rows_may_lie_apart(hooks: Hooks) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (20, 64), np.uint8)
    given = image(wide, GRAY8)
    given.width, given.stride = 50, 64
    given.length = 19 * 64 + 50  # the last row need not be padded
    np.testing.assert_array_equal(hooks.decode(given), wide[:, :50])


@pytest.mark.parametrize(
    "change",
    [
        {"struct_size": 8}, {"struct_size": 0}, {"data": None}, {"length": 0}, {"format": 6}, {"format": -1},
        {"length": 131 * 97 * 3 - 1}, {"width": 0}, {"height": -1}, {"width": 132}, {"height": 98},
        {"stride": 131 * 3 - 1},
        {"stride": 2**63}, {"height": 2**31 - 1, "width": 1}, {"format": 0},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_picture_is_refused(hooks: Hooks, change: dict[str, int | None]) -> None:
    given: Image = image(colorful(), BGR8)
    for name, value in change.items():
        setattr(given, name, value)
    with pytest.raises(NativeError) as refused:
        hooks.decode(given)
    assert refused.value.status in ("USAGE", "INPUT")
