"""Frames of a camera with the face of a picture somewhere in it, and frames without a face, to measure a locator on.

A frame is drawn from its picture's bytes, so that it is the same on any machine. Its background is a texture and
corners of the same picture, so that nobody else is in it. Every fourth frame has parts of a face, a face upside down or
the corners alone: what looks like a face there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import DatasetError
from edge_sdk.export.data import cache
from edge_sdk.export.data.faces.known import face_points
from edge_sdk.export.data.faces.scenes.truth import face_box
from edge_sdk.export.data.layouts import Entry
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image, ToGray
from edge_sdk.preprocess.crop import LocatedFace
from edge_sdk.preprocess.step import as_image

HEIGHT, WIDTH = 480, 640
SMALLEST, LARGEST = 0.12, 1.1
"""Side of a face's box, as shares of the frame's shorter side."""
EMPTY = 0.25
"""The share of frames without a face."""
ALONE = 0.4
"""The share of pictures whose border is repeated to the frame's, with nothing else in it."""
# Part of the cache folder's name: raise it when a change here alters the frames.
VERSION = 1
NAME = "scene"


@dataclass(frozen=True, eq=False)
class _Shot:
    """How a picture is shown.

    Attributes:
        shown: Whether its face is.
        matrix: ``(2, 3)``: from the picture's pixels to the frame's; pixel k reaches from k to k + 1.
        rest: Of the randomness, for what lies around it.
    """

    shown: bool
    matrix: NDArray[np.float64]
    rest: np.random.Generator

    @classmethod
    def draw(cls, points: NDArray[np.float64], rng: np.random.Generator) -> _Shot:
        box = face_box(points.astype(np.float32)).astype(float)
        side = box[2] - box[0]
        shown = rng.random() >= EMPTY
        wanted = HEIGHT * np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))
        scale, angle = wanted / side, np.deg2rad(rng.normal(0, 10)) + (0 if shown else np.pi)
        reach = min(wanted * 0.4, HEIGHT / 2)  # at most a tenth of a small face is cut off
        to = np.array([rng.uniform(reach, WIDTH - reach), rng.uniform(reach, HEIGHT - reach)])
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = (box[:2] + box[2:]) / 2
        return cls(bool(shown), np.column_stack([linear, to - linear @ middle]), rng)


def framed(entries: Sequence[Entry], progress: cache.Count = cache.uncounted) -> list[Entry]:
    """A frame for each entry whose face is known, rendered once into the user's cache folder, with its true faces.

    Args:
        progress: Called with the number of frames done and in all.

    Raises:
        DatasetError: Of no picture it is known where the face is, or one cannot be read.
    """
    known = [(entry, points) for entry in entries if (points := face_points(entry.path)) is not None]
    if not known:
        raise DatasetError("it is not known where the faces are: expected CFP's fiducials, or a list faces.csv")
    made = []
    with ThreadPoolExecutor() as pool:
        for entry in pool.map(_framed, known):
            made.append(entry)
            progress(len(made), len(known))
    return made


def _framed(known: tuple[Entry, NDArray[np.float64]]) -> Entry:
    entry, points = known
    (frame,) = cache.rendered([entry], f"{NAME}-v{VERSION}", ".jpg", _renderer(points), "framed")
    return frame._replace(faces=_truth(points, _randomness(entry.path)))


def _renderer(points: NDArray[np.float64]) -> cache.Render:
    def render(picture: Image, rng: np.random.Generator) -> bytes:
        frame = frame_of(picture, points, rng)
        return cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()

    return render


def _randomness(path: Path) -> np.random.Generator:
    """That of :func:`edge_sdk.export.data.cache.rendered`."""
    return np.random.default_rng(np.frombuffer(hashlib.sha256(path.read_bytes()).digest(), np.uint32))


def _truth(points: NDArray[np.float64], rng: np.random.Generator) -> tuple[LocatedFace, ...]:
    shot = _Shot.draw(points, rng)
    return (located(points @ shot.matrix[:, :2].T + shot.matrix[:, 2], HEIGHT, WIDTH),) if shot.shown else ()


def located(points: NDArray[np.float64], height: int, width: int) -> LocatedFace:
    """The face of five points ``(5, 2)`` in a frame, its box as far as the frame goes."""
    left, top, right, bottom = np.rint(face_box(points.astype(np.float32))).astype(int).tolist()
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    right, bottom = max(left + 1, min(right, width)), max(top + 1, min(bottom, height))
    pairs = tuple((float(x), float(y)) for x, y in points)
    return LocatedFace(left, top, right - left, bottom - top, points=pairs, confidence=1.0)


def frame_of(picture: Image, points: NDArray[np.float64], rng: np.random.Generator) -> Image:
    """The frame of a picture whose face has these points ``(5, 2)``: ``uint8 (HEIGHT, WIDTH)``."""
    gray = ToGray()(picture)
    shot = _Shot.draw(points, rng)
    frame = _background(gray, rng)
    parts_only = not shot.shown and rng.random() < 0.5
    if not parts_only:
        _lay(frame, gray, shot.matrix, float(rng.choice([1, 4, 16])), alone=bool(rng.random() < ALONE))
    light = np.exp(rng.normal(0, 0.25) + np.linspace(-1, 1, WIDTH) * rng.normal(0, 0.3))
    noise = rng.normal(0, abs(rng.normal(0, 4)), frame.shape)
    blurred = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.3, 2.5))
    return np.rint(np.clip(blurred * light + noise, 0, 255)).astype(np.uint8)


def _background(gray: Image, rng: np.random.Generator) -> NDArray[np.float32]:
    frame = np.full((HEIGHT, WIDTH), rng.uniform(20, 230), np.float32)
    for cells in (2, 6, 20, 80):
        noise = rng.normal(0, 25 * rng.random() ** 3, (cells, cells * WIDTH // HEIGHT)).astype(np.float32)
        frame += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(0, 5))):
        corner = _corner(gray, rng)
        scale = np.exp(rng.uniform(np.log(60), np.log(600))) / max(corner.shape)
        at = rng.uniform(-0.2, 0.9, 2) * (WIDTH, HEIGHT)
        _lay(frame, corner, np.array([[scale, 0, at[0]], [0, scale, at[1]]]), float(rng.choice([1, 8, 30])))
    return np.clip(frame, 0, 255)


def _corner(gray: Image, rng: np.random.Generator) -> Image:
    height, width = (max(2, round(side * rng.uniform(0.18, 0.4))) for side in gray.shape)
    rows = slice(None, height) if rng.random() < 0.5 else slice(-height, None)
    columns = slice(None, width) if rng.random() < 0.5 else slice(-width, None)
    return gray[rows, columns]


def _lay(
    frame: NDArray[np.float32], gray: Image, matrix: NDArray[np.float64], feather: float, *, alone: bool = False
) -> None:
    """Lay a picture into the frame, its border ``feather`` pixels wide, or repeated over all the frame if ``alone``."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in gray.shape[::-1])
        shrunk = as_image(cv2.resize(gray, size, interpolation=cv2.INTER_AREA))
        ratio = np.array([gray.shape[1] / size[0], gray.shape[0] / size[1]])
        gray, matrix = shrunk, matrix * [*ratio, 1]
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts from the middle of pixels
    size = (WIDTH, HEIGHT)
    content = cv2.warpAffine(gray, moved, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.full(gray.shape, 255, np.uint8), moved, size, flags=cv2.INTER_LINEAR)
    opacity = np.asarray(np.ones(inside.shape) if alone else inside / 255, np.float32)
    if feather > 1 and not alone:
        near = cv2.distanceTransform((inside > 127).astype(np.uint8), cv2.DIST_L2, 3)
        opacity = np.minimum(opacity, np.asarray(near, np.float32) / feather)
    frame += np.clip(opacity, 0, 1) * np.subtract(content, frame)
