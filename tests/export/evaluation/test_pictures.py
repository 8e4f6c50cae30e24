"""What a report shows of pre-processing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_sdk.export.data.samples import Sample
from edge_sdk.export.evaluation.html import thumbnail
from edge_sdk.export.evaluation.pictures import stages
from edge_sdk.preprocess import INK, trace
from edge_sdk.preprocess.region import InkRegion


def test_the_cut_is_shown_before_the_operations(tmp_path: Path, signature: np.ndarray) -> None:
    page = np.full((3508, 2480), 255, np.uint8)
    page[2200:2580, 1000:1600] = signature
    page[page > 200] = 255
    samples = []
    for name, picture in (("page", page), ("cut", signature)):
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), picture)
        samples.append(Sample("set", "set/1", True, path, modality="signature"))
    region = InkRegion()
    found = stages(INK, samples, region=region)
    assert [operation.name for operation in found.operations][:2] == ["region", "limit_size"]
    assert found.operations[0].settings.endswith("margin 0.04")
    first, second = found.rows
    assert len(first.pictures) == len(second.pictures) == len(INK) + 2
    cut = region.find(page).cut(page)
    assert cut.shape[1] < 700
    assert first.pictures[1] == thumbnail(cut, 150, "cut out of the page")
    *_, (last, expected) = trace(INK, cut)
    assert first.pictures[-1] == thumbnail(expected, 150, f"after {type(last).__name__}")
    assert second.pictures[1] is None

    assert stages(INK, samples[1:], region=region).operations[0].name == "limit_size"
