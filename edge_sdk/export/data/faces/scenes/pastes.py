"""Pastes: parts of pictures as they are laid into scenes.

A face that was pasted could be told by the paste's border. So what is no face is pasted in the same ways: corners of
the same pictures, single eyes and mouths, heads upside down, negatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.data.faces.scenes.truth import MIRRORED, Floats, face_box

Indices = NDArray[np.int64]
HEIGHT, WIDTH = 128, 160
EVERYWHERE = np.array([-1e6, -1e6, 1e6, 1e6], np.float32)
WHOLE, CORNER, PART, UPSIDE_DOWN, NEGATIVE = range(5)
"""Kinds of pastes of a picture with a face; the first shows it."""
NO_FACE = {CORNER: 0.35, PART: 0.25, UPSIDE_DOWN: 0.25, NEGATIVE: 0.15}


@dataclass(frozen=True, eq=False)
class Pictures:
    """What scenes are made of, in the network's input size.

    Attributes:
        images: ``uint8 (N, 1, HEIGHT, WIDTH)``.
        shown: ``(N, 4)``: left, top, right, bottom of what is no black bar.
        points: ``(N, 5, 2)`` of the one face in each of the first F; the other pictures have none.
    """

    images: NDArray[np.uint8]
    shown: Floats
    points: Floats


@dataclass(frozen=True, eq=False)
class Layer:
    """Pastes, at most one a scene.

    Attributes:
        scene, source: ``(M,)``: into which scene, of which picture.
        matrix: ``(M, 2, 3)``: from the scene's pixels to the picture's.
        clamp: ``(M, 4)``: what of the picture may be seen; further out its border is repeated.
        window: ``(M, 4)``: what of the picture is pasted.
        ellipse: ``(M, 4)``: centre and half axes of the ellipse that is pasted of it.
        feather: ``(M,)``: width of the paste's soft border, in pixels of the scene.
        gain, bias: ``(M,)``: of the grey values about their middle; a negative gain inverts.
        level: ``(M,)``: halvings of the picture before it is sampled.
    """

    scene: Indices
    source: Indices
    matrix: Floats
    clamp: Floats
    window: Floats
    ellipse: Floats
    feather: Floats
    gain: Floats
    bias: Floats
    level: Indices

    def of(self, chosen: NDArray[Any]) -> Layer:
        """Some of the pastes, by flags or numbers."""
        return Layer(**{name: value[chosen] for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is to be pasted.

    Attributes:
        scene, source: ``(M,)``, as those of a :class:`Layer`; the sources have a face each.
        face: ``(M,)``: whether it is shown.
        filling: ``(M,)``: whether the picture is the whole scene, its border repeated outwards.
        frame: ``(M, 4)``: left, top, right, bottom of the scene's frame.
    """

    scene: Indices
    source: Indices
    face: NDArray[np.bool_]
    filling: NDArray[np.bool_]
    frame: Floats


@dataclass(frozen=True, eq=False)
class Pastes:
    """Pastes of faces, and of what is none.

    Attributes:
        points: ``(M, 5, 2)`` of the faces, in the scene.
        taken: ``(M, 4)``: about what each hides.
    """

    layer: Layer
    points: Floats
    taken: Floats


def _matrix(center: Floats, to: Floats, scale: Floats, angle: Floats, mirror: NDArray[np.bool_]) -> Floats:
    """From the scene's pixels to the picture's: ``to`` in the scene shows ``center``, ``scale`` times as large."""
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    sign = np.where(mirror, -1.0, 1.0)
    linear = np.stack([np.stack([sign * cos, sign * sin], -1), np.stack([-sin, cos], -1)], -2)
    shift = center - np.einsum("nij,nj->ni", linear, to)
    return np.concatenate([linear, shift[..., None]], -1).astype(np.float32)


def _levels(scale: Floats, rng: np.random.Generator) -> Indices:
    blurred = np.where(rng.random(len(scale)) < 0.12, rng.uniform(0.5, 1.6, len(scale)), 0)
    level = np.floor(-np.log2(scale) + rng.uniform(-0.1, 0.6, len(scale)) + blurred)
    return np.clip(level, 0, 3).astype(np.int64)


def scraps(
    pictures: Pictures, chosen: NDArray[np.bool_], active: Floats, rng: np.random.Generator, *, whole: bool = False
) -> Layer:
    """Corners of pictures, where there is no face, in the chosen scenes; ``whole``: enlarged over all of it."""
    scene = np.flatnonzero(chosen)
    count, faces = len(scene), len(pictures.points)
    source = rng.integers(0, faces, count)
    if len(pictures.images) > faces:
        others = rng.integers(faces, len(pictures.images), count)
        source = np.where(rng.random(count) < 0.3, others, source)
    window = _corner(pictures.shown[source], rng)
    plain = source >= len(pictures.points)
    window[plain] = pictures.shown[source[plain]]
    center, size = _middle(window), window[:, 2:] - window[:, :2]
    if whole:
        scale = 1.05 * np.maximum(WIDTH / size[:, 0], HEIGHT / size[:, 1])
        to = np.tile(np.array([WIDTH / 2, HEIGHT / 2]), (count, 1))
    else:
        scale = np.exp(rng.uniform(np.log(12), np.log(110), count)) / size.max(1)
        to = _inside(active[scene], rng)
    angle = rng.normal(0, 0.3, count) * (not whole)
    return Layer(
        scene,
        source,
        _matrix(center, to, scale, angle, rng.random(count) < 0.5),
        window,
        np.tile(EVERYWHERE, (count, 1)) if whole else window,
        _ellipse(window, rng, 0.0 if whole else 0.4),
        _feather(count, rng),
        *_tone(count, rng),
        _levels(scale, rng),
    )


def faces(pictures: Pictures, wanted: Wanted, rng: np.random.Generator) -> Pastes:
    """Faces, and what is none but pasted alike."""
    count = len(wanted.scene)
    shown, points = pictures.shown[wanted.source], pictures.points[wanted.source]
    box = face_box(points)
    side = box[:, 2] - box[:, 0]
    kind = np.where(wanted.face, WHOLE, rng.choice(list(NO_FACE), count, p=list(NO_FACE.values())))
    fragment = np.isin(kind, (CORNER, PART))
    window = _window(kind, box, shown, points, rng)
    center = np.where(fragment[:, None], _middle(window), _middle(box))
    length = np.where(fragment, (window[:, 2:] - window[:, :2]).max(1), side)
    size = np.exp(rng.uniform(np.log(12.5), np.log(130), count))
    size = np.where(wanted.filling, np.exp(rng.uniform(np.log(38), np.log(165), count)), size)
    scale = size / length
    to = _inside(wanted.frame, rng)
    near = _middle(wanted.frame) + rng.normal(0, 0.12, (count, 2)) * (wanted.frame[:, 2:] - wanted.frame[:, :2])
    to = np.where((wanted.filling | (size > 90))[:, None], near, to)
    angle = np.where(rng.random(count) < 0.8, rng.normal(0, 0.16, count), rng.uniform(-0.7, 0.7, count))
    angle = np.where(kind == UPSIDE_DOWN, np.pi + angle, angle)
    mirror = rng.random(count) < 0.5
    matrix = _matrix(center, to, scale, angle, mirror)
    gain, bias = _tone(count, rng)
    layer = Layer(
        wanted.scene,
        wanted.source,
        matrix,
        np.where(fragment[:, None], window, shown).astype(np.float32),
        np.where(wanted.filling[:, None], EVERYWHERE, window).astype(np.float32),
        np.where(wanted.filling[:, None], _no_ellipse(count), _ellipse(window, rng, 0.35)).astype(np.float32),
        _feather(count, rng),
        np.where(kind == NEGATIVE, -gain, gain).astype(np.float32),
        bias,
        _levels(scale, rng),
    )
    reach = (np.where(fragment, 0.5, 0.62) * size)[:, None]
    taken = np.concatenate([to - reach, to + reach], 1).astype(np.float32)
    return Pastes(layer, _moved(points, matrix, mirror), taken)


def _window(kind: Indices, box: Floats, shown: Floats, points: Floats, rng: np.random.Generator) -> Floats:
    """``(M, 4)``: what of each picture is pasted: all of it or less around the face; a corner; round one point."""
    count = len(kind)
    window = np.where((rng.random(count) < 0.5)[:, None], shown, _round(box, rng.uniform(1.05, 1.9, count), shown))
    window = np.where((kind == CORNER)[:, None], _corner(shown, rng), window)
    part = points[np.arange(count), rng.integers(0, 5, count)]
    reach = (rng.uniform(0.08, 0.2, count) * (box[:, 2] - box[:, 0]))[:, None]
    return np.where((kind == PART)[:, None], np.concatenate([part - reach, part + reach], 1), window)


def _moved(points: Floats, matrix: Floats, mirror: NDArray[np.bool_]) -> Floats:
    """The picture's points in the scene; the two sides change places in a mirror."""
    inverse = np.linalg.inv(matrix[:, :, :2])
    moved = np.einsum("nij,npj->npi", inverse, points - matrix[:, None, :, 2])
    return np.where(mirror[:, None, None], moved[:, MIRRORED], moved).astype(np.float32)


def _middle(box: Floats) -> Floats:
    return (box[:, :2] + box[:, 2:]) / 2


def _inside(frame: Floats, rng: np.random.Generator) -> Floats:
    """A place in each frame."""
    return np.asarray(frame[:, :2] + rng.random((len(frame), 2)) * (frame[:, 2:] - frame[:, :2]), np.float32)


def _round(box: Floats, share: NDArray[np.float64], shown: Floats) -> Floats:
    """The box grown by ``share``, as far as the picture goes."""
    half = (share * (box[:, 2] - box[:, 0]) / 2)[:, None]
    middle = _middle(box)
    return np.concatenate([np.maximum(middle - half, shown[:, :2]), np.minimum(middle + half, shown[:, 2:])], 1)


def _corner(shown: Floats, rng: np.random.Generator) -> Floats:
    """A corner of each picture, which shows no whole face."""
    size = (shown[:, 2:] - shown[:, :2]) * rng.uniform(0.18, 0.42, (len(shown), 2))
    far = rng.random((len(shown), 2)) < 0.5
    start = np.where(far, shown[:, 2:] - size, shown[:, :2])
    return np.concatenate([start, start + size], 1).astype(np.float32)


def _no_ellipse(count: int) -> Floats:
    return np.tile(np.array([0, 0, 1e6, 1e6], np.float32), (count, 1))


def _ellipse(window: Floats, rng: np.random.Generator, chance: float) -> Floats:
    """The ellipse of a window for a share of them, and one that cuts off nothing."""
    inner = np.concatenate([_middle(window), (window[:, 2:] - window[:, :2]) / 2], 1)
    return np.where((rng.random(len(window)) < chance)[:, None], inner, _no_ellipse(len(window))).astype(np.float32)


def _feather(count: int, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(count) < 0.5, 1.0, rng.uniform(1, 12, count)).astype(np.float32)


def _tone(count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    return rng.uniform(0.45, 1.3, count).astype(np.float32), rng.normal(0, 25, count).astype(np.float32)
