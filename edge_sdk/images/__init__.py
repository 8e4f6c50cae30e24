"""Decode images from paths, bytes and arrays; everything that is not a whole image is an error.

A decoder that is asked for a 20,000 x 20,000 picture allocates first, and most hand back half a picture from half a
file. So nothing is decoded unless the header is within the :class:`Budget`, and a file must be whole to the last byte.
OpenCV decodes the pixels of PNG and JPEG; TIFF and BMP are read here. One module a format: ``png``, ``jpeg``, ``tiff``,
``bmp``.
"""

from __future__ import annotations

import errno
import importlib
import os
import struct
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.errors import ImageDecodeError, ImageNotFoundError, ImageTooLargeError, InputError, UnsupportedImageError
from edge_sdk.images.arrays import Image, from_array, from_bits, given
from edge_sdk.images.budget import DEFAULT, MAX_FILE_BYTES, MAX_PIXELS, MAX_SIDE, Budget
from edge_sdk.images.kinds import HEAD_BYTES, PICTURES, VIDEOS, begins_one, kind_of
from edge_sdk.images.names import LEFT_BY_SYSTEMS, PICTURE_SUFFIXES, SUFFIXES, natural

__all__ = [
    "HEAD_BYTES", "LEFT_BY_SYSTEMS", "MAX_FILE_BYTES", "MAX_PIXELS", "MAX_SIDE", "PICTURES", "PICTURE_SUFFIXES",
    "SUFFIXES", "VIDEOS", "Budget", "Image", "Source", "begins_one", "from_bits", "kind_of", "load", "natural",
]  # fmt: skip

Source = str | os.PathLike[str] | bytes | NDArray[np.generic]

_MODULES = {kind: f"edge_sdk.images.{kind.lower()}" for kind in ("PNG", "JPEG", "BMP", "TIFF")}
"""Each is imported with the first file of its kind."""


class _Decoder(Protocol):
    def decode(self, data: bytes, name: str, budget: Budget) -> NDArray[np.generic]: ...


def load(source: Source, budget: Budget = DEFAULT) -> Image:
    """Decode one image.

    Args:
        source: A path, the bytes of a PNG, JPEG, BMP or TIFF file, or an array of 8 or 16 bits: ``(H, W)`` or
            ``(H, W, 1)`` gray, ``(H, W, 3)`` BGR, ``(H, W, 4)`` BGRA or BGRx.
        budget: What the picture may cost at most.

    Returns:
        ``uint8``, ``(H, W)`` gray or ``(H, W, 3)`` BGR, contiguous. 16 bits are scaled from [0, 65535] to [0, 255].
        Transparent pixels show white paper. The fourth channel of an array is no transparency where it is 0
        everywhere or full scale everywhere. The EXIF orientation is applied. An 8-bit array without a fourth channel
        comes back as it is, not copied and never changed.

    Raises:
        ImageNotFoundError: There is no such file.
        ImageDecodeError: A directory, an unreadable, empty, truncated or damaged file, or no picture at all.
        ImageTooLargeError: More than the budget; for pixels and bytes nothing was decoded.
        UnsupportedImageError: An array of another type or shape, floating point among them; a file of another format,
            of several pages, or of a kind that the formats have but is not decoded, such as CMYK.
        BitDepthError: An array of 16 bits whose values are all below 16,384: see :func:`from_bits`.
    """
    if isinstance(source, np.ndarray):
        return given(source, budget)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source), "image", budget)
    if isinstance(source, (str, os.PathLike)):
        return _decode(_read(Path(source), budget.file_bytes), str(source), budget)
    raise UnsupportedImageError(f"an image is a path, bytes or an array, not {_kind(source)}")


def _kind(source: object) -> str:
    hint = ""
    if hasattr(source, "__array__") or hasattr(source, "__array_interface__"):
        hint = ": pass numpy.asarray(it), with colours in the order BGR"
    elif hasattr(source, "read"):
        hint = ": pass the bytes that its read() gives"
    return f"{type(source).__name__}{hint}"


def _read(path: Path, limit: int) -> bytes:
    try:
        return files.read_bytes(path, limit)
    except FileNotFoundError as exc:
        raise ImageNotFoundError(f"{path}: no such file") from exc
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise ImageTooLargeError(f"{path}: more than {limit} bytes") from exc
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            raise ImageDecodeError(f"{path}: a directory, not an image") from exc
        raise ImageDecodeError(f"{path}: {exc.strerror or exc}") from exc


def _decode(data: bytes, name: str, budget: Budget) -> Image:
    if not data:
        raise ImageDecodeError(f"{name}: empty, 0 bytes")
    if len(data) > budget.file_bytes:
        raise ImageTooLargeError(f"{name}: more than {budget.file_bytes} bytes")
    kind = kind_of(data[:HEAD_BYTES])
    if kind not in _MODULES:
        error = UnsupportedImageError if kind else ImageDecodeError
        found = f"{kind}, " if kind else ""
        raise error(f"{name}: {found}not a PNG, JPEG, BMP or TIFF file; save it as one of these")
    try:
        decoded = cast("_Decoder", importlib.import_module(_MODULES[kind])).decode(data, name, budget)
    except InputError:
        raise
    except (struct.error, IndexError, KeyError, ValueError, OverflowError) as exc:
        raise ImageDecodeError(f"{name}: damaged or cut off") from exc
    try:
        return from_array(decoded, budget)
    except UnsupportedImageError as exc:
        raise UnsupportedImageError(f"{name}: {exc}") from None
