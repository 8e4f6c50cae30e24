"""Cameras of several kinds, for renderings that no single camera's traces shall give away.

What a detector may not learn is the camera. So the kinds differ in all that a camera leaves in a picture: its pixels,
its lens, the noise of its sensor and what is done against it, sharpening, tone curve, exposure and file. A kind is a
range of each; a :class:`Camera` is one of its kind. The ranges are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image

Floats = NDArray[np.floating[Any]]
Range = tuple[float, float]

SMOOTHING = 5
"""Pixels along each side that a sensor's noise is averaged over."""
EDGE = 0.1
"""What counts as an edge there and is not averaged away, of 1."""
HALO = 1.0
"""Standard deviation of what sharpening takes for unsharp, in the camera's pixels."""
SCALINGS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
"""How a driver makes small pictures larger."""


@dataclass(frozen=True)
class CameraKind:
    """The ranges that the cameras of one kind are drawn from, as :class:`Camera` describes them."""

    pixels: Range
    blur: Range
    noise: Range
    smoothing: Range
    sharpening: Range
    exposure: Range
    gamma: Range
    quality: Range

    def draw(self, rng: np.random.Generator) -> Camera:
        """One camera; its pixels are as likely between 64 and 90 as between 90 and 128."""
        low, high = map(math.log, self.pixels)
        return Camera(
            pixels=round(math.exp(rng.uniform(low, high))),
            blur=rng.uniform(*self.blur),
            noise=rng.uniform(*self.noise),
            smoothing=rng.uniform(*self.smoothing),
            sharpening=rng.uniform(*self.sharpening),
            exposure=2 ** rng.uniform(*self.exposure),
            gamma=2 ** rng.uniform(*self.gamma),
            quality=round(rng.uniform(*self.quality)),
            scaling=SCALINGS[rng.integers(len(SCALINGS))],
        )


KINDS = {
    "portrait": CameraKind(
        (190, 256), (0.3, 0.9), (0.003, 0.012), (0, 0.3), (0.3, 1.2), (-0.2, 0.3), (-0.3, 0.3), (85, 98)
    ),
    "webcam": CameraKind((90, 180), (0.4, 1.0), (0.008, 0.025), (0, 0.6), (0, 0.8), (-0.5, 0.4), (-0.4, 0.4), (65, 93)),
    "cabin": CameraKind((90, 210), (0.4, 1.0), (0.01, 0.035), (0, 0), (0, 0.2), (-0.8, 0.5), (-0.2, 0.2), (92, 100)),
    "dim": CameraKind((90, 230), (0.6, 1.4), (0.025, 0.06), (0.5, 1), (0, 1.2), (-0.8, 0), (-0.2, 0.5), (60, 92)),
    "call": CameraKind((72, 150), (0.4, 0.9), (0.005, 0.02), (0.3, 0.9), (0, 0.6), (-0.4, 0.4), (-0.4, 0.4), (30, 65)),
    "old": CameraKind((60, 110), (0.5, 1.1), (0.006, 0.03), (0, 0.4), (0.4, 2.0), (0, 0.9), (-0.5, 0.2), (60, 92)),
}
"""By name. One more is the only one of ``print+`` and its like (:mod:`~edge_sdk.export.data.faces.recapture`)."""


@dataclass(frozen=True)
class Camera:
    """What a camera makes of the light.

    Attributes:
        pixels: Along the longer side of the face's picture.
        blur: Standard deviation of lens and motion, in these pixels.
        noise: Standard deviation of the sensor at full light, of 1.
        smoothing: Share of the picture that is its own smoothed one, against the noise.
        sharpening: Of the difference to the blurred picture, how much is added.
        exposure: What light is multiplied by; what is brighter than white becomes white.
        gamma: Power of the tone curve.
        quality: Of the JPEG, 1 to 100.
        scaling: How the picture is made larger before that, as OpenCV numbers it.
    """

    pixels: int
    blur: float
    noise: float
    smoothing: float
    sharpening: float
    exposure: float
    gamma: float
    quality: int
    scaling: int

    def expose(self, light: Floats, samples: int, rng: np.random.Generator) -> Floats:
        """What the sensor counts of light ``(h * samples, w * samples)``: ``(h, w)`` from 0 on."""
        height, width = (side // samples for side in light.shape)
        blurred = np.asarray(cv2.GaussianBlur(light, (0, 0), self.blur * samples), np.float32)
        counted = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_AREA)
        seen = np.float32(self.exposure) * np.maximum(np.asarray(counted, np.float32), 0)
        # The sensor counts light: noise grows with its root.
        return np.asarray(seen + rng.standard_normal(seen.shape, np.float32) * np.sqrt(seen) * self.noise, np.float32)

    def develop(self, raw: Floats, size: tuple[int, int]) -> Image:
        """The picture that is made of it, ``uint8``, scaled to ``size`` (width, height), as its file keeps it."""
        picture = raw.clip(0, 1).astype(np.float32)
        if self.smoothing:
            even = cv2.bilateralFilter(picture, SMOOTHING, EDGE, SMOOTHING / 2)
            picture = picture + np.float32(self.smoothing) * (even - picture)
        if self.sharpening:
            picture = picture + np.float32(self.sharpening) * (picture - cv2.GaussianBlur(picture, (0, 0), HALO))
        picture = picture.clip(0, 1) ** np.float32(self.gamma)
        scaled = cv2.resize(picture, size, interpolation=self.scaling)
        levels = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
        return images.load(cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1].tobytes())
