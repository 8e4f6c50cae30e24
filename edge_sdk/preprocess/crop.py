"""Where a face's box is cut out of a frame, and what is shown of what lies outside the frame."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from edge_sdk.errors import InputError
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.step import Image, as_image
from edge_sdk.schema import require_bounds

MAX_CROP_PIXELS = 64_000_000
"""As many as a picture may have."""

Point = tuple[float, float]
"""x and y in pixels: pixel k reaches from k to k + 1."""


@dataclass(frozen=True)
class Box:
    """A rectangle in whole pixels: columns ``left`` to ``left + width - 1``, rows ``top`` to ``top + height - 1``."""

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1:
            raise InputError(f"a box of {self.width} x {self.height} pixels holds nothing")

    @property
    def area(self) -> int:
        """Pixels in it."""
        return self.width * self.height

    def overlap(self, other: "Box") -> float:
        """Intersection over union, in [0, 1].

        >>> Box(0, 0, 2, 1).overlap(Box(1, 0, 2, 1))
        0.3333333333333333
        """
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        common = max(0, width) * max(0, height)
        return common / (self.area + other.area - common)


@dataclass(frozen=True)
class LocatedFace(Box):
    """A face in a frame: its box, five points, and how sure the locator is.

    Attributes:
        points: In the frame's pixels, and perhaps outside it: the person's right eye (left in the picture), left eye,
            tip of the nose, right and left corner of the mouth.
        confidence: In [0, 1]; higher is surer.
    """

    points: tuple[Point, ...]
    confidence: float

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = list(map(len, self.points)) == [2] * 5
        if not pairs or not all(math.isfinite(value) for point in self.points for value in point):
            raise InputError(f"a located face has five points, each x and y and finite, not {self.points}")
        if not 0 <= self.confidence <= 1:
            raise InputError(f"the confidence of a located face is {self.confidence}, not in [0, 1]")


class FaceCrop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cut a square round a face, of ``scale`` times the longer side of its box and with the same centre.

    Half pixels round up. Where the square leaves the frame, ``overflow`` says what it shows: ``replicate`` repeats the
    frame's border, ``black`` is 0, and ``shift`` moves the square into the frame, smaller if the frame is.
    """

    scale: Annotated[float, msgspec.Meta(gt=0, le=4)]
    overflow: Literal["replicate", "black", "shift"]

    def __post_init__(self) -> None:
        require_bounds(self)

    def __call__(self, image: Image, box: Box) -> Image:
        """Return the square, ``(S, S)`` or ``(S, S, C)`` as ``image`` is; InputError if the box is not in the frame."""
        height, width = image.shape[:2]
        if min(box.left, box.top) < 0 or box.left + box.width > width or box.top + box.height > height:
            raise InputError(f"{box} is not inside the frame of {width} x {height} pixels")
        side = max(1, _rounded(self.scale * max(box.width, box.height)))
        if self.overflow == "shift":
            side = min(side, height, width)
        if side**2 > MAX_CROP_PIXELS:
            raise InputError(f"a crop of {side} x {side} pixels is too large: the face fills too much of the frame")
        left = _rounded(box.left + (box.width - side) / 2)
        top = _rounded(box.top + (box.height - side) / 2)
        if self.overflow == "shift":
            left, top = min(max(left, 0), width - side), min(max(top, 0), height - side)
        right, bottom = left + side, top + side
        inside = image[max(0, top) : bottom, max(0, left) : right]
        beyond = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
        if not any(beyond):
            return inside
        kind = cv2.BORDER_REPLICATE if self.overflow == "replicate" else cv2.BORDER_CONSTANT
        return as_image(cv2.copyMakeBorder(inside, *beyond, kind))


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
