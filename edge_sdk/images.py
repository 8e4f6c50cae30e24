"""Decode images from paths, bytes and arrays; everything that is not a whole image is an error.

OpenCV decodes. Before it does, the container is checked here, because a decoder asked for a 20,000 x 20,000 picture
allocates first, and because several decoders hand back half a picture from half a file. Nothing is decoded unless the
header's size is within :data:`MAX_PIXELS` and :data:`MAX_SIDE` and the container is complete.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError, ImageNotFoundError, ImageTooLargeError, UnsupportedImageError

Image = NDArray[np.uint8]
Source = str | os.PathLike[str] | bytes | NDArray[np.generic]

MAX_PIXELS = 64_000_000  # a 64-megapixel photo: 192 MB decoded
MAX_SIDE = 16_384
MAX_FILE_BYTES = 256 * 2**20

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
"""What names of image files end in, in lower case."""

_PNG = b"\x89PNG\r\n\x1a\n"
_STARTS = (_PNG, b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
_JPEG_SIZES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # SOF0..15
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # in entropy-coded data: no stuffing, fill or restart
_TIFF_FORMATS = {1: "B", 3: "H", 4: "I"}


def load(source: Source) -> Image:
    """Decode one image.

    Args:
        source: A path, the bytes of a PNG, JPEG, BMP or TIFF file, or an array of 8 or 16 bits: ``(H, W)`` or
            ``(H, W, 1)`` gray, ``(H, W, 3)`` BGR, ``(H, W, 4)`` BGRA.

    Returns:
        ``uint8``, ``(H, W)``, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA. 16 bits are scaled from [0, 65535] to [0, 255].
        The EXIF orientation of a JPEG is applied. An 8-bit array comes back as it is, not copied and never changed.

    Raises:
        ImageNotFoundError: There is no such file.
        ImageDecodeError: A directory, an unreadable, empty or truncated file, or no supported format.
        ImageTooLargeError: More than 64 million pixels, 16,384 pixels a side or 256 MiB.
        UnsupportedImageError: An array of another type or shape; floating point is never guessed at.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source), "image")
    if isinstance(source, (str, os.PathLike)):
        return _decode(_read(Path(source)), str(source))
    raise UnsupportedImageError(f"an image is a path, bytes or an array, not {type(source).__name__}")


def begins_one(head: bytes) -> bool:
    """Whether a file that begins with these bytes, 8 at least, is for :func:`load`; it may be damaged behind them."""
    return head.startswith(_STARTS)


def in_folder(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, by the ending of their names; 2 stands before 10.

    Hidden files are passed over.
    """
    named = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    return sorted(filter(Path.is_file, named), key=lambda path: natural(path.name))


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key under which 2 stands before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as exc:
        raise ImageNotFoundError(f"{path}: no such file") from exc
    except IsADirectoryError as exc:
        raise ImageDecodeError(f"{path}: a directory, not an image") from exc
    except (OSError, ValueError) as exc:  # ValueError: a null byte in the path
        if path.is_dir():  # what Windows calls a permission error
            raise ImageDecodeError(f"{path}: a directory, not an image") from exc
        raise ImageDecodeError(f"{path}: {exc}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise ImageTooLargeError(f"{path}: more than {MAX_FILE_BYTES} bytes")
    return data


def _from_array(array: NDArray[np.generic]) -> Image:
    if array.dtype.kind == "f":
        finite = bool(np.isfinite(array).all())
        found = "floating point" if finite else "floating point with NaN or infinity"
        raise UnsupportedImageError(f"array is {found} ({array.dtype}); pass uint8 in [0, 255] or uint16 in [0, 65535]")
    if array.dtype not in (np.uint8, np.uint16):
        raise UnsupportedImageError(f"array is {array.dtype}; pass uint8 or uint16")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise UnsupportedImageError(f"array has shape {array.shape}; pass (H, W), (H, W, 3) BGR or (H, W, 4) BGRA")
    _check_size(array.shape[1], array.shape[0], "array")
    return _eight_bits(array)


def _eight_bits(array: NDArray[np.generic]) -> Image:
    if array.dtype == np.uint16:
        array = cv2.convertScaleAbs(array.astype(np.uint16, copy=False), alpha=1 / 257)  # rounds; 65535 -> 255
    return np.ascontiguousarray(array, dtype=np.uint8)


def _decode(data: bytes, name: str) -> Image:
    if not data:
        raise ImageDecodeError(f"{name}: empty, 0 bytes")
    try:
        flags = _check_container(data, name)
    except (struct.error, IndexError, KeyError) as exc:
        raise ImageDecodeError(f"{name}: truncated or damaged header") from exc
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as exc:
        raise ImageDecodeError(f"{name}: {exc.err}") from exc
    if decoded is None:
        raise ImageDecodeError(f"{name}: truncated or damaged")
    try:
        return _from_array(decoded)
    except UnsupportedImageError as exc:
        raise UnsupportedImageError(f"{name}: {exc}") from None


def _check_container(data: bytes, name: str) -> int:
    """Check size and completeness of the file; return how OpenCV is to read it."""
    any_but_alpha = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # unlike UNCHANGED, honours EXIF orientation
    if data.startswith(_PNG):
        _check_png(data, name)
        return cv2.IMREAD_UNCHANGED
    if data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data, name)
        return any_but_alpha
    if data.startswith(b"BM"):
        _check_bmp(data, name)
        return any_but_alpha  # the fourth byte of a 32-bit BMP is mostly no alpha but zero
    if data[:4] in (b"II*\0", b"MM\0*"):
        _check_tiff(data, name)
        return cv2.IMREAD_UNCHANGED
    raise ImageDecodeError(f"{name}: not a PNG, JPEG, BMP or TIFF file")


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageDecodeError(f"{name}: {width} x {height} pixels")
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageTooLargeError(
            f"{name}: {width} x {height} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS} in all"
        )


def _check_png(data: bytes, name: str) -> None:
    if data[12:16] != b"IHDR":
        raise ImageDecodeError(f"{name}: PNG without header")
    width, height = struct.unpack_from(">II", data, 16)
    _check_size(width, height, name)
    at = len(_PNG)
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        body = memoryview(data)[at + 4 : at + 8 + length]  # type and content
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body) != crc:
            raise ImageDecodeError(f"{name}: PNG with a wrong checksum")
        if bytes(body[:4]) == b"IEND":
            return
        at += 12 + length


def _check_jpeg(data: bytes, name: str) -> None:
    at, sized = 2, False
    while True:
        if data[at] != 0xFF:
            raise ImageDecodeError(f"{name}: damaged JPEG")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            _check_size(width, height, name)
            sized = True
        at += 2 + length
        if marker == 0xDA:  # a scan: entropy-coded data until the next marker
            found = _JPEG_NEXT_MARKER.search(data, at)
            if found is None:
                raise ImageDecodeError(f"{name}: truncated JPEG")
            at = found.start()
    if not sized:
        raise ImageDecodeError(f"{name}: JPEG without a picture")


def _check_bmp(data: bytes, name: str) -> None:
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:  # OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: stored from the top
    _check_size(width, height, name)
    stride = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and offset + stride * height > len(data):  # 0 plain, 3 with bit masks
        raise ImageDecodeError(f"{name}: truncated BMP")


def _check_tiff(data: bytes, name: str) -> None:
    tags = dict(_tiff_tags(data))
    (width, *_), (height, *_) = tags[256], tags[257]
    _check_size(width, height, name)
    offsets, counts = (tags.get(273, ()), tags.get(279, ())) if 273 in tags else (tags.get(324, ()), tags.get(325, ()))
    if not offsets or any(o + c > len(data) for o, c in zip(offsets, counts, strict=False)) or max(offsets) > len(data):
        raise ImageDecodeError(f"{name}: truncated TIFF")


def _tiff_tags(data: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Unsigned integer tags of the first directory."""
    order = "<" if data.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, directory)
    for at in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at)
        if kind in _TIFF_FORMATS and 0 < count <= len(data):
            values = struct.Struct(f"{order}{count}{_TIFF_FORMATS[kind]}")
            inline = values.size <= 4
            (where,) = (at + 8,) if inline else struct.unpack_from(order + "I", data, at + 8)
            yield tag, values.unpack_from(data, where)
