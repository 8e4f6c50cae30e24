"""A single-shot network that finds faces: a confidence, a box and five points for each cell of two maps.

One pass over the whole frame, shrunk into 160 x 128 pixels. Its layers are plain and depthwise convolutions, ReLU and
additions, which all engines compute in int8. The map of stride 8 answers for faces up to 44 pixels there, that of
stride 16 for larger ones; both see nearly the whole frame. It has 234,126 parameters and takes 48.5 million
multiply-adds a frame.

What it learns from are scenes, rendered anew for each step (:mod:`edge_sdk.export.data.faces.scenes`). A face's box is
the square from brow to chin that OpenCV's cascade gives, by :func:`edge_sdk.export.data.faces.scenes.truth.face_box`,
so that what is cut out by one locator looks like what is cut out by the other. Faces upside down are no faces: they are
among what is pasted as none.
"""

from __future__ import annotations

import math

from edge_sdk.export.losses.locating import FaceLocation
from edge_sdk.export.losses.location import LevelRange
from edge_sdk.export.networks.face_boxes import FaceLocatorNet
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.preprocess import Fit, ToGray
from edge_sdk.scoring.face_boxes import FaceBoxes, levels

HEIGHT, WIDTH = 128, 160
LEVELS = (LevelRange(8, 0, 44), LevelRange(16, 34, math.inf))
"""Faces of 34 to 44 pixels have cells in both maps."""


def tiny(*, width: float = 1.0) -> FaceLocatorNet:
    """About 5,000 parameters, at a ``width`` of 1."""
    return FaceLocatorNet(width=width / 8)


def _preset(steps: int, scenes: int, learning_rate: float) -> Preset:
    return Preset(
        preprocessing=(ToGray(), Fit(height=HEIGHT, width=WIDTH, stretch=1)),
        objective=FaceLocation(scenes=scenes, levels=LEVELS),
        steps=steps,
        learning_rate=learning_rate,
        weight_decay=0.01,
        schedule="one_cycle",
        average=0.999,
        keep="last",
        validate_every=500,
    )


RECIPE = Recipe(
    name="face_locator",
    task="locate",
    modality="face",
    network=FaceLocatorNet,
    tiny=tiny,
    score=FaceBoxes(levels=levels((8, 16))),
    # The EER rests on some hundred frames of the guardrail's people, of which half a point is two.
    budget=0.01,
    presets={
        # What the shipped weights took on a GPU, in two runs of 861 and 2,560 steps.
        "best": _preset(3421, 384, 3e-3),
        "quick": _preset(6000, 48, 2e-3),
    },
)
