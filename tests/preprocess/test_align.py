"""Faces aligned to five points: the similarity, and the square that it cuts out."""

from __future__ import annotations

import cmath
import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_sdk.errors import InputError, ManifestError
from edge_sdk.manifest import Image
from edge_sdk.preprocess.align import ARCFACE, FaceAlignment, similarity
from edge_sdk.preprocess.crop import FaceCrop

TEMPLATE = np.array(ARCFACE)
ORDERS = st.permutations(range(5))


def _moved(scale: float, angle: float, shift: tuple[float, float], points: NDArray[np.float64]) -> NDArray[np.float64]:
    turn = scale * cmath.exp(1j * angle)
    there = (points[:, 0] + 1j * points[:, 1]) * turn + complex(*shift)
    return np.column_stack([there.real, there.imag])


def _apply(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ matrix[:, :2].T + matrix[:, 2]


def _umeyama(points: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Umeyama (1991), equations 34 to 43, by the singular value decomposition, without a reflection."""
    middle, aim = points.mean(axis=0), targets.mean(axis=0)
    covariance = (targets - aim).T @ (points - middle) / len(points)
    left, singular, right = np.linalg.svd(covariance)
    sign = np.diag([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = left @ sign @ right
    scale = np.trace(np.diag(singular) @ sign) / points.var(axis=0).sum()
    return np.column_stack([scale * rotation, aim - scale * rotation @ middle])


@given(st.floats(0.05, 20), st.floats(-np.pi, np.pi), st.tuples(*[st.floats(-1000, 1000)] * 2))
def test_a_similarity_is_found_exactly(scale: float, angle: float, shift: tuple[float, float]) -> None:
    there = _moved(scale, angle, shift, TEMPLATE)
    np.testing.assert_allclose(_apply(similarity(there, TEMPLATE), there), TEMPLATE, atol=1e-7)


@given(st.integers(0, 10_000), ORDERS)
def test_it_is_umeyamas_and_the_order_of_the_points_has_no_say(seed: int, order: list[int]) -> None:
    noisy = _moved(2, 0.3, (50, 20), TEMPLATE) + np.random.default_rng(seed).normal(0, 4, (5, 2))
    found = similarity(noisy, TEMPLATE)
    np.testing.assert_allclose(found, _umeyama(noisy, TEMPLATE), atol=1e-9)
    np.testing.assert_allclose(similarity(noisy[order], TEMPLATE[order]), found, atol=1e-9)


@given(st.integers(0, 10_000))
def test_two_pixels_of_noise_leave_no_point_out(seed: int) -> None:
    """No small change of the transformation comes closer to all five; each point has its say."""
    noise = np.random.default_rng(seed).normal(0, 2, (5, 2))
    noisy = TEMPLATE + noise
    found = similarity(noisy, TEMPLATE)

    def error(matrix: NDArray[np.float64]) -> float:
        return float(((_apply(matrix, noisy) - TEMPLATE) ** 2).sum())

    assert error(found) <= (noise**2).sum() + 1e-9
    for a, b in itertools.product((-1e-3, 0, 1e-3), repeat=2):
        for shift in itertools.product((-1e-2, 0, 1e-2), repeat=2):
            near = found + np.array([(a, -b, shift[0]), (b, a, shift[1])])
            assert error(near) >= error(found) - 1e-9
    for point in range(5):
        moved = noisy.copy()
        moved[point] += 1
        assert not np.allclose(similarity(moved, TEMPLATE), found, atol=1e-4)


@pytest.mark.parametrize("mirror", [(-1, 1), (1, -1)])
def test_mirrored_points_are_refused_not_reflected(mirror: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="left and right exchanged"):
        similarity(TEMPLATE * mirror, TEMPLATE)


@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2, np.pi])
def test_a_turn_is_never_a_reflection(angle: float) -> None:
    assert np.linalg.det(similarity(_moved(3, angle, (0, 0), TEMPLATE), TEMPLATE)[:, :2]) > 0


def test_a_profile_whose_eyes_fall_together_is_aligned() -> None:
    profile = TEMPLATE * (0, 1) + [(0, 0), (0, 0), (-20, 0), (0, 0), (0, 0)]
    found = _apply(similarity(profile, TEMPLATE), profile)
    assert np.abs(found[:, 1] - TEMPLATE[:, 1]).max() < 20


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2)),
        np.full((5, 2), 1e9),
        TEMPLATE[:4],
        np.full((5, 2), np.nan),
        np.where(np.arange(10).reshape(5, 2) == 3, np.inf, TEMPLATE),
        TEMPLATE * 1e300,
        np.zeros((5, 3)),
        np.zeros(10),
        "points",
        [["a", "b"]] * 5,
        [[1, 2], [3]],
    ],
)
def test_points_that_fall_together_or_are_none_are_a_typed_error(points: object) -> None:
    with pytest.raises(InputError):
        similarity(points, TEMPLATE)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        FaceAlignment()(np.zeros((200, 200), np.uint8), points)  # type: ignore[arg-type]


PICTURE = np.random.default_rng(0).integers(0, 256, (112, 112), np.uint8)


def test_an_aligned_crop_stays_as_it_is_to_the_bit() -> None:
    before = PICTURE.copy()
    np.testing.assert_array_equal(FaceAlignment()(PICTURE, ARCFACE), before)
    np.testing.assert_array_equal(PICTURE, before)
    color = np.dstack([PICTURE, 255 - PICTURE, PICTURE.T])
    np.testing.assert_array_equal(FaceAlignment()(color, ARCFACE), color)


@pytest.mark.parametrize("times", [2, 3, 5])
def test_a_larger_face_is_averaged_over_whole_blocks(times: int) -> None:
    large = np.random.default_rng(times).integers(0, 256, (112 * times, 112 * times), np.uint8)
    blocks = large.reshape(112, times, 112, times).mean(axis=(1, 3))
    found = FaceAlignment()(large, TEMPLATE * times)
    assert np.abs(found - blocks).max() <= 1


def test_a_turned_face_is_that_of_explicit_loops() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (90, 120)).astype(np.float64)
    frame = np.rint((frame + np.roll(frame, 1, 0) + np.roll(frame, 1, 1)) / 3).astype(np.uint8)
    points = _moved(0.6, 0.4, (45, 10), TEMPLATE)  # reaches over the frame's border
    found = FaceAlignment(side=64, margin=0.1)(frame, points)
    aligned = FaceAlignment(side=64, margin=0.1).points
    a, b, c, d = np.linalg.lstsq(  # from the square to the frame; exact, for the points are a similarity of each other
        np.array([row for x, y in aligned for row in ((x, -y, 1, 0), (y, x, 0, 1))]), points.ravel(), rcond=None
    )[0]
    for row in range(64):
        for column in range(64):
            x = a * (column + 0.5) - b * (row + 0.5) + c - 0.5
            y = b * (column + 0.5) + a * (row + 0.5) + d - 0.5
            left, top = int(np.floor(x)), int(np.floor(y))
            level = 0.0
            for i, j in itertools.product((0, 1), repeat=2):
                weight = (1 - abs(x - left - i)) * (1 - abs(y - top - j))
                level += weight * frame[min(max(top + j, 0), 89), min(max(left + i, 0), 119)]
            assert abs(level - found[row, column]) <= 9  # the docstring's bound


def test_the_margin_shows_more_round_the_face() -> None:
    wide = FaceAlignment(side=224, margin=0.25)
    np.testing.assert_allclose(wide.points, TEMPLATE + 56)
    frame = np.pad(PICTURE, 56, mode="edge")
    np.testing.assert_array_equal(wide(PICTURE, ARCFACE), frame)


def test_frames_that_opencv_cannot_warp_are_cut_before() -> None:
    long = np.zeros((112, 40_000), np.uint8)
    long[:, 35_000:35_112] = PICTURE
    np.testing.assert_array_equal(FaceAlignment()(long, TEMPLATE + np.array((35_000, 0))), PICTURE)


def test_a_face_outside_the_frame_shows_the_border() -> None:
    frame = np.full((50, 60), 7, np.uint8)
    assert (FaceAlignment()(frame, TEMPLATE + np.array((500, -300))) == 7).all()


def test_points_too_far_apart_are_refused() -> None:
    with pytest.raises(InputError, match="too far apart"):
        FaceAlignment()(PICTURE, TEMPLATE * 1000)


@pytest.mark.parametrize(
    "change",
    [
        {"side": 4},
        {"margin": 0.5},
        {"margin": float("nan")},
        {"template": ARCFACE[:4]},
        {"template": ((0.0, 0.0),) * 5},
        {"template": tuple((x, 5.0) for x, _ in ARCFACE)},
        {"template": tuple((x, x) for x, _ in ARCFACE)},
        {"template": ((float("nan"), 1.0), *ARCFACE[1:])},
        {"template": ((113.0, 1.0), *ARCFACE[1:])},
    ],
)
def test_bounds(change: dict[str, object]) -> None:
    with pytest.raises(ManifestError):
        FaceAlignment(**change)  # type: ignore[arg-type]


def test_it_is_part_of_the_manifests_source() -> None:
    source = Image(color="gray", alignment=FaceAlignment(side=112, margin=0.05))
    assert msgspec.json.decode(msgspec.json.encode(source), type=Image) == source
    with pytest.raises(ManifestError, match="one of face, region and alignment"):
        Image(face=FaceCrop(scale=1.0, overflow="black"), alignment=FaceAlignment())
