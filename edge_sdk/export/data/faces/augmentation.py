"""Random changes of pre-processed faces: those of the anti-spoofing thesis (table 3.5), and another camera's.

The thesis gives how often, not how much: the ranges are ours. They fit pictures scaled to a mean of 0.5 and a standard
deviation of 0.25, on which both settings work, as training keeps them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import UsageError
from edge_sdk.export.data.augmentation import Change, SampleKind
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image

Floats = NDArray[np.floating[Any]]

WIDTH = 128
"""Of the frame that blurs are stated for, in pixels."""
WAVES, PERIODS = 3, 1.2
"""How many plane waves the light of a place is made of, and how often each goes up and down along a side at most."""
DARK = 0.1
"""Light that comes back from what standard scaling made black, of 1."""


@dataclass(frozen=True)
class Chance:
    """A change that is made to a share of the images, by a random amount.

    Attributes:
        frequency: Share of the images, 0 to 1.
        reach: Amounts are uniform in [-reach, reach]; 0 changes nothing.
    """

    frequency: float
    reach: float

    def __post_init__(self) -> None:
        if not (0 <= self.frequency <= 1 and 0 <= self.reach < math.inf):
            raise UsageError(f"a frequency is from 0 to 1 and a reach is at least 0 and finite, not {self}")

    def draw(self, rng: np.random.Generator) -> float:
        """An amount for one image, 0 where it is left alone."""
        return float(self.draws(rng, 1)[0])

    def size(self, rng: np.random.Generator) -> float:
        """The magnitude of an amount, for changes that have no sign."""
        return abs(self.draw(rng))

    def draws(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Amounts ``(count,)`` of a change that is made in several ways, or not at all."""
        return rng.uniform(-self.reach, self.reach, count) * (rng.random() < self.frequency)


NEVER = Chance(0.0, 0.0)


@dataclass(frozen=True)
class FaceAugmentation:
    """Table 3.5. Its first row, standard scaling of every image, is the pre-processing's; the others follow in order.

    What is trained to imitate the changed picture is shown that picture: nothing is restored.

    Attributes:
        brightness: Added to all of the picture, of 1.
        noise: Standard deviation of normal noise, of 1.
        contrast: Change of the distance to the picture's mean, as a share.
        cutout: Side of a square, as a share of the picture's, that is set to 0.5, the mean that all pictures are scaled
            to. Its middle lies anywhere in the picture (DeVries and Taylor, "Improved Regularization of Convolutional
            Neural Networks with Cutout", 2017).
        rotation: Degrees; the filter of head poses lets through heads tilted by as much.
        translation: Shares of the sides, along each.
        zoom: Change of size, as a share.
        flip: Frequency of swapping right and left.
    """

    kinds: ClassVar[tuple[SampleKind, ...]] = ("gray images",)

    brightness: Chance = Chance(1.0, 0.1)
    noise: Chance = Chance(0.47, 0.05)
    contrast: Chance = Chance(0.17, 0.25)
    cutout: Chance = Chance(0.51, 0.4)
    rotation: Chance = Chance(0.3, 10.0)
    translation: Chance = Chance(0.3, 0.08)
    zoom: Chance = Chance(0.3, 0.1)
    flip: float = 0.5

    def __post_init__(self) -> None:
        Chance(self.flip, 0.0)  # refuses what is no frequency

    def for_person(self, rng: np.random.Generator) -> Change:
        del rng  # people are not changed, only their pictures
        return self

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Return a changed copy.

        Args:
            image: ``uint8 (H, W)``; 255 stands for 1.0.
            rng: Source of all randomness.
        """
        brightness, sigma, contrast = self.brightness.draw(rng), self.noise.size(rng), self.contrast.draw(rng)
        side, middle = self.cutout.size(rng), rng.random(2)
        degrees, shift, zoom = self.rotation.draw(rng), self.translation.draws(rng, 2), self.zoom.draw(rng)
        flipped = rng.random() < self.flip
        # The noise is drawn last, for its count depends on the frame, and the other changes must not.
        picture = image / np.float32(255) + np.float32(brightness)
        if sigma:
            picture += np.float32(sigma) * rng.standard_normal(picture.shape, np.float32)
        mean = picture.mean()
        picture = mean + (picture - mean) * np.float32(1 + contrast)
        _cut_out(picture, side, middle)
        return _levels(placed(picture, degrees, shift, zoom, flipped=flipped))


PLACES = FaceAugmentation(brightness=NEVER, noise=NEVER, contrast=NEVER, cutout=NEVER)
"""Only where the face lies in its picture, for networks that learn live faces alone.

What they learn to imitate counts as live. Noise, flat contrast and covered places are what attacks differ by, and the
scaling that precedes the network leaves no other brightness. The thesis found nothing gained by all nine (4.1.3).
"""


@dataclass(frozen=True)
class CameraAugmentation:
    """Another place, another camera and another locator of faces, for networks that learn attacks too.

    A few recordings teach where their lamps stood rather than what an attack is, so ``light`` is strong. What is left
    to learn from is texture: the dots of a print, the grid of a screen, their beats with the pixels, and how much of
    the finest detail is lost on paper. It must stay to be seen, so what a camera takes from it is mild: under stronger
    blur and missing pixels, and no changes of light, networks did worse on another day (``docs/results/liveness.md``).

    Attributes:
        rotation, translation, zoom, flip: As in :class:`FaceAugmentation`; within what a locator of faces varies by.
        closer: Enlargement beyond ``zoom``, as a share: of a tighter locator, or of a face that has few pixels.
        light: Logarithm of the light that falls on a place, at its strongest and as the sum of :data:`WAVES`.
        gamma: Of the tone curve, as a power of 2. Mean and standard deviation stay under both of these:
            pre-processing would restore them.
        blur: Standard deviation in pixels of a 128 pixel wide frame.
        noise: Standard deviation at full light, of 1; a sensor's, which grows with the root of light.
        exposure: Too long by this power of 2: what is brighter than white becomes white. Skin without details is no
            sign of an attack. Mean and standard deviation stay, as under ``gamma``.
        jpeg: How far the quality lies below 100.
    """

    kinds: ClassVar[tuple[SampleKind, ...]] = ("gray images",)

    rotation: Chance = Chance(0.5, 5.0)
    translation: Chance = Chance(0.5, 0.04)
    zoom: Chance = Chance(0.5, 0.12)
    closer: Chance = Chance(0.4, 0.6)
    flip: float = 0.5
    light: Chance = Chance(0.8, 2.4)
    gamma: Chance = Chance(0.8, 0.6)
    blur: Chance = Chance(0.3, 0.4)
    noise: Chance = Chance(0.3, 0.01)
    exposure: Chance = Chance(0.35, 1.8)
    jpeg: Chance = Chance(0.3, 30.0)

    def __post_init__(self) -> None:
        Chance(self.flip, 0.0)  # refuses what is no frequency
        if self.jpeg.reach > 99:
            raise UsageError(
                f"the quality of a JPEG is from 1 to 100, so that its reach is at most 99, not {self.jpeg}"
            )

    def for_person(self, rng: np.random.Generator) -> Change:
        del rng  # another picture of the same person may come from another camera
        return self

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Return a changed copy.

        Args:
            image: ``uint8 (H, W)``; 255 stands for 1.0.
            rng: Source of all randomness.
        """
        degrees, shift, zoom = self.rotation.draw(rng), self.translation.draws(rng, 2), self.zoom.draw(rng)
        closer, flipped = self.closer.size(rng), rng.random() < self.flip
        light, waves = self.light.size(rng), rng.random((WAVES, 4))
        gamma, blur, sigma, lost = self.gamma.draw(rng), self.blur.size(rng), self.noise.size(rng), self.jpeg.size(rng)
        exposure = self.exposure.size(rng)
        # As in a camera: the lamp, the lens, the sensor, the tone curve, the file. The noise is drawn last, as above.
        enlarged = (1 + zoom) * (1 + closer) - 1
        picture = placed(image / np.float32(255), degrees, shift, enlarged, flipped=flipped)
        if light:
            picture = _restored(_lit(picture, light, waves), picture)
        if blur:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur * picture.shape[1] / WIDTH), np.float32)
        if sigma:
            noise = np.float32(sigma) * rng.standard_normal(picture.shape, np.float32)
            picture = picture + noise * np.sqrt(picture.clip(0, 1))
        if exposure:
            picture = _restored(np.minimum(picture * np.float32(2**exposure), 1), picture)
        if gamma:
            picture = _restored(picture.clip(0, 1) ** np.float32(2**gamma), picture)
        taken = _levels(picture)
        return _compressed(taken, 100 - lost) if lost else taken


def placed(picture: Floats, degrees: float, shift: NDArray[np.float64], zoom: float, *, flipped: bool) -> Floats:
    """A picture turned about its middle, larger by ``zoom``, moved by ``shift`` shares of its sides, then mirrored.

    What comes in over the edges is the picture's own mirror image, as in Keras, for a flat border would be a cue.
    """
    if degrees or zoom or shift.any():
        height, width = picture.shape
        middle = ((width - 1) / 2, (height - 1) / 2)
        matrix = np.asarray(cv2.getRotationMatrix2D(middle, degrees, 1 + zoom), np.float64)
        matrix[:, 2] += shift * (width, height)
        moved = cv2.warpAffine(
            picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        picture = np.asarray(moved, np.float32)
    return picture[:, ::-1] if flipped else picture


def _cut_out(picture: Floats, side: float, middle: NDArray[np.float64]) -> None:
    """Set a square to 0.5, in place; ``side`` and ``middle`` (down, across) are shares of the picture's sides."""
    size = np.array(picture.shape)
    first = np.rint((middle - side / 2) * size).astype(int)
    top, left = first.clip(0)
    bottom, right = (first + np.rint(side * size).astype(int)).clip(0)
    picture[top:bottom, left:right] = 0.5


def _lit(picture: Floats, strength: float, waves: NDArray[np.float64]) -> Floats:
    """The picture under light that changes slowly from place to place.

    Args:
        strength: Greatest possible logarithm of the light, where all waves are full and meet.
        waves: ``(WAVES, 4)`` in [0, 1]: two directions, phase and size of each.
    """
    height, width = picture.shape
    x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across, down = PERIODS * (2 * waves[:, :2].T - 1)
    field = np.zeros((height, width), np.float32)
    for a, b, phase, size in zip(across, down, waves[:, 2], waves[:, 3], strict=True):
        field += np.float32(size) * np.cos(np.float32(2 * np.pi) * (a * x + b * y + phase), dtype=np.float32)
    # What the standard scaling made black was not: it is lit as well.
    return np.asarray((picture + DARK) * np.exp(np.float32(strength / WAVES) * field), np.float32)


def _restored(changed: Floats, picture: Floats) -> Floats:
    """The changed picture with the mean and the standard deviation that it had."""
    spread = picture.std() / max(float(changed.std()), 1e-6)  # a flat picture stays flat
    return np.asarray(picture.mean() + (changed - changed.mean()) * np.float32(spread), np.float32)


def _compressed(image: Image, quality: float) -> Image:
    """What a JPEG of 1 to 100 leaves of ``uint8 (H, W)``."""
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE), np.uint8)


def _levels(picture: Floats) -> Image:
    """``uint8``, 255 standing for 1.0; what is outside of [0, 1] is clipped."""
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
