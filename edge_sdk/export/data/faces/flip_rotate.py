"""The random changes of document 004: a flip, and a small rotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edge_sdk.errors import UsageError
from edge_sdk.export.data.augmentation import Change, SampleKind
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image


@dataclass(frozen=True)
class FlipRotate:
    """Half of the images are mirrored, left to right; each is turned about its middle, bilinear, with black corners.

    Attributes:
        degrees: Angles are uniform in [-degrees, degrees].
    """

    kinds: ClassVar[tuple[SampleKind, ...]] = ("gray images", "colour images")

    degrees: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 180:
            raise UsageError(f"an angle is from 0 to 180 degrees, not {self.degrees}")

    def for_person(self, rng: np.random.Generator) -> Change:
        """Nothing is shared: every image is changed by itself."""
        del rng
        return self._change

    def _change(self, image: Image, rng: np.random.Generator) -> Image:
        if rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D(
            ((width - 1) / 2, (height - 1) / 2), float(rng.uniform(-self.degrees, self.degrees)), 1
        )
        return np.asarray(cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_LINEAR), np.uint8)
