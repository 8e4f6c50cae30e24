"""OpenCV's decoder, its failures as typed errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError
from edge_sdk.opencv import cv2


def decode(data: bytes, flags: int, name: str) -> NDArray[np.generic]:
    """What ``cv2.imdecode`` makes of a checked file.

    Raises:
        ImageDecodeError: It can make nothing of it.
    """
    decoded = decoded_or_none(data, flags)
    if decoded is None:
        raise ImageDecodeError(f"{name}: truncated or damaged")
    return decoded


def decoded_or_none(data: bytes, flags: int) -> NDArray[np.generic] | None:
    """What ``cv2.imdecode`` makes of a file, None where it raises too."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
