"""Which boxes count as faces found, and which as false."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.calibration.thresholds import locate_points
from edge_sdk.errors import DatasetError, ScoreError
from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.locate.matching import PictureOutcome, match, point_error, score_set
from edge_sdk.manifest import LocatePoint, UnsupportedPoint
from edge_sdk.preprocess.crop import LocatedFace

SHAPE = (480, 640)
PLACES = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.4, 0.8), (0.6, 0.8))


def face(left: int, top: int, side: int = 100, confidence: float = 1.0, shift: float = 0.0) -> LocatedFace:
    points = tuple((left + side * x + shift, top + side * y) for x, y in PLACES)
    return LocatedFace(left, top, side, side, points, confidence)


def sample(*faces: LocatedFace) -> Sample:
    return Sample("made", "made/1", genuine=True, path=Path("one.png"), faces=faces, modality="face")


def outcome(true: tuple[LocatedFace, ...], *found: LocatedFace) -> tuple[tuple[float, ...], tuple[float, ...]]:
    matched = match(sample(*true), SHAPE, found)
    return matched.found, matched.false


def test_a_box_that_overlaps_enough_shows_the_face() -> None:
    true = face(100, 100)
    assert outcome((true,), face(110, 110, confidence=0.8)) == ((0.8,), ())  # 81 of 119 hundredths in common
    assert outcome((true,), face(130, 130, confidence=0.8)) == ((0.0,), (0.8,))
    assert outcome((true,)) == ((0.0,), ())
    assert outcome(()) == ((), ())
    assert outcome((), face(5, 5, confidence=0.3), face(300, 5, confidence=0.4)) == ((), (0.4, 0.3))


def test_the_surest_box_has_the_face_and_a_second_one_is_false() -> None:
    assert outcome((face(100, 100),), face(100, 100, confidence=0.5), face(110, 100, confidence=0.9)) == (
        (0.9,),
        (0.5,),
    )


def test_each_face_has_a_box_of_its_own() -> None:
    pair = (face(100, 100), face(150, 100))
    assert outcome(pair, face(150, 100, confidence=0.9), face(100, 100, confidence=0.6)) == ((0.6, 0.9), ())
    assert outcome(pair, face(150, 100, confidence=0.9)) == ((0.0, 0.9), ())


def test_faces_too_small_to_count_are_neither_missed_nor_false() -> None:
    small = face(10, 10, side=90)  # of 480, a fifth is 96
    assert outcome((small,)) == ((), ())
    assert outcome((small,), face(10, 10, side=90, confidence=0.9)) == ((), ())
    assert outcome((small,), face(300, 10, side=90, confidence=0.9)) == ((), ())
    assert outcome((small,), face(300, 10, side=96, confidence=0.9)) == ((), (0.9,))


def test_errors_of_points_are_shares_of_the_box() -> None:
    assert point_error(face(0, 0), face(0, 0, shift=5.0)) == pytest.approx(0.05)
    assert match(sample(face(0, 0)), SHAPE, [face(0, 0, shift=5.0)]).point_errors == pytest.approx((0.05,))
    assert match(sample(face(0, 0)), SHAPE, []).point_errors == ()


def test_a_picture_whose_faces_nobody_knows_is_refused() -> None:
    unknown = Sample("made", "made/1", genuine=True, path=Path("one.png"), modality="face")
    with pytest.raises(DatasetError, match="where its faces are"):
        match(unknown, SHAPE, [])


def made(people: int = 6, pictures: int = 40) -> list[PictureOutcome]:
    """Faces found with confidences 0.50, 0.51...; in every tenth picture a false box, of 0.30, 0.32, 0.34..."""
    outcomes = []
    for number in range(people * pictures):
        false = (0.3 + 0.02 * (number // 10), 0.1) if number % 10 == 0 else ()
        outcomes.append(PictureOutcome(f"made/{number % people}", (0.5 + number / 1000,), false, ()))
    return outcomes


def test_shares_are_those_counted_by_hand() -> None:
    outcomes = made()
    scores = score_set(outcomes)
    for threshold in (0.25, 0.5, 0.55, 0.7):
        missed = sum(score < threshold for one in outcomes for score in one.found)
        false = sum(any(score >= threshold for score in one.false) for one in outcomes)
        accepted = scores.scores >= threshold
        assert np.count_nonzero(~accepted & scores.mated) == missed
        assert np.count_nonzero(accepted & ~scores.mated) == false
    assert (scores.mated_count, scores.impostor_count, scores.subject_count) == (240, 240, 6)


def test_operating_points() -> None:
    outcomes = made()
    points = {point.name: point for point in locate_points(score_set(outcomes), data="made up")}
    assert list(points) == ["false_1e-1", "false_5e-2", "false_1e-2", "eer"]
    unsupported = points["false_1e-2"]
    assert isinstance(unsupported, UnsupportedPoint)
    assert unsupported.reason == "240 pictures; a share of 0.01 with a false box needs 1000"
    for name, target in (("false_1e-1", 0.1), ("false_5e-2", 0.05)):
        point = points[name]
        assert isinstance(point, LocatePoint)
        false = sum(max(one.false, default=0.0) >= point.threshold for one in outcomes)
        missed = sum(score < point.threshold for one in outcomes for score in one.found)
        assert (point.false_boxes.errors, point.false_boxes.trials) == (false, 240)
        assert (point.missed.errors, point.missed.trials) == (missed, 240)
        assert false / 240 <= target < (false + 1) / 240
        assert point.false_boxes.low <= point.false_boxes.value <= point.false_boxes.high
    few = [PictureOutcome(f"made/{number % 4}", (0.9,), (0.2,), ()) for number in range(200)]
    (first, *_, eer) = locate_points(score_set(few), data="made up")
    assert isinstance(first, UnsupportedPoint)
    assert "4 people" in first.reason
    assert isinstance(eer, LocatePoint)
    with pytest.raises(ScoreError):
        locate_points(score_set([PictureOutcome("made/1", (), (), ())]), data="made up")
