"""OpenCV's decoder, its failures as typed errors."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageDecodeError


def decode(data: bytes, flags: int, name: str) -> NDArray[np.generic]:
    """What ``cv2.imdecode`` makes of a checked file.

    Raises:
        ImageDecodeError: It can make nothing of it.
    """
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as exc:
        raise ImageDecodeError(f"{name}: {exc.err}") from exc
    if decoded is None:
        raise ImageDecodeError(f"{name}: truncated or damaged")
    return decoded
