"""TIFF files."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError
from edge_sdk.images import opencv
from edge_sdk.images.budget import Budget
from edge_sdk.opencv import cv2

_TIFF_FORMATS = {1: "B", 3: "H", 4: "I"}


def decode(data: bytes, name: str, budget: Budget) -> NDArray[np.generic]:
    """Decode a TIFF file; see :func:`edge_sdk.images.load`."""
    _check_tiff(data, name, budget)
    return opencv.decode(data, cv2.IMREAD_UNCHANGED, name)


def _check_tiff(data: bytes, name: str, budget: Budget) -> None:
    tags = dict(_tiff_tags(data))
    (width, *_), (height, *_) = tags[256], tags[257]
    budget.check(width, height, 8, name)
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
