"""Decoding: whole images come through exactly, everything else is a typed error."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import (
    EdgeSdkError,
    ImageDecodeError,
    ImageNotFoundError,
    ImageTooLargeError,
    InputError,
    UnsupportedImageError,
)

GRAY = np.random.default_rng(0).integers(0, 256, (40, 61), dtype=np.uint8)
BGR = np.random.default_rng(1).integers(0, 256, (40, 61, 3), dtype=np.uint8)
BGRA = np.random.default_rng(2).integers(0, 256, (40, 61, 4), dtype=np.uint8)
LOSSLESS = (".png", ".bmp", ".tiff")
FORMATS = (*LOSSLESS, ".jpg")


def encode(suffix: str, picture: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, picture, list(options))[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that announces a size, with next to nothing in it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def tiff(width: int, height: int, data: bytes, strip_at: int = 8) -> bytes:
    """An uncompressed 8-bit gray TIFF, its directory in front of the pixels."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    tags += [(273, 4, 8 + 2 + 12 * 9 + 4 + strip_at - 8), (277, 3, 1), (278, 4, height), (279, 4, len(data))]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + struct.pack("<I", 0) + data


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("picture", [GRAY, BGR], ids=["gray", "bgr"])
def test_lossless_formats_come_through_exactly(suffix: str, picture: np.ndarray, tmp_path: Path) -> None:
    data = encode(suffix, picture)
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(data)
    for source in (data, path, str(path), bytearray(data), memoryview(data)):
        np.testing.assert_array_equal(images.load(source), picture)  # type: ignore[arg-type]


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("picture", [GRAY, BGR], ids=["gray", "bgr"])
def test_jpeg_is_what_opencv_decodes(picture: np.ndarray, progressive: int) -> None:
    data = encode(
        ".jpg", picture, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, 1 - progressive
    )
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(images.load(data), expected)


def on_white(picture: np.ndarray) -> np.ndarray:
    color, alpha = picture[:, :, :3].astype(int), picture[:, :, 3:].astype(int)
    return (color * alpha + 255 * (255 - alpha) + 127) // 255


def test_transparency_shows_white_paper() -> None:
    np.testing.assert_array_equal(images.load(encode(".png", BGRA)), on_white(BGRA))
    np.testing.assert_array_equal(images.load(BGRA), on_white(BGRA))


@pytest.mark.parametrize("fourth", [0, 255])
@pytest.mark.parametrize("full", [255, 65535])
def test_a_constant_fourth_channel_of_an_array_is_no_transparency(fourth: int, full: int) -> None:
    scale = full // 255
    frame = np.dstack([BGR, np.full_like(GRAY, fourth)]).astype(np.uint16 if full > 255 else np.uint8) * scale
    np.testing.assert_array_equal(images.load(frame.astype(np.uint16 if full > 255 else np.uint8)), BGR)


def test_the_unused_byte_of_a_bmp_is_no_alpha() -> None:
    data = bytearray(encode(".bmp", BGRA))
    struct.pack_into("<I", data, 30, 0)  # BI_RGB
    assert images.load(bytes(data)).shape == (40, 61, 3)


def test_a_phones_orientation_is_applied() -> None:
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)  # 6: rotate by 90 degrees
    plain = encode(".jpg", GRAY)
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    np.testing.assert_array_equal(images.load(turned), np.rot90(images.load(plain), -1))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bits_are_scaled(suffix: str) -> None:
    deep = (GRAY.astype(np.uint16) * 257).reshape(GRAY.shape)
    np.testing.assert_array_equal(images.load(encode(suffix, deep)), GRAY)
    np.testing.assert_array_equal(images.load(deep), GRAY)
    assert images.load(np.array([[0, 128, 129, 65535]], np.uint16)).tolist() == [[0, 0, 1, 255]]  # rounds


@pytest.mark.parametrize("picture", [GRAY, BGR, GRAY[:, :, np.newaxis]], ids=["gray", "bgr", "hw1"])
def test_arrays_come_through_and_are_not_changed(picture: np.ndarray) -> None:
    before = picture.copy()
    picture.setflags(write=False)
    loaded = images.load(picture)
    np.testing.assert_array_equal(loaded, before.reshape(loaded.shape))
    np.testing.assert_array_equal(picture, before)


def test_a_view_with_strides_becomes_contiguous() -> None:
    loaded = images.load(BGR[::2, ::-1])
    assert loaded.flags.c_contiguous
    np.testing.assert_array_equal(loaded, BGR[::2, ::-1])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((9, 9), np.nan, np.float32), "NaN"),
        (np.zeros((9, 9), np.float32), "floating point"),
        (np.zeros((9, 9), np.int32), "int32"),
        (np.zeros((9, 9), bool), "bool"),
        (np.zeros((9, 9, 2), np.uint8), "shape"),
        (np.zeros((0, 9), np.uint8), "shape"),
        (np.zeros(9, np.uint8), "of an encoded picture array.tobytes"),
        (np.zeros((2, 9, 9, 3), np.uint8), "shape"),
        (np.array([["a"]]), "pass uint8"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(UnsupportedImageError, match=words):
        images.load(array)


def test_an_open_file_is_refused_with_the_way_out() -> None:
    with pytest.raises(UnsupportedImageError, match="not BytesIO: pass the bytes that its read"):
        images.load(io.BytesIO(encode(".png", BGR)))  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, 3, [1, 2], {"a": 1}])
def test_other_things_are_refused(source: object) -> None:
    with pytest.raises(UnsupportedImageError, match="not"):
        images.load(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_truncation_is_an_error(suffix: str) -> None:
    picture = cv2.GaussianBlur(BGR, (9, 9), 3)
    data = encode(suffix, picture)
    for length in {0, 1, 2, 4, 10, 20, 33, 60, *range(0, len(data) - 1, max(1, len(data) // 40))}:
        with pytest.raises(ImageDecodeError):
            images.load(data[:length])


def test_a_tiff_whose_pixels_are_cut_is_an_error() -> None:
    whole = tiff(61, 40, GRAY.tobytes())
    np.testing.assert_array_equal(images.load(whole), GRAY)
    with pytest.raises(ImageDecodeError, match="truncated TIFF"):
        images.load(whole[:-1])


def test_every_flipped_byte_of_a_png_is_found() -> None:
    data = encode(".png", GRAY[:8, :8])
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        with pytest.raises(InputError):
            images.load(bytes(damaged))


@pytest.mark.parametrize("suffix", FORMATS)
def test_damage_never_escapes_the_error_tree(suffix: str) -> None:
    data = encode(suffix, GRAY[:16, :16])
    generator = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(data)
        for at in generator.integers(0, min(len(data), 200), 3):
            damaged[at] = generator.integers(0, 256)
        with contextlib.suppress(EdgeSdkError):
            assert images.load(bytes(damaged)).dtype == np.uint8


@pytest.mark.parametrize("data", [b"RIFF" + bytes(60), b"hello", bytes(100)])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ImageDecodeError, match="not a PNG, JPEG, BMP or TIFF"):
        images.load(data)


def bmp_of_size(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHI", 54, 0, 54, 40, width, height, 1, 8, 0) + bytes(20)


def jpeg_of_size(width: int, height: int) -> bytes:
    data = encode(".jpg", GRAY)
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize("make", [png_of_size, bmp_of_size, jpeg_of_size, lambda w, h: tiff(w, h, b"")])
@pytest.mark.parametrize("size", [(20_000, 20_000), (16_385, 1), (1, 16_385), (9_000, 9_000)])
def test_a_huge_header_is_refused_before_decoding(
    make: object, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)  # calling it would raise TypeError
    with pytest.raises(ImageTooLargeError, match="pixels"):
        images.load(make(*size))  # type: ignore[operator]


def test_a_huge_array_is_refused() -> None:
    with pytest.raises(ImageTooLargeError):
        images.load(np.broadcast_to(np.uint8(0), (20_000, 20_000)))


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(bytes(11))
    with pytest.raises(ImageTooLargeError, match="10 bytes"):
        images.load(tmp_path / "big.png", images.Budget(file_bytes=10))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError):
        images.load(tmp_path / "none.png")
    with pytest.raises(FileNotFoundError):
        images.load(tmp_path / "none.png")
    with pytest.raises(ImageDecodeError, match="directory"):
        images.load(tmp_path)
    with pytest.raises(InputError):
        images.load("null\0byte.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageDecodeError, match="0 bytes"):
        images.load(tmp_path / "empty.png")
