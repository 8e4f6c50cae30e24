"""Faces found, and followed from frame to frame."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk import images
from edge_sdk.errors import EngineError, UsageError
from edge_sdk.preprocess.crop import Box, LocatedFace
from edge_sdk.runtime import faces
from edge_sdk.runtime.faces import Cascade, CascadeSettings, Rescaled, Tracker

from ..paths import DATA
from .drawn import frame


def test_what_opencv_raises_in_a_search_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def detectMultiScale(self, *arguments: object, **settings: object) -> None:  # noqa: N802 - as OpenCV has it
            raise cv2.error("insufficient memory")

    monkeypatch.setattr(faces, "_classifier", Failing)
    with pytest.raises(EngineError, match="face cascade failed: insufficient memory"):
        Cascade()(frame())


def test_the_cascade_finds_each_face_in_its_place() -> None:
    picture = frame((300, 100, 200), (20, 200, 150))
    before = picture.copy()
    large, small = Cascade()(picture)
    np.testing.assert_array_equal(picture, before)
    assert large.overlap(Box(310, 110, 180, 180)) > 0.7
    assert small.overlap(Box(28, 208, 135, 135)) > 0.7
    assert Cascade()(frame()) == ()


def test_a_large_frame_is_searched_as_a_small_one() -> None:
    (found,) = Cascade()(frame((300, 100, 200)))
    (large,) = Cascade()(cv2.resize(frame((300, 100, 200)), None, fx=2.5, fy=2.5))
    scaled = Box(*(round(2.5 * v) for v in (found.left, found.top, found.width, found.height)))
    assert large.overlap(scaled) > 0.85


def test_small_faces_do_not_count() -> None:
    picture = frame((300, 100, 200), (20, 200, 100))
    assert len(Cascade(CascadeSettings(smallest=0.15))(picture)) == 2
    assert len(Cascade(CascadeSettings(smallest=0.3))(picture)) == 1
    assert Cascade(CascadeSettings(smallest=1.0))(picture) == ()
    assert Cascade()(np.zeros((1, 1), np.uint8)) == ()


@pytest.mark.parametrize(
    "settings",
    [{"smallest": 0.0}, {"smallest": 1.1}, {"side": 1}, {"step": 1.0}, {"step": math.nan}, {"neighbours": 0}],
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        CascadeSettings(**settings)  # type: ignore[arg-type]


def test_an_opencv_without_cascades_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(EngineError, match="opencv-python-headless"):
        Cascade()
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(EngineError, match="opencv-python-headless"):
        Cascade()


def test_a_face_keeps_its_number_while_it_overlaps() -> None:
    tracker = Tracker(overlap=0.3)
    assert tracker.update(0.0, [Box(0, 0, 10, 10), Box(50, 0, 10, 10)]) == (0, 1)
    assert tracker.update(0.1, [Box(52, 0, 10, 10), Box(2, 0, 10, 10)]) == (1, 0)
    assert tracker.update(0.2, [Box(12, 0, 10, 10)]) == (2,), "no overlap with either"


def test_a_missing_face_is_remembered_for_a_moment() -> None:
    box = Box(0, 0, 10, 10)
    for away, name in ((1.0, 0), (1.125, 1)):
        tracker = Tracker(gap_s=1.0)
        assert tracker.update(0.0, [box]) == (0,)
        assert tracker.update(0.5, []) == ()
        assert tracker.update(away, [box]) == (name,)


@pytest.mark.parametrize("time", [-1.0, math.nan, math.inf])
def test_a_broken_clock_ends_every_track(time: float) -> None:
    tracker = Tracker()
    tracker.update(0.0, [Box(0, 0, 10, 10)])
    assert tracker.update(time, [Box(0, 0, 10, 10)]) == (1,)


@pytest.mark.parametrize("settings", [{"overlap": 0.0}, {"overlap": 1.0}, {"gap_s": 0.0}, {"gap_s": math.nan}])
def test_impossible_trackers_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        Tracker(**settings)


rectangles = st.builds(Box, st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))


@given(st.lists(st.lists(rectangles, max_size=4), max_size=8))
def test_numbers_are_never_shared_nor_used_again(frames: list[list[Box]]) -> None:
    tracker = Tracker(gap_s=1.0)
    last: dict[int, int] = {}
    for i, boxes in enumerate(frames):
        names = tracker.update(i * 0.5, boxes)
        assert len(names) == len(boxes) == len(set(names))
        for name in names:
            assert name not in last or i - last[name] <= 2, "back after more than a second"
            assert name in last or name >= len(last)
            last[name] = i


@pytest.mark.data
def test_the_cascade_finds_real_faces_once() -> None:
    """A hundred people of CFP, each pasted into a frame at half of its height."""
    folder = DATA / "cfp"
    files = sorted(folder.glob("Data/Images/*/frontal/01.jpg"))[::5]
    if not files:
        pytest.skip(f"real data absent: {folder} (set EDGE_SDK_DATA)")
    locate, found = Cascade(), 0
    for file in files:
        picture = images.load(file)
        width = min(640, round(240 * picture.shape[1] / picture.shape[0]))
        canvas = frame()
        canvas[120:360, 320 - width // 2 : 320 - width // 2 + width] = cv2.resize(picture, (width, 240))
        found += len(locate(canvas)) == 1
    assert found >= 0.95 * len(files)


def test_boxes_are_rescaled_about_their_middle_within_the_frame() -> None:
    picture = np.zeros((100, 120), np.uint8)
    found = (Box(20, 30, 40, 20), Box(0, 0, 30, 30), Box(7, 9, 1, 1))
    smaller = Rescaled(lambda _: found, 0.9)(picture)
    assert smaller == (Box(22, 31, 36, 18), Box(1, 1, 27, 27), Box(7, 9, 1, 1))
    assert Rescaled(lambda _: found, 1.0)(picture) == found
    assert Rescaled(lambda _: found[1:2], 2.0)(picture) == (Box(0, 0, 45, 45),)
    points = ((1.0, 2.0),) * 5
    (face,) = Rescaled(lambda _: [LocatedFace(10, 10, 20, 20, points, 0.5)], 0.5)(picture)
    assert face == LocatedFace(15, 15, 10, 10, points, 0.5)
