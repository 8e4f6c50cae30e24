"""Five points of a face from CFP's half of it: against a symmetric head that is turned by known angles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.faces import fiducials
from edge_sdk.export.data.faces.fiducials import SHAPE, five_points, read

from ....paths import DATA

SCALE, PLACE = 70.0, np.array([80.0, 50.0])


def seen(points: np.ndarray, yaw: float, pitch: float, roll: float) -> np.ndarray:
    """A head's points (N, 3) in a picture: turned about y, then x, then the line of sight; scaled and moved."""
    y, x, z = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return SCALE * (points @ (about_z @ about_x @ about_y).T)[:, :2] + PLACE


def head() -> tuple[np.ndarray, np.ndarray]:
    """The mean face's thirty points and its five, both (N, 3)."""
    thirty = np.array([SHAPE.get(number, (-0.5, 1.5, -0.8)) for number in range(1, 31)])
    eye, mirror = thirty[12:18].mean(axis=0), [-1, 1, 1]
    return thirty, np.stack([eye, eye * mirror, thirty[21], thirty[25], thirty[25] * mirror])


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (8, -5, 12), (40, 10, -20), (75, 5, 30), (88, -12, 0)])
def test_a_head_that_is_turned_by_known_angles(yaw: float, pitch: float, roll: float) -> None:
    thirty, five = head()

    found = five_points(seen(thirty, yaw, pitch, roll))

    np.testing.assert_allclose(found.points, seen(five, yaw, pitch, roll), atol=1e-9)
    assert found.marked.tolist() == [True, False, True, True, False]
    if not roll and not pitch:
        assert found.yaw == pytest.approx(yaw, abs=1e-9)


def test_a_head_that_turns_the_other_way_shows_its_left_half() -> None:
    thirty, five = head()
    points = seen(thirty, 60, 0, 10)
    wide = 160

    found = five_points(points * [-1, 1] + [wide, 0])

    mirrored = seen(five, 60, 0, 10) * [-1, 1] + [wide, 0]
    np.testing.assert_allclose(found.points, mirrored[[1, 0, 2, 4, 3]], atol=1e-9)
    assert found.marked.tolist() == [False, True, True, False, True]
    assert found.yaw == pytest.approx(-five_points(points).yaw)


def test_in_a_frontal_picture_the_face_has_its_own_width() -> None:
    """A mouth twice as wide as the mean face's: its other corner lies as far from the middle, but for the prior."""
    thirty, five = head()
    thirty[25, 0] *= 2

    found = five_points(seen(thirty, 0, 0, 0))

    own, prior = thirty[25, 0], five[3, 0]
    believed = (own + fiducials.PRIOR * prior) / (1 + fiducials.PRIOR)
    assert found.points[4, 0] == pytest.approx(PLACE[0] + SCALE * (own - 2 * believed))


def test_points_on_one_line_are_no_face() -> None:
    with pytest.raises(DatasetError, match="on one line"):
        five_points(np.stack([np.arange(30.0), 2 * np.arange(30.0)], axis=1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no fiducials"),
        ("", "expected 30 lines"),
        ("1,2\n" * 29, "expected 30 lines"),
        ("1,2,3\n" * 30, "expected 30 lines"),
        ("1,2\n" * 29 + "nan,2\n", "expected 30 lines"),
        ("1,2\n" * 29 + "1;2\n", "they cannot be read"),
        ("1,2\n" * 29 + "1\n", "they cannot be read"),
    ],
)
def test_files_that_hold_no_points(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "Data/Fiducials/001/frontal/01.txt"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read(tmp_path / "Data/Images/001/frontal/01.jpg")


def test_a_picture_elsewhere_has_no_fiducials(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not lie in a folder Data/Images of CFP"):
        read(tmp_path / "001/frontal/01.jpg")


@pytest.mark.skipif(not (DATA / "cfp").is_dir(), reason="needs the CFP data set (EDGE_SDK_DATA)")
def test_the_cfp_that_is_here() -> None:
    """Frontal heads are turned by few degrees, profiles by many, to the side whose half is marked."""
    images = DATA / "cfp/Data/Images"
    found = {
        kind: [five_points(read(images / f"{person:03d}/{kind}/01.jpg")) for person in range(301, 321)]
        for kind in ("frontal", "profile")
    }
    assert all(abs(one.yaw) < 20 and one.marked[0] for one in found["frontal"])
    assert all(abs(one.yaw) > 20 and one.marked[0] == (one.yaw > 0) for one in found["profile"])
    for one in found["frontal"]:
        right_eye, left_eye, nose, right_corner, left_corner = one.points
        assert right_eye[0] < nose[0] < left_eye[0]
        assert right_corner[0] < nose[0] < left_corner[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_corner[1], left_corner[1])
