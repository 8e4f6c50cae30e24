"""Random changes of pre-processed signatures: variants of each signature, and new writers made of old ones.

A skilled forgery differs from the genuine signature in proportions and line quality, so what is changed image by image
(``SignatureAugmentation.image``) stays within what one writer varies anyway. But a writer whose signatures *and*
forgeries are all mirrored, slanted or stretched alike is as good as another person, and people are what training sets
lack: those changes (``SignatureAugmentation.writer``) may be large.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.data.augmentation import Change, SampleKind
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Warp:
    """Ranges of an affine change; each value is drawn uniformly from [-range, range].

    Attributes:
        rotation: Degrees.
        slant: Horizontal shear, as a share of the height.
        scale: Change of size, for each axis by itself.
        mirror: Chance to be mirrored, for each axis by itself.
    """

    rotation: float
    slant: float
    scale: float
    mirror: float = 0.0

    def draw(self, rng: np.random.Generator) -> Matrix:
        """A 2 x 2 matrix."""
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shear = np.array([[1, rng.uniform(-self.slant, self.slant)], [0, 1]])
        flip = np.where(rng.random(2) < self.mirror, -1, 1)
        return np.asarray(turn @ shear @ np.diag(flip * (1 + rng.uniform(-self.scale, self.scale, 2))))


@dataclass(frozen=True)
class SignatureAugmentation:
    """How images are changed.

    Attributes:
        image, writer: Affine changes, drawn for each image and, in a step, once for each writer.
        shift: Translation, as a share of the side.
        bend: Largest smooth random displacement, as a share of the width.
        stroke: Change of the line's half-width, in pixels of a 360 pixel wide frame.
        erase: Chance that a rectangle of up to a tenth of the frame is cleared.
    """

    kinds: ClassVar[tuple[SampleKind, ...]] = ("gray images",)

    image: Warp = Warp(rotation=5, slant=0.08, scale=0.08)
    writer: Warp = Warp(rotation=15, slant=0.3, scale=0.2, mirror=0.5)
    shift: float = 0.04
    bend: float = 0.01
    stroke: float = 0.8
    erase: float = 0.25

    def for_person(self, rng: np.random.Generator) -> Change:
        return partial(self, writer=self.writer.draw(rng))

    def __call__(self, image: Image, rng: np.random.Generator, writer: Matrix | None = None) -> Image:
        """Return a changed copy.

        Args:
            image: ``uint8 (H, W)``, ink 255 on 0.
            rng: Source of all randomness.
            writer: What ``self.writer`` drew for this image's writer.
        """
        height, width = image.shape
        size = np.array([width, height])
        linear = self.image.draw(rng) @ (np.eye(2) if writer is None else writer)
        # A turned or stretched signature still fits the frame, as it would behind the pipeline's crop.
        linear = linear / max(1.0, (np.abs(linear) @ size / size).max() / 1.1)
        offset = size / 2 - linear @ (size / 2) + rng.uniform(-self.shift, self.shift, 2) * size
        out = cv2.remap(image, *self._grid(linear, offset, height, width, rng), cv2.INTER_LINEAR)
        out = self._restroke(np.asarray(out, np.uint8), rng.uniform(-self.stroke, self.stroke) * width / 360)
        if rng.random() < self.erase:
            extent = rng.uniform(0.1, 0.32, 2) * (height, width)
            top, left = (rng.uniform(0, (height, width)) - extent / 2).astype(int).clip(0)
            out[top : top + int(extent[0]), left : left + int(extent[1])] = 0
        return out

    def _grid(
        self, linear: Matrix, offset: Matrix, height: int, width: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where each pixel comes from: the inverse affine map plus a bend, drawn on a coarse grid."""
        inverse = np.linalg.inv(linear).astype(np.float32)
        x = (np.arange(width, dtype=np.float32) - np.float32(offset[0]))[None, :]
        y = (np.arange(height, dtype=np.float32) - np.float32(offset[1]))[:, None]
        coarse = rng.uniform(-1, 1, (2, 4, 5)).astype(np.float32) * np.float32(self.bend * width)
        bend = [np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)) for field in coarse]
        return inverse[0, 0] * x + inverse[0, 1] * y + bend[0], inverse[1, 0] * x + inverse[1, 1] * y + bend[1]

    @staticmethod
    def _restroke(image: Image, pixels: float) -> Image:
        """Widen (or, below 0, thin) the lines: a blur, then a steep ramp round a moved edge level."""
        sigma = 0.8
        level = 0.5 - 0.4 * min(1.0, max(-0.5, pixels / (2 * sigma)))  # of a line's height after the blur
        blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32) / 255
        edge = ((blurred - np.float32(level) * blurred.max(initial=1e-6)) * 4 + np.float32(0.5)).clip(0, 1)
        # Thinning must not erase a hairline: a faint copy of the image stays.
        return np.maximum(edge * 255, np.float32(0.35) * image).astype(np.uint8)
