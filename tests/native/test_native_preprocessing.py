"""What the network of the device library sees is what Python's sees, to the pixel; flags are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk import images, preprocess, quality
from edge_sdk.bundle import Bundle
from edge_sdk.export.data.signatures.photographs import Conditions, photograph
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.manifest import UNFAMILIAR, Familiarity
from edge_sdk.modalities import strokes
from edge_sdk.preprocess import (
    BINARIZED,
    FACE,
    FACE_OVAL,
    INK,
    PAPER,
    CropSquare,
    Fit,
    LimitSize,
    Operation,
    Resize,
    Standardize,
    ToColor,
    ToGray,
)
from edge_sdk.preprocess.region import InkRegion

from .hooks import Hooks
from .interface import NativeError, image

PIPELINES: dict[str, tuple[Operation, ...]] = {
    "ink": INK,
    "paper": PAPER,
    "binarized": BINARIZED,
    "face": FACE,
    "face_oval": FACE_OVAL,
    "area": (LimitSize(side=200), ToGray(), Resize(height=99, width=101, interpolation="area")),
    "linear": (ToGray(), Resize(height=190, width=301, interpolation="linear")),
    "colour": (
        CropSquare(),
        ToColor(order="rgb"),
        Fit(height=64, width=64, stretch=1.0),
        Standardize(mean=0.5, std=0.25),
    ),
}


def pictures() -> dict[str, images.Image]:
    gray = SyntheticWriter(3).genuine(0)
    color = cv2.merge([gray, gray // 2 + 60, gray])
    rng = np.random.default_rng(3)
    # Ruled, tilted, with lines that leave through the top, and of a size that no shrinking divides.
    conditions = replace(Conditions.draw(rng), rules=0.5, shade=0.35)
    photo = images.load(photograph(gray, conditions, rng))[:-7, :-3]
    return {"gray": gray, "bgr": color, "photo": photo, "blank": np.full((60, 80), 255, np.uint8)}


@pytest.mark.parametrize("picture", pictures())
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_tensor_is_pythons(hooks: Hooks, pipeline: str, picture: str) -> None:
    operations, raw = PIPELINES[pipeline], pictures()[picture]
    expected = preprocess.apply(operations, np.ascontiguousarray(raw))
    found = hooks.preprocess(operations, image(raw), expected.shape)
    assert np.mean(found != expected) < 0.001  # 0 here; two versions of OpenCV may round a pixel differently


def page(signature: np.ndarray, left: int = 1400, top: int = 2600) -> np.ndarray:
    paper = np.full((3508, 2480), 240, np.uint8)
    paper[top : top + signature.shape[0], left : left + signature.shape[1]] = np.minimum(signature, 240)
    return paper


def lined(signature: np.ndarray) -> np.ndarray:
    paper = page(signature)
    height, width = signature.shape
    cv2.line(paper, (1050, 2600 + height // 2), (1750 + width, 2605 + height // 2), 0, 3)
    return paper


def framed(signature: np.ndarray) -> np.ndarray:
    paper = page(signature)
    paper[:, :90] = 10
    paper[-60:] = 15
    return paper


def punched(signature: np.ndarray) -> np.ndarray:
    paper = page(signature)
    for y in (1500, 2000):
        cv2.circle(paper, (150, y), 35, 20, -1)
    return paper


def two(signature: np.ndarray) -> np.ndarray:
    paper = page(signature)
    paper[300 : 300 + signature.shape[0], 300 : 300 + signature.shape[1]] = np.minimum(signature, 240)
    return paper


def printed(signature: np.ndarray) -> np.ndarray:
    paper = page(signature)
    for line in range(20):
        cv2.putText(
            paper, "the quick brown fox jumps over it", (150, 200 + 90 * line), cv2.FONT_HERSHEY_SIMPLEX, 2, 30, 4
        )
    return paper


def small_page(signature: np.ndarray) -> np.ndarray:
    return cv2.resize(page(signature), (816, 1152), interpolation=cv2.INTER_AREA)


def cut_off(signature: np.ndarray) -> np.ndarray:
    left, top, width, height = cv2.boundingRect((signature < 128).astype(np.uint8))
    return np.ascontiguousarray(signature[top : top + height // 2, left : left + width])


def thin(_: np.ndarray) -> np.ndarray:
    paper = np.full((300, 380), 255, np.uint8)
    for x in range(40, 340, 12):
        cv2.line(paper, (x, 60), (x, 240), 0, 1)
    return paper


SHEETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": np.copy,
    "a page": page,
    "a small page": small_page,
    "a line to sign on": lined,
    "a dark frame": framed,
    "punch holes": punched,
    "two signatures": two,
    "print": printed,
    "cut off": cut_off,
    "an empty page": lambda signature: page(np.full_like(signature, 240)),
    "in a corner": lambda signature: page(signature, 0, 0),
    "shrunk": lambda signature: cv2.resize(signature, None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA),
    "thin": thin,
    "a dot": lambda _: cv2.circle(np.full((300, 400), 255, np.uint8), (200, 150), 7, 0, -1),
    "black": np.zeros_like,
    "one pixel": lambda signature: np.full((1, 1), 255, np.uint8),
}


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("pipeline", ["ink", "paper"])
def test_a_signature_is_found_and_assessed_as_by_python(hooks: Hooks, pipeline: str, sheet: str) -> None:
    raw = np.ascontiguousarray(SHEETS[sheet](SyntheticWriter(5).genuine(1)))
    region, operations = InkRegion(), PIPELINES[pipeline]
    familiarity = Bundle.open("deepsign").manifest.familiarity
    assert isinstance(familiarity, Familiarity)
    expected, flags = quality.prepare(operations, raw, region)
    blocking = {flag for flag in flags if flag in quality.BLOCKING}
    known = blocking or familiarity.knows(strokes.measure(expected))
    found, raised, blocked = hooks.signature(operations, region, familiarity, image(raw), expected.shape)
    assert raised == {*flags, *(() if known else (UNFAMILIAR,))}
    assert blocked == blocking
    assert np.mean(found != expected) < 0.001


def test_the_sheets_raise_every_flag() -> None:
    signature = SyntheticWriter(5).genuine(1)
    raised = {
        flag
        for make in SHEETS.values()
        for operations in (INK, PAPER)
        for flag in quality.prepare(operations, np.ascontiguousarray(make(signature)), InkRegion())[1]
    }
    assert raised == set(quality.FLAGS)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([{"op": "sharpen"}], "unknown pre-processing operation sharpen"),
        ([{"op": "flatten_paper", "window": 48, "shrink": 0}], "shrink beyond its bounds"),
        ([{"op": "fit", "height": 10**9, "width": 9, "stretch": 1}], "height beyond its bounds"),
        ([{"op": "median_blur", "size": 4, "iterations": 1}], "size beyond its bounds"),
        ([{"op": "resize", "height": 9, "width": 9, "interpolation": "cubic"}], "interpolation beyond"),
        ([{"op": "to_color", "order": "hsv"}], "order beyond"),
        ([{"op": "gait_cycles", "samples": 100}], "unknown"),
        ([{"op": "invert"}] * 65, "more than 64"),
        ([{"op": "binarize", "floor": 30, "fraction": 0.4, "percentile": 75.0}], "takes gray pictures alone"),
        ([{"op": "limit_size"}], "side"),
    ],
)
def test_operations_that_no_manifest_has_are_refused(
    hooks: Hooks, operations: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(NativeError, match=message):
        hooks.preprocess(operations, image(np.zeros((40, 40, 3), np.uint8)), (1, 40, 40))


@pytest.mark.parametrize(
    "change", [{"side": 10**6}, {"gap": 0.0}, {"margin": 1.5}, {"measures": ["size"]}, {"limit": -1.0}, {"mean": [1.0]}]
)
def test_a_region_or_familiarity_that_no_manifest_has_is_refused(hooks: Hooks, change: dict[str, object]) -> None:
    region = msgspec.to_builtins(InkRegion())
    familiarity = msgspec.to_builtins(Bundle.open("deepsign").manifest.familiarity)
    for given in (region, familiarity):
        given.update({name: value for name, value in change.items() if name in given})
    with pytest.raises(NativeError):
        hooks.signature(INK, region, familiarity, image(np.zeros((40, 40), np.uint8)), (1, 150, 180))
