"""Faces that the device library finds, aligns and assesses, compared with Python's."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.manifest import FaceBoxes
from edge_sdk.preprocess import Fit, ToGray
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.runtime import face_quality, frames
from edge_sdk.runtime.locator import located, seen_once
from edge_sdk.scoring.face_boxes import levels

from ..runtime.drawn import frame as drawn_frame
from ..runtime.known_faces import POINTS, textured
from .hooks import Hooks
from .interface import NativeError, image

FIT = Fit(height=128, width=160, stretch=1.0)
SCORE = FaceBoxes(levels=levels((8, 16)), overlap=0.4)
LOCATOR = {"preprocessing": (ToGray(), FIT), "score": SCORE}
ALIGNMENT = FaceAlignment(side=112, margin=0.05)


def cell(confidence: float, *, left: float, top: float, side: float, stride: int) -> tuple[float, list[float]]:
    """Logit and geometry of a cell that shows a square face, its own centre being at (0, 0)."""
    edges = [-left / stride, -top / stride, (left + side) / stride, (top + side) / stride]
    points = [(left + x * side / 200, top + y * side / 200) for x, y in POINTS]
    return float(np.log(confidence / (1 - confidence))), [*edges, *np.ravel(points) / stride]


def grid(rng: np.random.Generator, stride: int, faces: list[tuple[int, int, float, float]]) -> dict[str, np.ndarray]:
    """Outputs of one level: noise below 0.4, and faces as (row, column, confidence, side in the network's pixels)."""
    shape = (128 // stride, 160 // stride)
    logits = rng.uniform(-6, -0.5, (1, 1, *shape)).astype(np.float32)
    geometry = rng.uniform(-1, 3, (1, 14, *shape)).astype(np.float32)
    for row, column, confidence, side in faces:
        x, y = (column + 0.5) * stride, (row + 0.5) * stride
        at = cell(confidence, left=80 - side / 2 - x, top=60 - side / 2 - y, side=side, stride=stride)
        logits[0, 0, row, column], geometry[0, :, row, column] = at
    return {f"confidence{stride}": logits, f"geometry{stride}": geometry}


SCENES: dict[str, tuple[Callable[[], images.Image], list[tuple[int, int, float, float]]]] = {
    "a face, seen by several cells": (
        lambda: textured(drawn_frame((200, 100, 240))),
        [(7, 9, 0.99, 60.0), (7, 10, 0.9, 61.0), (8, 9, 0.55, 58.0), (6, 9, 0.42, 50.0)],
    ),
    "seen at two sizes": (lambda: textured(drawn_frame((200, 100, 240))), [(7, 9, 0.99, 60.0), (9, 12, 0.7, 34.0)]),
    "blurred": (lambda: cv2.GaussianBlur(drawn_frame((200, 100, 240)), (0, 0), 12), [(7, 9, 0.9, 60.0)]),
    "large": (lambda: cv2.resize(textured(drawn_frame((200, 100, 240))), (1931, 1443)), [(7, 9, 0.9, 60.0)]),
    "upright, gray, small": (lambda: textured(drawn_frame((60, 200, 240))[:, :360, 0]), [(7, 9, 0.8, 31.0)]),
    "beyond the border": (lambda: textured(drawn_frame((200, 100, 240))), [(7, 9, 0.9, 150.0)]),
    "nobody": (lambda: textured(drawn_frame()), []),
    "dark": (lambda: (drawn_frame() // 8).astype(np.uint8), [(7, 9, 0.9, 60.0)]),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_face_is_found_aligned_and_assessed_as_by_python(hooks: Hooks, scene: str) -> None:
    make, found = SCENES[scene]
    picture, rng = np.ascontiguousarray(make()), np.random.default_rng(5)
    tensors = grid(rng, 8, found) | grid(rng, 16, [(3, 4, 0.6, 55.0)] if found else [])
    height, width = picture.shape[:2]
    expected = seen_once(located(SCORE.candidates(tensors, 0.5), FIT.place(height, width), height, width))
    pixels = np.empty((112, 112, *picture.shape[2:]), np.uint8)
    said = hooks.faces(LOCATOR, ALIGNMENT, tensors, image(picture), pixels)

    assert [one["box"] for one in said["faces"]] == [[f.left, f.top, f.width, f.height] for f in expected]
    for one, face in zip(said["faces"], expected, strict=True):
        assert one["confidence"] == pytest.approx(face.confidence, abs=1e-7)
        np.testing.assert_allclose(one["points"], face.points, atol=1e-3)
    assert said["unfit"] == set(frames.assess(picture))
    if not expected:
        assert "sharpness" not in said
        return
    aligned = ALIGNMENT(picture, expected[0].points)
    # Two versions of OpenCV may round a position to another 32nd of a pixel.
    assert np.mean(np.abs(pixels.astype(int) - aligned) > 1) < 0.01
    assert said["sharpness"] == pytest.approx(face_quality.sharpness(aligned), rel=0.02)
    geometry = face_quality.Geometry.of(expected[0].points, ALIGNMENT, picture.shape)
    assessed = face_quality.assess(aligned, geometry)
    assert said["blocking"] == set(assessed.blocking)
    assert said["not_enrolled"] == set(assessed.not_enrolled)


@pytest.mark.parametrize("damage", ["missing", "nan", "shape", "sizes"])
def test_numbers_that_are_no_faces_are_an_error_of_the_engine(hooks: Hooks, damage: str) -> None:
    rng = np.random.default_rng(5)
    tensors = grid(rng, 8, [(7, 9, 0.99, 60.0)]) | grid(rng, 16, [])
    if damage == "missing":
        del tensors["geometry16"]
    elif damage == "nan":
        tensors["geometry8"][0, 3, 2, 2] = np.nan
    elif damage == "shape":
        tensors["confidence8"] = tensors["confidence8"].transpose(0, 2, 3, 1)
    else:
        tensors["geometry8"] = np.ascontiguousarray(tensors["geometry8"][:, :, :3])
    with pytest.raises(NativeError) as refused:
        hooks.faces(LOCATOR, ALIGNMENT, tensors, image(drawn_frame()), np.empty((112, 112, 3), np.uint8))
    assert refused.value.status == "ENGINE"


@pytest.mark.parametrize("change", [{"side": 4}, {"side": 5000}, {"margin": 0.5}, {"template": [[1, 2]]}])
def test_an_alignment_that_no_manifest_has_is_refused(hooks: Hooks, change: dict[str, object]) -> None:
    alignment = {"side": 112, "margin": 0.0, "template": FaceAlignment().template} | change
    with pytest.raises(NativeError) as refused:
        hooks.faces(LOCATOR, alignment, {}, image(drawn_frame()), np.empty((112, 112, 3), np.uint8))
    assert refused.value.status == "BUNDLE"
