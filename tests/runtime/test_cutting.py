"""The one step between decoding and pre-processing: whose face is cut out, and when none is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk import Verifier, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, BundleNotFoundError, EngineError, UnusableSampleError, UsageError
from edge_sdk.manifest import Image, SensorStream
from edge_sdk.preprocess.align import FaceAlignment
from edge_sdk.preprocess.crop import Box, FaceCrop, LocatedFace
from edge_sdk.preprocess.region import InkRegion
from edge_sdk.runtime import cutting

from ..bundle.made import pin
from .drawn import frame
from .known_faces import ALIGNED, Knowing, aligning, located, textured
from .located import frame as cells
from .located import locator_bundle

Maker = Callable[..., Bundle]
pytestmark = pytest.mark.usefixtures("fake_engine")

FRAME = textured(frame((200, 100, 240)))
FACE = located(200, 100, 240)
ALIGNMENT = FaceAlignment()


def test_a_sample_that_nothing_is_cut_out_of_stays_as_it_is(tiny_bundle: Bundle, signature: np.ndarray) -> None:
    stream = SensorStream(channels=("x",), rate_hz=10, window_s=1, hop_s=1)
    for source in (Image(), Image(region=InkRegion()), stream):
        for faces in ("locator", "aligned", Knowing()):
            cutter = cutting.of(source, faces)  # type: ignore[arg-type]
            assert cutter(signature).sample is signature
            assert cutter.flags == ()
    with Verifier(tiny_bundle) as usual, Verifier(tiny_bundle, faces="aligned") as verifier:
        np.testing.assert_array_equal(verifier.prepare(signature).tensor, usual.prepare(signature).tensor)


def test_the_face_is_aligned_and_then_pre_processed(make_bundle: Maker) -> None:
    locator = Knowing(FACE)
    with Verifier(aligning(make_bundle), engine="fake", faces=locator) as verifier:
        prepared = verifier.prepare(FRAME)
    expected = preprocess.apply(ALIGNED, ALIGNMENT(FRAME, FACE.points))
    np.testing.assert_array_equal(prepared.tensor, expected)
    assert prepared.tensor.shape == (1, 112, 112)
    assert (prepared.flags, locator.asked) == ((), 1)


def test_aligned_pictures_are_taken_as_they_are(make_bundle: Maker) -> None:
    aligned = ALIGNMENT(FRAME, FACE.points)
    bundle = aligning(make_bundle)
    with Verifier(bundle, engine="fake", faces="aligned") as verifier:
        taken = verifier.prepare(aligned)
        template = verifier.enroll(aligned)
    with Verifier(bundle, engine="fake", faces=Knowing(FACE)) as verifier:
        np.testing.assert_array_equal(taken.tensor, verifier.prepare(FRAME).tensor)
        assert verifier.verify(template, FRAME).score == 1.0


def test_where_the_manifest_crops_a_box_is_enough(make_bundle: Maker) -> None:
    crop = FaceCrop(scale=1.5, overflow="shift")
    bundle = aligning(make_bundle, source=Image(face=crop))
    for face in (FACE, Box(200, 100, 240, 240)):
        with Verifier(bundle, engine="fake", faces=Knowing(face)) as verifier:  # type: ignore[arg-type]
            prepared = verifier.prepare(FRAME)
        np.testing.assert_array_equal(prepared.tensor, preprocess.apply(ALIGNED, crop(FRAME, face)))


def test_transparent_pixels_lie_on_white_paper(make_bundle: Maker) -> None:
    seen = []

    def locate(image: np.ndarray) -> list[LocatedFace]:
        seen.append(image.shape)
        return [FACE]

    alpha = np.full(FRAME.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    with Verifier(aligning(make_bundle), engine="fake", faces=locate) as verifier:
        for picture in (np.dstack([FRAME, alpha]), FRAME, FRAME[:, :, 0]):
            verifier.prepare(picture)
    assert seen == [(480, 640, 3), (480, 640, 3), (480, 640)]


@pytest.mark.parametrize(
    ("others", "flags", "counts"),
    [
        ((), (), True),
        ((located(0, 0, 120),), ("other_faces",), True),
        ((located(0, 0, 121),), ("several_faces",), False),
        ((located(0, 0, 240),), ("several_faces",), False),
        ((located(0, 0, 60), located(500, 300, 130)), ("several_faces",), False),
    ],
    ids=["alone", "half as wide", "wider", "two alike", "three"],
)
def test_the_largest_face_counts_if_it_is_clearly_larger(
    others: tuple[LocatedFace, ...], flags: tuple[str, ...], counts: bool, make_bundle: Maker
) -> None:
    bundle = aligning(make_bundle)
    with Verifier(bundle, engine="fake", faces=Knowing(FACE)) as alone:
        template = alone.enroll(FRAME)
        expected = alone.prepare(FRAME).tensor
    for faces in ((FACE, *others), (*others, FACE)):
        with Verifier(bundle, engine="fake", faces=Knowing(*faces), threshold=1e-9) as verifier:
            result = verifier.verify(template, FRAME)
            assert (result.quality, result.decision, result.score) == (flags, counts, 1.0 if counts else 0.0)
            if counts:
                np.testing.assert_array_equal(verifier.prepare(FRAME).tensor, expected)
            if flags:
                with pytest.raises(UnusableSampleError, match=flags[0]):
                    verifier.enroll(FRAME)
                with pytest.raises(UnusableSampleError, match=flags[0]):
                    verifier.enroll([FRAME])


def test_the_locator_is_not_asked_about_a_frame_that_is_unfit_as_a_whole(make_bundle: Maker) -> None:
    locator = Knowing(FACE)
    with Verifier(aligning(make_bundle), engine="fake", faces=locator, threshold=1e-9) as verifier:
        for level, flag in ((3, "too_dark"), (255, "overexposed"), (90, "flat")):
            picture = np.full((480, 640, 3), level, np.uint8)
            result = verifier.verify(picture, picture)
            assert (result.decision, result.score) == (False, 0.0)
            assert flag in result.quality
    assert locator.asked == 0


def test_points_that_lie_as_no_face_s_do_are_no_face(make_bundle: Maker) -> None:
    left_and_right_exchanged = located(200, 100, 240, [FACE.points[i] for i in (1, 0, 2, 4, 3)])
    with Verifier(aligning(make_bundle), engine="fake", faces=Knowing(left_and_right_exchanged)) as verifier:
        assert verifier.prepare(FRAME).blocking == ("no_face",)
        with pytest.raises(UnusableSampleError, match="no_face"):
            verifier.embed(FRAME)


def test_a_locator_that_cannot_serve_is_refused(make_bundle: Maker) -> None:
    bundle = aligning(make_bundle)
    answers = (([Box(1, 1, 50, 50)], "without points"), ("faces", "locator gave"))
    for answer, match in answers:
        locate: Any = lambda _, answer=answer: answer  # noqa: E731
        with Verifier(bundle, engine="fake", faces=locate) as verifier, pytest.raises(UsageError, match=match):
            verifier.verify(FRAME, FRAME)
    for wrong in ("cascade", "cropped", 7, None):
        with pytest.raises(UsageError, match="faces is"):
            Verifier(bundle, engine="fake", faces=wrong)  # type: ignore[arg-type]


def test_a_whole_frame_is_no_aligned_face(make_bundle: Maker) -> None:
    """Frames of strangers before one wall would be accepted as one person."""
    with Verifier(aligning(make_bundle), engine="fake", faces="aligned") as verifier:
        for act in (verifier.enroll, verifier.prepare, lambda picture: verifier.verify(picture, [picture])):
            with pytest.raises(UsageError, match=r'640 x 480 pixels is no aligned face.*leave "aligned" out'):
                act(FRAME)


def test_the_golden_trial_needs_no_locator(make_bundle: Maker) -> None:
    bundle = aligning(make_bundle)
    with Verifier(bundle, engine="fake", faces="aligned") as verifier:
        pictures = [ALIGNMENT(FRAME, FACE.points), ALIGNMENT(cv2.flip(FRAME, 1), FACE.points)]
        score = verifier.verify(*pictures).score
        assert score < 1
        encoded = [cv2.imencode(".png", one)[1].tobytes() for one in pictures]
        assert verifier.golden_trial(encoded) == (score, ())
    with Verifier(bundle, engine="fake", faces=Knowing()) as verifier:
        assert verifier.golden_trial(encoded) == (score, ())
    with pytest.raises(BundleError, match="no golden trial"):
        Verifier(bundle, engine="fake", faces=Knowing(), selftest=True)


def test_the_shipped_locator_is_opened_used_and_freed(
    make_bundle: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a made-up locator in its place: each white cell of 8 pixels of its input is a face of three cells."""
    monkeypatch.setattr("edge_sdk.bundle.finding.SHIPPED", tmp_path)
    pin(monkeypatch, locator_bundle(make_bundle, destination=tmp_path / "face_locator"))
    bundle = aligning(make_bundle)
    nobody, one, two = (textured(np.maximum(cells(*at), 60)) for at in ((), ((8, 10),), ((4, 4), (10, 15))))
    with Verifier(bundle, engine="fake", threshold=1e-9) as verifier:
        assert verifier.prepare(one).tensor.shape == (1, 112, 112)
        assert verifier.prepare(two).blocking == ("several_faces",)
        assert verifier.verify(nobody, nobody).quality == ("no_face",)
    with pytest.raises(EngineError, match="closed"):
        verifier.prepare(one)


def test_without_the_shipped_locator_the_verifier_does_not_open(
    make_bundle: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("edge_sdk.bundle.finding.SHIPPED", tmp_path)
    bundle = aligning(make_bundle)
    with pytest.raises(BundleNotFoundError, match="face_locator"):
        Verifier(bundle, engine="fake")
    Verifier(bundle, engine="fake", faces="aligned").close()
