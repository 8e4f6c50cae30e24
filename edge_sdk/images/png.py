"""PNG files."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError
from edge_sdk.images import opencv
from edge_sdk.images.arrays import eight_bits, on_paper
from edge_sdk.images.budget import Budget
from edge_sdk.images.kinds import PNG_START


def decode(data: bytes, name: str, budget: Budget) -> NDArray[np.generic]:
    """Decode a PNG file; see :func:`edge_sdk.images.load`."""
    _check_png(data, name, budget)
    decoded = eight_bits(opencv.decode(data, cv2.IMREAD_UNCHANGED, name))
    return on_paper(decoded[:, :, :3], decoded[:, :, 3]) if decoded.ndim == 3 and decoded.shape[2] == 4 else decoded


def _check_png(data: bytes, name: str, budget: Budget) -> None:
    if data[12:16] != b"IHDR":
        raise ImageDecodeError(f"{name}: PNG without header")
    width, height = struct.unpack_from(">II", data, 16)
    budget.check(width, height, 8, name)
    at = len(PNG_START)
    while True:
        (length,) = struct.unpack_from(">I", data, at)
        body = memoryview(data)[at + 4 : at + 8 + length]  # type and content
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body) != crc:
            raise ImageDecodeError(f"{name}: PNG with a wrong checksum")
        if bytes(body[:4]) == b"IEND":
            return
        at += 12 + length
