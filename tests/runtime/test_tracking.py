"""Faces of a stream, looked for where they were: as a search of whole frames would have found them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from edge_sdk import SpoofDetector, StreamResult
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError
from edge_sdk.images import Image
from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import faces as faces_module
from edge_sdk.runtime.faces import Cascade, CascadeSettings, enlarged, grouped
from edge_sdk.runtime.tracking import PARTS, FaceTracking, _Search, levels_of

from .drawn import frame
from .test_detector import spoof_bundle

FACE, OTHER = (300, 100, 200), (20, 200, 150)
STEP = 0.125


def film(*places: tuple[int, int, int], count: int = 8, way: int = 0, start: int = 0) -> list[Image]:
    """Frames in which faces stand, or move to the left by ``way`` pixels a frame."""
    moved = [[(x - way * number, y, side) for x, y, side in places] for number in range(count)]
    return [frame(*faces, seed=start + number) for number, faces in enumerate(moved)]


def alike(found: tuple[Box, ...], expected: tuple[Box, ...]) -> bool:
    """Whether the same faces were found, in nearly the same places."""
    return len(found) == len(expected) and all(any(one.overlap(other) > 0.8 for other in expected) for one in found)


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    return Cascade()


@pytest.mark.parametrize("shrunk_by", [1.0, 1.7, 3.0])
@pytest.mark.parametrize("places", [(), (FACE,), (FACE, OTHER)])
def test_the_windows_of_all_sizes_are_those_of_opencv(
    cascade: Cascade, places: tuple[tuple[int, int, int], ...], shrunk_by: float
) -> None:
    """Down to frames so small that OpenCV goes over them by two pixels."""
    picture = np.asarray(cv2.resize(frame(*places), None, fx=1 / shrunk_by, fy=1 / shrunk_by), np.uint8)
    gray, levels = cascade.settings.shrunk(picture), levels_of(cascade.settings.shrunk(picture).shape, cascade.settings)
    search = _Search(gray, levels, cascade)
    hits = [hit for one in levels for hit in search._hits(one, 0, 0, one.columns, one.rows, coarse=False)]
    found = enlarged(grouped(hits, cascade.settings.neighbours), gray.shape, picture.shape)
    assert found == cascade(picture)
    assert len(found) == len(places)


def test_the_first_frame_is_searched_as_a_whole(cascade: Cascade) -> None:
    for places in ((), (FACE,), (FACE, OTHER)):
        (picture,) = film(*places, count=1)
        before = picture.copy()
        assert FaceTracking(cascade)(picture) == cascade(picture)
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("way", [0, 3, 12])
@pytest.mark.parametrize("places", [(FACE,), (FACE, OTHER)])
def test_faces_stay_where_a_search_of_whole_frames_has_them(
    cascade: Cascade, places: tuple[tuple[int, int, int], ...], way: int
) -> None:
    tracking = FaceTracking(cascade)
    for picture in film(*places, way=way if len(places) == 1 else 0):
        assert alike(tracking(picture), cascade(picture))


def test_gray_frames_are_tracked_as_colored_ones(cascade: Cascade) -> None:
    colored, gray = FaceTracking(cascade), FaceTracking(cascade)
    for picture in film(FACE, count=5):
        assert colored(picture) == gray(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8))


def test_a_known_face_costs_a_small_part_of_the_windows(cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    windows = Cascade.windows

    def counted(self: Cascade, image: Image, step: int) -> list[tuple[int, int]]:
        looked_at.append(image.size // step**2)
        return windows(self, image, step)

    monkeypatch.setattr(Cascade, "windows", counted)
    monkeypatch.setattr(Cascade, "__call__", None)
    tracking = FaceTracking(cascade)
    frames = film(FACE, count=1 + 4 * PARTS)
    tracking(frames[0])
    looked_at.clear()
    for picture in frames[1:]:
        assert tracking(picture)
    levels = levels_of((360, 480), cascade.settings)
    assert sum(looked_at) / (len(frames) - 1) < 0.1 * sum(level.columns * level.rows for level in levels)


def test_a_second_face_is_seen_soon_and_forgotten_at_once(cascade: Cascade) -> None:
    for start in range(PARTS):
        tracking = FaceTracking(cascade)
        for picture in film(FACE, count=2 + start):
            assert len(tracking(picture)) == 1
        counts = [len(tracking(picture)) for picture in film(FACE, OTHER, count=2 * PARTS, start=50)]
        assert 2 in counts[:PARTS]
        assert set(counts[counts.index(2) :]) == {2}
        assert [len(tracking(picture)) for picture in film(FACE, count=3, start=90)] == [1] * 3


def test_a_face_that_is_lost_is_searched_everywhere_in_the_same_frame(cascade: Cascade) -> None:
    tracking, elsewhere = FaceTracking(cascade), (20, 150, 300)
    for picture in film(FACE, count=3):
        tracking(picture)
    for places in ((elsewhere,), (), (), (OTHER,), (elsewhere,), (FACE, OTHER)):
        (picture,) = film(*places, count=1)
        assert alike(tracking(picture), cascade(picture))


def test_frames_of_another_size_begin_anew(cascade: Cascade) -> None:
    tracking = FaceTracking(cascade)
    whole = frame(FACE)
    for picture in (whole, frame(FACE, seed=1), whole[:, 200:].copy(), whole[:300].copy(), whole[::2, ::2].copy()):
        found = tracking(picture)
        assert found == FaceTracking(cascade)(picture) or alike(found, cascade(picture))
        for box in found:
            assert box.left + box.width <= picture.shape[1]
            assert box.top + box.height <= picture.shape[0]


@pytest.mark.parametrize("place", [(25, 140, 200), (495, 140, 200), (340, 25, 200), (340, 335, 200)])
def test_a_face_at_the_border(cascade: Cascade, place: tuple[int, int, int]) -> None:
    """Cut out of frames that are 40 pixels larger on each side, and a face's hair or ear with them."""
    tracking = FaceTracking(cascade)
    for seed in range(8):
        picture = frame(place, seed=seed, height=560, width=720)[40:520, 40:680].copy()
        assert len(cascade(picture)) == 1
        assert alike(tracking(picture), cascade(picture))


def test_settings_hold_for_tracked_faces_too() -> None:
    large = Cascade(CascadeSettings(smallest=0.4))
    tracking = FaceTracking(large)
    for picture in film(FACE, OTHER, count=4):
        assert len(tracking(picture)) == len(large(picture)) == 1
    nothing = FaceTracking(Cascade(CascadeSettings(smallest=1.0)))
    assert nothing(frame(FACE)) == ()
    assert nothing(np.zeros((1, 1), np.uint8)) == ()


def test_nothing_grows(cascade: Cascade) -> None:
    tracking, frames = FaceTracking(cascade), film(FACE, OTHER, count=6)

    def run(rounds: int) -> None:
        for _ in range(rounds):
            for picture in frames:
                tracking(picture)

    run(3)
    tracemalloc.start()
    run(1)
    before, _ = tracemalloc.get_traced_memory()
    run(10)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 50_000
    assert len(cascade._idle) == 1


def test_what_opencv_raises_while_tracking_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def detectMultiScale(self, *arguments: object, **settings: object) -> None:  # noqa: N802 - as OpenCV has it
            raise cv2.error("insufficient memory")

    monkeypatch.setattr(faces_module, "_classifier", Failing)
    with pytest.raises(EngineError, match="face cascade failed: insufficient memory"):
        FaceTracking(Cascade())(frame())


# --- streams ---


@pytest.fixture(scope="module")
def lenient(make_bundle: Callable[..., Bundle]) -> Bundle:
    return spoof_bundle(make_bundle)


def results(opened: SpoofDetector, frames: list[Image]) -> Iterator[StreamResult]:
    return opened.stream((number * STEP, picture) for number, picture in enumerate(frames))


@pytest.mark.usefixtures("fake_engine")
def test_a_stream_tracks_and_one_picture_is_searched_as_a_whole(lenient: Bundle, cascade: Cascade) -> None:
    frames = film(FACE, count=6)
    with SpoofDetector(lenient, engine="fake") as opened:
        for one, picture in zip(results(opened, frames), frames, strict=True):
            assert opened.detect(picture).faces == cascade(picture)
            assert alike(one.frame.faces, cascade(picture))
            assert one.track == 0


@pytest.mark.usefixtures("fake_engine")
def test_another_person_after_a_cut_is_another_track(lenient: Bundle) -> None:
    with SpoofDetector(lenient, engine="fake") as opened:
        tracks = [one.track for one in results(opened, [*film(FACE, count=3), *film(OTHER, count=3, start=9)])]
    assert tracks == [0, 0, 0, 1, 1, 1]


@pytest.mark.usefixtures("fake_engine")
def test_no_decision_counts_once_a_second_face_is_seen(lenient: Bundle) -> None:
    with SpoofDetector(lenient, engine="fake") as opened:
        found = list(results(opened, [*film(FACE, count=9), *film(FACE, OTHER, count=2 * PARTS, start=20)]))
    first = next(number for number, one in enumerate(found) if "several_faces" in one.reasons)
    assert 9 <= first < 9 + PARTS
    assert all("several_faces" in one.reasons for one in found[first:])


@pytest.mark.usefixtures("fake_engine")
def test_streams_of_one_detector_track_each_for_itself(lenient: Bundle) -> None:
    films = [film(FACE, count=8), film(OTHER, count=8, start=20), film(FACE, OTHER, count=8, start=40), film(count=8)]

    def seen(opened: SpoofDetector, frames: list[Image]) -> list[tuple[Box, ...]]:
        return [one.frame.faces for one in results(opened, frames)]

    with SpoofDetector(lenient, engine="fake") as opened:
        alone = [seen(opened, frames) for frames in films]
        with ThreadPoolExecutor(len(films)) as pool:
            assert list(pool.map(lambda frames: seen(opened, frames), films)) == alone


@pytest.mark.usefixtures("fake_engine")
def test_a_locator_of_ones_own_gets_whole_frames(lenient: Bundle) -> None:
    frames, given = film(FACE, count=4), []

    def locate(picture: Image) -> list[Box]:
        given.append(picture.copy())
        return [Box(310, 110, 180, 180)]

    with SpoofDetector(lenient, engine="fake", faces=locate) as opened:
        assert len(list(results(opened, frames))) == 4
    np.testing.assert_array_equal(given, frames)
