"""Augmentations of faces: how often each change is made, how far it goes, and that nothing else changes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.augmentation import Views
from edge_sdk.export.data.faces.augmentation import NEVER, PLACES, CameraAugmentation, Chance, FaceAugmentation
from edge_sdk.preprocess import Standardize

ALL = (FaceAugmentation(), CameraAugmentation())


def silent(kind: type[Any], **changes: object) -> Any:
    """An augmentation that makes these changes and no other."""
    off = {field.name: 0.0 if field.name == "flip" else NEVER for field in fields(kind)}
    return kind(**{**off, **changes})


def always(reach: float) -> Chance:
    return Chance(1.0, reach)


def face(side: int = 128) -> np.ndarray:
    """A smooth picture with a mean of about 0.5 that nothing has to be clipped of."""
    small = np.random.default_rng(0).integers(70, 186, (6, 6), np.uint8)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)


def many(augment: Any, image: np.ndarray, count: int = 400) -> np.ndarray:
    return np.stack([augment(image, np.random.default_rng(seed)) for seed in range(count)]).astype(float)


def shifted(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Across and down, as shares of the sides."""
    (across, down), _ = cv2.phaseCorrelate(before.astype(np.float64), after.astype(np.float64))
    return np.array([across, down]) / len(before)


def test_table_3_5() -> None:
    frequencies = {name: getattr(one, "frequency", one) for name, one in vars(FaceAugmentation()).items()}
    assert frequencies == {
        "brightness": 1.0,
        "noise": 0.47,
        "contrast": 0.17,
        "cutout": 0.51,
        "rotation": 0.3,
        "translation": 0.3,
        "zoom": 0.3,
        "flip": 0.5,
    }
    for name in ("ganomaly", "dcvae", "resvae"):  # the ninth, at a frequency of 1
        for called, preset in recipes.get(name).presets.items():
            std = 0.198 if called == "oval" else 0.25  # of a picture that is gray outside the oval
            assert preset.preprocessing[-1] == Standardize(mean=0.5, std=std)


def test_amounts_are_uniform_and_as_frequent_as_said() -> None:
    rng = np.random.default_rng(0)
    amounts = np.array([Chance(0.3, 2.0).draw(rng) for _ in range(5000)])
    made = amounts[amounts != 0]
    assert len(made) / len(amounts) == pytest.approx(0.3, abs=0.02)
    assert np.quantile(made, [0.25, 0.5, 0.75]) == pytest.approx([-1, 0, 1], abs=0.15)
    assert -2 <= made.min() < -1.9 < 1.9 < made.max() <= 2
    pairs = np.array([Chance(0.3, 2.0).draws(rng, 2) for _ in range(500)])
    assert ((pairs != 0).all(axis=1) | (pairs == 0).all(axis=1)).all()
    assert all(Chance(1.0, 2.0).size(rng) >= 0 for _ in range(20))


@pytest.mark.parametrize("augment", ALL, ids=lambda one: type(one).__name__)
def test_each_change_is_as_frequent_as_its_chance(augment: FaceAugmentation | CameraAugmentation) -> None:
    """By itself: the picture is another one as often as that; a blur of less than 0.3 pixels rounds to none."""
    noisy = np.random.default_rng(1).integers(40, 216, (16, 128)).astype(np.uint8)
    for field in fields(augment):
        chance = getattr(augment, field.name)
        changed = (many(silent(type(augment), **{field.name: chance}), noisy) != noisy).any(axis=(1, 2)).mean()
        expected = chance if field.name == "flip" else chance.frequency
        assert changed == pytest.approx(expected * (0.25 if field.name == "blur" else 1), abs=0.08), field.name


@pytest.mark.parametrize("augment", ALL, ids=lambda one: type(one).__name__)
def test_a_seed_has_one_picture_and_the_image_is_kept(augment: FaceAugmentation | CameraAugmentation) -> None:
    image = face()
    before = image.copy()
    changed = [augment(image, np.random.default_rng(seed)) for seed in range(20)]
    assert np.array_equal(image, before)
    assert len({one.tobytes() for one in changed}) > 15
    for seed, one in enumerate(changed):
        assert (one.dtype, one.shape) == (np.uint8, image.shape)
        assert np.array_equal(one, augment(image, np.random.default_rng(seed)))


@pytest.mark.parametrize("augment", ALL, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_stays_a_picture(augment: FaceAugmentation | CameraAugmentation, level: int) -> None:
    for shape in ((128, 128), (5, 9), (1, 1)):
        flat = np.full(shape, level, np.uint8)
        assert all(augment(flat, np.random.default_rng(seed)).shape == shape for seed in range(20))


@pytest.mark.parametrize("kind", [FaceAugmentation, CameraAugmentation])
def test_all_off_is_the_image(kind: type[Any]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 47)).astype(np.uint8)
    assert np.array_equal(silent(kind)(image, np.random.default_rng(0)), image)


def test_another_frame_is_changed_alike() -> None:
    """The draws do not depend on the frame, which distillation's views rely on."""
    small, large = face(64), cv2.resize(face(64), (128, 128), interpolation=cv2.INTER_LINEAR)
    for augment in (replace(FaceAugmentation(), noise=always(0.02)), CameraAugmentation()):
        for view in range(8):
            views = Views(augment, 0, 8)
            shrunk = cv2.resize(views(large, 0, 0, view), (64, 64), interpolation=cv2.INTER_AREA)
            assert np.corrcoef(shrunk.ravel(), views(small, 0, 0, view).ravel())[0, 1] > 0.95


def test_people_share_nothing() -> None:
    rng = np.random.default_rng(0)
    assert all(augment.for_person(rng) is augment for augment in ALL)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_brightness_moves_all_levels_alike() -> None:
    moved = many(silent(FaceAugmentation, brightness=always(0.1)), face()) - face()
    assert np.ptp(moved, axis=(1, 2)).max() == 0
    assert -0.1 * 255 - 1 <= moved.min() < -23 < 23 < moved.max() <= 0.1 * 255 + 1


def test_contrast_keeps_the_mean() -> None:
    image = face().astype(float)
    changed = many(silent(FaceAugmentation, contrast=always(0.25)), face(), 100)
    assert changed.mean(axis=(1, 2)) == pytest.approx(image.mean(), abs=0.5)
    factors = changed.std(axis=(1, 2)) / image.std()
    assert 0.74 < factors.min() < 0.8 < 1.2 < factors.max() < 1.26


def test_noise_is_of_any_deviation_up_to_its_reach() -> None:
    gray = np.full((128, 128), 128, np.uint8)
    deviations = many(silent(FaceAugmentation, noise=always(0.05)), gray, 100).std(axis=(1, 2)) / 255
    assert np.quantile(deviations, 0.5) == pytest.approx(0.025, abs=0.008)
    assert 0.045 < deviations.max() < 0.051


def test_cutout_is_a_square_of_the_mean_anywhere() -> None:
    black = np.zeros((100, 100), np.uint8)
    cut = many(silent(FaceAugmentation, cutout=always(0.4)), black) > 0
    assert set(np.unique(many(silent(FaceAugmentation, cutout=always(0.4)), black, 20))) == {0, 128}
    assert 0.14 < cut.mean(axis=(1, 2)).max() <= 0.16
    for one in cut:
        rows, columns = one.any(axis=1), one.any(axis=0)
        assert one.sum() == rows.sum() * columns.sum()
        inside = not (one[[0, -1]].any() or one[:, [0, -1]].any())
        assert not inside or rows.sum() == columns.sum()
    covered = cut.mean(axis=0)
    assert covered.min() > 0
    assert covered[40:60, 40:60].mean() == pytest.approx((0.4**2) / 3, abs=0.02)  # the mean area, where none is lost


@pytest.mark.parametrize("kind", [FaceAugmentation, CameraAugmentation])
def test_places(kind: type[Any]) -> None:
    """A spot above the middle goes where rotation, translation, zoom and flip say."""
    side = 101
    image = np.zeros((side, side), np.uint8)
    cv2.circle(image, (50, 30), 4, 255, -1)

    def spots(**changes: object) -> np.ndarray:
        weights = many(silent(kind, **changes), image, 60)
        places = np.stack(np.mgrid[:side, :side])[::-1]
        return (weights[:, None] * places).sum(axis=(2, 3)) / weights.sum(axis=(1, 2))[:, None] - 50

    turned = spots(rotation=always(10.0))
    assert np.hypot(*turned.T) == pytest.approx(20, abs=0.3)
    angles = np.rad2deg(np.arctan2(turned[:, 0], -turned[:, 1]))
    assert -10.2 < angles.min() < -7 < 7 < angles.max() < 10.2

    moved = spots(translation=always(0.08)) - (0, -20)
    assert (np.abs(moved).max(axis=0) <= 0.08 * side + 0.2).all()
    assert (np.abs(moved).max(axis=0) > 0.06 * side).all()
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.4  # along each side by itself

    zoomed = spots(zoom=always(0.1))
    assert zoomed[:, 0] == pytest.approx(0, abs=0.2)
    assert 17.8 < -zoomed[:, 1].max() < 18.6 < 21.4 < -zoomed[:, 1].min() < 22.2

    lopsided = np.tile(np.arange(side, dtype=np.uint8), (side, 1))
    flipped = silent(kind, flip=1.0)(lopsided, np.random.default_rng(0))
    assert np.array_equal(flipped, lopsided[:, ::-1])


def test_no_border_shows_where_a_picture_was_moved() -> None:
    gray = np.full((64, 64), 200, np.uint8)
    turned = silent(FaceAugmentation, rotation=always(10), translation=always(0.1), zoom=always(0.2))
    assert (many(turned, gray, 50) == 200).all()


def test_learning_live_faces_changes_places_alone() -> None:
    made = replace(FaceAugmentation(), brightness=NEVER, noise=NEVER, contrast=NEVER, cutout=NEVER)
    assert made == PLACES
    levels = many(PLACES, face(), 100)
    assert levels.mean(axis=(1, 2)) == pytest.approx(face().mean(), abs=12)


# --- another camera --------------------------------------------------------------------------------------------------


def test_gamma_bends_tones_and_keeps_what_preprocessing_would_restore() -> None:
    ramp = np.tile(np.linspace(30, 220, 128), (128, 1)).astype(np.uint8)
    bent = many(silent(CameraAugmentation, gamma=always(0.4)), ramp, 60)
    assert bent.mean(axis=(1, 2)) == pytest.approx(ramp.mean(), abs=1)
    assert bent.std(axis=(1, 2)) == pytest.approx(ramp.std(), abs=1)
    assert (np.diff(bent, axis=2) >= 0).all()
    middle = bent[:, 64, 64] - ramp[64, 64]
    assert -8 < middle.min() < -2 < 2 < middle.max() < 8


def test_a_sensors_noise_grows_with_the_root_of_light() -> None:
    sigma = {}
    for level in (32, 128):
        gray = np.full((64, 64), level, np.uint8)
        sigma[level] = many(silent(CameraAugmentation, noise=always(0.1)), gray, 60).std(axis=(1, 2)).mean()
    assert sigma[128] / sigma[32] == pytest.approx(2, abs=0.15)
    assert sigma[128] / 255 == pytest.approx(0.05 * np.sqrt(128 / 255), rel=0.2)  # half of the reach, in the mean


def test_too_long_an_exposure_leaves_white_without_details() -> None:
    ramp = np.tile(np.linspace(30, 220, 128), (128, 1)).astype(np.uint8)
    exposed = many(silent(CameraAugmentation, exposure=always(1.8)), ramp, 60)
    assert exposed.mean(axis=(1, 2)) == pytest.approx(ramp.mean(), abs=3)  # some of what is darkest is clipped
    white = (exposed == exposed.max(axis=(1, 2), keepdims=True)).mean(axis=(1, 2))
    assert white.min() < 0.05
    assert white.max() == pytest.approx(np.mean(ramp * 2**1.8 >= 255), abs=0.05)
    assert (np.diff(exposed, axis=2) >= 0).all()


def test_blur_is_stated_for_128_pixels() -> None:
    """The step response of a normal blur: as wide, in shares of the frame, in a larger one."""

    def width(side: int) -> float:
        edge = np.zeros((8, side), np.uint8)
        edge[:, side // 2 :] = 255
        slopes = np.diff(many(silent(CameraAugmentation, blur=always(4.0)), edge, 40)[:, 4])
        places = np.arange(side - 1)
        means = (slopes * places).sum(axis=1) / slopes.sum(axis=1)
        return float(np.sqrt((slopes * (places - means[:, None]) ** 2).sum(axis=1) / slopes.sum(axis=1)).max())

    assert width(128) == pytest.approx(4, abs=0.4)
    assert width(256) == pytest.approx(8, abs=0.8)


def test_jpeg_is_a_jpeg_of_this_quality() -> None:
    """The picture is one that an encoder made: at quality q, whose draw is the only one."""
    image = face()
    for seed in range(20):
        found = silent(CameraAugmentation, jpeg=always(40.0))(image, np.random.default_rng(seed))
        made = [
            cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, q])[1], cv2.IMREAD_GRAYSCALE)
            for q in range(60, 101)
        ]
        assert any(np.array_equal(found, one) for one in made)


@pytest.mark.parametrize(("period", "least"), [(6, 0.85), (4, 0.7)])
def test_a_screens_grid_stays_to_be_seen(period: int, least: float) -> None:
    """A weak grid, of a tenth of the range, under all that a camera does at once, but for too long an exposure."""
    x = np.arange(120)
    grid = np.rint(128 + 13 * np.cos(2 * np.pi * x / period) * np.ones((120, 1))).astype(np.uint8)
    places = ("rotation", "translation", "zoom", "closer")
    still = dict.fromkeys((*places, "light", "gamma", "exposure"), NEVER)
    lenses = replace(CameraAugmentation(), **still)
    amplitude = np.abs(np.fft.rfft(many(lenses, grid, 100).mean(axis=1), axis=1))[:, 120 // period] / 60
    assert np.quantile(amplitude, 0.5) > 12
    assert amplitude.min() > least * 13


def test_closer_is_only_larger() -> None:
    side = 101
    image = np.zeros((side, side), np.uint8)
    cv2.circle(image, (50, 30), 4, 255, -1)
    spots = many(silent(CameraAugmentation, closer=always(0.5)), image, 60)
    heights = 50 - (spots * np.arange(side)[:, None]).sum(axis=(1, 2)) / spots.sum(axis=(1, 2))
    assert 20 - 0.1 < heights.min() < 21 < 29 < heights.max() < 30.1


def test_light_changes_slowly_and_keeps_what_preprocessing_would_restore() -> None:
    """A fine grid on even gray: its depth follows the light, which is what is left of it when the grid is averaged."""
    side = 120
    grid = np.rint(128 + 20 * np.cos(np.pi * np.arange(side)) * np.ones((side, 1))).astype(np.uint8)
    lit = many(silent(CameraAugmentation, light=always(2.4)), grid, 60)
    assert lit.std(axis=(1, 2)) == pytest.approx(grid.std(), abs=1.5)
    assert lit.mean(axis=(1, 2)) == pytest.approx(grid.mean(), abs=1)
    fields = lit.reshape(60, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    assert np.ptp(fields, axis=(1, 2)).max() > 60
    spectrum = np.abs(np.fft.fft2(fields - fields.mean(axis=(1, 2), keepdims=True))) ** 2
    turns = np.abs(np.fft.fftfreq(side // 2, 2 / side))
    slow = (turns[:, None] <= 4) & (turns <= 4)
    share = spectrum[:, slow].sum(axis=1) / spectrum.sum(axis=(1, 2))
    assert share.mean() > 0.93  # a field that does not end as it began has all frequencies


def test_impossible_settings() -> None:
    for frequency, reach in ((-0.1, 1.0), (1.1, 1.0), (0.5, -1.0), (0.5, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(UsageError, match="frequency is from 0 to 1"):
            Chance(frequency, reach)
    for kind in (FaceAugmentation, CameraAugmentation):
        with pytest.raises(UsageError, match="frequency is from 0 to 1"):
            kind(flip=2.0)
    with pytest.raises(UsageError, match="quality of a JPEG"):
        CameraAugmentation(jpeg=always(100))
