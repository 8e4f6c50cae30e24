"""TIFF files, by TIFF 6.0 and the technical notes for Photoshop and JPEG: those of scanners and fax machines.

All but JPEG within TIFF is decoded here. libtiff, with which OpenCV decodes, fills what it cannot read with zeros,
and says so to the terminal alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError, UnsupportedImageError
from edge_sdk.images import aspect, fax, jpeg_data, jpeg_file, orientation, tiff_codecs, tiff_colors
from edge_sdk.images import tiff_directory as directory
from edge_sdk.images.arrays import Image
from edge_sdk.images.budget import Budget

_COMPRESSIONS = {
    1: "none", 2: "runs", 3: "g3", 4: "g4", 5: "lzw", 7: "jpeg", 8: "deflate", 32773: "packbits", 32946: "deflate",
}  # fmt: skip
_OTHERS = {
    6: "old-style JPEG", 9: "JBIG", 10: "JBIG", 32766: "NeXT", 32771: "fax, aligned to words", 32809: "ThunderScan",
    34661: "JBIG", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 34712: "JPEG 2000", 34887: "LERC", 34892: "lossy JPEG",
    34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
_PER_BLOCK = 200  # code words whose time setting up a strip or tile takes
_REVERSED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))
_ADOBE = b"Adobe\0\x64\0\0\0\0"  # and the transform: 1 YCbCr, 0 as they are


@dataclass(frozen=True)
class PixelLayout:
    """How the samples lie in the file.

    Attributes:
        block: Height and width of a strip or tile.
        grid: Rows of blocks, and blocks in a row.
        planes: 1, or a plane for each sample.
        samples: In each plane.
    """

    width: int
    height: int
    bits: int
    samples: int
    planes: int
    block: tuple[int, int]
    grid: tuple[int, int]
    tiled: bool
    scheme: str


def decode(data: bytes, name: str, budget: Budget) -> Image:
    """Decode a TIFF file; see :func:`edge_sdk.images.load`."""
    tags = directory.page(data, name)
    layout = _layout(tags, name, budget)
    colors = tiff_colors.check(tags, layout.bits, layout.samples * layout.planes, layout.scheme, name)
    blocks = _blocks(data, tags, layout, name)
    codes = tiff_codecs.Codes(budget.codes, name)
    if layout.scheme == "lzw":
        codes.foresee(sum(map(len, blocks)) * 8 // tiff_codecs.WIDEST)
    depth = np.uint16 if layout.bits == 16 else np.uint8
    pixels = np.empty((layout.height, layout.width, layout.samples * layout.planes), depth)
    for number, block in enumerate(blocks):
        plane, place = divmod(number, layout.grid[0] * layout.grid[1])
        top, left = place // layout.grid[1] * layout.block[0], place % layout.grid[1] * layout.block[1]
        rows = min(layout.block[0], layout.height - top)
        codes.spend(_PER_BLOCK)
        try:
            samples = _samples(block, tags, layout, rows, codes)
        except ImageDecodeError as exc:
            kind = "tile" if layout.tiled else "strip"
            raise ImageDecodeError(f"{name}: damaged TIFF: {kind} {number + 1} of {len(blocks)}: {exc}") from exc
        target = pixels[top : top + rows, left : left + layout.block[1], plane * layout.samples :][
            ..., : layout.samples
        ]
        target[:] = samples[:rows, : target.shape[1]]
    across, down = tags.fraction(directory.ACROSS), tags.fraction(directory.DOWN)
    image = aspect.square(tiff_colors.to_bgr(pixels, colors), across, down, budget, name)
    return orientation.upright(image, _upright(tags))


def _upright(tags: directory.Tags) -> int:
    found = tags.one(directory.ORIENTATION, 1)
    return found if 1 <= found <= 8 else 1


def _layout(tags: directory.Tags, name: str, budget: Budget) -> PixelLayout:
    width, height = tags.one(directory.WIDTH, 0), tags.one(directory.HEIGHT, 0)
    samples = tags.one(directory.SAMPLES, 1)
    depths = set(tags.all(directory.BITS, (1,)))
    budget.check(width, height, max(depths) * samples, name)
    compression = tags.one(directory.COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        found = _OTHERS.get(compression, f"compression {compression}")
        raise UnsupportedImageError(f"{name}: a TIFF with {found}; save it without compression, or as PNG")
    if len(depths) != 1 or not depths <= {1, 2, 4, 8, 16}:
        found = "/".join(map(str, sorted(depths)))
        raise UnsupportedImageError(f"{name}: a TIFF of {found} bits a sample; save it with 8 or 16")
    scheme = _COMPRESSIONS[compression]
    if scheme == "g3" and tags.one(directory.FAX3, 0) & 1:
        scheme = "g3-2d"
    tiled = directory.TILE_WIDTH in tags.values
    block = (min(tags.one(directory.ROWS, height), height), width)
    if tiled:
        block = (tags.one(directory.TILE_HEIGHT, 0), tags.one(directory.TILE_WIDTH, 0))
    planes = samples if tags.one(directory.PLANAR, 1) == 2 else 1
    if not (0 < block[0] <= budget.side and 0 < block[1] <= budget.side):
        raise ImageDecodeError(f"{name}: damaged TIFF: strips or tiles of {block[1]} x {block[0]} pixels")
    return PixelLayout(
        width=width,
        height=height,
        bits=depths.pop(),
        samples=samples // planes,
        planes=planes,
        block=block,
        grid=(-(-height // block[0]), -(-width // block[1])),
        tiled=tiled,
        scheme=scheme,
    )


def _blocks(data: bytes, tags: directory.Tags, layout: PixelLayout, name: str) -> list[bytes]:
    """The coded data of each strip or tile."""
    at = tags.all(directory.TILES if layout.tiled else directory.STRIPS)
    sizes = tags.all(directory.TILE_BYTES if layout.tiled else directory.STRIP_BYTES)
    wanted = layout.grid[0] * layout.grid[1] * layout.planes
    if not sizes and wanted == len(at) == 1:  # TIFF 5.0 did not ask for it
        sizes = (len(data) - at[0],)
    if not len(at) == len(sizes) == wanted:
        raise ImageDecodeError(f"{name}: damaged TIFF: {len(at)} strips with {len(sizes)} sizes, not {wanted}")
    for start, size in zip(at, sizes, strict=True):
        if not start or not size:
            raise ImageDecodeError(f"{name}: damaged TIFF: a strip was never written")
        if start + size > len(data):
            raise ImageDecodeError(f"{name}: truncated TIFF")
    blocks = [data[start : start + size] for start, size in zip(at, sizes, strict=True)]
    if tags.one(directory.FILL_ORDER, 1) == 2 and layout.scheme != "jpeg":
        blocks = [block.translate(_REVERSED) for block in blocks]
    return blocks


def _samples(
    block: bytes, tags: directory.Tags, layout: PixelLayout, rows: int, codes: tiff_codecs.Codes
) -> NDArray[np.generic]:
    """``(rows or more, width, samples)`` of a strip or tile, 0 to the largest value of the bits."""
    height, width = layout.block
    if layout.tiled:
        rows = height
    if layout.scheme == "jpeg":
        return _jpeg(block, tags, layout, rows, codes)
    if layout.scheme in ("runs", "g3", "g3-2d", "g4"):
        return fax.decode(block, width, rows, layout.scheme, codes)[..., np.newaxis]
    stride = (width * layout.samples * layout.bits + 7) // 8
    least, most = rows * stride, height * stride
    plain = _unpacked(block, layout.scheme, least, most, codes)
    lines = np.frombuffer(plain, np.uint8).reshape(rows, stride)
    values: NDArray[np.generic]
    if layout.bits == 16:
        values = lines.view(np.dtype(tags.order + "u2")).astype(np.uint16)
    elif layout.bits == 8:
        values = lines
    else:
        ones = np.unpackbits(lines, axis=1).reshape(rows, -1, layout.bits)
        values = np.packbits(ones, axis=2)[..., 0] >> (8 - layout.bits) if layout.bits > 1 else ones[..., 0]
        values = values[:, : width * layout.samples]
    values = values.reshape(rows, width, layout.samples)
    if layout.scheme in ("lzw", "deflate") and tags.one(directory.PREDICTOR, 1) == 2:
        values = np.add.accumulate(values, axis=1, dtype=values.dtype)
    return values


def _unpacked(block: bytes, scheme: str, least: int, most: int, codes: tiff_codecs.Codes) -> bytes:
    if scheme == "deflate":
        return tiff_codecs.deflate(block, least, most)
    if scheme == "lzw":
        return tiff_codecs.lzw(block, least, most, codes)
    if scheme == "packbits":
        return tiff_codecs.packbits(block, least, most, codes)
    if len(block) < least:
        raise ImageDecodeError(f"{len(block)} bytes, not {least}")
    return block[:least]


def _jpeg(
    block: bytes, tags: directory.Tags, layout: PixelLayout, rows: int, codes: tiff_codecs.Codes
) -> NDArray[np.generic]:
    """A JPEG of its own, whose tables may stand in the directory; which colours it holds, the directory says."""
    tables = bytes(tags.all(directory.JPEG_TABLES))[2:-2]
    file = jpeg_file.read(jpeg_file.SOI + tables + block[2:], "JPEG", Budget())
    if (file.frame.width, len(file.frame.components)) != (layout.block[1], layout.samples):
        raise ImageDecodeError("a JPEG of another width or number of colours")
    if not rows <= file.frame.height <= layout.block[0]:
        raise ImageDecodeError("a JPEG of another height")
    transform = tags.one(directory.PHOTOMETRIC, 0) == tiff_colors.YCBCR
    file.color = jpeg_file.segment_of(0xEE, _ADOBE + bytes((transform,))) if layout.samples > 1 else b""
    pixels = jpeg_data.decode(file, "JPEG", codes.left)
    return pixels[..., np.newaxis] if layout.samples == 1 else pixels[..., ::-1]
