"""What a face is shown on: the paper of a print, the display of a screen, or nothing.

Each is light by place, computed at the points that a camera's rays meet (:mod:`edge_sdk.export.data.faces.recapture`).
The dots of a print and the grid of a screen are finer than the camera's pixels or nearly so, and beat with them as they
do in front of a real camera: that is the moire.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_sdk.opencv import cv2

Floats = NDArray[np.floating[Any]]


class AttackInstrument(Protocol):
    """What the face is shown on."""

    def light(self, face: Floats, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
        """The light from each point.

        Args:
            face: (H, W) in [0, 1].
            x, y: (h, w) where the rays meet the instrument: the face is from 0 to 1, left to right and top to bottom.
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

    def light(self, face: Floats, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
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

    def light(self, face: Floats, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
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


class NoInstrument:
    """The face itself, where a print or a screen would be; around its picture lies the mirror image."""

    def light(self, face: Floats, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
        del rng
        return _sampled(face, x, y, cv2.BORDER_REFLECT_101)


INSTRUMENTS: dict[str, type[Paper | Screen]] = {"print": Paper, "screen": Screen}
"""By the species of the attack."""


def _sampled(face: Floats, x: Floats, y: Floats, border: int = cv2.BORDER_REPLICATE) -> Floats:
    """The face at these places, bilinear; by default its border goes on outside."""
    height, width = face.shape
    seen = cv2.remap(face, x * width - 0.5, y * height - 0.5, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(seen, np.float32)


def _wave(turns: Floats) -> Floats:
    return np.cos(2 * math.pi * turns)


def _cloud(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> Floats:
    """Smooth noise with a standard deviation of 1, of about ``size`` rays."""
    small = rng.standard_normal((shape[0] // size + 1, shape[1] // size + 1), np.float32)
    # Between its points, interpolation averages to two thirds of the deviation.
    return np.asarray(1.5 * cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
