"""Presentation attacks made of live faces: a print, or a screen, held before the camera.

What a camera sees of either is computed point by point: where its ray meets the paper or the screen, what is printed or
lit there, then lens, sensor and JPEG. The dots of a print and the grid of a screen are finer than the camera's pixels
or nearly so, and beat with them as they do in front of a real camera: that is the moire. The face keeps its place,
within what a hand can do, and the picture its size; colours are lost. Everything is drawn from the image's bytes, so
that it has one print and one screen, on any machine.

Rendered attacks teach what attacks have in common. They are no measure of how a detector fares against real ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk import images
from edge_sdk.errors import DatasetError
from edge_sdk.export.datasets import cache
from edge_sdk.export.datasets.layouts import Entry
from edge_sdk.preprocess import Image, ToGray

Floats = NDArray[np.floating[Any]]

CAMERA = 256
"""Pixels that the camera spends on the picture's longer side, before the face is cut out and scaled."""
SAMPLES = 2
"""Rays along each side of a pixel."""
# Part of the cache folder's name: raise it when a change here alters the pictures.
VERSION = 1


class Medium(Protocol):
    """What the face is shown on."""

    def seen(self, face: Floats, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
        """The light from each point.

        Args:
            face: (H, W) in [0, 1].
            x, y: (h, w) where the rays meet the medium: the face is from 0 to 1, left to right and top to bottom.
            rng: Source of grain and texture.

        Returns:
            (h, w), mostly in [0, 1], 1 being white.
        """
        ...


@dataclass(frozen=True)
class Paper:
    """A print.

    Attributes:
        black, white: How much light ink and bare paper throw back.
        dots: Share of the tone that is in dots, 0 (photographic paper) to 1 (newspaper).
        ruling: Dots across the face; ``angle`` of their rows in radians.
        grain: Of the paper and of the ink, standard deviation.
        bend: Of the sheet, along ``axis`` (0 across, 1 along the face); 0.3 is bent round a bottle.
        gloss: Light that shines off the sheet at the brightest place, along a streak of ``width`` at ``place`` (both in
            widths of the face).
        margin: Of white paper round the picture, in widths of the face; beyond it lies what is ``behind``, 0 to 1.
    """

    black: float
    white: float
    dots: float
    ruling: float
    angle: float
    grain: float
    bend: float
    axis: int
    gloss: float
    place: float
    width: float
    margin: float
    behind: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Paper:
        """From newspaper to glossy photograph; three in five have a highlight, half are bent."""
        return cls(
            black=rng.uniform(0.04, 0.25),
            white=rng.uniform(0.7, 0.98),
            dots=rng.uniform(0.05, 0.3) if rng.random() < 0.5 else rng.uniform(0.3, 0.9),
            ruling=rng.uniform(70, 240),
            angle=rng.uniform(0, np.pi / 2),
            grain=rng.uniform(0.003, 0.02),
            bend=(rng.random() < 0.5) * rng.uniform(-0.3, 0.3),
            axis=int(rng.integers(2)),
            gloss=(rng.random() < 0.6) * rng.uniform(0.08, 0.5),
            place=rng.uniform(-0.2, 1.2),
            width=rng.uniform(0.05, 0.35),
            margin=max(0.0, rng.uniform(-0.05, 0.06)),
            behind=rng.uniform(0.02, 0.7),
        )

    def seen(self, face: Floats, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
        along = 2 * (y if self.axis else x) - 1
        bent = (along + self.bend * along * (along * along - 1) + 1) / 2
        x, y = (x, bent) if self.axis else (bent, y)
        tone = _sampled(face, x, y)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        turned = cos * x + sin * y, cos * y - sin * x
        spot = (2 + _wave(turned[0] * self.ruling) + _wave(turned[1] * self.ruling)) / 4
        # Ink spreads: the edge of a dot is soft, over a seventh of the range of tones.
        inked = tone + self.dots * (np.clip((tone - spot) * 7 + 0.5, 0, 1) - tone)
        sheet = self.black + (self.white - self.black) * inked
        sheet += self.grain * _cloud(tone.shape, 3, rng)
        m = self.margin
        sheet = np.where((x < 0) | (x > 1) | (y < 0) | (y > 1), np.float32(self.white), sheet)
        # A curved sheet turns its sides away from the light; where it mirrors a lamp, it shines.
        sheet *= 1 - abs(self.bend) * along * along
        streak = (turned[0] - self.place) / self.width
        sheet += self.gloss * np.exp(-streak * streak)
        return np.where((x < -m) | (x > 1 + m) | (y < -m) | (y > 1 + m), np.float32(self.behind), sheet)


@dataclass(frozen=True)
class Screen:
    """A display.

    Attributes:
        pixels: Of the display, across the face.
        grid: Depth of the dark lines between columns and between rows of pixels, 0 to 1 each.
        black: Light of a black pixel and of what the glass reflects everywhere.
        gamma: Of the display, against the camera's.
        glare: Light of a reflected window; ``window`` holds its middle, half sizes and blur, in widths of the face.
        band: Depth of the dark bands that a flickering backlight leaves; ``bands`` of them, from phase ``first``.
        bezel: Light of the frame outside the display, 0 to 1.
    """

    pixels: float
    grid: tuple[float, float]
    black: float
    gamma: float
    glare: float
    window: tuple[float, float, float, float, float]
    band: float
    bands: float
    first: float
    bezel: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Screen:
        """From a tablet near the lens to a telephone of high resolution; half reflect a window."""
        return cls(
            pixels=rng.uniform(110, 420),
            grid=(rng.uniform(0.15, 0.8), rng.uniform(0.1, 0.6)),
            black=rng.uniform(0.01, 0.15),
            gamma=rng.uniform(0.75, 1.35),
            glare=(rng.random() < 0.5) * rng.uniform(0.05, 0.35),
            window=(*rng.uniform(-0.1, 1.1, 2), *rng.uniform(0.1, 0.4, 2), rng.uniform(0.04, 0.25)),
            band=(rng.random() < 0.4) * rng.uniform(0.02, 0.12),
            bands=rng.uniform(1, 9),
            first=rng.uniform(0, 1),
            bezel=rng.uniform(0.01, 0.15),
        )

    def seen(self, face: Floats, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
        del rng  # a display has no grain
        columns, rows = (depth / 2 for depth in self.grid)
        lit = _sampled(face, x, y) ** self.gamma
        lit *= (1 - columns + columns * _wave(x * self.pixels)) * (1 - rows + rows * _wave(y * self.pixels))
        lit *= 1 - self.band / 2 * (1 + _wave(y * self.bands + self.first))
        # What the grid and the bands take is made up for by exposure.
        lit /= (1 - columns) * (1 - rows) * (1 - self.band / 2)
        middle_x, middle_y, half_x, half_y, soft = self.window
        inside_x = np.clip((half_x - np.abs(x - middle_x)) / soft + 0.5, 0, 1)
        inside_y = np.clip((half_y - np.abs(y - middle_y)) / soft + 0.5, 0, 1)
        lit = self.black + (1 - self.black) * lit + self.glare * inside_x * inside_y
        return np.where((x < 0) | (x > 1) | (y < 0) | (y > 1), np.float32(self.bezel), lit)


@dataclass(frozen=True)
class Shot:
    """How the camera looks at it.

    Attributes:
        corners: Where the corners of the face's picture lie in the photograph, (4, 2) from the top left clockwise, in
            shares of its sides; inside the photograph, the edge of the paper or of the screen shows.
        light: Exposure, 1 keeps white at white; less by ``falloff`` from one side to the other, in ``direction``.
        blur: Standard deviation of lens and motion, in the camera's pixels.
        noise: Standard deviation of the sensor at full light, of 1.
        quality: Of the JPEG, 1 to 100.
    """

    corners: Floats
    light: float
    direction: float
    falloff: float
    blur: float
    noise: float
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Shot:
        """Held by hand, filling the photograph or more; in nearly half an edge shows."""
        square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        size = rng.uniform(1.08, 1.16) if rng.random() < 0.6 else rng.uniform(0.88, 1.02)
        tilt = np.deg2rad(rng.normal(0, 2))
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        corners = (square - 0.5) @ turn * size + 0.5 + rng.uniform(-0.02, 0.02, 2) + rng.uniform(-0.015, 0.015, (4, 2))
        return cls(
            corners=corners.astype(np.float32),
            light=rng.uniform(0.6, 1.1),
            direction=rng.uniform(0, 2 * np.pi),
            falloff=rng.uniform(0, 0.35),
            blur=rng.uniform(0.2, 1.2),
            noise=rng.uniform(0.004, 0.025),
            quality=int(rng.integers(70, 96)),
        )


MEDIA: dict[str, type[Paper | Screen]] = {"print": Paper, "screen": Screen}
"""By the species of the attack."""


def recapture(face: Image, medium: Medium, shot: Shot, rng: np.random.Generator) -> Image:
    """Show a face on a medium to a camera.

    Args:
        face: ``uint8``, (H, W) gray, (H, W, 3) BGR or (H, W, 4) BGRA.
        medium: The print or the screen.
        shot: How the camera looks at it.
        rng: Source of grain and of the sensor's noise.

    Returns:
        ``uint8 (H, W)``, the face where it was.
    """
    gray = ToGray()(face)
    scale = CAMERA / max(gray.shape)
    height, width = (max(1, round(side * scale)) for side in gray.shape)
    x, y = _rays(height, width, shot)
    light = medium.seen(gray.astype(np.float32) / 255, x, y, rng)
    light = light * shot.light * (1 - shot.falloff * _slope(light.shape, shot.direction))
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), shot.blur * SAMPLES))
    light = np.maximum(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA), 0)
    # The sensor counts light: noise grows with its root.
    light = light + rng.standard_normal(light.shape, np.float32) * np.sqrt(light) * shot.noise
    exposed = np.clip(np.rint(255 * light), 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", exposed, [cv2.IMWRITE_JPEG_QUALITY, shot.quality])[1]
    frame = images.load(jpeg.tobytes())
    return np.asarray(cv2.resize(frame, gray.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def attacks(entries: Sequence[Entry], species: str) -> list[Entry]:
    """The live entries as attacks of a species in :data:`MEDIA`, rendered once into the user's cache folder.

    Raises:
        DatasetError: no live faces among them, or one that cannot be read; the message names it.
    """
    live = [entry._replace(genuine=False, attack=species) for entry in entries if entry.genuine]
    if not live:
        raise DatasetError(f"there are no live faces to make a {species} of")

    def shown(face: Image, rng: np.random.Generator) -> bytes:
        picture = recapture(face, MEDIA[species].draw(rng), Shot.draw(rng), rng)
        return cv2.imencode(".png", picture)[1].tobytes()

    return cache.rendered(live, f"{species}-v{VERSION}", ".png", shown, "rendered")


def _rays(height: int, width: int, shot: Shot) -> tuple[Floats, Floats]:
    """Where the camera's rays meet the medium, two arrays (height * SAMPLES, width * SAMPLES)."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    back = np.asarray(cv2.getPerspectiveTransform(shot.corners, square), np.float32)
    u = ((np.arange(width * SAMPLES, dtype=np.float32) + 0.5) / (width * SAMPLES))[None, :]
    v = ((np.arange(height * SAMPLES, dtype=np.float32) + 0.5) / (height * SAMPLES))[:, None]
    x, y, w = (row[0] * u + row[1] * v + row[2] for row in back)
    return x / w, y / w


def _sampled(face: Floats, x: Floats, y: Floats) -> Floats:
    """The face at these places, bilinear; its border goes on outside."""
    height, width = face.shape
    seen = cv2.remap(face, x * width - 0.5, y * height - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.float32)


def _wave(turns: Floats) -> Floats:
    return np.cos(2 * math.pi * turns)


def _cloud(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> Floats:
    """Smooth noise with a standard deviation of 1, of about ``size`` rays."""
    small = rng.standard_normal((shape[0] // size + 1, shape[1] // size + 1), np.float32)
    # Between its points, interpolation averages to two thirds of the deviation.
    return np.asarray(1.5 * cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _slope(shape: tuple[int, ...], direction: float) -> Floats:
    """From 0 on one side to 1 on the other."""
    x = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)[None, :]
    y = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None]
    return np.clip(0.5 + math.cos(direction) * x + math.sin(direction) * y, 0, 1)
