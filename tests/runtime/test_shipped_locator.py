"""The shipped ``face_locator`` on whole frames: people whom it never saw, and what is no face or nearly one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge_sdk import Locator, images

from ..paths import DATA
from .drawn import frame
from .known_faces import textured

PEOPLE = range(402, 500, 10)  # of CFP's test folds, 09 and 10


@pytest.fixture(scope="module")
def locator() -> Iterator[Locator]:
    with Locator(engine="onnxruntime") as opened:
        yield opened


def person(number: int, height: int = 240) -> np.ndarray:
    """A head of so many pixels in the middle of a frame."""
    path = DATA / "cfp" / "Data" / "Images" / f"{number:03d}" / "frontal" / "01.jpg"
    if not path.exists():
        pytest.skip(f"real data absent: {DATA / 'cfp'} (set EDGE_SDK_DATA)")
    head = cv2.cvtColor(images.load(path)[..., :3], cv2.COLOR_BGR2GRAY)
    width = round(height * head.shape[1] / head.shape[0])
    scene = cv2.cvtColor(textured(frame(), amount=8), cv2.COLOR_BGR2GRAY)
    top, left = (480 - height) // 2, (640 - width) // 2
    scene[top : top + height, left : left + width] = cv2.resize(head, (width, height), interpolation=cv2.INTER_AREA)
    return scene


def test_people_are_found_alone_and_in_pairs(locator: Locator) -> None:
    frames = [person(number) for number in PEOPLE]
    assert sum(len(locator.locate(one)) == 1 for one in frames) >= 9
    pairs = [np.hstack([one[:, 160:480], other[:, 160:480]]) for one, other in itertools.pairwise(frames)]
    assert sum(len(locator.locate(one)) == 2 for one in pairs) >= 8


def test_faces_upside_down_are_seldom_found(locator: Locator) -> None:
    assert sum(bool(locator.locate(cv2.flip(person(number), 0))) for number in PEOPLE) <= 2


def test_faces_of_12_pixels_are_not_found(locator: Locator) -> None:
    assert not any(locator.locate(person(number, height=12)) for number in PEOPLE)


def test_what_shows_nobody(locator: Locator) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
    for nobody in (np.zeros((480, 640), np.uint8), np.full((480, 640), 255, np.uint8), noise, frame()):
        assert locator.locate(nobody) == ()


def test_a_drawn_face_is_found(locator: Locator) -> None:
    """It is none of a person's, which SpoofDetector has to tell."""
    (face,) = locator.locate(frame((200, 100, 200)))
    assert face.left < 300 < face.left + face.width
    assert face.top < 200 < face.top + face.height
