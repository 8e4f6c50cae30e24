"""BMP files."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError
from edge_sdk.images import opencv
from edge_sdk.images.budget import Budget
from edge_sdk.opencv import cv2


def decode(data: bytes, name: str, budget: Budget) -> NDArray[np.generic]:
    """Decode a BMP file; see :func:`edge_sdk.images.load`."""
    _check_bmp(data, name, budget)
    return opencv.decode(data, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH, name)


def _check_bmp(data: bytes, name: str, budget: Budget) -> None:
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:  # OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: stored from the top
    budget.check(width, height, 8, name)
    stride = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and offset + stride * height > len(data):  # 0 plain, 3 with bit masks
        raise ImageDecodeError(f"{name}: truncated BMP")
