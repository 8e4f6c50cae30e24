"""Filters of the anti-spoofing thesis: head poses and outliers in brightness."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.faces.filters import Filter, evenly_lit, frontal
from edge_sdk.export.data.layouts import Pose
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample


def heads(*poses: Pose | None) -> Dataset:
    return Dataset(
        "made-up",
        tuple(Sample("m", "m/1", True, Path(f"{i}.png"), pose=p, modality="face") for i, p in enumerate(poses)),
    )


def recording(root: Path, levels: list[int], person: str = "anna", session: str = "drive/") -> None:
    folder = root / person / session
    folder.mkdir(parents=True, exist_ok=True)
    for i, level in enumerate(levels):
        assert cv2.imwrite(str(folder / f"{i}.png"), np.full((4, 5, 3), level, np.uint8))


def kept(root: Path, reach: float = 1.0) -> list[str]:
    samples = evenly_lit(load(f"live:{root}"), reach).samples
    return [sample.path.relative_to(root).with_suffix("").as_posix() for sample in samples]


def test_ten_degrees_about_each_axis() -> None:
    inside = [Pose(0, 0, 0), Pose(10, -10, 10), None]
    outside = [Pose(10.5, 0, 0), Pose(0, -11, 0), Pose(0, 0, 90)]
    assert [sample.pose for sample in frontal(heads(*inside, *outside)).samples] == inside
    assert len(frontal(heads(*outside), limit=11).samples) == 2
    with pytest.raises(DatasetError, match="no head is turned by at most 10 degrees"):
        frontal(heads(*outside))
    for limit in (0, float("nan")):
        with pytest.raises(UsageError, match="positive"):
            frontal(heads(*inside), limit)


def test_brightness_within_one_range_of_the_quartiles(tmp_path: Path) -> None:
    """Of 80 to 120 in steps of 10 the quartiles are 90 and 110: from 70 to 130 all stay."""
    recording(tmp_path, [80, 90, 100, 110, 120])
    assert len(kept(tmp_path)) == 5
    # Quartiles of seven sorted levels are the means of 2nd and 3rd, 5th and 6th: here 95 and 115.
    recording(tmp_path, [100, 90, 100, 110, 120, 74, 136])
    assert kept(tmp_path) == [f"anna/drive/{i}" for i in range(5)]
    assert len(kept(tmp_path, reach=1.06)) == 7
    assert kept(tmp_path, reach=0) == ["anna/drive/0", "anna/drive/2", "anna/drive/3"]


def test_each_recording_by_itself(tmp_path: Path) -> None:
    recording(tmp_path, [100, 100, 101, 102, 100, 250])
    recording(tmp_path, [250, 250, 251, 251, 250, 100], session="tunnel")
    recording(tmp_path, [100, 100, 101, 102, 100, 250], session="")  # of no recording
    names = kept(tmp_path)
    assert sorted({f"anna{s}/{i}" for s in ("/drive", "/tunnel", "") for i in range(6)} - set(names)) == [
        "anna/drive/5",
        "anna/tunnel/5",
    ]


@pytest.mark.parametrize("levels", [[7], [0, 255], [0, 0, 255], [9] * 6])
def test_few_images_and_equal_ones_stay(levels: list[int], tmp_path: Path) -> None:
    recording(tmp_path, levels)
    assert len(kept(tmp_path)) == len(levels)


def test_what_cannot_be_filtered(tmp_path: Path) -> None:
    recording(tmp_path, [1, 2, 3])
    with pytest.raises(UsageError, match="negative"):
        kept(tmp_path, reach=-1)
    (tmp_path / "anna/drive/1.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"1\.png: .*not a PNG.*; remove it"):
        kept(tmp_path)


def test_heads_first_and_then_the_brightness_of_what_is_left(tmp_path: Path) -> None:
    """Two turned heads are so dark that, counted in, they would widen the range to take in all of the others."""
    recording(tmp_path, [60, 65, 90, 100, 100, 110, 120, 136])
    (tmp_path / "poses.csv").write_text("anna/drive/0.png,0,11,0\nanna/drive/1.png,-30,0,0\n")
    data = load(f"live:{tmp_path}")
    kept, turned, uneven = found = Filter()(data)
    assert [sample.path.stem for sample in kept.samples] == ["2", "3", "4", "5", "6"]
    assert (turned, uneven) == (2, 1)
    assert found.left_out == {"turned": 2, "uneven": 1}
    assert "left out 3 of 8 training images: 2 heads turned away, 1 darker" in found.summary
    assert len(Filter(brightness=None)(data).kept.samples) == 6
    assert Filter(pose=None)(data).kept == Filter(pose=None, brightness=None)(data).kept == data
