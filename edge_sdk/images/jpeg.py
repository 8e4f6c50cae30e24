"""JPEG files."""

from __future__ import annotations

import re
import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError
from edge_sdk.images import opencv
from edge_sdk.images.budget import Budget

_JPEG_SIZES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # SOF0..15
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # in entropy-coded data: no stuffing, fill or restart


def decode(data: bytes, name: str, budget: Budget) -> NDArray[np.generic]:
    """Decode a JPEG file; see :func:`edge_sdk.images.load`."""
    _check_jpeg(data, name, budget)
    return opencv.decode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH, name)


def _check_jpeg(data: bytes, name: str, budget: Budget) -> None:
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
            budget.check(width, height, 8, name)
            sized = True
        at += 2 + length
        if marker == 0xDA:  # a scan: entropy-coded data until the next marker
            found = _JPEG_NEXT_MARKER.search(data, at)
            if found is None:
                raise ImageDecodeError(f"{name}: truncated JPEG")
            at = found.start()
    if not sized:
        raise ImageDecodeError(f"{name}: JPEG without a picture")
