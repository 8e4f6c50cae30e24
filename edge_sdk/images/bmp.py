"""BMP files of Windows and OS/2.

They are read here: OpenCV leaves out what it cannot read of a run-length encoded picture, gives 5 bits of white as 248
and has no alpha.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError, ImageTooLargeError, UnsupportedImageError
from edge_sdk.images import aspect
from edge_sdk.images.arrays import Image, no_alpha, on_paper
from edge_sdk.images.budget import Budget

_FILE, _CORE, _OS2, _INFO = 14, 12, (16, 64), 40  # bytes of the headers
_SIZES = {_CORE, *_OS2, _INFO, 52, 56, 108, 124}
_WITH_ALPHA = 56
_PLAIN, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
_DEPTHS = {_PLAIN: {1, 2, 4, 8, 16, 24, 32}, _RLE8: {8}, _RLE4: {4}, _FIELDS: {16, 32}, _ALPHA_FIELDS: {16, 32}}
_MASKS = {16: (0x1F, 0x3E0, 0x7C00, 0), 32: (0xFF, 0xFF00, 0xFF0000, 0)}  # blue, green, red, alpha


@dataclass(frozen=True)
class _Header:
    offset: int
    size: int
    width: int
    height: int
    from_top: bool
    bits: int
    compression: int
    colors: int
    across: int  # pixels a metre
    down: int


def decode(data: bytes, name: str, budget: Budget) -> Image:
    """Decode a BMP file; see :func:`edge_sdk.images.load`."""
    header = _header(data, name, budget)
    if header.compression in (_RLE8, _RLE4):
        image = _colors(data, header, _runs(data, header, budget.codes, name), name)
    elif header.bits <= 8:
        image = _colors(data, header, _indices(_lines(data, header, name), header), name)
    elif header.bits == 24:
        image = _lines(data, header, name)[:, : 3 * header.width].reshape(header.height, header.width, 3)
    else:
        image = _by_masks(data, header, name)
    image = np.ascontiguousarray(image if header.from_top else image[::-1])
    return aspect.square(image, header.across, header.down, budget, name)


def _header(data: bytes, name: str, budget: Budget) -> _Header:
    offset, size = struct.unpack_from("<II", data, 10)
    if size not in _SIZES:
        raise ImageDecodeError(f"{name}: damaged BMP: a header of {size} bytes")
    compression = colors = across = down = 0
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
        if size >= _INFO:
            compression, _, across, down, colors = struct.unpack_from("<IIiiI", data, 30)
    budget.check(width, abs(height), bits, name)
    if bits not in _DEPTHS.get(compression, ()) or (size in _OS2 and compression > _RLE4):
        raise UnsupportedImageError(f"{name}: a BMP of {bits} bits with compression {compression}; save it as PNG")
    if offset < _FILE + size:
        raise ImageDecodeError(f"{name}: damaged BMP: pixels within the header")
    return _Header(offset, size, width, abs(height), height < 0, bits, compression, colors, across, down)


def _lines(data: bytes, header: _Header, name: str) -> NDArray[np.uint8]:
    """``(H, bytes)``, in the file's order; the rows end with up to three bytes more."""
    stride = (header.width * header.bits + 31) // 32 * 4
    if header.offset + stride * header.height > len(data):
        raise ImageDecodeError(f"{name}: truncated BMP")
    lines = np.frombuffer(data, np.uint8, stride * header.height, header.offset)
    return lines.reshape(header.height, stride)


def _indices(lines: NDArray[np.uint8], header: _Header) -> NDArray[np.uint8]:
    """Unpack 8, 4, 2 or 1 pixels of a byte, the first in the highest bits."""
    if header.bits == 1:
        return np.unpackbits(lines, axis=1, count=header.width)
    if header.bits < 8:
        parts = [lines >> shift & (1 << header.bits) - 1 for shift in range(8 - header.bits, -1, -header.bits)]
        lines = np.stack(parts, axis=2).reshape(len(lines), -1)
    return lines[:, : header.width]


def _colors(data: bytes, header: _Header, indices: NDArray[np.uint8], name: str) -> Image:
    """Look up ``(H, W, 3)`` BGR, or ``(H, W)`` if the palette is gray."""
    entry, start = 3 if header.size == _CORE else 4, _FILE + header.size
    count = min(header.colors or 256, 1 << header.bits, (header.offset - start) // entry)
    if int(indices.max()) >= count:
        raise ImageDecodeError(f"{name}: damaged BMP: colours that its palette has not")
    palette = np.frombuffer(data, np.uint8, count * entry, start).reshape(count, entry)[:, :3]
    return palette[:, 0][indices] if (palette == palette[:, :1]).all() else palette[indices]


def _by_masks(data: bytes, header: _Header, name: str) -> Image:
    """16 or 32 bits a pixel, of which each sample is a part."""
    masks = _MASKS[header.bits]
    if header.compression != _PLAIN:
        red, green, blue = struct.unpack_from("<III", data, _FILE + _INFO)
        has_alpha = header.size >= _WITH_ALPHA or header.compression == _ALPHA_FIELDS
        (alpha,) = struct.unpack_from("<I", data, _FILE + _INFO + 12) if has_alpha else (0,)
        masks = (blue, green, red, alpha)
    values = _lines(data, header, name).view("<u4" if header.bits == 32 else "<u2")[:, : header.width]
    image = np.empty((header.height, header.width, 3), np.uint8)
    for channel, mask in enumerate(masks[:3]):
        image[..., channel] = _sample(values, mask, name)
    if not masks[3]:
        return image
    opacity = _sample(values, masks[3], name)
    return image if no_alpha(opacity) else on_paper(image, opacity)


def _sample(values: NDArray[np.unsignedinteger], mask: int, name: str) -> Image:
    """The bits of a mask, full scale to [0, 255]."""
    shift = (mask & -mask).bit_length() - 1
    largest = mask >> max(shift, 0)
    if not mask or largest & (largest + 1) or largest > 0xFFFF:
        raise ImageDecodeError(f"{name}: damaged BMP: a mask {mask:#x}")
    if largest == 0xFF and shift % 8 == 0:
        return np.ascontiguousarray(values.view(np.uint8).reshape(*values.shape, -1)[..., shift // 8])
    levels = (np.arange(largest + 1) * 255 + largest // 2) // largest
    return np.asarray(levels.astype(np.uint8)[(values & np.uint32(mask)) >> np.uint32(shift)], np.uint8)


def _runs(data: bytes, header: _Header, codes: int, name: str) -> NDArray[np.uint8]:
    """Run-length encoded indices, of which none may be left out."""
    nibbles = header.compression == _RLE4
    rows: list[bytes] = []
    row, at = bytearray(), header.offset
    for _ in range(codes):
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            row += (bytes((value >> 4, value & 15) if nibbles else (value, value)) * 128)[:count]
        elif value > 2:  # as many pixels as they are
            packed = data[at : at + ((value + 1) // 2 if nibbles else value)]
            row += packed.hex().encode().translate(_HEX)[:value] if nibbles else packed
            at += len(packed) + len(packed) % 2
        elif value < 2 and len(row) in ({header.width} if value == 0 else {0, header.width}):
            rows += [bytes(row)] if row else []
            row.clear()
            if value:
                break
        else:
            raise ImageDecodeError(f"{name}: a BMP whose run-length code leaves pixels out; damaged, or save it as PNG")
        if len(row) > header.width or len(rows) > header.height:
            raise ImageDecodeError(f"{name}: damaged BMP: more pixels than announced")
    else:
        raise ImageTooLargeError(f"{name}: a BMP of more than {codes} codes; save it as PNG")
    if len(rows) != header.height:
        raise ImageDecodeError(f"{name}: truncated BMP")
    return np.frombuffer(b"".join(rows), np.uint8).reshape(header.height, header.width)


_HEX = bytes(int(chr(n), 16) if chr(n) in "0123456789abcdef" else 0 for n in range(256))
