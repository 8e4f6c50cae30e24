"""Drawn faces with their five points, locators that know where they are, and a bundle that aligns them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from edge_sdk import preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.manifest import Image, Input, Output
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.preprocess.crop import LocatedFace

from ..fake_engine import FakeModel

# Of the face in drawn.face(200): eyes, nose, corners of the mouth.
POINTS = ((72.0, 90.0), (128.0, 90.0), (100.0, 128.0), (76.0, 162.0), (124.0, 162.0))
ALIGNED = (preprocess.ToGray(), preprocess.Resize(height=112, width=112, interpolation="linear"))


def located(left: int, top: int, side: int, points: Sequence[tuple[float, float]] = POINTS) -> LocatedFace:
    """The face that :func:`tests.runtime.drawn.frame` draws there."""
    scaled = [(left + x * side / 200, top + y * side / 200) for x, y in points]
    return LocatedFace(left, top, side, side, tuple(scaled), 0.9)  # type: ignore[arg-type]


class Knowing:
    """A locator that gives the same faces for every picture, and counts how often it is asked."""

    def __init__(self, *faces: LocatedFace) -> None:
        self.faces = faces
        self.asked = 0

    def __call__(self, image: np.ndarray) -> tuple[LocatedFace, ...]:
        self.asked += 1
        return self.faces


def textured(picture: np.ndarray, seed: int = 0, amount: int = 25) -> np.ndarray:
    """With fine detail, which drawn faces lack."""
    noise = np.random.default_rng(seed).integers(-amount, amount + 1, picture.shape)
    return (picture.astype(np.int16) + noise).clip(0, 255).astype(np.uint8)


def aligning(make_bundle: Callable[..., Bundle], **changes: object) -> Bundle:
    """A bundle for the engine ``fake`` that takes aligned faces, ``(1, 112, 112)``."""
    model = msgspec.json.encode(FakeModel(shape=(1, 112, 112), dim=8))
    settings: dict[str, object] = {
        "models": {"fp32": model},
        "modality": "face",
        "source": Image(alignment=FaceAlignment()),
        "preprocessing": ALIGNED,
        "inputs": (Input(name="image", shape=("batch", 1, 112, 112)),),
        "outputs": (Output(name="embedding", shape=("batch", 8), role="embedding"),),
    }
    return make_bundle(**(settings | changes))
