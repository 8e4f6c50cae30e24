"""Pixels of scenes against loops, and what is said of them against what is in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge_sdk.export.data.faces.scenes import light
from edge_sdk.export.data.faces.scenes.composition import Composer
from edge_sdk.export.data.faces.scenes.drawings import drawings
from edge_sdk.export.data.faces.scenes.pastes import EVERYWHERE, HEIGHT, WIDTH, Layer, Pictures
from edge_sdk.export.data.faces.scenes.plan import CONTENTS, FACE, NOBODY, draw
from edge_sdk.export.data.faces.scenes.truth import face_box

CPU = torch.device("cpu")
POINTS = np.array([[64, 50], [96, 50], [80, 66], [68, 80], [92, 80]], np.float32)


def pictures(count: int = 2, *, plain: int = 0) -> Pictures:
    """Pictures of noise with a bright dot at each point, black bars at the sides; then ones without a face."""
    rng = np.random.default_rng(0)
    images = rng.integers(20, 60, (count + plain, 1, HEIGHT, WIDTH)).astype(np.uint8)
    images[..., :20] = images[..., -20:] = 0
    for x, y in POINTS.astype(int):
        images[:count, 0, y - 3 : y + 3, x - 3 : x + 3] = 255
    shown = np.tile(np.array([20, 0, 140, 128], np.float32), (count + plain, 1))
    return Pictures(images, shown, np.tile(POINTS, (count, 1, 1)))


def layer(**changed: object) -> Layer:
    """One paste of picture 1 into scene 0."""
    made: dict[str, object] = {
        "scene": np.array([0]),
        "source": np.array([1]),
        "matrix": np.array([[[1.2, 0.3, -20.0], [-0.3, 1.2, 30.0]]], np.float32),
        "clamp": np.array([[20, 0, 140, 128]], np.float32),
        "window": np.array([[40, 30, 120, 100]], np.float32),
        "ellipse": np.array([[0, 0, 1e6, 1e6]], np.float32),
        "feather": np.array([1], np.float32),
        "gain": np.array([0.5], np.float32),
        "bias": np.array([10], np.float32),
        "level": np.array([0]),
    }
    return Layer(**(made | changed))  # type: ignore[arg-type]


def expected_pixel(picture: np.ndarray, x: float, y: float) -> float:
    """Bilinear, between the middles of pixels, with the paste's gain and bias."""
    column, row = x - 0.5, y - 0.5
    left, top = int(np.floor(column)), int(np.floor(row))
    across, down = column - left, row - top
    rows = [(1 - across) * picture[top + k, left] + across * picture[top + k, left + 1] for k in range(2)]
    return float(((1 - down) * rows[0] + down * rows[1] - 128) * 0.5 + 128 + 10)


def test_a_paste_is_the_picture_seen_through_the_matrix() -> None:
    source = pictures()
    scenes = torch.full((1, HEIGHT, WIDTH), 7.0)
    paste = layer()
    Composer(source, CPU).paste(scenes, paste)
    picture = source.images[1, 0].astype(float)
    inside = 0
    for row in range(HEIGHT):
        for column in range(WIDTH):
            x, y = paste.matrix[0] @ (column + 0.5, row + 0.5, 1)
            edge = min(x - 40, 120 - x, y - 30, 100 - y)
            if edge > 1.5:
                inside += 1
                assert scenes[0, row, column].item() == pytest.approx(expected_pixel(picture, x, y), abs=0.02)
            elif edge < -1.5:
                assert scenes[0, row, column] == 7
    assert inside > 2000


def test_a_small_paste_is_computed_in_its_region_alone_with_the_same_pixels() -> None:
    source = pictures()
    small = {"matrix": np.array([[[5, 0, -220], [0, 5, -180]]], np.float32), "level": np.array([2])}
    scenes = torch.full((1, HEIGHT, WIDTH), 7.0)
    Composer(source, CPU).paste(scenes, layer(**small))
    whole = torch.full((1, HEIGHT, WIDTH), 7.0)
    two = layer(**small)
    # The same paste whose ellipse, not its window, ends it, is computed over the whole scene.
    Composer(source, CPU).paste(whole, Layer(**(vars(two) | {"window": EVERYWHERE[None]})))
    rows, columns = np.nonzero((scenes[0] != 7).numpy())
    assert np.ptp(rows) < 16 and np.ptp(columns) < 18
    inner = (slice(rows.min() + 2, rows.max() - 1), slice(columns.min() + 2, columns.max() - 1))
    assert torch.equal(scenes[0][inner], whole[0][inner])


def test_an_ellipse_and_a_soft_border() -> None:
    source = pictures()
    identity = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    ellipse = np.array([[80, 64, 40, 30]], np.float32)
    scenes = torch.zeros((1, HEIGHT, WIDTH))
    shape = layer(matrix=identity, ellipse=ellipse, window=EVERYWHERE[None], gain=np.array([0.0], np.float32))
    Composer(source, CPU).paste(scenes, shape)
    for row, column, opacity in ((64, 80, 1), (64, 117, 1), (64, 123, 0), (36, 80, 1), (32, 80, 0), (40, 110, 0)):
        assert scenes[0, row, column].item() == pytest.approx(138 * opacity, abs=0.5)
    soft = torch.zeros((1, HEIGHT, WIDTH))
    window = np.array([[40, 30, 120, 100]], np.float32)
    straight = layer(
        matrix=identity, window=window, feather=np.array([10], np.float32), gain=np.array([0.0], np.float32)
    )
    Composer(source, CPU).paste(soft, straight)
    assert soft[0, 64, 44].item() == pytest.approx(138 * (4.5 + 0.5) / 10, abs=0.5)  # 4.5 pixels from the edge


def test_points_are_where_the_faces_are() -> None:
    source = pictures()
    planned = draw(source, np.array([0.5, 0.5]), 64, np.random.default_rng(1))
    composer = Composer(source, CPU)
    seen = 0
    for scene, slot in zip(*np.nonzero(planned.state == FACE), strict=True):
        if planned.boxes[scene, slot, 2] - planned.boxes[scene, slot, 0] < 60:
            continue
        front = planned.layers[-CONTENTS + slot]
        alone = torch.zeros((64, HEIGHT, WIDTH))
        composer.paste(alone, front.of(front.scene == scene))
        gain, bias = (part[front.scene == scene][0] for part in (front.gain, front.bias))
        for x, y in planned.points[scene, slot]:
            if 2 < x < WIDTH - 2 and 2 < y < HEIGHT - 2:
                seen += 1
                assert alone[scene, int(y), int(x)].item() == pytest.approx((255 - 128) * gain + 128 + bias, abs=0.1)
    assert seen > 50


def test_a_mirrored_face_keeps_its_right_eye_at_the_left() -> None:
    planned = draw(pictures(), np.array([0.5, 0.5]), 200, np.random.default_rng(2))
    points = planned.points[planned.state == FACE]
    upright = np.abs(points[:, 0, 1] - points[:, 1, 1]) < np.abs(points[:, 0, 0] - points[:, 1, 0])
    assert upright.mean() > 0.9
    assert (points[upright, 0, 0] < points[upright, 1, 0]).all()
    assert (points[upright, 3, 0] < points[upright, 4, 0]).all()


def test_a_plan_says_what_it_shows() -> None:
    planned = draw(pictures(plain=3), np.array([0.5, 0.5]), 400, np.random.default_rng(3))
    assert np.allclose(planned.boxes[planned.source >= 0], face_box(planned.points[planned.source >= 0]))
    assert (planned.state[planned.source < 0] == NOBODY).all()
    empty = (planned.state == NOBODY).all(1).mean()
    assert 0.1 < empty < 0.4
    found = planned.boxes[planned.state == FACE]
    sides = found[:, 2] - found[:, 0]
    assert sides.min() < 14 and sides.max() > 130
    assert max(one.source.max() for one in planned.layers[:3]) >= 2  # pictures without a face lie behind
    assert max(one.source.max() for one in planned.layers[3:]) < 2


def test_scenes_are_reproducible_in_range_and_black_beside_the_frame() -> None:
    composer = Composer(pictures(), CPU)
    first, planned = composer.draw(np.array([0.5, 0.5]), 16, np.random.default_rng(4))
    again, _ = composer.draw(np.array([0.5, 0.5]), 16, np.random.default_rng(4))
    assert first.shape == (16, 1, HEIGHT, WIDTH)
    assert torch.equal(first, again)
    assert torch.equal((first * 255).round() / 255, first)
    for scene, (left, top, right, bottom) in zip(first[:, 0], planned.active.astype(int), strict=True):
        outside = scene.clone()
        outside[top:bottom, left:right] = 0
        assert not outside.any()


def test_textures_and_light_stay_finite() -> None:
    chance = light.BatchChance(0, CPU)
    made = light.photographed(light.texture(8, 32, 40, chance), chance)
    assert made.shape == (8, 32, 40)
    assert made.min() >= 0 and made.max() <= 255 and made.isfinite().all()


def test_blur_is_a_binomial_mean() -> None:
    dot = torch.zeros(1, 5, 5)
    dot[0, 2, 2] = 16
    assert light._binomial(dot)[0, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_drawings_differ_and_have_no_more_than_ink() -> None:
    made = drawings(20, 32, 40, np.random.default_rng(0))
    assert made.shape == (20, 1, 32, 40) and made.dtype == np.uint8
    assert len({one.tobytes() for one in made}) == 20
    assert np.array_equal(made, drawings(20, 32, 40, np.random.default_rng(0)))
