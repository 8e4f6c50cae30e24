"""Pre-processing, from arrays and from raw files."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edge_sdk import preprocess
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.preprocess import BINARIZED, INK, PAPER, apply

from ..paths import DATA

SHAPES = {PAPER: (1, 300, 360), INK: (1, 150, 180)}


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


def test_binarized_pictures_are_resized_and_inverted_alone(scan: np.ndarray) -> None:
    """Section 4.1.2: no threshold, and no blur, which would take a stroke of one pixel away."""
    two_valued = np.where(scan >= 225, 255, 0).astype(np.uint8)
    two_valued[:, 200] = 0
    height, width = two_valued.shape
    expected = np.empty((300, 360), np.float32)
    for row in range(300):
        for column in range(360):
            expected[row, column] = 1 - two_valued[row * height // 300, column * width // 360] / 255
    found = apply(BINARIZED, two_valued)
    assert np.array_equal(found[0], expected)
    assert set(np.unique(found)) == {0, 1}
    column = next(column for column in range(360) if column * width // 360 == 200)
    assert found[0, :, column].all()
    assert not apply(PAPER, two_valued)[0, :, column].all()


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


# --- specks and borders -------------------------------------------------------------------------------------------


def components(image: np.ndarray) -> list[np.ndarray]:
    """Masks of the 8-connected ink."""
    count, labels = cv2.connectedComponents(image, connectivity=8)
    return [labels == label for label in range(1, count)]


@pytest.mark.parametrize("area", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("density", [0.002, 0.05, 0.2])
def test_despeckle_clears_lonely_specks_and_no_larger_ink(area: int, density: float) -> None:
    image = np.where(np.random.default_rng(area).random((120, 90)) < density, 255, 0).astype(np.uint8)
    before = image.copy()
    cleaned = preprocess.Despeckle(area=area)(image)
    assert np.array_equal(image, before)
    for ink in components(image):
        round_it = cv2.dilate(ink.astype(np.uint8), np.ones((2 * area - 1, 2 * area - 1), np.uint8)) > 0
        if ink.sum() >= area:
            assert cleaned[ink].all()
        elif not (image[round_it & ~ink]).any():
            assert not cleaned[ink].any()
    assert not cleaned[image == 0].any()


def test_despeckle_takes_a_page_without_ink() -> None:
    blank = np.zeros((30, 40), np.uint8)
    assert np.array_equal(preprocess.Despeckle(area=5)(blank), blank)


BORDER = preprocess.ClearBorder(share=0.05)


@pytest.mark.parametrize("turns", range(4))
def test_a_wedge_at_the_border_is_cleared(turns: int) -> None:
    page = np.rot90(signature(0), turns).copy()
    dirty = page.copy()
    cv2.fillPoly(dirty, [np.array([[100, 0], [108, 0], [100, 6]])], 255)
    assert np.array_equal(BORDER(dirty), page)
    assert np.array_equal(BORDER(page), page)


def test_a_signature_that_runs_off_the_picture_stays() -> None:
    rows, columns = np.nonzero(signature(0))
    cropped = signature(0)[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert np.array_equal(BORDER(cropped), cropped)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_all_of_a_tiny_picture_is_border(shape: tuple[int, int]) -> None:
    assert BORDER(np.full(shape, 255, np.uint8)).all()
    assert not BORDER(np.zeros(shape, np.uint8)).any()


def test_a_shadow_that_leaves_at_an_angle_does_not_move_the_crop() -> None:
    page = np.where(signature(0) > 0, 40, 240)
    y, x = np.mgrid[:300, :420]
    lit = (page * np.where(y + 0.3 * x > 257, 0.6, 1)).astype(np.uint8)
    assert overlap(apply(INK, page.astype(np.uint8)), apply(INK, lit)) > 0.95
    without = tuple(step for step in INK if not isinstance(step, preprocess.ClearBorder))
    assert overlap(apply(without, page.astype(np.uint8)), apply(without, lit)) < 0.9


# --- light --------------------------------------------------------------------------------------------------------


def maximum_alone(image: np.ndarray, window: int) -> np.ndarray:
    """The picture over its local maximum: what flattening does without the second half of the closing."""
    brightest = cv2.blur(cv2.dilate(image, np.ones((window, window), np.uint8)), (window, window))
    return cv2.divide(image, brightest, scale=255)


BINARIZE = preprocess.Binarize(floor=30, fraction=0.4, percentile=75.0)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 200])
def test_a_stroke_is_as_dark_as_the_ink_says_whatever_the_height(rows: int) -> None:
    image = np.full((rows, 50), 255, np.uint8)
    image[:, 10:20] = 155  # strokes of darkness 100, so ink begins at 40
    image[:, 30] = 255 - 39
    image[:, 40] = 255 - 40
    ink = BINARIZE(image)
    assert ink[:, 10:20].all()
    assert ink[:, 40].all()
    assert not ink[:, 30].any()


FLATTEN = preprocess.FlattenPaper(window=48)


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("size", [(420, 211), (403, 202), (401, 203)])
def test_a_shadow_with_an_edge_leaves_no_ink(scan: np.ndarray, size: tuple[int, int], upright: bool) -> None:
    page = cv2.resize(scan, size, interpolation=cv2.INTER_AREA)
    clean = BINARIZE(FLATTEN(page))
    shaded = page if upright else page.T
    half = shaded[:, shaded.shape[1] // 2 :]
    half[:] = np.rint(half * 0.6)
    elsewhere = cv2.dilate(clean, np.ones((5, 5), np.uint8)) == 0
    assert not BINARIZE(FLATTEN(page))[elsewhere].any()
    along = min(size) if upright else max(size)
    assert np.count_nonzero(BINARIZE(maximum_alone(page, 48))[elsewhere]) > 10 * along


def test_a_slanted_shadow_leaves_hardly_a_wedge_at_the_border() -> None:
    page = np.where(signature(0) > 0, 40, 240)
    y, x = np.mgrid[:300, :420]
    lit = (page * np.where(y + 0.5 * x > 250, 0.6, 1)).astype(np.uint8)
    ink = BINARIZE(FLATTEN(lit))
    assert np.count_nonzero(ink & signature(0)) > 0.98 * np.count_nonzero(signature(0))
    assert np.count_nonzero(ink[cv2.dilate(signature(0), np.ones((5, 5), np.uint8)) == 0]) < 0.0005 * ink.size


def test_a_stroke_along_the_border_is_ink_not_paper() -> None:
    page = np.full((300, 420), 240, np.uint8)
    page[:5, 50:300] = 40
    assert FLATTEN(page)[:5, 50:300].max() < 60


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (1, 70), (101, 103), (104, 102)])
def test_any_size_is_flattened(shape: tuple[int, int]) -> None:
    gray = np.full(shape, 99, np.uint8)
    assert np.array_equal(FLATTEN(gray), np.full(shape, 255, np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert preprocess.FlattenPaper(window=48, shrink=3)(noise).shape == shape


# --- ruled paper --------------------------------------------------------------------------------------------------

ERASE = preprocess.EraseRules(coverage=0.75)


def signature(seed: int) -> np.ndarray:
    """Binary ink in the middle of a page, ``uint8 (300, 420)``."""
    scan = cv2.resize(SyntheticWriter(seed).genuine(0), (300, 150), interpolation=cv2.INTER_AREA)
    page = np.zeros((300, 420), np.uint8)
    page[75:225, 60:360] = np.where(scan < 150, 255, 0)
    return page


def rules(tilt: float, distance: int = 48, thickness: int = 2) -> np.ndarray:
    """Lines across a page, ``uint8 (300, 420)``; the tilt is a slope. OpenCV's thickness of 2 is 3 pixels."""
    page = np.zeros((300, 420), np.uint8)
    for row in range(-72, 372, distance):
        cv2.line(page, (-1, round(row - 210 * tilt)), (420, round(row + 210 * tilt)), 255, thickness)
    return page


@pytest.mark.parametrize("tilt", [0, 0.03, -0.1])
@pytest.mark.parametrize("thickness", [1, 2])
def test_rules_go_and_the_signature_stays(tilt: float, thickness: int) -> None:
    kept, lines = [], rules(tilt, thickness=thickness)
    for seed in range(8):
        alone = signature(seed)
        before = np.maximum(alone, lines)
        after = ERASE(before)
        assert not np.any(after > before)
        left_over = (after > 0) & (cv2.dilate(alone, np.ones((5, 5), np.uint8)) == 0)
        assert left_over.sum() < 0.01 * np.count_nonzero(lines)
        kept.append(np.count_nonzero(after & alone) / np.count_nonzero(alone))
    assert np.mean(kept) >= 0.9


def test_dashed_rules_go() -> None:
    lines = rules(0.04)
    lines[:, ::4] = lines[:, 1::4] = 0
    assert np.count_nonzero(ERASE(np.maximum(lines, signature(1)))) < 1.05 * np.count_nonzero(signature(1))


@pytest.mark.parametrize("end", [30, 389])
def test_an_underline_that_does_not_reach_both_borders_stays(end: int) -> None:
    page = signature(2)
    cv2.line(page, (30 if end == 389 else 0, 250), (end if end == 389 else 389, 240), 255, 2)
    assert np.array_equal(ERASE(page), page)
    ruled = np.maximum(page, rules(0.0))
    assert np.count_nonzero(ERASE(ruled)[236:254] & page[236:254]) > 0.9 * np.count_nonzero(page[236:254])


def test_one_line_from_border_to_border_underlines_the_name() -> None:
    page = signature(3)
    cv2.line(page, (0, 240), (419, 225), 255, 2)
    assert np.array_equal(ERASE(page), page)


@pytest.mark.parametrize(
    "page",
    [
        signature(4),
        np.full((300, 420), 255, np.uint8),
        cv2.copyMakeBorder(signature(5), 9, 9, 9, 9, cv2.BORDER_CONSTANT, value=255),  # a frame
        np.repeat(np.tile(np.array([0, 255], np.uint8), 150)[:, None], 420, axis=1),  # more runs than a page has lines
        np.repeat(np.tile(np.repeat(np.array([0, 255], np.uint8), 20), 8)[:, None], 420, axis=1),  # bars
        np.full((1, 1), 255, np.uint8),
        np.zeros((1, 1), np.uint8),
    ],
    ids=["no ink at the borders", "all ink", "frame", "stripes", "bars", "one pixel of ink", "one pixel"],
)
def test_what_is_no_ruled_page_stays_as_it_is(page: np.ndarray) -> None:
    assert np.array_equal(ERASE(page), page)


@settings(deadline=None, max_examples=200)
@given(
    arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=90)),
    st.sampled_from([0.01, 0.5, 0.75, 1.0]),
    st.lists(st.integers(0, 89), max_size=6),
)
def test_any_binary_picture_loses_ink_at_most(ink: np.ndarray, coverage: float, lines: list[int]) -> None:
    picture = np.where(ink, np.uint8(255), np.uint8(0))
    picture[[row for row in lines if row < len(picture)]] = 255
    before = picture.copy()
    after = preprocess.EraseRules(coverage=coverage)(picture)
    assert after.shape == picture.shape
    assert after.dtype == np.uint8
    assert np.array_equal(picture, before)
    assert np.all((after == picture) | (after == 0))


# --- frame --------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("shape", [(1, 1), (20, 31), (150, 180), (149, 400), (700, 333), (2000, 7)])
def test_fit_keeps_a_constant_and_the_mean(shape: tuple[int, int]) -> None:
    fit = preprocess.Fit(height=150, width=180, stretch=1.5)
    constant = fit(np.full(shape, 200, np.uint8))
    inside = constant > 0
    assert np.all(np.abs(constant[inside].astype(int) - 200) <= 1)
    ink = np.where(np.random.default_rng(0).random(shape) < 0.2, 255, 0).astype(np.uint8)
    ink = cv2.dilate(ink, np.ones((2, 2), np.uint8))
    if min(shape) > 100:  # shrunk, and with enough pixels for a mean
        assert fit(ink)[inside].mean() == pytest.approx(ink.mean(), rel=0.03)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 2), (3, 2), (4, 4), (6, 4), (5, 5)])
def test_block_means(rows: int, columns: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (rows * 7, columns * 9), np.uint8)
    exact = image.reshape(7, rows, 9, columns).mean(axis=(1, 3))
    # Each halving rounds.
    assert np.abs(preprocess.block_means(image, rows, columns) - exact).max() <= 1


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


@pytest.mark.parametrize(
    ("operations", "known"),
    [
        (PAPER, "5692b7af1fcbeb392c5ca1e87a2faa76ceb58b7cee280934989b1281cfb31797"),
        (INK, "263791674d7a893fd99649b0d543b5b9d52a3e0a081c3d090585a57ef0901932"),
    ],
)
def test_digests_of_shipped_pipelines_stay(operations: tuple[preprocess.Operation, ...], known: str) -> None:
    """Enrolled templates name the pipeline that made them by its digest."""
    assert preprocess.digest(operations) == known
