"""The task of a run that learns where faces are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_sdk.errors import DatasetError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Labels
from edge_sdk.export.losses.locating import LocationTask
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.crop import LocatedFace

RECIPE = recipes.get("face_locator")
POINTS = ((50, 60), (90, 60), (70, 80), (55, 100), (85, 100))
FACE = LocatedFace(20, 30, 100, 100, points=POINTS, confidence=1.0)


def faces(root: Path) -> Dataset:
    """Three pictures of one person, the last without a known face."""
    lines = []
    for number in range(1, 4):
        path = root / "Ann" / f"Ann_{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((128, 140), 40 * number, np.uint8))
        lines.append(f"Ann/{path.name}," + ",".join(str(value) for point in POINTS for value in point))
    (root / "faces.csv").write_text("\n".join(lines[:2]))
    return load(f"lfw:{root}")


def task(data: Dataset) -> LocationTask:
    made = RECIPE.training_task(RECIPE.preset("quick"), Labels.of(data), data.samples)
    assert isinstance(made, LocationTask)
    return made


def test_steps_show_scenes_of_the_pictures_whose_face_is_known(tmp_path: Path) -> None:
    found = task(faces(tmp_path / "lfw"))
    assert found.chances.tolist() == [0.5, 0.5, 0]
    prepared = np.stack([np.full((1, 128, 160), 40 * k, np.uint8) for k in range(3)])
    targets = found.rendering(prepared, torch.device("cpu"))
    shown, points = targets.composer.pictures.shown[0], targets.composer.pictures.points[0]
    assert shown.tolist() == [10, 0, 150, 128]  # 140 x 128 pixels in the middle of 160
    assert points.tolist() == [[x + 10, y] for x, y in POINTS]
    step = targets(np.zeros(6, np.int64), np.random.default_rng(0))
    assert step.images.shape == (6, 1, 128, 160) and step.images.dtype == np.uint8
    network = RECIPE.tiny()
    loss = found.loss(network(torch.from_numpy(step.images).float() / 255), np.zeros(6, np.int64), step)
    loss.backward()
    assert loss.item() > 0 and all(weight.grad is not None for weight in network.parameters())


def test_it_needs_pictures_whose_face_is_known(tmp_path: Path) -> None:
    data = faces(tmp_path / "lfw")
    with pytest.raises(DatasetError, match=r"faces\.csv"):
        task(replace(data, samples=data.samples[2:]))


def test_validation_tells_pictures_with_faces_from_those_without(tmp_path: Path) -> None:
    data = faces(tmp_path / "lfw")
    found, samples = task(data), data.samples
    outputs = np.array([0.9, 0.8, 0.1])
    assert found.measure(outputs, samples, None).live_score == pytest.approx(0.6)
    told = [replace(sample, faces=known) for sample, known in zip(samples, [(FACE,), (FACE,), ()], strict=True)]
    assert found.measure(outputs, told, None).auroc == 1
    assert found.measure(1 - outputs, told, None).auroc == 0
    assert found.measure(outputs[2:], told[2:], None).live_score == 0


def test_the_score_of_a_picture_is_its_surest_cell(tmp_path: Path) -> None:
    found = task(faces(tmp_path / "lfw"))
    network = RECIPE.tiny().eval()
    pictures = torch.rand(3, 1, 128, 160)
    with torch.no_grad():
        maps = network(pictures)
        scores = found.outputs(network, pictures)
    surest = torch.maximum(maps[0].flatten(1).amax(1), maps[2].flatten(1).amax(1)).sigmoid()
    assert scores == pytest.approx(surest.numpy(), abs=1e-6)
