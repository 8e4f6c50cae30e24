"""Pre-processing, from arrays and from raw files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk import preprocess
from edge_sdk.export.datasets.synthetic import SyntheticWriter
from edge_sdk.preprocess import INK, PAPER, apply

SHAPES = {PAPER: (1, 300, 360), INK: (1, 150, 180)}
DATA = Path(os.environ.get("EDGE_SDK_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def scan() -> np.ndarray:
    return SyntheticWriter(5).genuine(0)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Share of each picture's ink that lies within a pixel of the other's ink, the smaller of the two."""
    a, b = ((picture[0] > 0.5).astype(np.uint8) for picture in (first, second))
    near = np.ones((3, 3), np.uint8)
    return min(float(p[cv2.dilate(q, near) > 0].sum() / max(1, p.sum())) for p, q in ((a, b), (b, a)))


@pytest.mark.parametrize("pipeline", [PAPER, INK])
def test_shape_range_and_polarity(pipeline: tuple[preprocess.Operation, ...], scan: np.ndarray) -> None:
    before = scan.copy()
    ink = apply(pipeline, scan)
    assert ink.shape == SHAPES[pipeline]
    assert ink.dtype == np.float32
    assert ink.min() == 0
    assert ink.max() == 1
    assert 0.002 < ink.mean() < 0.3  # ink is the bright minority
    assert np.array_equal(scan, before)


def test_paper_pipeline_is_section_4_1_step_by_step(scan: np.ndarray) -> None:
    expected = np.where(scan >= 225, 255, 0).astype(np.uint8)
    for _ in range(15):
        expected = cv2.medianBlur(expected, 3)
    expected = np.where(expected >= 210, 255, 0).astype(np.uint8)
    expected = 255 - cv2.resize(expected, (360, 300), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(apply(PAPER, scan)[0], expected / np.float32(255))


@pytest.mark.parametrize("shape", [(90, 40), (1000, 640), (641, 3), (3, 5000), (1280, 640, 3)])
def test_limit_size_keeps_the_aspect_ratio_and_the_mean(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    image = cv2.blur(image, (9, 9))  # without detail that any shrinking would drop
    small = preprocess.LimitSize(side=100)(image)
    scale = min(1.0, 100 / max(shape[:2]))
    assert small.shape == (*(max(1, round(side * scale)) for side in shape[:2]), *shape[2:])
    assert abs(float(small.mean()) - float(image.mean())) < 2
    assert np.array_equal(small, image) == (scale == 1)


def test_gray_paper_and_uneven_light_give_the_picture_of_a_clean_scan(scan: np.ndarray) -> None:
    clean = apply(INK, scan)
    ramp = np.linspace(0.45, 0.95, scan.shape[1])[None, :]
    for factor in (0.8, ramp):
        darker = np.rint(scan * factor).astype(np.uint8)
        assert overlap(clean, apply(INK, darker)) > 0.97
    # The paper's absolute threshold takes dark paper for ink: that is why there is a second pipeline.
    assert apply(PAPER, np.rint(scan * 0.8).astype(np.uint8)).mean() > 0.9


def test_pale_and_black_pens_give_the_same_lines(scan: np.ndarray) -> None:
    pale = 255 - np.rint((255 - scan.astype(float)) * 0.5).astype(np.uint8)
    assert overlap(apply(INK, scan), apply(INK, pale)) > 0.95


@pytest.mark.parametrize("level", [40, 128, 255])
def test_a_blank_picture_has_no_ink(level: int) -> None:
    assert apply(INK, np.full((380, 600), level, np.uint8)).max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3000, 40)])
def test_odd_sizes_do_not_fail(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for pipeline in (PAPER, INK):
        assert apply(pipeline, image).shape == SHAPES[pipeline]


def test_transparent_pixels_show_white_paper(scan: np.ndarray) -> None:
    bgra = np.dstack([np.zeros((*scan.shape, 3), np.uint8), 255 - scan])  # black ink, as transparent as the paper is
    assert np.abs(preprocess.ToGray()(bgra).astype(int) - scan).max() <= 1


def test_despeckle_agrees_with_and_without_the_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    noisy = np.where(rng.random((200, 200)) < 0.05, 255, 0).astype(np.uint8)
    step = preprocess.Despeckle(area=3)
    one_pass = step(noisy)
    monkeypatch.setattr(preprocess.Despeckle, "LOOKUP", 10**9)
    assert np.array_equal(one_pass, step(noisy))
    assert 0 < np.count_nonzero(one_pass) < np.count_nonzero(noisy)


def test_crop_leaves_the_ink_in_the_middle() -> None:
    image = np.zeros((200, 300), np.uint8)
    image[50:60, 100:200] = 255
    cut = preprocess.CropToInk(tail=0, margin=0.1)(image)
    assert cut.shape == (30, 120)
    assert cut[10:20, 10:110].min() == 255


def test_fit_stretches_no_more_than_allowed() -> None:
    wide = np.full((10, 100), 255, np.uint8)
    out = preprocess.Fit(height=300, width=360, stretch=1.5)(wide)
    rows, columns = np.flatnonzero(out.any(axis=1)), np.flatnonzero(out.any(axis=0))
    assert columns.size == 360
    assert rows.size == 54  # 36 kept the ratio; 1.5 times that


def test_round_trip_and_digest() -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(INK), type=tuple[preprocess.Operation, ...])
    assert decoded == INK
    assert preprocess.digest(decoded) == preprocess.digest(INK)
    assert preprocess.digest([preprocess.CropToInk(tail=0, margin=1)]) == preprocess.digest(
        [preprocess.CropToInk(0.0, 1.0)]
    )
    assert preprocess.digest(INK) != preprocess.digest(INK[:-1])
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'[{"op":"blur"}]', type=tuple[preprocess.Operation, ...])


@pytest.mark.data
def test_the_scanner_paper_does_not_show() -> None:
    """CEDAR as scanned: genuine signatures on gray paper, forgeries on white, and none of it in the ink picture."""
    root = DATA / "cedar_raw"
    if not root.is_dir():
        pytest.skip(f"{root} is absent")
    borders = [
        apply(INK, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))[0, :6].mean() for path in sorted(root.rglob("*.png"))
    ]
    assert np.mean(borders) < 0.02
    cleaned = [
        overlap(
            apply(INK, cv2.imread(str(path), 0)),
            apply(INK, cv2.imread(str(DATA / "cedar" / path.relative_to(root)), 0)),
        )
        for path in sorted(root.rglob("*_1_1*.png"))
    ]
    assert np.median(cleaned) > 0.9
