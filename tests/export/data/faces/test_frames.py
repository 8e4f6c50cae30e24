"""Frames with a face somewhere in them, and what is said about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk import images
from edge_sdk.errors import DatasetError
from edge_sdk.export.data.faces import frames
from edge_sdk.export.data.faces.known import FACES
from edge_sdk.export.data.load import load
from edge_sdk.opencv import cv2

POINTS = np.array([[60, 60], [100, 60], [80, 80], [65, 100], [95, 100]], float)


def picture() -> np.ndarray:
    """Dark, with a bright dot at each point."""
    made = np.full((160, 150), 60, np.uint8)
    for x, y in POINTS.astype(int):
        made[y - 4 : y + 4, x - 4 : x + 4] = 250
    return made


def data(root: Path, count: int) -> Path:
    lines = []
    for number in range(1, count + 1):
        path = root / "Ann" / f"Ann_{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = picture()
        shown[0, 0] = number
        cv2.imwrite(str(path), shown)
        lines.append(f"Ann/{path.name}," + ",".join(map(str, POINTS.flatten())))
    (root / FACES).write_text("\n".join(lines))
    return root


def test_the_dots_are_where_the_points_are() -> None:
    seen = 0
    for seed in range(30):
        frame = frames.frame_of(picture(), POINTS, np.random.default_rng(seed))
        assert frame.shape == (480, 640) and frame.dtype == np.uint8
        shot = frames._Shot.draw(POINTS, np.random.default_rng(seed))
        if not shot.shown:
            continue
        face = frames.located(POINTS @ shot.matrix[:, :2].T + shot.matrix[:, 2], 480, 640)
        assert face.left >= 0 and face.left + face.width <= 640 and face.top >= 0 and face.top + face.height <= 480
        for x, y in face.points:
            if face.width > 120 and 10 < x < 630 and 10 < y < 470:
                seen += 1
                near = frame[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean()
                reach = round(0.16 * face.width)
                around = frame[max(0, int(y) - reach) : int(y) + reach, max(0, int(x) - reach) : int(x) + reach]
                assert near > np.median(around) + 5
    assert seen > 30


def test_a_specification_gives_frames_with_their_faces_once_rendered(tmp_path: Path) -> None:
    root = data(tmp_path / "lfw", 12)
    first = load(f"scene+lfw:{root}")
    assert [sample.faces for sample in first.samples] == [sample.faces for sample in load(f"scene+lfw:{root}").samples]
    counts = [len(sample.faces or ()) for sample in first.samples]
    assert set(counts) == {0, 1}
    assert {sample.subject for sample in first.samples} == {"lfw/Ann"}
    assert images.load(first.samples[0].path).shape[:2] == (480, 640)


def test_pictures_whose_faces_are_not_known_are_left_out_and_all_of_them_refused(tmp_path: Path) -> None:
    root = data(tmp_path / "lfw", 3)
    (root / FACES).write_text((root / FACES).read_text().splitlines()[0])
    assert len(load(f"scene+lfw:{root}").samples) == 1
    (root / FACES).write_text("")
    from edge_sdk.export.data.faces.known import _listed

    _listed.cache_clear()
    with pytest.raises(DatasetError, match=r"faces\.csv"):
        load(f"scene+lfw:{root}")
