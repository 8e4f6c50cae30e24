"""Bad pictures of faces, through the public names: a flag or a typed error, and never an accept.

The threshold accepts every score there is, so only the fences can keep anything out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk import Shots, Template, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import (
    BitDepthError,
    EdgeSdkError,
    ImageDecodeError,
    UnsupportedImageError,
    UnusableSampleError,
)
from edge_sdk.preprocess.crop import LocatedFace

from .drawn import frame
from .known_faces import Knowing, aligning, located, textured

Maker = Callable[..., Bundle]
pytestmark = pytest.mark.usefixtures("fake_engine")

FRAME = textured(frame((200, 100, 240)))
FACE = located(200, 100, 240)


def turned(face: LocatedFace, degrees: float) -> LocatedFace:
    """About the middle of a frame of 480 x 640."""
    matrix = cv2.getRotationMatrix2D((320, 240), -degrees, 1)
    points = np.asarray(face.points) @ matrix[:, :2].T + matrix[:, 2]
    return LocatedFace(face.left, face.top, face.width, face.height, tuple(map(tuple, points.tolist())), 0.9)


def nose(right: float, down: float) -> LocatedFace:
    """The nose moved, in pixels of the 200 that a face is drawn in."""
    points = list(located(0, 0, 200).points)
    points[2] = (points[2][0] + right, points[2][1] + down)
    return located(200, 100, 240, points)


def drawing() -> np.ndarray:
    """Black lines on white paper."""
    paper = np.full((480, 640, 3), 255, np.uint8)
    cv2.circle(paper, (320, 240), 120, (0, 0, 0), 4)
    for x in (280, 360):
        cv2.circle(paper, (x, 210), 15, (0, 0, 0), 4)
    cv2.ellipse(paper, (320, 290), (50, 25), 0, 0, 180, (0, 0, 0), 4)
    return paper


BLURRED = cv2.GaussianBlur(FRAME, (0, 0), 12)

# Picture, what the locator finds in it, and the flag: such a picture is never accepted.
BLOCKED: dict[str, tuple[np.ndarray, tuple[LocatedFace, ...], str]] = {
    "no face": (FRAME, (), "no_face"),
    "two faces": (FRAME, (FACE, located(0, 0, 200)), "several_faces"),
    "12 pixels": (FRAME, (located(300, 200, 12),), "too_small"),
    "upside down": (cv2.rotate(FRAME, cv2.ROTATE_180), (turned(FACE, 180),), "tilted"),
    "lying down": (FRAME, (turned(FACE, 90),), "tilted"),
    "a drawing": (drawing(), (located(200, 120, 240),), "overexposed"),
    "half outside": (FRAME, (located(520, 100, 240),), "cut_off"),
    "out of focus": (BLURRED, (FACE,), "blurred"),
    "at night": ((FRAME // 10).astype(np.uint8), (FACE,), "too_dark"),
    "into the lamp": (np.full_like(FRAME, 253), (FACE,), "overexposed"),
    "a wall": (np.full_like(FRAME, 120), (FACE,), "flat"),
    "a tiny frame": (FRAME[:20, :20], (FACE,), "too_small"),
}
# These only warn, and cannot be enrolled.
WARNED: dict[str, tuple[np.ndarray, tuple[LocatedFace, ...], str]] = {
    "profile": (FRAME, (nose(40, 0),), "turned_away"),
    "looking up": (FRAME, (nose(0, -20),), "turned_away"),
    "looking down": (FRAME, (nose(0, 25),), "turned_away"),
    "somebody behind": (FRAME, (FACE, located(0, 0, 80)), "other_faces"),
    "far away": (cv2.resize(FRAME, (160, 120)), (located(50, 25, 60),), "too_small"),
}


@pytest.fixture(scope="module")
def bundle(make_bundle: Maker) -> Bundle:
    return aligning(make_bundle)


@pytest.fixture
def template(bundle: Bundle) -> Template:
    with Verifier(bundle, engine="fake", faces=Knowing(FACE)) as verifier:
        return verifier.enroll(FRAME)


@pytest.mark.parametrize("name", BLOCKED)
def test_what_blocks_is_never_accepted_identified_or_enrolled(name: str, bundle: Bundle, template: Template) -> None:
    picture, faces, flag = BLOCKED[name]
    with Verifier(bundle, engine="fake", faces=Knowing(*faces), threshold=1e-9) as verifier:
        for reference, query in (
            (template, picture),
            (template, [picture, None, picture]),
            (template, Shots([picture])),
            (picture, picture),
            ([picture, picture], picture),
            (Shots([picture]), Shots([picture])),
        ):
            result = verifier.verify(reference, query)
            assert (result.decision, result.score, result.raw_score) == (False, 0.0, 2.0)
            assert flag in result.quality
        found = verifier.identify(picture, {"somebody": template})
        assert (found.decision, found.identity, found.candidates) == (False, None, ())
        assert flag in found.quality
        for references in (picture, [picture], Shots([picture, None])):
            with pytest.raises(UnusableSampleError, match=flag):
                verifier.enroll(references)


@pytest.mark.parametrize("name", WARNED)
def test_what_warns_is_compared_and_not_enrolled(name: str, bundle: Bundle, template: Template) -> None:
    picture, faces, flag = WARNED[name]
    with Verifier(bundle, engine="fake", faces=Knowing(*faces), threshold=1e-9) as verifier:
        result = verifier.verify(template, picture)
        assert flag in result.quality
        assert result.score > 0
        for references in (picture, Shots([picture])):
            with pytest.raises(UnusableSampleError, match=flag):
                verifier.enroll(references)


def test_shots_take_the_better_face(bundle: Bundle, template: Template) -> None:
    """The locator knows which frame it sees by its first pixel."""
    sound, away, none = (FRAME.copy() for _ in range(3))
    known = {1: (FACE,), 2: (nose(30, 0),), 3: ()}
    for picture, number in zip((sound, away, none), known, strict=True):
        picture[0, 0] = number

    def locate(image: np.ndarray) -> tuple[LocatedFace, ...]:
        return known[int(image[0, 0, 0])]

    with Verifier(bundle, engine="fake", faces=locate) as verifier:
        assert verifier.verify(template, Shots([none, away, sound, away], best=1)).quality == ()
        assert verifier.verify(template, Shots([none, away, sound, away], best=2)).quality == ("turned_away",)
        assert verifier.enroll(Shots([away, none, sound])).count == 1


# --- what is no picture, or one that is not taken ---


def cmyk(folder: Path) -> Path:
    """A JPEG of four components: the frame header's number of components is all that tells."""
    data = bytearray(cv2.imencode(".jpg", FRAME)[1].tobytes())
    at = data.index(b"\xff\xc0")
    header = data[at + 4 : at + 10]
    components = bytes(itertools.chain.from_iterable((number, 0x11, 0) for number in range(1, 5)))
    length = (8 + 3 * 4).to_bytes(2, "big")
    old = int.from_bytes(data[at + 2 : at + 4], "big")
    data[at + 2 : at + 2 + old] = length + header[:5] + b"\x04" + components
    path = folder / "cmyk.jpg"
    path.write_bytes(bytes(data))
    return path


def text(folder: Path) -> Path:
    path = folder / "face.jpg"
    path.write_text("a face")
    return path


REFUSED: dict[str, tuple[Callable[[Path], object], type[EdgeSdkError]]] = {
    "CMYK": (cmyk, UnsupportedImageError),
    "text": (text, ImageDecodeError),
    "NaN": (lambda _: np.full((480, 640), np.nan, np.float32), UnsupportedImageError),
    "float": (lambda _: FRAME / 255.0, UnsupportedImageError),
    "10 bits in 16": (lambda _: FRAME.astype(np.uint16) * 4, BitDepthError),
    "empty": (lambda _: np.empty((0, 0, 3), np.uint8), UnsupportedImageError),
    "planes": (lambda _: FRAME.transpose(2, 0, 1), UnsupportedImageError),
    "None": (lambda _: None, UnsupportedImageError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_an_error(name: str, bundle: Bundle, template: Template, tmp_path: Path) -> None:
    make, error = REFUSED[name]
    bad = make(tmp_path)
    with Verifier(bundle, engine="fake", faces=Knowing(FACE), threshold=1e-9) as verifier:
        for call in (
            lambda: verifier.verify(template, bad),  # type: ignore[arg-type]
            lambda: verifier.verify(bad, FRAME),  # type: ignore[arg-type]
            lambda: verifier.verify([FRAME, bad], FRAME),  # type: ignore[list-item]
            lambda: verifier.identify(bad, {"one": template}),  # type: ignore[arg-type]
            lambda: verifier.enroll(bad),  # type: ignore[arg-type]
        ):
            with pytest.raises(error):
                call()


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_as_a_frame_is_a_flag_where_it_is_damage_and_else_an_error(
    name: str, bundle: Bundle, template: Template, tmp_path: Path
) -> None:
    make, error = REFUSED[name]
    frames: list[Any] = [make(tmp_path)]
    flag = {"None": "corrupt", "text": "corrupt", "10 bits in 16": "bit_depth"}.get(name)
    with Verifier(bundle, engine="fake", faces=Knowing(FACE), threshold=1e-9) as verifier:
        for query in (frames, Shots(frames)):
            if flag is None:
                with pytest.raises(error):
                    verifier.verify(template, query)
                continue
            result = verifier.verify(template, query)
            assert (result.decision, result.score, result.quality) == (False, 0.0, (flag,))
            with pytest.raises(UnusableSampleError, match=flag):
                verifier.enroll(Shots(frames))


def test_no_pictures_are_an_error(bundle: Bundle, template: Template) -> None:
    def nothing() -> Iterator[np.ndarray]:
        yield from ()

    with Verifier(bundle, engine="fake", faces=Knowing(FACE), threshold=1e-9) as verifier:
        for none in ([], (), Shots([]), Shots(nothing())):
            for call in (
                lambda none=none: verifier.verify(template, none),
                lambda none=none: verifier.verify(none, FRAME),
                lambda none=none: verifier.identify(none, {"one": template}),
                lambda none=none: verifier.enroll(none),
            ):
                with pytest.raises(UnusableSampleError, match="no picture"):
                    call()


def test_16_bits_are_scaled(bundle: Bundle, template: Template) -> None:
    with Verifier(bundle, engine="fake", faces=Knowing(FACE)) as verifier:
        assert verifier.verify(template, FRAME.astype(np.uint16) * 257).score == 1.0
