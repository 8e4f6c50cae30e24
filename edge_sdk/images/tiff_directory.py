"""The directories of a TIFF file, by TIFF 6.0: which one is the page, and the tags that its pixels need."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_sdk.errors import ImageDecodeError, UnsupportedImageError

MAX_DIRECTORIES = 100
MAX_TAGS = 1000  # a directory of a camera has fewer than 100
MAX_VALUES = 300_000  # strips or tiles of a picture within the budget, and the largest palette

_TYPES = {1: "u1", 3: "u2", 4: "u4", 7: "u1"}
_RATIONAL = 5
_REDUCED, _MASK = 1, 4
_RAW_CAMERA = {33421: "raw camera", 50706: "DNG"}


@dataclass(frozen=True)
class Tags:
    """Values of the tags that decide what the pixels are; ``order`` is the file's byte order, ``<`` or ``>``."""

    order: str
    values: dict[int, tuple[int, ...]]

    def one(self, tag: int, default: int) -> int:
        """The first value."""
        found = self.values.get(tag)
        return found[0] if found else default

    def all(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """All values."""
        return self.values.get(tag, default)

    def fraction(self, tag: int) -> float:
        """The value of a resolution, 0 where there is none."""
        above, below = self.values.get(tag, (0, 1))
        return above / below if below else 0.0


WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
FAX3, PREDICTOR, PALETTE, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 292, 317, 320, 322, 323, 324, 325
EXTRA, FORMAT, JPEG_TABLES = 338, 339, 347
RESOLUTIONS = ACROSS, DOWN = 282, 283
_SUBFILE, _OLD_SUBFILE, _WITHIN = 254, 255, 330
_NEEDED = {
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES, PLANAR,
    FAX3, PREDICTOR, PALETTE, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT, JPEG_TABLES, _SUBFILE,
    _OLD_SUBFILE, _WITHIN, *RESOLUTIONS, *_RAW_CAMERA,
}  # fmt: skip


def page(data: bytes, name: str) -> Tags:
    """The tags of a file's only page; thumbnails beside it do not count.

    Raises:
        ImageDecodeError: A directory is cut, leads in a circle, or has too much in it.
        UnsupportedImageError: Several pages, or a format made of TIFF's parts.
    """
    directories = list(_directories(data, name))
    for tags in directories:
        for tag, kind in _RAW_CAMERA.items():
            if tag in tags.values:
                raise UnsupportedImageError(f"{name}: a {kind} picture, not developed; save it as JPEG or PNG")
        if tags.one(_SUBFILE, 0) & _MASK:
            raise UnsupportedImageError(f"{name}: a TIFF with a transparency mask; save it without")
    pages = directories if len(directories) == 1 else [tags for tags in directories if not _reduced(tags)]
    if len(pages) != 1:
        raise UnsupportedImageError(f"{name}: a TIFF of {len(pages)} pages; save the page that counts by itself")
    if _reduced(pages[0]) and _WITHIN in pages[0].values:  # as Nikon's raw files have it
        raise UnsupportedImageError(f"{name}: a TIFF that shows a thumbnail first and hides its picture; save it anew")
    return pages[0]


def _reduced(tags: Tags) -> bool:
    return bool(tags.one(_SUBFILE, 0) & _REDUCED) or tags.one(_OLD_SUBFILE, 1) == 2


def _directories(data: bytes, name: str) -> Iterator[Tags]:
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    seen: set[int] = set()
    while at:
        if at in seen or len(seen) >= MAX_DIRECTORIES:
            raise ImageDecodeError(f"{name}: damaged TIFF: its directories lead in a circle, or are too many")
        seen.add(at)
        (count,) = struct.unpack_from(order + "H", data, at)
        if not 0 < count <= MAX_TAGS:
            raise ImageDecodeError(f"{name}: damaged TIFF: a directory of {count} tags")
        yield Tags(order, _read(data, at + 2, count, order, name))
        (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)


def _read(data: bytes, at: int, entries: int, order: str, name: str) -> dict[int, tuple[int, ...]]:
    values: dict[int, tuple[int, ...]] = {}
    for entry in range(at, at + 12 * entries, 12):
        tag, kind, count, where = struct.unpack_from(order + "HHII", data, entry)
        if tag not in _NEEDED or tag in values:
            continue
        if tag in _RAW_CAMERA or tag == _WITHIN:
            values[tag] = ()
            continue
        if tag in RESOLUTIONS:  # a fraction; none is worth a refusal
            if kind == _RATIONAL and where + 8 <= len(data):
                values[tag] = struct.unpack_from(order + "II", data, where)
            continue
        if kind not in _TYPES or not 0 < count <= MAX_VALUES:
            raise ImageDecodeError(f"{name}: damaged TIFF: tag {tag} with {count} values of type {kind}")
        form = np.dtype(order + _TYPES[kind])
        start = entry + 8 if form.itemsize * count <= 4 else where
        if start + form.itemsize * count > len(data):
            raise ImageDecodeError(f"{name}: truncated TIFF: tag {tag} lies behind the end")
        values[tag] = tuple(np.frombuffer(data, form, count, start).tolist())
    return values
