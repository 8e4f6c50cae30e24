"""Where it is written where a face is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.faces.known import FACES, face_points


def listed(root: Path, text: str) -> Path:
    (root / FACES).write_text(text, encoding="utf-8")
    return root / "Ann" / "Ann_0001.jpg"


def test_a_list_in_the_root_says_it(tmp_path: Path) -> None:
    picture = listed(tmp_path, "file,x,y\nAnn/Ann_0001.jpg,1,2,3,4,5,6,7,8,9,10.5\n")
    found = face_points(picture)
    assert found is not None
    assert found.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10.5]]
    assert face_points(picture.with_name("Ann_0002.jpg")) is None


def test_nothing_says_it(tmp_path: Path) -> None:
    assert face_points(tmp_path / "a" / "b.jpg") is None


@pytest.mark.parametrize("line", ["a.jpg,1,2", "a.jpg," + ",".join("123456789x"), "a.jpg," + ",".join(["nan"] * 10)])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(DatasetError, match="line 1: expected file and ten numbers"):
        face_points(listed(tmp_path, line))


def test_a_list_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / FACES).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="UTF-8"):
        face_points(tmp_path / "a.jpg")


def test_cfps_fiducials_say_it(tmp_path: Path) -> None:
    picture = tmp_path / "Data" / "Images" / "001" / "frontal" / "01.jpg"
    with pytest.raises(DatasetError, match="fiducials"):
        face_points(picture)
    points = np.random.default_rng(0).uniform(0, 100, (30, 2))
    path = tmp_path / "Data" / "Fiducials" / "001" / "frontal" / "01.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(f"{x:.2f},{y:.2f}" for x, y in points))
    found = face_points(picture)
    assert found is not None and found.shape == (5, 2)
