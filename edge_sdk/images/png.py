"""PNG files, by the specification's third edition.

OpenCV gets the pixels alone: header, image data, end. What colours stand for, which are transparent and which way up
the picture is, is decided here. Colour profiles, gamma and texts are not looked at, nor unpacked.
"""

from __future__ import annotations

import struct
import zlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError, UnsupportedImageError
from edge_sdk.images import aspect, opencv, orientation
from edge_sdk.images.arrays import Image, composed, eight_bits, on_paper, split
from edge_sdk.images.budget import Budget
from edge_sdk.images.kinds import PNG_START
from edge_sdk.opencv import cv2

MAX_CHUNKS = 100_000  # of 2 KiB and more in any file within the budget
_GRAY, _COLOR, _PALETTE, _GRAY_ALPHA, _COLOR_ALPHA = 0, 2, 3, 4, 6
_SAMPLES = {_GRAY: 1, _COLOR: 3, _PALETTE: 1, _GRAY_ALPHA: 2, _COLOR_ALPHA: 4}
_DEPTHS = {_GRAY: {1, 2, 4, 8, 16}, _PALETTE: {1, 2, 4, 8}}


class _Header(msgspec.Struct, frozen=True):
    width: int
    height: int
    depth: int
    color: int
    interlaced: int


class _File(msgspec.Struct):
    """Chunks that matter, by type; ``data`` holds all image data."""

    chunks: dict[bytes, bytes] = msgspec.field(default_factory=dict)
    data: list[memoryview] = msgspec.field(default_factory=list)


def decode(data: bytes, name: str, budget: Budget) -> Image:
    """Decode a PNG file; see :func:`edge_sdk.images.load`."""
    header = _header(data, name)
    budget.check(header.width, header.height, header.depth * _SAMPLES[header.color], name)
    file = _chunks(data, name)
    pixels = opencv.decode(_bare(header, file.data), cv2.IMREAD_UNCHANGED, name)
    density = file.chunks.get(b"pHYs", b"")
    across, down = struct.unpack_from(">II", density) if len(density) >= 8 else (0, 0)
    image = aspect.square(_colors(pixels, header, file.chunks, name), across, down, budget, name)
    return orientation.upright(image, orientation.in_exif(file.chunks.get(b"eXIf", b"")))


def _header(data: bytes, name: str) -> _Header:
    length, kind = struct.unpack_from(">I4s", data, len(PNG_START))
    if kind != b"IHDR" or length != 13:
        raise ImageDecodeError(f"{name}: PNG without header")
    width, height, depth, color, compression, filters, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    known = color in _SAMPLES and depth in _DEPTHS.get(color, {8, 16})
    if not known or compression or filters or interlaced > 1:
        raise ImageDecodeError(f"{name}: PNG with a header that no PNG has; damaged")
    return _Header(width, height, depth, color, interlaced)


def _chunks(data: bytes, name: str) -> _File:
    """Check every checksum; collect what matters."""
    file, view = _File(), memoryview(data)
    at = len(PNG_START)
    for _ in range(MAX_CHUNKS):
        (length,) = struct.unpack_from(">I", data, at)
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        kind = data[at + 4 : at + 8]
        if zlib.crc32(view[at + 4 : at + 8 + length]) != crc:
            raise ImageDecodeError(f"{name}: PNG with a wrong checksum; damaged")
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            file.data.append(view[at : at + 12 + length])
        elif kind in (b"PLTE", b"tRNS", b"pHYs", b"eXIf", b"acTL"):
            file.chunks.setdefault(kind, data[at + 8 : at + 8 + length])
        elif kind[:1].isupper() and kind != b"IHDR":
            raise ImageDecodeError(f"{name}: PNG with a chunk {kind!r} that no decoder knows; save it as plain PNG")
        at += 12 + length
    else:
        raise ImageDecodeError(f"{name}: PNG of more than {MAX_CHUNKS} chunks")
    if file.chunks.get(b"acTL", b"\0\0\0\1")[:4] != b"\0\0\0\1":
        raise UnsupportedImageError(f"{name}: an animated PNG, of several pictures; save the one that counts")
    return file


def _bare(header: _Header, data: list[memoryview]) -> bytes:
    """The same pixels in a file without anything else; indices of a palette as levels of gray."""
    color = _GRAY if header.color == _PALETTE else header.color
    body = struct.pack(">4sIIBBBBB", b"IHDR", header.width, header.height, header.depth, color, 0, 0, header.interlaced)
    start = PNG_START + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return b"".join([start, *data, b"\0\0\0\0IEND", struct.pack(">I", zlib.crc32(b"IEND"))])


def _colors(pixels: NDArray[np.generic], header: _Header, chunks: dict[bytes, bytes], name: str) -> Image:
    transparent = chunks.get(b"tRNS", b"")
    if header.color == _PALETTE:
        return _from_palette(eight_bits(pixels), header.depth, chunks.get(b"PLTE", b""), transparent, name)
    if header.color in (_GRAY_ALPHA, _COLOR_ALPHA):
        colors, alpha = split(eight_bits(pixels))
        return on_paper(np.ascontiguousarray(colors[..., 0]) if header.color == _GRAY_ALPHA else colors, alpha)
    image = eight_bits(pixels)
    if transparent:  # one gray level or one colour stands for transparent pixels
        key = np.array(struct.unpack_from(f">{_SAMPLES[header.color]}H", transparent)) & ((1 << header.depth) - 1)
        if header.depth < 8:  # OpenCV has spread them over [0, 255]
            key = key * 255 // ((1 << header.depth) - 1)
        found = pixels == key[0] if header.color == _GRAY else (pixels == key[::-1]).all(axis=2)
        image = image.copy()
        image[found] = 255
    return image


def _from_palette(levels: Image, depth: int, palette: bytes, alpha: bytes, name: str) -> Image:
    """Look up BGR on paper."""
    colors = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)[: 1 << depth, ::-1]
    step = 255 // ((1 << depth) - 1)  # between neighbouring indices
    if not len(colors) or int(levels.max()) // step >= len(colors):
        raise ImageDecodeError(f"{name}: PNG with colours that its palette has not; damaged")
    opacity = np.full((len(colors), 1), 255, np.uint8)
    seen = np.frombuffer(alpha, np.uint8)[: len(colors)]
    opacity[: len(seen), 0] = seen
    table = np.zeros((256, 3), np.uint8)
    table[: len(colors) * step : step] = composed(np.ascontiguousarray(colors[:, np.newaxis]), opacity)[:, 0]
    return np.asarray(cv2.LUT(cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR), table.reshape(1, 256, 3)), np.uint8)
