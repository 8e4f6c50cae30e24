"""Parameters within bounds, shapes that are known before any picture, and libraries' errors as typed ones."""

from __future__ import annotations

from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import preprocess, sensors
from edge_sdk.errors import InputError, ManifestError, PreprocessingError, UnsupportedRecordingError, UsageError
from edge_sdk.preprocess import (
    FACE,
    FACE_OVAL,
    INK,
    PAPER,
    Binarize,
    ClearBorder,
    CropSquare,
    CropToInk,
    Despeckle,
    EraseRules,
    Fit,
    FlattenPaper,
    Form,
    Invert,
    LimitSize,
    MedianBlur,
    Oval,
    Resample,
    Resize,
    Standardize,
    Threshold,
    ToColor,
    ToGray,
    final_form,
    input_shape,
)
from edge_sdk.preprocess.crop import Box, FaceCrop

FRAME = Fit(height=20, width=30, stretch=1.5)
ABSURD: list[tuple[type, dict[str, Any]]] = [
    (Fit, {"height": 0, "width": 1, "stretch": 1.0}),
    (Fit, {"height": 31_623, "width": 31_623, "stretch": 1.0}),
    (Fit, {"height": 10**9, "width": 1, "stretch": 1.0}),
    (Fit, {"height": 1, "width": 1, "stretch": 0.99}),
    (Fit, {"height": 1, "width": 1, "stretch": 1e308}),
    (Resize, {"height": 2049, "width": 1, "interpolation": "area"}),
    (LimitSize, {"side": 0}),
    (LimitSize, {"side": 2**63}),
    (MedianBlur, {"size": 3, "iterations": 31_623}),
    (MedianBlur, {"size": 3, "iterations": 0}),
    (Threshold, {"at": 256}),
    (Threshold, {"at": -1}),
    (FlattenPaper, {"window": 10**6, "shrink": 4}),
    (FlattenPaper, {"window": 512, "shrink": 7}),
    (FlattenPaper, {"window": 48, "shrink": 0}),
    (FlattenPaper, {"window": 48, "shrink": 10**6}),
    (Binarize, {"floor": 30, "fraction": 1.0, "percentile": 75.0}),
    (Binarize, {"floor": 30, "fraction": 0.5, "percentile": 101.0}),
    (EraseRules, {"coverage": 0.0}),
    (ClearBorder, {"share": -0.1}),
    (Despeckle, {"area": 9}),
    (CropToInk, {"tail": 0.5, "margin": 0.0}),
    (CropToInk, {"tail": 0.0, "margin": -1.0}),
    (CropToInk, {"tail": 0.0, "margin": 1e300}),
    (Oval, {"height": 1e-300, "width": 0.5}),
    (Standardize, {"mean": 0.5, "std": 0.0}),
    (Standardize, {"mean": 0.5, "std": 1e-300}),
    (Standardize, {"mean": 1.1, "std": 0.5}),
    (Resample, {"rate_hz": 1e9, "samples": 100, "channels": 3}),
    (Resample, {"rate_hz": 1e-300, "samples": 100, "channels": 3}),
    (Resample, {"rate_hz": 50.0, "samples": 10**9, "channels": 3}),
    (Resample, {"rate_hz": 50.0, "samples": 100, "channels": 0}),
    (FaceCrop, {"scale": 4.1, "overflow": "black"}),
    (FaceCrop, {"scale": 0.0, "overflow": "black"}),
]


@pytest.mark.parametrize(
    ("kind", "values"), ABSURD, ids=lambda value: value.__name__ if isinstance(value, type) else ""
)
def test_absurd_parameters_are_refused_when_built_and_when_read(kind: type, values: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"must be|at most"):
        kind(**values)
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]
    plain = values if kind is FaceCrop else values | {"op": tag}
    with pytest.raises(msgspec.ValidationError, match=r"Expected|at most"):
        msgspec.convert(plain, kind)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    for build in (
        lambda: Standardize(mean=0.5, std=bad),
        lambda: Fit(height=1, width=1, stretch=bad),
        lambda: CropToInk(tail=0.0, margin=bad),
        lambda: FaceCrop(scale=bad, overflow="black"),
        lambda: Resample(rate_hz=bad, samples=2, channels=1),
    ):
        with pytest.raises(ManifestError, match="finite"):
            build()


# --- shapes ---


def test_forms_follow_the_operations() -> None:
    assert final_form(()) == Form(None, None, None)
    assert final_form((LimitSize(side=384), LimitSize(side=640))) == Form(None, None, 384)
    assert final_form((ToGray(), FRAME)) == Form("gray", (20, 30), 30)
    assert final_form((FRAME, CropSquare(), ToColor(order="rgb"))) == Form("rgb", (20, 20), 20)
    assert final_form((FRAME, LimitSize(side=15))) == Form(None, (10, 15), 15)
    assert final_form(INK[:-1]) == Form("gray", None, 384)
    assert [input_shape(one) for one in (PAPER, INK, FACE, FACE_OVAL)] == [
        (1, 300, 360),
        (1, 150, 180),
        (1, 128, 128),
        (1, 128, 128),
    ]


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        ((), "lacks to_gray or to_color"),
        ((FRAME,), "lacks to_gray or to_color"),
        ((ToGray(),), "does not end with a fixed size"),
        ((ToGray(), FRAME, CropToInk(tail=0.0, margin=0.0)), "does not end with a fixed size"),
        (INK[:1] + INK[2:], "flatten_paper takes gray images: put to_gray before it"),
        ((LimitSize(side=384), *INK[2:4], ToGray(), *INK[4:]), "flatten_paper takes gray images"),
        (INK[1:], "flatten_paper takes images of up to 2048 pixels a side: put limit_size"),
        ((LimitSize(side=1025), *INK[1:]), "erase_rules takes images of up to 1024"),
        ((ToColor(order="bgr"), FRAME, Oval(height=1.0, width=1.0)), "oval takes gray images"),
        ((ToColor(order="rgb"), ToGray(), FRAME), "to_gray takes gray or BGR images, not RGB"),
        ((ToColor(order="rgb"), ToColor(order="bgr"), FRAME), "to_color takes gray or BGR images, not RGB"),
        ((ToGray(), Standardize(mean=0.5, std=0.2), FRAME), "standardize takes images of up to 2048"),
        ((ToGray(), MedianBlur(size=7, iterations=1), FRAME), "median_blur takes images of up to 2048"),
        ((ToGray(), FRAME, MedianBlur(size=5, iterations=4)), "goes over a picture 34 times; it may 32 times"),
        ((ToGray(), FRAME, *[Invert()] * 31), "33 times"),
        ((ToGray(), FRAME, Resample(rate_hz=50.0, samples=10, channels=3)), "pipeline by itself"),
    ],
)
def test_pipelines_that_fit_no_picture_are_refused_before_any(
    operations: tuple[preprocess.Operation, ...], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        input_shape(operations)


STEPS = st.sampled_from(
    (
        ToGray(),
        ToColor(order="rgb"),
        LimitSize(side=40),
        LimitSize(side=1),
        Threshold(at=128),
        MedianBlur(size=5, iterations=1),
        Resize(height=3, width=70, interpolation="linear"),
        Invert(),
        *INK[2:],
        CropSquare(),
        Oval(height=0.01, width=0.5),
        Standardize(mean=0.5, std=0.25),
        FRAME,
    )
)


@settings(max_examples=200)
@given(
    operations=st.lists(STEPS, max_size=8).map(tuple),
    shape=st.sampled_from([(1, 1), (1, 400), (400, 1), (50, 60), (1, 1, 3), (2, 300, 3), (50, 60, 3)]),
    level=st.sampled_from([None, 0, 255]),
)
def test_whatever_the_picture_is_the_shape_is_the_inferred_one(
    operations: tuple[preprocess.Operation, ...], shape: tuple[int, ...], level: int | None
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    if level is not None:
        picture[:] = level
    try:
        expected = input_shape(operations)
    except UsageError:
        return
    found = preprocess.apply(operations, picture)
    assert (found.shape, found.dtype) == (expected, np.float32)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("pipeline", [INK, FACE, FACE_OVAL], ids=["INK", "FACE", "FACE_OVAL"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 16_384), (16_384, 1), (2, 16_384, 3)])
def test_pictures_of_any_sides_are_prepared(pipeline: tuple[preprocess.Operation, ...], shape: tuple[int, ...]) -> None:
    for level in (0, 128, 255):
        assert preprocess.apply(pipeline, np.full(shape, level, np.uint8)).shape == input_shape(pipeline)


# --- what libraries raise ---


@pytest.mark.parametrize(
    "error", [cv2.error("no"), MemoryError("no"), ValueError("no"), ZeroDivisionError("no"), IndexError("no")]
)
def test_what_a_library_raises_is_a_typed_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Invert, "__call__", fail)
    with pytest.raises(
        PreprocessingError, match=rf"invert failed on an array of \(4, 5\): {type(error).__name__}"
    ) as it:
        preprocess.apply((ToGray(), Invert(), FRAME), np.zeros((4, 5), np.uint8))
    assert it.value.__cause__ is error


def test_samples_of_another_kind_are_typed_errors() -> None:
    recording = sensors.Recording(np.zeros((3, 3), np.float32), np.arange(3.0))
    for operations in (INK, ()):
        with pytest.raises(PreprocessingError, match="Recording"):
            preprocess.apply(operations, recording)
    with pytest.raises(PreprocessingError, match="resample failed on an array"):
        preprocess.apply((Resample(rate_hz=50.0, samples=2, channels=3),), np.zeros((3, 3), np.uint8))


def test_time_stamps_beyond_a_float_are_refused() -> None:
    recording = sensors.Recording(np.zeros((2, 1), np.float32), np.array([-1e308, 1e308]))
    with pytest.raises(UnsupportedRecordingError, match="too far apart"):
        preprocess.apply((Resample(rate_hz=50.0, samples=2, channels=1),), recording)


def test_a_crop_beyond_the_limit_of_pictures_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.preprocess.crop.MAX_CROP_PIXELS", 400)
    crop = FaceCrop(scale=4.0, overflow="black")
    picture = np.zeros((10, 10), np.uint8)
    assert crop(picture, Box(0, 0, 5, 5)).shape == (20, 20)
    with pytest.raises(InputError, match="24 x 24 pixels is too large"):
        crop(picture, Box(0, 0, 6, 6))
