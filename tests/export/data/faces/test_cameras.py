"""Cameras of several kinds: each part does to a picture what it says, and every kind draws within its ranges."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_sdk.export.data.faces.cameras import KINDS, Camera

PLAIN = Camera(
    pixels=64,
    blur=0.01,
    noise=0.0,
    smoothing=0.0,
    sharpening=0.0,
    exposure=1.0,
    gamma=1.0,
    quality=100,
    scaling=cv2.INTER_LINEAR,
)
SIZE = (64, 64)


def edge() -> np.ndarray:
    light = np.full((128, 128), 0.3, np.float32)
    light[:, 64:] = 0.6
    return light


def taken(camera: Camera, light: np.ndarray) -> np.ndarray:
    return camera.develop(camera.expose(light, 2, np.random.default_rng(0)), SIZE).astype(float) / 255


def test_a_plain_camera_shows_the_light_as_it_is() -> None:
    seen = taken(PLAIN, edge())
    assert seen.shape == (64, 64)
    assert np.abs(seen - edge()[::2, ::2]).max() < 0.01


@pytest.mark.parametrize(
    ("camera", "dark", "bright"),
    [
        (replace(PLAIN, exposure=0.5), 0.15, 0.3),
        (replace(PLAIN, exposure=2.0), 0.6, 1.0),  # 1.2 is more than white
        (replace(PLAIN, gamma=2.0), 0.09, 0.36),
        (replace(PLAIN, exposure=0.5, gamma=0.5), 0.15**0.5, 0.3**0.5),
    ],
)
def test_exposure_and_tone_curve(camera: Camera, dark: float, bright: float) -> None:
    seen = taken(camera, edge())
    assert (seen[:, :30].mean(), seen[:, 34:].mean()) == pytest.approx((dark, bright), abs=0.005)


def test_noise_grows_with_the_root_of_light_and_is_averaged_away() -> None:
    noisy = replace(PLAIN, noise=0.05)
    raw = noisy.expose(edge(), 2, np.random.default_rng(0))
    assert raw[:, :30].std() == pytest.approx(0.05 * 0.3**0.5, rel=0.1)
    assert raw[:, 34:].std() == pytest.approx(0.05 * 0.6**0.5, rel=0.1)
    spread = [taken(replace(noisy, smoothing=share), edge())[:, :30].std() for share in (0.0, 0.5, 1.0)]
    assert spread[0] > 1.3 * spread[1] > 1.3 * spread[2]
    step = taken(replace(noisy, smoothing=1.0), edge())
    assert step[:, 33].mean() - step[:, 30].mean() > 0.25, "an edge is none of the noise"


def test_blur_flattens_an_edge_and_sharpening_overshoots() -> None:
    slopes = [np.diff(taken(replace(PLAIN, blur=blur), edge())[32]).max() for blur in (0.01, 1.0, 2.0)]
    assert slopes[0] > 1.5 * slopes[1] > 1.5 * slopes[2]
    sharp = taken(replace(PLAIN, sharpening=1.0), edge())[32]
    # A step of h through a Gaussian of 1 pixel lies h (1 - Phi(0.5)) off at the pixel's middle next to it.
    assert sharp.max() == pytest.approx(0.6 + 0.3 * 0.3085, abs=0.01)
    assert sharp.min() == pytest.approx(0.3 - 0.3 * 0.3085, abs=0.01)


def test_files_lose_more_at_a_lower_quality() -> None:
    light = np.random.default_rng(1).random((128, 128)).astype(np.float32)
    exact = taken(PLAIN, light)
    errors = [np.abs(taken(replace(PLAIN, quality=quality), light) - exact).mean() for quality in (95, 60, 30)]
    assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("kind", KINDS)
def test_cameras_lie_in_the_ranges_of_their_kind(kind: str) -> None:
    rng, ranges = np.random.default_rng(0), KINDS[kind]
    drawn = [ranges.draw(rng) for _ in range(50)]
    for name in ("pixels", "blur", "noise", "smoothing", "sharpening", "quality"):
        low, high = getattr(ranges, name)
        values = [getattr(camera, name) for camera in drawn]
        assert low - 0.5 <= min(values) <= max(values) <= high + 0.5
        assert low == high or len(set(values)) > 10 or name in ("pixels", "quality")
    for name in ("exposure", "gamma"):
        low, high = getattr(ranges, name)
        assert all(low <= np.log2(getattr(camera, name)) <= high for camera in drawn)
    assert len({camera.scaling for camera in drawn}) == 3
