"""A bundle measured on frames of which is known where the faces are: numbers, reports, and thresholds fitted again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk import Locator, images
from edge_sdk.bundle import Bundle
from edge_sdk.errors import DatasetError, ScoreError
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.evaluation.locate import report
from edge_sdk.export.evaluation.locate.evaluate import evaluate
from edge_sdk.export.packaging.recalibrate import recalibrate
from edge_sdk.manifest import LocatePoint
from edge_sdk.preprocess.crop import LocatedFace

from ....runtime.located import POINTS, frame, locator_bundle, point

PEOPLE, PICTURES = 6, 20


@pytest.fixture(scope="module")
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return locator_bundle(make_bundle, point(0.9), point(0.6, "eer", None, missed=0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Each person's pictures: fourteen with a white face, three with a dim one, one with a dim wall, two dark."""
    folder = tmp_path_factory.mktemp("frames")
    samples = []
    for person in range(PEOPLE):
        for number in range(PICTURES):
            row, column = 3 + number % 9, 3 + (number * 7 + person) % 13
            level = 255 if number < 14 else 160 if number < 18 else 0
            path = folder / f"{person}-{number}.png"
            assert cv2.imwrite(str(path), np.minimum(frame((row, column)), level))
            x, y = (column + 0.5) * 32, (row + 0.5) * 32 - 16
            points = tuple((x + 32 * dx, y + 32 * dy) for dx, dy in POINTS)
            faces = (LocatedFace(int(x) - 48, int(y) - 48, 96, 96, points, 1.0),) if number < 17 else ()
            samples.append(Sample("made", f"made/{person}", genuine=True, path=path, faces=faces, modality="face"))
    return Dataset("made", tuple(samples))


def test_what_is_counted_is_what_the_locator_finds(bundle: Bundle, data: Dataset) -> None:
    found = evaluate(bundle, data).report
    (summary,) = found.data
    assert (summary.subjects, summary.pictures, summary.faces) == (6, 120, 102)
    assert summary.point_error == pytest.approx(0, abs=1e-4)
    assert (found.operating_point, found.threshold) == ("false_1e-2", 0.9)
    for one, threshold in zip(found.points, (0.9, 0.6), strict=True):
        with Locator(bundle, threshold=threshold) as locator:
            boxes = [len(locator.locate(sample.path)) for sample in data.samples]
        pairs = list(zip(data.samples, boxes, strict=True))
        assert one.missed is not None
        assert one.missed.errors == sum(not count for sample, count in pairs if sample.faces)
        assert one.pictures_with_false_box.errors == one.false_boxes
        assert one.false_boxes == sum(count for sample, count in pairs if not sample.faces)
    assert [(one.missed and one.missed.errors, one.false_boxes) for one in found.points] == [(18, 0), (0, 6)]
    assert sorted(mistake.missed for mistake in found.mistakes) == [1] * 18


def test_reports(bundle: Bundle, data: Dataset, tmp_path: Path) -> None:
    found = evaluate(bundle, data)
    json_path, html_path = report.write(found, tmp_path)
    assert json.loads(json_path.read_text()) == json.loads(json.dumps(found.report.as_dict()))
    shown = html_path.read_text()
    assert shown.count("<img") == 18
    assert "17.6 [" in shown  # 18 of 102
    assert "17.6 [" in report.text(found.report)
    assert "false_1e-2" in report.text(found.report)


def test_thresholds_are_fitted_again(bundle: Bundle, data: Dataset, tmp_path: Path) -> None:
    made = recalibrate(bundle, data, tmp_path / "fitted").bundle
    points = [one for one in made.manifest.variants[0].operating_points if isinstance(one, LocatePoint)]
    assert [one.name for one in points] == ["false_1e-1", "eer"]
    assert (points[0].false_boxes.errors, points[0].missed.errors) == (6, 0)
    assert points[0].data == "made, 6 people"
    with Locator(made) as locator:
        assert locator.operating_point == points[0]


def test_pictures_that_cannot_be_read_take_no_part(bundle: Bundle, data: Dataset, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(data.samples[0].path.read_bytes()[:50])
    one = Sample("made", "made/0", genuine=True, path=broken, faces=(), modality="face")
    found = evaluate(bundle, Dataset("made", (*data.samples[:4], one)))
    assert found.report.unreadable == {str(broken): "ImageDecodeError"}
    assert found.report.data[0].pictures == 4
    assert "cannot be read" in report.html(found)
    with pytest.raises(ScoreError, match="can be read"):
        evaluate(bundle, Dataset("made", (one,)))


def test_data_that_cannot_be_measured_are_refused(bundle: Bundle, data: Dataset, tmp_path: Path) -> None:
    unknown = Sample("made", "made/0", genuine=True, path=data.samples[0].path, modality="face")
    with pytest.raises(DatasetError, match="where its faces are"):
        evaluate(bundle, Dataset("made", (unknown,)))
    empty = Dataset("made", tuple(one for one in data.samples if not one.faces))
    with pytest.raises(DatasetError, match="no picture with a face"):
        recalibrate(bundle, empty, tmp_path / "fitted")
    few = data.select(["made/0", "made/1"])
    with pytest.raises(DatasetError, match="2 people"):
        recalibrate(bundle, few, tmp_path / "fitted")
    assert images.load(data.samples[0].path).shape == (480, 640)
