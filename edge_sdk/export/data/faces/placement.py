"""Where a face lies in its picture, and whether that has colours: random changes of gray and colour pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edge_sdk.export.data.augmentation import Change, SampleKind
from edge_sdk.export.data.faces.augmentation import NEVER, Chance
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image


@dataclass(frozen=True)
class FacePlacement:
    """A face that is mirrored, turned, moved or nearer, between bilinear pixels; mirror images come in over the edges.

    Attributes:
        flip: Frequency of swapping right and left.
        rotation: Degrees about the middle.
        translation: Shares of the sides, along each.
        zoom: Change of size, as a share.
        gray: Frequency of losing the colours, for training sets of which a part has none.
    """

    kinds: ClassVar[tuple[SampleKind, ...]] = ("gray images", "colour images")

    flip: float = 0.5
    rotation: Chance = NEVER
    translation: Chance = NEVER
    zoom: Chance = NEVER
    gray: float = 0.0

    def __post_init__(self) -> None:
        Chance(self.flip, 0.0)  # refuses what is no frequency
        Chance(self.gray, 0.0)

    def for_person(self, rng: np.random.Generator) -> Change:
        del rng  # people are not changed, only their pictures
        return self

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Return a changed copy.

        Args:
            image: ``uint8 (H, W)`` or ``(H, W, 3)`` RGB.
            rng: Source of all randomness.
        """
        degrees, shift, zoom = self.rotation.draw(rng), self.translation.draws(rng, 2), self.zoom.draw(rng)
        flipped, gray = rng.random() < self.flip, rng.random() < self.gray
        height, width = image.shape[:2]
        if degrees or zoom or shift.any():
            middle = (width - 1) / 2, (height - 1) / 2
            matrix = np.asarray(cv2.getRotationMatrix2D(middle, degrees, 1 + zoom), np.float64)
            matrix[:, 2] += shift * (width, height)
            image = np.asarray(
                cv2.warpAffine(
                    image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
                ),
                np.uint8,
            )
        if gray and image.ndim == 3:
            image = np.repeat(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)[:, :, None], 3, axis=2)
        return image[:, ::-1].copy() if flipped else image.copy()
