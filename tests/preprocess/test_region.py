"""Pages: the ink is found whatever else is on them, a picture that is cut out already stays, the rest is a flag."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from edge_sdk import Verifier, modalities, preprocess, quality
from edge_sdk.errors import PreprocessingError
from edge_sdk.manifest import Image
from edge_sdk.preprocess import INK, PAPER
from edge_sdk.preprocess.region import Found, InkRegion

REGION = InkRegion()
HEIGHT, WIDTH = 3508, 2480  # A4 at 300 dpi
TOP, LEFT = 2200, 1000  # of the picture of the signature, 380 x 600, on the page
Draw = Callable[[np.ndarray], object]


def page(signature: np.ndarray, level: int = 255, top: int = TOP, left: int = LEFT) -> np.ndarray:
    """The signature's ink, on an A4 page."""
    paper = np.full((HEIGHT, WIDTH), level, np.uint8)
    height, width = signature.shape
    paper[top : top + height, left : left + width] = np.where(signature < 200, signature, level)
    return paper


def ink_box(signature: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width and height on the page."""
    left, top, width, height = cv2.boundingRect((signature < 200).astype(np.uint8))
    return LEFT + left, TOP + top, width, height


def assert_cut_round(found: Found, ink: tuple[int, int, int, int]) -> None:
    """All ink is inside, with a margin of a 25th of its longer side, give or take 16 pixels."""
    left, top, width, height = ink
    margin = 0.04 * max(width, height)
    assert found.box is not None
    for edge, expected in (
        (found.box.left, left - margin),
        (found.box.top, top - margin),
        (found.box.left + found.box.width, left + width + margin),
        (found.box.top + found.box.height, top + height + margin),
    ):
        assert abs(edge - expected) <= 16


def uneven(paper: np.ndarray) -> None:
    light = np.linspace(0.6, 1, WIDTH)[None] * np.linspace(1, 0.8, HEIGHT)[:, None]
    paper[:] = (paper * light).astype(np.uint8)


def noisy(paper: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(-12, 13, paper.shape)
    paper[:] = np.clip(paper + noise, 0, 255)


def dusty(paper: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for x, y, radius in zip(*rng.integers(0, (WIDTH, HEIGHT, 4), (300, 3)).T.tolist(), strict=True):
        cv2.circle(paper, (x, y), radius, 60, -1)


def punched(paper: np.ndarray) -> None:
    for y in (HEIGHT // 2 - 472, HEIGHT // 2 + 472):  # ISO 838: 80 mm apart, 6 mm wide, 12 mm from the edge
        cv2.circle(paper, (142, y), 35, 20, -1)


def framed(paper: np.ndarray) -> None:
    cv2.rectangle(paper, (100, 100), (WIDTH - 100, HEIGHT - 100), 0, 3)


def boxed(paper: np.ndarray) -> None:
    cv2.rectangle(paper, (LEFT - 250, TOP - 250), (LEFT + 850, TOP + 630), 0, 3)


CLUTTER: dict[str, Draw] = {
    "nothing": lambda paper: None,
    "uneven light": uneven,
    "noise": noisy,
    "dust": dusty,
    "punch holes": punched,
    "a staple": lambda paper: cv2.line(paper, (100, 160), (220, 100), 60, 9),
    "a scanner's thin frame": lambda paper: paper[:, :60].fill(12),
    "a scanner's wide frame": lambda paper: [paper[:, :400].fill(12), paper[-300:].fill(20)],
    "a printed frame": framed,
    "a form's box": boxed,
    "a line far away": lambda paper: paper[600:604].fill(0),
}


@pytest.mark.parametrize("clutter", CLUTTER)
@pytest.mark.parametrize("level", [255, 205], ids=["white", "gray"])
def test_the_ink_is_found(signature: np.ndarray, level: int, clutter: str) -> None:
    paper = page(signature, level)
    CLUTTER[clutter](paper)
    found = REGION.find(paper)
    assert (found.empty, found.several, found.lined) == (False, False, False)
    assert_cut_round(found, ink_box(signature))


def test_yellow_paper(signature: np.ndarray) -> None:
    gray = page(signature, 240).astype(np.uint16)
    yellow = np.dstack([gray * 170 // 240, gray * 225 // 240, gray]).astype(np.uint8)
    assert_cut_round(REGION.find(yellow), ink_box(signature))


@pytest.mark.parametrize("factor", [2, 0.5, 0.32], ids=["600 dpi", "150 dpi", "96 dpi"])
def test_other_resolutions(signature: np.ndarray, factor: float) -> None:
    paper = cv2.resize(page(signature), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    box = REGION.find(paper).box
    assert box is not None
    left, top, width, height = (round(side * factor) for side in ink_box(signature))
    assert box.left < left < left + width < box.left + box.width
    assert box.top < top < top + height < box.top + box.height
    assert box.width < 1.3 * width + 16


@pytest.mark.parametrize("tilt", [0, 45], ids=["level", "tilted by 2 degrees"])
def test_a_line_to_sign_on_is_a_flag(signature: np.ndarray, tilt: int) -> None:
    paper = page(signature)
    cv2.line(paper, (LEFT - 350, TOP + 230 - tilt // 2), (LEFT + 950, TOP + 230 + tilt // 2), 0, 3)
    found = REGION.find(paper)
    assert found.lined
    assert_cut_round(found, ink_box(signature))
    assert quality.prepare(INK, paper, REGION)[1] == ("printed_lines",)


@pytest.mark.parametrize("place", ["top left", "bottom right"])
def test_ink_in_a_corner_of_the_page_is_clipped(signature: np.ndarray, place: str) -> None:
    left, top, width, height = cv2.boundingRect((signature < 200).astype(np.uint8))
    half = height // 2
    ink = {"top left": signature[top + half : top + height], "bottom right": signature[top : top + half]}[place]
    ink = ink[:, left : left + width]  # whose waves run out above or below
    corner = {
        "top left": {"top": 0, "left": 0},
        "bottom right": {"top": HEIGHT - ink.shape[0], "left": WIDTH - width},
    }[place]
    paper = page(ink, **corner)
    assert REGION.find(paper).box is not None
    assert quality.prepare(INK, paper, REGION)[1] == ("clipped",)


@pytest.mark.parametrize("pipeline", [INK, PAPER], ids=["ink", "paper"])
def test_a_page_is_prepared_as_its_cut_out(signature: np.ndarray, pipeline: tuple[preprocess.Operation, ...]) -> None:
    box = REGION.find(page(signature)).box
    assert box is not None
    cut = page(signature)[box.top : box.top + box.height, box.left : box.left + box.width]
    tensor, flags = quality.prepare(pipeline, page(signature), REGION)
    np.testing.assert_array_equal(tensor, preprocess.apply(pipeline, cut))
    assert flags == ()


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_a_picture_that_is_cut_out_stays_as_it_is(signer: Callable[..., np.ndarray], factor: float) -> None:
    for seed in range(4):
        picture = cv2.resize(signer(seed), None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        assert REGION.find(picture) == Found()
        np.testing.assert_array_equal(quality.prepare(INK, picture, REGION)[0], preprocess.apply(INK, picture))
        assert quality.prepare(INK, picture, REGION)[1] == ()


def test_letters_far_apart_in_a_cut_out_are_one_signature() -> None:
    picture = np.full((400, 1400), 255, np.uint8)
    for left in (60, 560, 1060):
        cv2.circle(picture, (left + 140, 200), 130, 0, 8)
    assert REGION.find(picture) == Found()


@pytest.mark.parametrize("thickness", [6, 12])
def test_a_straight_flourish_of_a_cut_out_is_no_printed_line(thickness: int) -> None:
    picture = np.full((800, 1300), 255, np.uint8)
    for left in (200, 850):
        cv2.ellipse(picture, (left + 100, 400), (90, 130), 0, 0, 330, 0, thickness)
    cv2.line(picture, (250, 560), (1020, 540), 0, thickness)
    found = REGION.find(picture)
    assert (found.box, found.several, found.lined) == (None, False, False)
    np.testing.assert_array_equal(quality.prepare(INK, picture, REGION)[0], preprocess.apply(INK, picture))


def two(paper: np.ndarray, signature: np.ndarray, top: int, left: int) -> None:
    height, width = signature.shape
    paper[top : top + height, left : left + width] = np.where(signature < 200, signature, 255)


def printed(paper: np.ndarray, lines: int, scale: float = 1.1) -> None:
    for line in range(lines):
        words = "the undersigned agree to all of the above"
        cv2.putText(paper, words, (250, 300 + 60 * line), cv2.FONT_HERSHEY_SIMPLEX, scale, 0, 3, cv2.LINE_AA)


SEVERAL: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {
    "two, side by side": lambda paper, other: two(paper, other, TOP, 100),
    "two, one below the other": lambda paper, other: two(paper, other, TOP + 500, LEFT),
    "two, in opposite corners": lambda paper, other: two(paper, other, 100, 100),
    "a line of print": lambda paper, other: printed(paper, 1),
    "a page of print": lambda paper, other: printed(paper, 28),
}


@pytest.mark.parametrize("kind", SEVERAL)
@pytest.mark.parametrize("factor", [1, 0.32], ids=["300 dpi", "96 dpi"])
def test_a_page_that_is_not_one_signature_is_flagged(
    signature: np.ndarray, other_signature: np.ndarray, kind: str, factor: float
) -> None:
    paper = page(signature)
    SEVERAL[kind](paper, other_signature)
    paper = cv2.resize(paper, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    assert REGION.find(paper) == Found(several=True)
    assert "several_regions" in quality.prepare(INK, paper, REGION)[1]
    assert "several_regions" in quality.BLOCKING


def test_print_alone_is_flagged() -> None:
    paper = np.full((HEIGHT, WIDTH), 255, np.uint8)
    printed(paper, 20)
    assert REGION.find(paper) == Found(several=True)


@pytest.mark.parametrize("clutter", ["nothing", "noise", "dust", "punch holes", "a scanner's wide frame"])
def test_a_page_without_a_signature_is_empty(clutter: str) -> None:
    paper = np.full((HEIGHT, WIDTH), 240, np.uint8)
    CLUTTER[clutter](paper)
    found = REGION.find(paper)
    assert found.empty
    assert "empty" in quality.prepare(INK, paper, REGION)[1]


def test_without_a_region_the_strokes_of_a_page_are_flagged(signature: np.ndarray) -> None:
    paper = page(signature)
    assert "thin_strokes" in quality.prepare(INK, paper)[1]
    assert "thin_strokes" not in quality.prepare(INK, paper, REGION)[1]


def test_what_a_library_finds_wrong_is_a_typed_error(signature: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_of_memory(*_: object) -> None:
        raise MemoryError("too little")

    monkeypatch.setattr(InkRegion, "_pieces", short_of_memory)
    with pytest.raises(
        PreprocessingError, match=r"region failed on an array of \(3508, 2480\): MemoryError: too little"
    ):
        quality.prepare(INK, page(signature), REGION)


def test_the_picture_is_not_changed(signature: np.ndarray) -> None:
    paper = page(signature)
    before = paper.copy()
    quality.prepare(INK, paper, REGION)
    np.testing.assert_array_equal(paper, before)


def test_what_an_export_says_of_signatures() -> None:
    assert modalities.get("signature").source(INK, None) == Image(region=REGION)


def test_a_shipped_bundle_decides_alike_on_a_page_and_its_cut_out(signature: np.ndarray) -> None:
    with Verifier("deepsign") as verifier:
        assert verifier.bundle.manifest.source == Image(region=REGION)
        same = verifier.verify(signature, page(signature))
        assert same.decision
        assert same.score > 0.9
        assert same.quality == ()
        blank = verifier.verify(signature, np.full((HEIGHT, WIDTH), 250, np.uint8))
        assert (blank.decision, blank.score) == (False, 0.0)
        assert "empty" in blank.quality
