"""The shipped ``face_lite`` and ``face_locator`` on whole frames: real people, and pictures that are none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Template, Verifier, images
from edge_sdk.bundle import shipped
from edge_sdk.errors import UnsupportedImageError, UnusableSampleError

from ..paths import DATA
from .drawn import face, frame
from .known_faces import textured
from .test_bad_faces import cmyk

PEOPLE = range(402, 500, 5)  # of CFP's test folds, 09 and 10
if not {"face_lite", "face_locator"} <= set(shipped()):
    pytest.skip("face_lite and face_locator are not shipped with this version", allow_module_level=True)


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier("face_lite") as opened:
        yield opened


def sketch() -> np.ndarray:
    """A face in lines, on gray paper."""
    paper = np.full((480, 640, 3), 170, np.uint8)
    paper[:, 320:] = 150
    cv2.ellipse(paper, (320, 240), (90, 120), 0, 0, 360, (20, 20, 20), 3)
    for x in (285, 355):
        cv2.ellipse(paper, (x, 215), (18, 9), 0, 0, 360, (20, 20, 20), 3)
        cv2.circle(paper, (x, 215), 5, (20, 20, 20), -1)
    cv2.polylines(paper, [np.array([(320, 225), (308, 265), (325, 268)])], False, (20, 20, 20), 3)
    cv2.ellipse(paper, (320, 300), (35, 12), 0, 0, 180, (20, 20, 20), 3)
    return textured(paper, amount=8)


def framed(picture: np.ndarray, height: int = 240) -> np.ndarray:
    """A picture of a head in the middle of a frame."""
    colors = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    width = round(height * colors.shape[1] / colors.shape[0])
    scene = textured(frame(), amount=8)
    top, left = (480 - height) // 2, (640 - width) // 2
    scene[top : top + height, left : left + width] = cv2.resize(colors, (width, height))
    return scene


def person(number: int, picture: int) -> np.ndarray:
    path = DATA / "cfp" / "Data" / "Images" / f"{number:03d}" / "frontal" / f"{picture:02d}.jpg"
    if not path.exists():
        pytest.skip(f"real data absent: {DATA / 'cfp'} (set EDGE_SDK_DATA)")
    return framed(images.load(path))


NOBODY = {
    "a wall": textured(frame(), amount=8),
    "noise": np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8),
    "a face of 12 pixels": frame((300, 200, 12)),
}
DRAWN = {
    "a drawn face": textured(frame((200, 100, 240)), amount=8),
    "a drawn face, large": np.dstack([textured(face(480), amount=8)] * 3),
    "a sketch": sketch(),
}


@pytest.mark.parametrize("name", NOBODY)
def test_nobody_is_accepted_or_enrolled(name: str, verifier: Verifier) -> None:
    picture = NOBODY[name]
    for pair in ((picture, picture), ([picture], [picture, picture])):
        result = verifier.verify(*pair)
        assert (result.decision, result.score) == (False, 0.0)
        assert set(result.quality) & {"no_face", "several_faces", "too_small", "too_dark", "overexposed", "flat"}
    with pytest.raises(UnusableSampleError):
        verifier.enroll(picture)


@pytest.fixture(scope="module")
def enrolled(verifier: Verifier) -> dict[int, Template]:
    """Those of whom two pictures can be enrolled."""
    found = {}
    for number in PEOPLE:
        try:
            found[number] = verifier.enroll([person(number, 1), person(number, 2)])
        except UnusableSampleError:
            continue
    assert len(found) >= 0.9 * len(PEOPLE)
    return found


@pytest.mark.data
def test_people_are_told_apart_in_whole_frames(verifier: Verifier, enrolled: dict[int, Template]) -> None:
    gallery = verifier.gallery({str(number): template for number, template in enrolled.items()})
    probes = [(number, verifier.identify(person(number, 5), gallery)) for number in enrolled]
    usable = [(number, result) for number, result in probes if result.candidates]
    assert len(usable) >= 0.9 * len(probes)
    right = sum(result.candidates[0].name == str(number) for number, result in usable)
    assert right >= 0.9 * len(usable)
    assert sum(result.identity == str(number) for number, result in probes) >= 0.6 * len(probes)
    assert sum(result.identity not in (None, str(number)) for number, result in probes) <= 0.05 * len(probes)


@pytest.mark.data
def test_strangers_are_nobody(verifier: Verifier, enrolled: dict[int, Template]) -> None:
    """At the default operating point, an FMR of 0.1 %, a stranger among 20 people is somebody in 2 % of searches."""
    assert verifier.operating_point.name == "fmr_1e-3"
    gallery = verifier.gallery({str(number): template for number, template in enrolled.items()})
    found = [verifier.identify(person(number + 1, 1), gallery) for number in PEOPLE]
    assert sum(result.identity is not None for result in found) <= 0.1 * len(found)


@pytest.mark.data
@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_is_accepted_as_nobody(name: str, verifier: Verifier, enrolled: dict[int, Template]) -> None:
    """Whether the locator takes it for a face or not, as a picture, as frames and in a search."""
    for template in enrolled.values():
        assert not verifier.verify(template, DRAWN[name])
        assert not verifier.verify(template, [DRAWN[name]] * 2)
    gallery = verifier.gallery({str(number): template for number, template in enrolled.items()})
    assert verifier.identify(DRAWN[name], gallery).identity is None


@pytest.mark.data
@pytest.mark.parametrize("height", [14, 24, 40])
def test_faces_of_few_pixels_are_nobody(height: int, verifier: Verifier, enrolled: dict[int, Template]) -> None:
    """Their own faces, 12 pixels wide and more, below what the locator counts."""
    for number, template in enrolled.items():
        result = verifier.verify(template, framed(person(number, 5)[120:360, 220:420], height))
        assert (result.decision, result.score) == (False, 0.0)
        assert set(result.quality) & {"no_face", "too_small"}


@pytest.mark.data
def test_upside_down_and_two_people_are_nobody(verifier: Verifier, enrolled: dict[int, Template]) -> None:
    gallery = verifier.gallery({str(number): template for number, template in enrolled.items()})
    heads = [person(number, 5)[:, 160:480] for number in enrolled]
    for head, other in pairwise(heads):
        assert verifier.identify(cv2.rotate(framed(head, 480), cv2.ROTATE_180), gallery).identity is None
        both = verifier.identify(np.hstack([head, other]), gallery)
        assert (both.identity, both.candidates) == (None, ())
        assert "several_faces" in both.quality


@pytest.mark.data
def test_what_is_no_picture_is_an_error(verifier: Verifier, enrolled: dict[int, Template], tmp_path: Path) -> None:
    number, template = next(iter(enrolled.items()))
    broken = person(number, 1).astype(np.float32)
    broken[0, 0] = np.nan
    for picture in (broken, cmyk(tmp_path)):
        for given in (picture, [picture]):
            with pytest.raises(UnsupportedImageError):
                verifier.verify(template, given)
            with pytest.raises(UnsupportedImageError):
                verifier.identify(given, {"somebody": template})


@pytest.mark.data
def test_bad_pictures_of_an_enrolled_person_are_never_accepted_as_another(
    verifier: Verifier, enrolled: dict[int, Template]
) -> None:
    (number, template), (_, other), *_ = enrolled.items()
    good = person(number, 5)
    beside = np.hstack([framed(person(number, 3)[120:360, 220:420])[:, 160:480]] * 2)
    bad = {
        "upside down": cv2.rotate(good, cv2.ROTATE_180),
        "small": framed(good[120:360, 220:420], 40),
        "blurred": cv2.GaussianBlur(good, (0, 0), 15),
        "dark": (good // 12).astype(np.uint8),
        "twice": beside,
    }
    for name, picture in bad.items():
        assert not verifier.verify(other, picture), name
        result = verifier.verify(template, picture)
        assert not result or not result.quality, f"{name}: accepted with {result.quality}"
    for name in ("small", "blurred", "dark"):
        with pytest.raises(UnusableSampleError):
            verifier.enroll(bad[name])
    assert np.isfinite(verifier.verify(template, good).score)
