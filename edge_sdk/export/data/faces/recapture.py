"""Presentation attacks made of live faces: a print, or a screen, held before the camera; or the face itself.

An attack is seen by a camera twice. What the first one took, and the file that was kept of it, has fewer pixels than
the face had (:class:`Picture`). What the second one sees of that is computed point by point: where its ray meets the
paper or the screen, what is printed or lit there (``instruments.py``), then lens, sensor and JPEG.
The face keeps its place, within what a hand can do; colours are lost. Everything is drawn from the image's bytes, so
that it has one print and one screen, on any machine.

Rendered attacks teach what attacks have in common. They are no measure of how a detector fares against real ones.
Beside live pictures as they are they would also teach what this camera does, which is no attack: live faces can go
through it too.

That camera, of ``camera+``, ``print+`` and ``screen+``, is one kind. ``varied-camera+`` and its like draw one of all
kinds of :mod:`~edge_sdk.export.data.faces.cameras` for each picture, and live faces lose in a picture of theirs what
attacks lose: sharpness is then no sign of either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk import images
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data import cache
from edge_sdk.export.data.faces.cameras import KINDS, Camera
from edge_sdk.export.data.faces.instruments import INSTRUMENTS, AttackInstrument, Floats, NoInstrument
from edge_sdk.export.data.layouts import Entry
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, ToGray

CAMERA = 256
"""Pixels that the camera spends on the picture's longer side, before the face is cut out and scaled."""
BARE = "camera"
"""What stands for no instrument: the face itself."""
SAMPLES = 2
"""Rays along each side of a pixel."""
VARIED = "varied-"
"""In front of any of these: before a camera of any kind."""
# Part of the cache folders' names: raise the one of what a change here or to a instrument alters.
VERSIONS = {BARE: 1, "print": 2, "screen": 2} | {VARIED + on: 1 for on in (BARE, *INSTRUMENTS)}


@dataclass(frozen=True)
class Picture:
    """What is left of a face in the picture that is printed or shown: a camera and a JPEG file came before.

    Attributes:
        share: Of the face's pixels, along each side, that the picture has.
        blur: Standard deviation of lens and motion, in the picture's pixels.
        noise: Standard deviation of the sensor, of 1.
        quality: Of the JPEG, 1 to 100.
    """

    share: float
    blur: float
    noise: float
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Picture:
        """From a thumbnail of a web page to a portrait."""
        return cls(
            share=rng.uniform(0.4, 1.0),
            blur=rng.uniform(0.1, 0.6),
            noise=rng.uniform(0, 0.012),
            quality=int(rng.integers(60, 96)),
        )

    def __call__(self, face: Image, rng: np.random.Generator) -> Image:
        """The picture of a face, ``uint8``, gray, ``share`` of its size."""
        gray = ToGray()(face)
        width, height = (max(1, round(self.share * side)) for side in gray.shape[::-1])
        small = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        light = np.asarray(cv2.GaussianBlur(small, (0, 0), self.blur))
        light = light + self.noise * rng.standard_normal(light.shape, np.float32)
        levels = np.clip(np.rint(255 * light), 0, 255).astype(np.uint8)
        return images.load(cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1].tobytes())


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


def recapture(face: Image, instrument: AttackInstrument, shot: Shot, rng: np.random.Generator) -> Image:
    """Show a face on a instrument to a camera.

    Args:
        face: ``uint8``, (H, W) gray, (H, W, 3) BGR or (H, W, 4) BGRA.
        instrument: The print or the screen.
        shot: How the camera looks at it.
        rng: Source of grain and of the sensor's noise.

    Returns:
        ``uint8``, :data:`CAMERA` pixels on the longer side, the face where it was.
    """
    gray = ToGray()(face)
    scale = CAMERA / max(gray.shape)
    height, width = (max(1, round(side * scale)) for side in gray.shape)
    x, y = _rays(height, width, shot)
    light = instrument.light(gray.astype(np.float32) / 255, x, y, rng)
    light = light * shot.light * (1 - shot.falloff * _slope(light.shape, shot.direction))
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), shot.blur * SAMPLES))
    light = np.maximum(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA), 0)
    # The sensor counts light: noise grows with its root.
    light = light + rng.standard_normal(light.shape, np.float32) * np.sqrt(light) * shot.noise
    exposed = np.clip(np.rint(255 * light), 0, 255).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", exposed, [cv2.IMWRITE_JPEG_QUALITY, shot.quality])[1]
    return images.load(jpeg.tobytes())


def taken(face: Image, instrument: AttackInstrument, shot: Shot, camera: Camera, rng: np.random.Generator) -> Image:
    """As :func:`recapture`, by another camera: of the shot only the place and the falloff of the light count."""
    gray = ToGray()(face)
    (height, width), (rows, columns) = (
        [max(1, round(side * pixels / max(gray.shape))) for side in gray.shape] for pixels in (camera.pixels, CAMERA)
    )
    x, y = _rays(height, width, shot)
    light = instrument.light(gray.astype(np.float32) / 255, x, y, rng)
    light = light * (1 - shot.falloff * _slope(light.shape, shot.direction))
    return camera.develop(camera.expose(light, SAMPLES, rng), (columns, rows))


def recaptured(entries: Sequence[Entry], on: str, progress: cache.Count = cache.uncounted) -> list[Entry]:
    """The live entries before the camera, rendered once into the user's cache folder.

    Args:
        on: A species in :data:`INSTRUMENTS`, of which they are made attacks; or :data:`BARE`, and they stay live;
            either with :data:`VARIED` in front.
        progress: called with the number of images done and in all.

    Raises:
        DatasetError: no live faces among them, or one that cannot be read; the message names it.
    """

    def shown(face: Image, rng: np.random.Generator) -> bytes:
        picture = cv2.resize(photographed(face, on, rng), face.shape[1::-1], interpolation=cv2.INTER_AREA)
        return cv2.imencode(".png", picture)[1].tobytes()

    return cache.rendered(
        as_attacks(entries, on), f"{on}-v{VERSIONS[on]}", ".png", shown, "rendered", progress=progress
    )


def as_attacks(entries: Sequence[Entry], on: str) -> list[Entry]:
    """The live entries, attacks of the species ``on`` unless that is :data:`BARE`, with the kind of their camera.

    Raises:
        UsageError: ``on`` is no such species: its pictures are whole frames.
        DatasetError: There are none, or one cannot be read.
    """
    if on not in VERSIONS:
        raise UsageError(
            f"faces cannot be cut out of {on}+, whose pictures are whole frames: leave the first prefix away"
        )
    live = [entry for entry in entries if entry.genuine]
    if not live:
        raise DatasetError(f"there are no live faces to render {on}+ of")
    species = on.removeprefix(VARIED)
    if species != on:
        live = [entry._replace(camera=_kind(cache.randomness(entry.path, "rendered"))) for entry in live]
    return live if species == BARE else [entry._replace(genuine=False, attack=species) for entry in live]


def photographed(face: Image, on: str, rng: np.random.Generator) -> Image:
    """One face before the camera: itself, or a picture of it on an instrument of the species ``on``.

    With :data:`VARIED` in front the camera is of any kind, and what comes before it is a picture of the face itself,
    too.
    """
    species = on.removeprefix(VARIED)
    kind = _kind(rng) if species != on else None
    shown = face if on == BARE else Picture.draw(rng)(face, rng)
    instrument = NoInstrument() if species == BARE else INSTRUMENTS[species].draw(rng)
    shot = Shot.draw(rng)
    if kind is None:
        return recapture(shown, instrument, shot, rng)
    return taken(shown, instrument, shot, KINDS[kind].draw(rng), rng)


def _kind(rng: np.random.Generator) -> str:
    """The first that is drawn for a picture."""
    return str(rng.choice(list(KINDS)))


def _rays(height: int, width: int, shot: Shot) -> tuple[Floats, Floats]:
    """Where the camera's rays meet the instrument, two arrays (height * SAMPLES, width * SAMPLES)."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    back = np.asarray(cv2.getPerspectiveTransform(shot.corners, square), np.float32)
    u = ((np.arange(width * SAMPLES, dtype=np.float32) + 0.5) / (width * SAMPLES))[None, :]
    v = ((np.arange(height * SAMPLES, dtype=np.float32) + 0.5) / (height * SAMPLES))[:, None]
    x, y, w = (row[0] * u + row[1] * v + row[2] for row in back)
    return x / w, y / w


def _slope(shape: tuple[int, ...], direction: float) -> Floats:
    """From 0 on one side to 1 on the other."""
    x = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)[None, :]
    y = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None]
    return np.clip(0.5 + math.cos(direction) * x + math.sin(direction) * y, 0, 1)
