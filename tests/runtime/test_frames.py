"""Flags of frames: what they are for, where they start, and that a sound frame has none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_sdk.runtime.frames import assess

from .drawn import frame

SHADES = np.linspace(60, 200, 64 * 64).reshape(64, 64).astype(np.uint8)


def test_a_sound_frame_has_no_flag() -> None:
    picture = frame((200, 100, 200))
    before = picture.copy()
    assert assess(picture) == assess(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) == assess(SHADES) == ()
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize(
    ("level", "flags"), [(0, ("too_dark", "flat")), (255, ("overexposed", "flat")), (90, ("flat",))]
)
def test_one_level_is_no_picture(level: int, flags: tuple[str, ...]) -> None:
    assert assess(np.full((480, 640, 3), level, np.uint8)) == flags


def test_where_dark_starts() -> None:
    dark = np.zeros((100, 100), np.uint8)
    dark[0, :] = 200  # 1 % of the pixels are bright
    assert assess(dark) == ("too_dark", "flat")
    dark[1, :10] = 200
    assert assess(dark) == ()


def test_where_overexposed_starts() -> None:
    bright = np.full((100, 100), 100, np.uint8)
    bright[:75] = 250
    assert assess(bright) == ("overexposed",)
    bright[0, 0] = 249
    assert assess(bright) == ()


def test_where_flat_and_small_start() -> None:
    halves = np.full((64, 64), 100, np.uint8)
    halves[:32] = 115
    assert assess(halves) == ("flat",)
    halves[:32] = 116
    assert assess(halves) == ()
    assert assess(SHADES[:32, :32]) == ()
    assert assess(SHADES[:, 5:36]) == ("too_small",)
