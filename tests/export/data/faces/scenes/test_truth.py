"""The box of a face by its points."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.export.data.faces.scenes.truth import MIRRORED, face_box

FRONTAL = np.array([[40, 50], [60, 50], [50, 62], [42, 70], [58, 70]], np.float32)


def test_a_frontal_face_has_the_cascades_box() -> None:
    # Eyes 20 apart and 20 above the mouth: a side of 50, whose centre is 3.75 above the middle (50, 60).
    assert face_box(FRONTAL) == pytest.approx([25, 31.25, 75, 81.25])


def test_the_longer_of_both_distances_counts() -> None:
    wide = FRONTAL * np.array([2, 1], np.float32)  # eyes 40 apart
    assert face_box(wide)[2] - face_box(wide)[0] == pytest.approx(100)
    tall = FRONTAL * np.array([1, 2], np.float32)
    assert face_box(tall)[3] - face_box(tall)[1] == pytest.approx(100)


def test_a_profiles_head_lies_behind_its_nose() -> None:
    points = np.array([[50, 50], [50, 50], [58, 62], [50, 70], [50, 70]], np.float32)
    assert face_box(points) == pytest.approx([17, 31.25, 67, 81.25])  # the nose 8 to the right, the head 8 to the left


def test_it_moves_turns_and_grows_with_the_face() -> None:
    half_turn = -FRONTAL + 100
    left, top, right, bottom = face_box(FRONTAL)
    assert face_box(half_turn) == pytest.approx([100 - right, 100 - bottom, 100 - left, 100 - top])
    assert face_box(3 * FRONTAL + 7) == pytest.approx(3 * face_box(FRONTAL) + 7)
    mirrored = (FRONTAL * np.array([-1, 1], np.float32))[list(MIRRORED)]
    assert face_box(mirrored) == pytest.approx([-right, top, -left, bottom])


def test_many_at_once_and_one_without_size() -> None:
    assert face_box(np.stack([FRONTAL, FRONTAL])[:, None]).shape == (2, 1, 4)
    assert np.isfinite(face_box(np.zeros((5, 2), np.float32))).all()
