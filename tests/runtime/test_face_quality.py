"""What a face's measures are for faces that are known, and where each flag starts."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from edge_sdk.errors import InputError
from edge_sdk.preprocess.align import ARCFACE, FaceAlignment
from edge_sdk.runtime.face_quality import (
    EYES,
    FLAGS,
    MAX_PITCH,
    MAX_ROLL,
    MAX_YAW,
    MIN_PITCH,
    SHARPNESS,
    Assessment,
    Geometry,
    assess,
    sharpness,
)

ALIGNMENT = FaceAlignment()
FRAME = (480, 640, 3)
TEMPLATE = np.asarray(ARCFACE)
# Eyes 40 apart, mouth 40 below them: the axis is 40 long.
FRONTAL = np.array([(280.0, 200.0), (320.0, 200.0), (300.0, 222.0), (288.0, 240.0), (312.0, 240.0)])


def moved(
    points: np.ndarray, scale: float = 1.0, degrees: float = 0.0, shift: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """Scaled, turned clockwise in the picture, and moved."""
    angle = math.radians(degrees)
    turn = np.array([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    return scale * points @ turn.T + shift


def noisy(spread: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(128, spread, (112, 112))
    return noise.clip(0, 255).astype(np.uint8)


def with_nose(right: float, down: float) -> np.ndarray:
    """The nose so far beside the axis and down it, in its length."""
    points = FRONTAL.copy()
    points[2] = (300 + 40 * right, 200 + 40 * down)
    return points


@pytest.mark.parametrize("degrees", [0.0, 30.0, -75.0, 180.0])
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_template_itself_moved(scale: float, degrees: float) -> None:
    found = Geometry.of(moved(TEMPLATE, scale, degrees, (300, 200)), ALIGNMENT, FRAME)
    still = Geometry.of(TEMPLATE, ALIGNMENT, FRAME)
    apart = math.dist(ARCFACE[0], ARCFACE[1])
    assert found.eyes == pytest.approx(scale * apart, rel=1e-6)
    assert abs(math.remainder(found.roll - still.roll - degrees, 360)) < 1e-6
    assert (found.yaw, found.pitch) == pytest.approx((still.yaw, still.pitch), abs=1e-9)
    assert abs(still.yaw) < 0.01
    assert still.pitch == pytest.approx((71.7366 - 51.5989) / (92.2849 - 51.5989), abs=1e-3)


def test_yaw_and_pitch_are_where_the_nose_is() -> None:
    for degrees in (0.0, 40.0):
        for right, down in ((0.0, 0.55), (0.4, 0.5), (-0.3, 0.3)):
            found = Geometry.of(moved(with_nose(right, down), 1, degrees, (100, -150)), ALIGNMENT, FRAME)
            assert (found.yaw, found.pitch) == pytest.approx((right, down), abs=1e-9)


def test_eyes_of_a_turned_head_count_as_those_of_one_that_looks_here() -> None:
    """A profile whose eyes are 4 pixels apart is no face of 4 pixels: its height counts too."""
    points = FRONTAL.copy()
    points[0, 0], points[1, 0] = 298, 302
    assert Geometry.of(points, ALIGNMENT, FRAME).eyes > 20


def test_points_outside_the_frame() -> None:
    for shift, inside in (((0, 0), True), ((-281, 0), False), ((0, 241), False), ((320, 0), True), ((320.5, 0), False)):
        assert Geometry.of(FRONTAL + shift, ALIGNMENT, FRAME).inside is inside


def test_points_of_no_face_are_refused() -> None:
    mirrored = FRONTAL[[1, 0, 2, 4, 3]]
    collapsed = np.full((5, 2), 7.0)
    flat = FRONTAL.copy()
    flat[:, 1] = 200
    for wrong in (mirrored, collapsed, flat):
        with pytest.raises(InputError):
            Geometry.of(wrong, ALIGNMENT, FRAME)


def test_sharpness_of_known_pictures() -> None:
    """Of white noise a blur of sigma leaves 1 / (2 sigma sqrt(pi)) of the deviation."""
    noise = np.random.default_rng(0).normal(0, 1, (112, 112)).astype(np.float32)
    fine = noise - cv2.GaussianBlur(noise, (0, 0), 1.5)
    expected = float(fine[28:104, 24:88].std() / noise[28:104, 24:88].std())
    assert sharpness(noisy(20)) == pytest.approx(expected, rel=0.02)
    assert expected == pytest.approx(math.sqrt(1 - 2 / (2 * math.pi * 1.5**2) + 1 / (4 * math.pi * 1.5**2)), rel=0.02)
    assert sharpness(np.full((112, 112), 80, np.uint8)) == 0
    ramp = np.tile(np.linspace(50, 200, 112), (112, 1)).astype(np.uint8)
    assert sharpness(ramp) < 0.02


def test_sharpness_is_that_of_the_face_whatever_light_colour_and_size() -> None:
    face = cv2.GaussianBlur(noisy(60), (0, 0), 1)
    dim = (face // 2 + 20).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(face), rel=0.05)
    assert sharpness(cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)) == pytest.approx(sharpness(face), rel=1e-6)
    large = cv2.resize(face, (448, 448), interpolation=cv2.INTER_CUBIC)
    assert sharpness(large) == pytest.approx(sharpness(face), rel=0.15)
    assert [sharpness(cv2.GaussianBlur(face, (0, 0), s)) < sharpness(face) for s in (1, 2, 4)] == [True] * 3


def geometry(**changes: float | bool) -> Geometry:
    settings: dict[str, float | bool] = {"eyes": 60.0, "yaw": 0.0, "pitch": 0.55, "roll": 0.0, "inside": True}
    return Geometry(**(settings | changes))  # type: ignore[arg-type]


def test_a_sound_face_has_no_flag_and_full_quality() -> None:
    assert assess(noisy(30), geometry()) == Assessment((), (), (), 1.0)
    assert assess(noisy(30)) == Assessment((), (), (), 1.0)


@pytest.mark.parametrize(
    ("changes", "flag", "blocks"),
    [
        ({"eyes": EYES.block - 0.01}, "too_small", True),
        ({"eyes": EYES.block}, "too_small", False),
        ({"eyes": EYES.enroll - 0.01}, "too_small", False),
        ({"eyes": EYES.enroll}, None, False),
        ({"yaw": MAX_YAW + 0.001}, "turned_away", False),
        ({"yaw": -MAX_YAW - 0.001}, "turned_away", False),
        ({"yaw": MAX_YAW}, None, False),
        ({"pitch": MIN_PITCH - 0.001}, "turned_away", False),
        ({"pitch": MAX_PITCH + 0.001}, "turned_away", False),
        ({"pitch": MAX_PITCH - 0.001}, None, False),
        ({"roll": MAX_ROLL + 0.1}, "tilted", True),
        ({"roll": 180.0}, "tilted", True),
        ({"roll": -MAX_ROLL}, None, False),
        ({"inside": False}, "cut_off", True),
    ],
    ids=str,
)
def test_where_each_flag_of_the_geometry_starts(changes: dict[str, float], flag: str | None, blocks: bool) -> None:
    found = assess(noisy(30), geometry(**changes))
    assert found.flags == ((flag,) if flag else ())
    assert found.blocking == (found.flags if blocks else ())
    assert found.not_enrolled == (() if blocks else found.flags)
    assert found.quality <= 1


def test_where_blurred_starts() -> None:
    sharp = noisy(60)
    for sigma in np.arange(0.5, 8, 0.25):
        face = cv2.GaussianBlur(sharp, (0, 0), float(sigma))
        face = cv2.normalize(face, None, 20, 235, cv2.NORM_MINMAX)  # type: ignore[call-overload]
        measured = sharpness(face)
        found = assess(face)
        assert ("blurred" in found.flags) is (measured < SHARPNESS.enroll)
        assert ("blurred" in found.blocking) is (measured < SHARPNESS.block)
    assert "blurred" not in assess(face, aligned=False).flags, "no limit is known for other cuts"


@pytest.mark.parametrize(("level", "flag"), [(5, "too_dark"), (253, "overexposed"), (120, "flat")])
def test_light_blocks(level: int, flag: str) -> None:
    assert flag in assess(np.full((112, 112), level, np.uint8), geometry()).blocking


def test_other_faces_only_forbid_to_enroll() -> None:
    found = assess(noisy(30), geometry(), others=True)
    assert (found.flags, found.blocking, found.not_enrolled) == (("other_faces",), (), ("other_faces",))


def test_better_pictures_have_higher_quality() -> None:
    def quality(**changes: float) -> float:
        return assess(noisy(30), geometry(**changes)).quality

    assert quality() > quality(yaw=0.1) > quality(yaw=-0.2) > quality(yaw=0.5) > 0
    assert quality() > quality(eyes=40) > quality(eyes=20)
    assert quality() > quality(pitch=0.65) > quality(pitch=0.35)
    blurred = cv2.GaussianBlur(noisy(60), (0, 0), 3)
    assert assess(blurred, geometry()).quality < quality()


def test_flags_are_listed_in_one_order() -> None:
    found = assess(np.full((20, 20), 2, np.uint8), geometry(eyes=3, yaw=1, roll=90, inside=False), others=True)
    assert list(found.flags) == [flag for flag in FLAGS if flag in found.flags]
    assert set(found.flags) == set(FLAGS) - {"no_face", "several_faces", "overexposed"}
