"""What a hung camera shows is known again, and what a living face shows is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.preprocess.crop import Box
from edge_sdk.runtime import sources
from edge_sdk.runtime.freeze import REMEMBERED, Freeze

from . import filmed
from .drawn import frame

SHADES = np.linspace(60, 200, 64 * 64).reshape(64, 64).astype(np.uint8)
FACE = Box(220, 120, 160, 160)  # in the frames of `shown`


def shown(seed: int) -> np.ndarray:
    return frame((200, 100, 200), seed=seed)


def clock(picture: np.ndarray, number: int) -> np.ndarray:
    ticking = picture.copy()
    cv2.putText(ticking, f"12:00:{number:02d}", (8, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
    return ticking


def seen(pictures: list[np.ndarray], box: Box = FACE) -> list[tuple[bool, bool]]:
    """Of each frame, whether it repeats as a whole and in the box."""
    freeze = Freeze()
    return [(looked.whole, looked.face(box)) for looked in map(freeze.look, pictures)]


def test_a_frame_again_is_known_whatever_is_written_into_its_memory() -> None:
    freeze, buffer = Freeze(), SHADES.copy()
    assert [freeze.look(buffer).whole, freeze.look(buffer).whole] == [False, True]
    buffer[3, 3] ^= 1
    assert [freeze.look(buffer).whole, freeze.look(buffer).whole] == [False, True]
    assert not freeze.look(buffer[1:]).whole
    assert freeze.look(SHADES).whole


@pytest.mark.parametrize("dtype", ["gray", "bgr"])
@pytest.mark.parametrize("shape", [(64, 64), (61, 97), (480, 640), (33, 2000), (5, 5)])
def test_one_level_of_one_pixel_makes_another_frame(shape: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, shape if dtype == "gray" else (*shape, 3), dtype=np.uint8)
    freeze = Freeze()
    freeze.look(picture)
    last = tuple(size - 1 for size in picture.shape)
    for bit, place in enumerate([last, *rng.integers(0, 3, (7, picture.ndim))]):
        other = picture.copy()
        other[tuple(place)] ^= 1 << bit
        assert not freeze.look(other).whole
        assert freeze.look(picture).whole


def test_a_sensor_never_repeats_itself() -> None:
    assert seen([shown(seed) for seed in range(12)]) == [(False, False)] * 12


@pytest.mark.parametrize("buffers", [1, 2, 3, 4, 14])
def test_buffers_in_rotation(buffers: int) -> None:
    pictures = [shown(seed) for seed in range(buffers)]
    assert seen([*pictures, *pictures, *pictures][: 3 * buffers]) == [(False, False)] * buffers + [(True, True)] * (
        2 * buffers
    )


def test_forth_and_back() -> None:
    pictures = [shown(seed) for seed in range(5)]
    assert seen([*pictures, *pictures[-2::-1]]) == [(False, False)] * 5 + [(True, True)] * 4


def test_a_clock_over_a_hung_picture() -> None:
    assert seen([clock(shown(0), number) for number in range(6)]) == [(False, False)] + [(False, True)] * 5
    two = [clock(shown(number % 2), number) for number in range(6)]
    assert seen(two) == [(False, False)] * 2 + [(False, True)] * 4
    living = [clock(shown(number), 0) for number in range(6)]
    assert seen(living) == [(False, False)] * 6
    assert seen(living, Box(8, 10, 60, 20))[-1] == (False, False), "white digits before a noisy wall are no face"


def test_a_living_face_in_a_picture_that_hangs_elsewhere() -> None:
    """As compressed video has it: nothing changes but the face."""
    pictures = []
    for seed in range(4):
        picture = shown(99)
        picture[120:280, 220:380] = shown(seed)[120:280, 220:380]
        pictures.append(picture)
    assert seen(pictures) == [(False, False)] * 4


def test_black_and_white_tiles_do_not_count() -> None:
    """A face that a lamp burns out: what is left of it lives, and so does the face."""
    pictures = []
    for seed in range(3):
        picture = np.full((480, 640, 3), 255, np.uint8)
        picture[200:280, 300:380] = shown(seed)[200:280, 300:380]
        pictures.append(picture)
    assert seen(pictures) == [(False, False)] * 3
    corner = pictures[0].copy()
    corner[:9] = 0
    assert seen([pictures[0], corner]) == [(False, False), (False, True)]
    black = np.zeros((480, 640), np.uint8)
    assert seen([black, black]) == [(False, False), (True, False)], "as a whole, but nothing to know a face by"


def test_what_is_remembered_is_bounded_and_does_not_age_while_it_is_shown() -> None:
    rng = np.random.default_rng(0)
    others = iter(rng.integers(0, 256, (3 * REMEMBERED, 8, 8), dtype=np.uint8))
    freeze = Freeze()
    freeze.look(SHADES)
    for _ in range(REMEMBERED - 1):
        freeze.look(next(others))
    assert freeze.look(SHADES).whole
    for _ in range(REMEMBERED - 1):
        freeze.look(next(others))
    assert freeze.look(SHADES).whole
    for _ in range(REMEMBERED):
        freeze.look(next(others))
    assert not freeze.look(SHADES).whole


def test_pictures_of_several_sizes_in_rotation() -> None:
    sizes = [SHADES, SHADES[1:], SHADES[:, 1:]]
    freeze = Freeze()
    assert [freeze.look(picture).whole for picture in sizes * 2] == [False] * 3 + [True] * 3


@pytest.mark.parametrize("quality", ["MJPG", "mp4v"])
def test_a_calm_person_in_compressed_video_is_not_frozen(quality: str, tmp_path: Path) -> None:
    """The face sways by a pixel and the noise is weak; the encoder leaves out what it can."""
    path = tmp_path / "still.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*quality), filmed.FPS, (640, 480))
    assert writer.isOpened()
    for seed in range(24):
        writer.write(frame((200 + seed % 3, 100, 200), seed=seed))
    writer.release()
    found = seen([picture for _, picture in sources.video(path) if picture is not None])
    assert len(found) == 24
    assert sum(face for _, face in found) <= 6
