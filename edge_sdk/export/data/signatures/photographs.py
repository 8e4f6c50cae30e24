"""Photographs of scans: the same signatures as a telephone sees them, to measure what a scanner spares a model.

Pen strokes are lifted from the scan's own paper and put on a page, which may be ruled. The page is held at an angle, in
light that falls off, partly in the shadow of something with an edge; lens, sensor and JPEG add their own. Everything is
drawn from the scan's bytes, so that a scan has one photograph, on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.data import cache
from edge_sdk.export.data.layouts import Entry
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import FlattenPaper, Image, ToGray

WIDTH, HEIGHT = 1024, 768
# Part of the cache folder's name: raise it when a change here alters the pictures.
VERSION = 1

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Conditions:
    """How one photograph is taken.

    Attributes:
        room: Width of what is seen of the page, in widths of the signature's scan.
        corners: Where the page's straight view lies in the photograph, (4, 2) from the top left clockwise, as offsets
            from the photograph's own corners in shares of its sides: tilt and perspective.
        rules: Darkness of the page's lines, 0 (blank paper) to 1.
        spacing, first: Between two lines, in widths of the scan; where the first one lies, in spacings.
        light: Brightness of the paper at its best, 0 to 1.
        falloff: Share of the light that is lost from one side to the other, towards ``direction`` (radians).
        shade: Share of the light that a shadow takes; ``edge`` is where it begins (-1 to 1, across the middle at 0) and
            ``penumbra`` how far it takes to darken, both in halves of the photograph's width.
        blur: Standard deviation of lens and motion, in pixels.
        noise: Standard deviation of the sensor at full light, in gray levels.
        quality: Of the JPEG, 1 to 100.
    """

    room: float
    corners: Floats
    rules: float
    spacing: float
    first: float
    light: float
    direction: float
    falloff: float
    shade: float
    edge: float
    penumbra: float
    blur: float
    noise: float
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Conditions:
        """Circumstances as people's photographs have them; a third of the pages is blank."""
        tilt = np.deg2rad(rng.normal(0, 2))
        square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        size = np.array([WIDTH, HEIGHT])
        return cls(
            room=rng.uniform(1.15, 1.6),
            corners=((square * size) @ turn / size - square + rng.uniform(-0.06, 0.06, (4, 2))).astype(np.float32),
            rules=float(rng.random() < 2 / 3) * rng.uniform(0.12, 0.5),
            spacing=rng.uniform(0.12, 0.2),
            first=rng.uniform(0, 1),
            light=rng.uniform(0.75, 0.97),
            direction=rng.uniform(0, 2 * np.pi),
            falloff=rng.uniform(0.1, 0.45),
            shade=float(rng.random() < 2 / 3) * rng.uniform(0.15, 0.4),
            edge=rng.uniform(-0.6, 0.6),
            penumbra=rng.uniform(0.005, 0.08),
            blur=rng.uniform(0.8, 1.6),
            noise=rng.uniform(1.5, 5),
            quality=int(rng.integers(60, 93)),
        )


def photograph(scan: Image, conditions: Conditions, rng: np.random.Generator) -> bytes:
    """Take a photograph of a scanned signature.

    Args:
        scan: ``uint8``, (H, W) gray, (H, W, 3) BGR or (H, W, 4) BGRA, dark ink on light paper.
        conditions: Of the light, the page and the camera.
        rng: Source of the sensor's noise.

    Returns:
        A JPEG file, 1024 x 768 gray.
    """
    page = _page(_strokes(scan), conditions)
    lit = cv2.GaussianBlur(page * _light(conditions), (0, 0), conditions.blur)
    # The sensor counts light: noise grows with its root.
    grain = rng.standard_normal(lit.shape, np.float32) * np.sqrt(lit) * np.float32(conditions.noise)
    exposed = np.clip(np.rint(255 * lit + grain), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", exposed, [cv2.IMWRITE_JPEG_QUALITY, conditions.quality])[1].tobytes()


def photographed_entries(entries: Sequence[Entry], progress: cache.Count = cache.uncounted) -> list[Entry]:
    """The same entries with a photograph instead of each scan, taken once into the user's cache folder.

    Args:
        progress: Called with the number of images done and in all.

    Raises:
        DatasetError: A scan cannot be read; the message names it.
    """

    def taken(scan: Image, rng: np.random.Generator) -> bytes:
        return photograph(scan, Conditions.draw(rng), rng)

    return cache.rendered(entries, f"photo-v{VERSION}", ".jpg", taken, "photographed", progress=progress)


def _strokes(scan: Image) -> Floats:
    """What the ink lets through, (H, W) in [0, 1]: the scan divided by its own paper, which becomes 1."""
    gray = ToGray()(scan)
    flat = FlattenPaper(window=max(gray.shape) // 8)(gray)
    return np.minimum(flat / np.float32(max(1, np.median(flat))), 1)


def _page(strokes: Floats, conditions: Conditions) -> Floats:
    """The page with lines and strokes as the camera sees it, (768, 1024) in [0, 1]."""
    height, width = strokes.shape
    # The scan lies in the middle of a straight view of the page, which perspective then carries into the photograph.
    scale = WIDTH / (conditions.room * max(width, height * WIDTH / HEIGHT))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    ink = cv2.resize(strokes, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    view = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], np.float32)
    corners = view + conditions.corners * np.array([WIDTH, HEIGHT], np.float32)
    camera = np.asarray(cv2.getPerspectiveTransform(view, corners), np.float64)
    place = np.eye(3)
    place[:2, 2] = (WIDTH - size[0]) / 2, (HEIGHT - size[1]) / 2
    seen = cv2.warpPerspective(ink, camera @ place, (WIDTH, HEIGHT), borderValue=1)
    return np.asarray(seen * _rules(camera, conditions.spacing * size[0], conditions), np.float32)


def _rules(camera: NDArray[np.float64], spacing: float, conditions: Conditions) -> Floats:
    """What the page's printed lines, ``spacing`` pixels apart, leave of the light, (768, 1024) in [0, 1]."""
    rows = np.arange(-HEIGHT / 2 + conditions.first * spacing, HEIGHT * 1.5, spacing)
    ends = np.stack([np.stack([np.full_like(rows, x), rows], axis=1) for x in (-WIDTH / 2, WIDTH * 1.5)], axis=1)
    seen = np.rint(16 * cv2.perspectiveTransform(ends, camera)).astype(np.int32)
    printed = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.polylines(printed, list(seen), isClosed=False, color=255, thickness=2, lineType=cv2.LINE_AA, shift=4)
    return 1 - printed * np.float32(conditions.rules / 255)


def _light(conditions: Conditions) -> Floats:
    """The light on each pixel, (768, 1024) in [0, 1]."""
    x = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None] * HEIGHT / WIDTH
    across = np.cos(conditions.direction) * x + np.sin(conditions.direction) * y
    shadow = np.clip((across - conditions.edge) / conditions.penumbra + 0.5, 0, 1)
    falloff = np.clip((1 + across) / 2, 0, 1)
    light = conditions.light * (1 - conditions.falloff * falloff) * (1 - conditions.shade * shadow)
    return np.asarray(light, np.float32)
