"""Pixels that are not square: pages of fax machines, of 204 x 98 or 204 x 391 pixels to the inch (ITU-T T.4)."""

from __future__ import annotations

import numpy as np

from edge_sdk.images.arrays import Image
from edge_sdk.images.budget import Budget
from edge_sdk.opencv import cv2

LEAST, MOST = 1.8, 2.2
"""What a fax machine's two resolutions are to each other; other ratios are an error of the writer far more often."""


def square(image: Image, across: float, down: float, budget: Budget, name: str) -> Image:
    """Stretch a stored picture along the side on which it has about half as many pixels to the inch.

    Args:
        image: ``(H, W)`` or ``(H, W, 3)``, as stored, not yet turned.
        across: Pixels of a row to the inch, or to any other length; 0 where the file does not say.
        down: The same of a column.
        budget: For the stretched picture.
        name: Of the picture, for the message.

    Returns:
        The same array where the pixels are square, or it is not known.

    Raises:
        ImageTooLargeError: The stretched picture is more than the budget.
    """
    if across <= 0 or down <= 0:
        return image
    height, width = image.shape[:2]
    ratio = across / down
    if LEAST <= ratio <= MOST:
        height = round(height * ratio)
    elif LEAST <= 1 / ratio <= MOST:
        width = round(width / ratio)
    else:
        return image
    budget.check(width, height, 8 * image.size // (image.shape[0] * image.shape[1]), name)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
