"""A picture that is 0 outside a box, so that operations look at the box alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2


class Boxed(NamedTuple):
    """A gray picture of ``height`` x ``width`` pixels, 0 outside of ``part``.

    Attributes:
        part: ``uint8 (h, w)``, both at least 1.
        top, left: Where the part's first pixel lies in the picture.
    """

    part: NDArray[np.uint8]
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def around(cls, image: NDArray[np.uint8]) -> Boxed:
        """The smallest box round what is not 0."""
        left, top, width, height = cv2.boundingRect(image)
        part = image[top : top + max(1, height), left : left + max(1, width)]
        return cls(part, top, left, image.shape[0], image.shape[1])

    @property
    def bottom(self) -> int:
        """The first row below the part."""
        return self.top + len(self.part)

    @property
    def right(self) -> int:
        """The first column beside the part."""
        return self.left + int(self.part.shape[1])

    @property
    def at_sides(self) -> tuple[bool, bool, bool, bool]:
        """Whether the part reaches the top, bottom, left and right of the picture."""
        return self.top == 0, self.bottom == self.height, self.left == 0, self.right == self.width

    def cut(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.uint8]:
        """Rows ``top`` to ``bottom - 1`` and columns ``left`` to ``right - 1`` of the picture, which must have them."""
        if top >= self.top and bottom <= self.bottom and left >= self.left and right <= self.right:
            return self.part[top - self.top : bottom - self.top, left - self.left : right - self.left]
        image = np.zeros((bottom - top, right - left), np.uint8)
        first, start = max(top, self.top), max(left, self.left)
        last, end = max(first, min(bottom, self.bottom)), max(start, min(right, self.right))
        image[first - top : last - top, start - left : end - left] = self.part[
            first - self.top : last - self.top, start - self.left : end - self.left
        ]
        return image

    def whole(self) -> NDArray[np.uint8]:
        """All of the picture."""
        return self.cut(0, self.height, 0, self.width)
