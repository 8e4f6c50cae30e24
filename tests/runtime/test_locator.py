"""From pictures to located faces: decoding, the picture's place in the network's input, sizes, thresholds, errors."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edge_sdk
from edge_sdk import LocatedFace, Locator, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import (
    BundleError,
    EngineError,
    ImageNotFoundError,
    InputError,
    ManifestError,
    OperatingPointError,
    UsageError,
)
from edge_sdk.manifest import FaceBoxes, LocatePoint, Rate, UnsupportedPoint, VerifyPoint
from edge_sdk.runtime.locator import golden_score, seen_once
from edge_sdk.runtime.profile.records import Job
from edge_sdk.runtime.profile.worker import measure
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.slicing import keep_variants

from ..conftest import draw, png
from .located import EDGES, PIPELINE, POINTS, SCORE, WHITE, frame, locator_bundle, network, point
from .test_bad_faces import cmyk

Maker = Callable[..., Bundle]


@pytest.fixture(scope="module")
def bundle(make_bundle: Maker) -> Bundle:
    return locator_bundle(make_bundle)


def test_a_face_is_where_the_network_says(bundle: Bundle) -> None:
    picture = frame((7, 9))
    before = picture.copy()
    with Locator(bundle, smallest=0.0) as locator:
        (face,) = locator.locate(picture)
    np.testing.assert_array_equal(picture, before)
    # The cell's centre is (9.5, 7.5) cells of 8 pixels; 4 black rows above the picture, then 4 x 4 pixels for one.
    x, y = 9.5 * 8 * 4, (7.5 * 8 - 4) * 4
    assert isinstance(face, LocatedFace)
    assert (face.left, face.top, face.width, face.height) == (x - 48, y - 48, 96, 96)
    np.testing.assert_allclose(face.points, [(x + 32 * dx, y + 32 * dy) for dx, dy in POINTS], atol=1e-4)
    assert face.confidence == pytest.approx(WHITE, abs=1e-6)


@pytest.mark.parametrize(
    ("height", "width"), [(480, 640), (640, 480), (250, 250), (128, 160), (60, 80), (720, 1280), (1000, 1), (7, 300)]
)
def test_it_is_found_wherever_the_picture_lies_in_the_frame(bundle: Bundle, height: int, width: int) -> None:
    """The mapping back is the inverse of what ``fit`` does, blocks that leave rows over among it."""
    place = PIPELINE[1].place(height, width)
    picture = np.zeros((height, width), np.uint8)
    picture[height // 4 : max(height // 4 + 1, height * 3 // 4), width // 4 : max(width // 4 + 1, width * 3 // 4)] = 255
    with Locator(bundle, smallest=0.0) as locator:
        faces = locator.candidates(picture, 0.9)
    fitted = np.argwhere(PIPELINE[1](picture) == 255)
    top, left = fitted.min(axis=0)
    bottom, right = fitted.max(axis=0) + 1
    for face in faces:
        x, y = np.array(face.points[2])  # the cell's centre
        assert (left - place.left) * place.scale_x <= x <= (right - place.left) * place.scale_x
        assert (top - place.top) * place.scale_y <= y <= (bottom - place.top) * place.scale_y
        assert min(face.left, face.top) >= 0
        assert face.left + face.width <= width
        assert face.top + face.height <= height


@pytest.mark.parametrize(("height", "width"), [(480, 640), (100, 333), (751, 1003), (333, 100)])
def test_a_pixel_of_the_frame_goes_back_to_its_pixels_in_the_picture(height: int, width: int) -> None:
    fit = preprocess.Fit(height=128, width=160, stretch=1)
    place = fit.place(height, width)
    ramp = np.broadcast_to(np.arange(width) * 255.0 / width, (height, width)).astype(np.uint8)
    row = fit(ramp)[64, place.left : place.left + place.width].astype(float)
    centres = place.back(np.column_stack([place.left + np.arange(place.width) + 0.5, np.zeros(place.width)]))[:, 0]
    assert np.abs(centres * 255 / width - row).max() < 1.5 + 255 / width  # levels are cut off, then averaged
    assert fit(ramp).shape == (128, 160)


def test_largest_first_and_none_inside_another(bundle: Bundle, make_bundle: Maker) -> None:
    picture = frame((3, 2), (3, 3), (11, 15), (7, 9))
    with Locator(bundle, smallest=0.0) as locator:
        faces = locator.locate(picture)
        assert len(faces) == 3  # the second overlaps the first by half
        assert [face.area for face in faces] == sorted((face.area for face in faces), reverse=True)
        assert locator(picture) == faces == locator.find(picture).faces
    with Locator(locator_bundle(make_bundle, score=msgspec.structs.replace(SCORE, overlap=0.6)), smallest=0) as locator:
        assert len(locator.locate(picture)) == 4


def test_boxes_lie_inside_the_picture_and_points_may_not(make_bundle: Maker) -> None:
    wide = locator_bundle(make_bundle, models={"fp32": network((30.0,) * 4)})
    with Locator(wide) as locator:
        (face,) = locator.locate(frame((7, 9)))
    assert (face.left, face.top, face.width, face.height) == (0, 0, 640, 480)
    with Locator(locator_bundle(make_bundle), smallest=0.0) as locator:
        corner = locator.locate(frame((0, 0)))
        assert corner[0].left == corner[0].top == 0
        assert min(corner[0].points[0]) < 16


def test_a_face_outside_the_picture_is_none(make_bundle: Maker) -> None:
    """All boxes have their middle 220 pixels to the left of their cell, so left of the network's input of 160."""
    away = locator_bundle(make_bundle, models={"fp32": network((30.0, 1.0, -25.0, 1.0))})
    with Locator(away, smallest=0.0) as locator:
        assert locator.candidates(np.zeros((100, 100), np.uint8), 0.0) == ()


def test_which_faces_count(bundle: Bundle) -> None:
    picture = frame((7, 9))  # 96 pixels of 480
    for smallest, count in ((0.0, 1), (0.2, 1), (0.21, 0), (1.0, 0)):
        with Locator(bundle, smallest=smallest) as locator:
            assert len(locator.locate(picture)) == count
            assert len(locator.candidates(picture, 0.5)) == 1
    for smallest in (-0.1, 1.1, math.nan):
        with pytest.raises(UsageError, match="smallest"):
            Locator(bundle, smallest=smallest)


def test_the_threshold_is_the_operating_points(make_bundle: Maker) -> None:
    points = (
        point(0.99, "false_1e-3", 0.001, missed=50),
        point(0.5, "false_1e-2", 0.01, missed=10),
        point(0.3, "eer", None, missed=1),
        UnsupportedPoint(name="false_1e-4", target=1e-4, reason="few"),
    )
    bundle = locator_bundle(make_bundle, *points)
    picture = frame((7, 9))
    for settings, threshold, name, count in (
        ({}, 0.5, "false_1e-2", 1),
        ({"operating_point": "false_1e-3"}, 0.99, "false_1e-3", 0),
        ({"threshold": 0.7}, 0.7, "custom", 1),
    ):
        with Locator(bundle, **settings) as locator:  # type: ignore[arg-type]
            result = locator.find(picture)
        assert (result.threshold, result.operating_point, len(result.faces)) == (threshold, name, count)
        assert bool(result) is result.decision is bool(count)
        assert result.score == result.raw_score == pytest.approx(WHITE, abs=1e-6)
        shown = json.loads(json.dumps(result.as_dict()))["faces"]
        assert [tuple(map(tuple, face["points"])) for face in shown] == [face.points for face in result.faces]
        assert [face["left"] for face in shown] == [face.left for face in result.faces]
        timings = result.timings
        parts = timings.decode_ms + timings.preprocess_ms + timings.inference_ms + timings.postprocess_ms
        assert 0 < parts == pytest.approx(timings.total_ms)
    with pytest.raises(OperatingPointError, match="few"):
        Locator(bundle, operating_point="false_1e-4")
    for threshold in (0.0, 1.1, math.nan):
        with pytest.raises(UsageError):
            Locator(bundle, threshold=threshold)


def test_a_face_from_the_threshold_on(bundle: Bundle) -> None:
    picture = frame((7, 9))
    with Locator(bundle) as locator:
        (face,) = locator.locate(picture)
    for threshold, count in ((face.confidence, 1), (np.nextafter(face.confidence, 1), 0)):
        with Locator(bundle, threshold=float(threshold)) as locator:
            assert len(locator.locate(picture)) == count


def test_pictures_are_anything_that_load_takes(bundle: Bundle, tmp_path: Path) -> None:
    picture = frame((7, 9))
    color, path = np.dstack([picture] * 3), tmp_path / "frame.png"
    path.write_bytes(png(picture))
    with Locator(bundle) as locator:
        expected = locator.locate(picture)
        assert len(expected) == 1
        assert locator.locate(color) == locator(color) == expected
        assert locator.locate(path) == locator.locate(path.read_bytes()) == expected
        with pytest.raises(ImageNotFoundError):
            locator.locate(tmp_path / "absent.png")
        for wrong in (np.full((9, 9), np.nan), b"no picture", np.zeros((0, 5), np.uint8)):
            with pytest.raises(InputError):
                locator.locate(wrong)


def test_no_face_two_faces_and_a_small_one(bundle: Bundle) -> None:
    with Locator(bundle) as locator:
        assert locator.locate(frame()) == ()
        assert not locator.find(frame())
        assert len(locator.locate(frame((3, 3), (10, 12)))) == 2
        tiny = np.zeros((480, 640), np.uint8)
        tiny[230:242, 310:322] = 255  # a ninth of a cell
        assert locator.locate(tiny) == ()
    with Locator(bundle, smallest=0.5) as locator:
        assert locator.locate(frame((3, 3), (10, 12))) == ()


def test_what_is_no_picture_is_an_error(bundle: Bundle, tmp_path: Path) -> None:
    kinds: list[object] = [
        np.full((40, 40), np.nan, np.float32),
        np.zeros((40, 40), np.float64),
        np.zeros((0, 40), np.uint8),
        np.zeros((40, 40, 7), np.uint8),
        b"text",
        b"",
        None,
        cmyk(tmp_path),
    ]
    with Locator(bundle) as locator:
        for wrong in kinds:
            with pytest.raises(InputError):
                locator.locate(wrong)  # type: ignore[arg-type]


def test_pictures_of_any_shape_are_searched(bundle: Bundle) -> None:
    with Locator(bundle) as locator:
        for shape in ((1, 1), (1, 1000), (1000, 1), (3, 2, 3)):
            assert locator.locate(np.full(shape, 90, np.uint8)) == ()


def test_an_engine_that_gives_no_numbers_is_an_error(make_bundle: Maker) -> None:
    broken = locator_bundle(make_bundle, models={"fp32": network((math.nan,) * 4)})
    with Locator(broken) as locator:
        for locate in (locator.locate, locator, locator.find):
            with pytest.raises(EngineError, match="not finite"):
                locate(frame((7, 9)))
    closed = Locator(locator_bundle(make_bundle))
    closed.close()
    with pytest.raises(EngineError):
        closed.locate(frame())


def test_threads_may_share_one(bundle: Bundle) -> None:
    pictures = [frame((row, column)) for row in (3, 8) for column in (4, 12)]
    with Locator(bundle) as locator:
        expected = [locator.locate(picture) for picture in pictures]
        found: dict[int, list[tuple[LocatedFace, ...]]] = {}

        def work(number: int) -> None:
            found[number] = [locator.locate(picture) for picture in pictures]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert list(found.values()) == [expected] * 4


def test_bundles_that_do_not_locate_are_refused(make_bundle: Maker, tiny_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="task verify, not locate"):
        Locator(tiny_bundle)
    gray, fit = PIPELINE
    for pipeline in (
        (gray, preprocess.Resize(height=128, width=160, interpolation="area")),
        (gray, preprocess.CropSquare(), fit),
        (gray, preprocess.LimitSize(side=100), fit),
    ):
        with pytest.raises(BundleError, match="one fit"):
            Locator(locator_bundle(make_bundle, preprocessing=pipeline))
    with pytest.raises(ManifestError, match="for task locate only"):
        locator_bundle(make_bundle, task="spoof", operating_points={"fp32": ()})
    rate = Rate(value=0.0, low=0.0, high=0.1, errors=0, trials=9)
    wrong = VerifyPoint(name="eer", threshold=0.5, target=None, fmr=rate, fnmr=rate, data="", subjects=9)
    with pytest.raises(ManifestError, match="does not fit task locate"):
        locator_bundle(make_bundle, wrong)


def test_points_that_contradict_their_thresholds_are_refused(make_bundle: Maker) -> None:
    with pytest.raises(ManifestError, match="do not go with their thresholds"):
        locator_bundle(make_bundle, point(0.5, "a", 0.1, missed=20), point(0.6, "b", 0.01, missed=10))
    with pytest.raises(ManifestError, match="above the target"):
        msgspec.structs.replace(point(), target=0.0001)
    with pytest.raises(ManifestError, match="accepts everything"):
        locator_bundle(make_bundle, point(0.0))


# --- the golden trial ---


ALONE = msgspec.structs.replace(SCORE, overlap=1.0)
"""Every cell is a face of its own: the golden pictures have many cells of one brightness."""


@pytest.fixture(scope="module")
def golden(bundle: Bundle) -> float:
    """The score of the pictures that ``make_bundle`` takes as golden, worked out from what the network gives."""
    scores = []
    for seed in (1, 2):
        sample = preprocess.apply(PIPELINE, draw(seed))[0]
        means = sample.reshape(16, 8, 20, 8).mean(axis=(1, 3))
        row, column = np.unravel_index(means.argmax(), means.shape)
        confidence = 1 / (1 + np.exp(4 - 8 * float(means.max())))
        x, y = (column + 0.5) * 8, (row + 0.5) * 8
        edges = [(x - 12, y - 12), (x + 12, y + 12)]
        shares = np.array([*edges, *((x + 8 * dx, y + 8 * dy) for dx, dy in POINTS)]) / (160, 128)
        scores.append(np.append(shares.clip(0, 1), confidence).mean())
    return float(np.mean(scores))


def test_the_golden_trial_is_replayed(make_bundle: Maker, golden: float) -> None:
    good = locator_bundle(make_bundle, golden={"fp32.onnx": golden}, score=ALONE)
    assert passed(selftest(good))
    Locator(good, selftest=True).close()
    assert edge_sdk.Bundle.open(good.path).manifest == good.manifest
    assert keep_variants(good.manifest, ["fp32.onnx"]) == good.manifest


@pytest.mark.parametrize("edges", [(1.5, 1.5, 1.6, 1.5), (*EDGES[:3], 2.0)])
def test_other_boxes_fail_the_golden_trial(make_bundle: Maker, golden: float, edges: tuple[float, ...]) -> None:
    moved = locator_bundle(make_bundle, golden={"fp32.onnx": golden}, score=ALONE, models={"fp32": network(edges)})
    assert [one.status for one in selftest(moved)] == ["fail"]
    with pytest.raises(BundleError, match="golden trial"):
        Locator(moved, selftest=True)


def test_without_a_box_there_is_no_golden_score() -> None:
    tensors = {"model.confidence8": np.zeros((1, 1, 16, 20)), "model.geometry8": np.zeros((1, 14, 16, 20))}
    with pytest.raises(EngineError, match="no cell"):
        golden_score(SCORE, tensors, PIPELINE[1])  # type: ignore[arg-type]


def test_it_is_profiled_like_any_other(make_bundle: Maker, golden: float) -> None:
    good = locator_bundle(make_bundle, golden={"fp32.onnx": golden}, score=ALONE)
    job = Job(
        bundle=str(good.path),
        sha256=good.sha256,
        engine="onnxruntime",
        variant="fp32.onnx",
        threads=1,
        seconds=0.0,
        calls=2,
    )
    assert measure(job).calls >= 2


def test_points_are_part_of_the_manifest(bundle: Bundle) -> None:
    (found,) = bundle.manifest.variants[0].operating_points
    assert isinstance(found, LocatePoint)
    assert found.rates == {"pictures with a false box": found.false_boxes, "missed faces": found.missed}
    assert isinstance(bundle.manifest.score, FaceBoxes)


def test_a_face_that_is_seen_at_two_sizes_is_one() -> None:
    def face(left: int, top: int, side: int, confidence: float) -> LocatedFace:
        points = ((0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (1.0, 1.0))
        return LocatedFace(left, top, side, side, points, confidence)

    large, within, partly = face(100, 100, 200, 0.9), face(120, 130, 120, 0.7), face(250, 100, 200, 0.8)
    assert seen_once([large, within]) == (large,)
    assert seen_once([large, partly]) == (large, partly), "a quarter of it lies within the other"
    surer = face(120, 130, 120, 0.95)
    assert seen_once([large, surer, partly]) == (surer, partly), "the surer stays, whichever is larger"
    for beyond, one in ((20, True), (21, False)):  # of 100 columns
        assert (len(seen_once([large, face(100 - beyond, 150, 100, 0.5)])) == 1) is one
    assert seen_once([]) == ()
