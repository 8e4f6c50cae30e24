"""What lies where in a scene, drawn for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.data.faces.scenes.pastes import HEIGHT, WIDTH, Indices, Layer, Pictures, Wanted, faces, scraps
from edge_sdk.export.data.faces.scenes.truth import Floats, face_box

CONTENTS = 3
"""Layers that may hold a face each."""
NOBODY, FACE, UNCLEAR = 0, 1, 2
"""States of a face: there is none, it is to be found, or it is too much hidden to say."""
FRAMES = ((4, 3), (4, 3), (5, 4), (16, 9), (1, 1), (3, 4), (9, 16))
"""Width to height of the frames that are shrunk into the network's input; what is beside them is black."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A batch of scenes.

    Attributes:
        active: ``(B, 4)``: left, top, right, bottom of the frame in the input.
        layers: From the back to the front.
        state: ``(B, CONTENTS)`` of NOBODY, FACE and UNCLEAR.
        points: ``(B, CONTENTS, 5, 2)``, in the scene's pixels: pixel k covers k to k + 1.
        boxes: ``(B, CONTENTS, 4)``: left, top, right, bottom.
        source: ``(B, CONTENTS)``: the picture of each face, -1 where there is none.
    """

    active: Floats
    layers: tuple[Layer, ...]
    state: Indices
    points: Floats
    boxes: Floats
    source: Indices


def draw(pictures: Pictures, chances: NDArray[np.float64], count: int, rng: np.random.Generator) -> Plan:
    """Plan ``count`` scenes.

    Args:
        chances: ``(F,)``: how often each picture with a face is drawn; sums to 1.
    """
    active = _frames(count, rng)
    layers = [scraps(pictures, rng.random(count) < 0.7, active, rng, whole=True)]
    layers += [scraps(pictures, rng.random(count) < 0.5, active, rng) for _ in range(2)]
    state = np.zeros((count, CONTENTS), np.int64)
    points = np.zeros((count, CONTENTS, 5, 2), np.float32)
    boxes = np.zeros((count, CONTENTS, 4), np.float32)
    source = np.full((count, CONTENTS), -1, np.int64)
    taken = np.zeros((count, CONTENTS, 4), np.float32)
    number = rng.choice(4, count, p=[0.22, 0.5, 0.18, 0.1])
    filled = rng.random(count) < 0.4  # one picture is the whole scene
    for slot in range(CONTENTS):
        wants_face = number > slot
        decoy = ~wants_face & (rng.random(count) < 0.4)
        chosen = np.flatnonzero(wants_face | decoy)
        face = wants_face[chosen]
        whole = filled[chosen] & (slot == 0) & face
        who = rng.choice(len(chances), len(chosen), p=chances)
        paste = faces(pictures, Wanted(chosen, who, face, whole, active[chosen]), rng)
        clear = _apart(paste.taken, taken[chosen, :slot]) | (slot == 0)
        layers.append(paste.layer.of(clear))
        kept = chosen[clear]
        taken[kept, slot] = paste.taken[clear]
        shown = clear & face
        source[chosen[shown], slot] = who[shown]
        points[chosen[shown], slot] = paste.points[shown]
        boxes[chosen[shown], slot] = face_box(paste.points[shown])
    present = source >= 0
    state[present] = _state(boxes, points, active[:, None])[present]
    return Plan(active, tuple(layers), state, points, boxes, source)


def _frames(count: int, rng: np.random.Generator) -> Floats:
    """``(count, 4)``: as ``Fit`` places frames of several shapes."""
    shapes = np.array(FRAMES, float)[rng.integers(0, len(FRAMES), count)]
    scale = np.minimum(WIDTH / shapes[:, 0], HEIGHT / shapes[:, 1])[:, None]
    size = np.round(shapes * scale)
    start = (np.array([WIDTH, HEIGHT]) - size) // 2
    return np.concatenate([start, start + size], 1).astype(np.float32)


def _apart(taken: Floats, earlier: Floats) -> NDArray[np.bool_]:
    """``(M,)``: whether a paste hides little of what was pasted before it."""
    if not earlier.shape[1]:
        return np.ones(len(taken), np.bool_)
    area = np.maximum((earlier[..., 2] - earlier[..., 0]) * (earlier[..., 3] - earlier[..., 1]), 1e-6)
    return np.asarray(
        (_common(earlier, taken[:, None]) / area < 0.12).all(1)
        & (_common(taken[:, None], earlier).sum(1) < 0.2 * (taken[:, 2] - taken[:, 0]) ** 2)
    )


def _common(a: Floats, b: Floats) -> Floats:
    size = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    return np.asarray(np.maximum(size, 0).prod(-1))


def _state(boxes: Floats, points: Floats, active: Floats) -> Indices:
    """Whether faces are to be found, by how much of their box and how many of their points lie in the frame."""
    area = np.maximum((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]), 1e-6)
    visible = _common(boxes, active) / area
    inside = ((points > active[..., None, :2]) & (points < active[..., None, 2:])).all((-2, -1))
    found = (visible > 0.65) | (inside & (visible > 0.3))
    return np.where(found, FACE, np.where(visible > 0.15, UNCLEAR, NOBODY))
