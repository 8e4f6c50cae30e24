"""From a network that locates faces to a bundle: what is measured, what is written, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from edge_sdk import Locator, preprocess
from edge_sdk.bundle import Bundle
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.artifacts import build_evaluator
from edge_sdk.export.evaluation.locate.artifacts import LocateEvaluator
from edge_sdk.export.formats.artifacts import REFERENCE, Graphs, VariantKind
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.networks.network import Network
from edge_sdk.export.packaging import build
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.export.training.finished import FinishedRun
from edge_sdk.manifest import FaceBoxes, LocatePoint
from edge_sdk.preprocess.crop import LocatedFace
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.face_boxes import GEOMETRY, levels

INT8 = VariantKind("int8", "onnx")
SCORE = FaceBoxes(levels=levels((8,)))
PIPELINE = (preprocess.ToGray(), preprocess.Fit(height=128, width=160, stretch=1))
PEOPLE, PICTURES = 12, 20
POINTS = (-0.5, -0.5, 0.5, -0.5, 0.0, 0.0, -0.25, 0.5, 0.25, 0.5)


class Handmade(Network):
    """A white cell is a face of three cells a side."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(8)
        self.confidence, self.geometry = nn.Conv2d(1, 1, 1), nn.Conv2d(1, GEOMETRY, 1)
        with torch.no_grad():
            self.confidence.weight.fill_(8.0)
            self.confidence.bias.fill_(-4.0)  # type: ignore[union-attr]
            self.geometry.weight.fill_(0.01)
            self.geometry.bias.copy_(torch.tensor([1.5] * 4 + list(POINTS)))  # type: ignore[union-attr]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self.pool(image)
        return self.confidence(mean), self.geometry(mean)


RECIPE = Recipe(
    name="handmade",
    task="locate",
    modality="face",
    network=Handmade,
    tiny=Handmade,
    score=SCORE,
    presets={"plain": Preset(PIPELINE, AttackClassification(images=2), steps=1, learning_rate=0.1)},
    budget=0.02,
)


def picture(path: Path, rng: np.random.Generator, *, face: bool) -> tuple[LocatedFace, ...]:
    """A frame of 320 x 240 with noise and a white cell of 16 x 16 pixels, or with a dim one that shows nobody."""
    frame = rng.integers(0, 40, (240, 320), np.uint8)
    row, column = int(rng.integers(2, 12)), int(rng.integers(2, 18))
    top, left = row * 16 - 8 + 8, column * 16  # 4 rows of the frame are 8 of the picture, half a cell
    top = row * 16 - 8
    frame[top : top + 16, left : left + 16] = 255 if face else rng.integers(60, 140)
    cv2.imwrite(str(path), frame)
    if not face:
        return ()
    x, y = left + 8.0, top + 8.0
    points = tuple((x + 16 * dx, y + 16 * dy) for dx, dy in zip(POINTS[::2], POINTS[1::2], strict=True))
    return (LocatedFace(left - 16, top - 16, 48, 48, points, 1.0),)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    samples = []
    for person in range(PEOPLE):
        for number in range(PICTURES):
            path = folder / f"{person}-{number}.png"
            faces = picture(path, rng, face=number % 4 != 0)
            samples.append(Sample("made", f"made/{person:02}", genuine=True, path=path, faces=faces, modality="face"))
    people = [f"made/{person:02}" for person in range(PEOPLE)]
    split = Split(
        train=tuple(people[:1]),
        validation=tuple(people[1:3]),
        thresholds=tuple(people[3:8]),
        guardrail=tuple(people[8:10]),
        test=tuple(people[10:]),
    )
    data = Dataset("made", tuple(samples), frozenset({"made"}))
    return FinishedRun(RECIPE, "plain", Handmade().eval(), data, split, seed=0, steps=1)


@pytest.fixture(scope="module")
def bundle(trained: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FinishedRun, "read", lambda _run: trained)
        return build.export(Path("run"), tmp_path_factory.mktemp("made") / "made.edge", say=lambda _: None)


def evaluator(trained: FinishedRun) -> LocateEvaluator:
    made = build_evaluator(trained)
    assert isinstance(made, LocateEvaluator)
    return made


def test_the_bundle_finds_faces_as_the_network_does(bundle: Bundle, trained: FinishedRun) -> None:
    manifest = bundle.manifest
    assert (manifest.task, manifest.score) == ("locate", SCORE.renamed(lambda name: f"model.{name}"))
    assert [variant.id for variant in manifest.variants] == ["fp32.onnx", "int8.onnx"]
    for variant in manifest.variants:
        with Locator(bundle, precision=variant.id, threshold=0.8) as locator:
            for one in trained.people("test").samples:
                found = locator.locate(one.path)
                assert one.faces is not None
                assert len(found) == len(one.faces)
                for box, true in zip(found, one.faces, strict=True):
                    assert box.overlap(true) > 0.8
                    np.testing.assert_allclose(box.points, true.points, atol=3)
    assert passed(selftest(bundle))


def test_operating_points_are_those_of_the_threshold_people(bundle: Bundle, trained: FinishedRun) -> None:
    people = trained.people("thresholds")
    for variant in bundle.manifest.variants:
        supported = [point for point in variant.operating_points if isinstance(point, LocatePoint)]
        assert [point.name for point in supported] == ["false_1e-1", "eer"]
        for point in supported:
            with Locator(bundle, precision=variant.id, operating_point=point.name) as locator:
                found = [locator.locate(one.path) for one in people.samples]
            pairs = list(zip(people.samples, found, strict=True))
            missed = sum(not boxes for one, boxes in pairs if one.faces)
            false = sum(bool(boxes) for one, boxes in pairs if not one.faces)
            assert (point.missed.errors, point.missed.trials) == (missed, 75)
            assert (point.false_boxes.errors, point.false_boxes.trials) == (false, 100)
            assert point.data == "made, thresholds people"


def test_what_int8_costs_is_judged(bundle: Bundle) -> None:
    (difference,) = bundle.manifest.variant("int8.onnx").accuracy
    assert (difference.metric, difference.verdict) == ("eer", "pass")
    assert difference.agreement is not None


def test_the_card_says_what_was_found(bundle: Bundle) -> None:
    (card,) = (entry for entry in bundle.manifest.auxiliary if entry.path == "MODEL_CARD.md")
    text = bundle.read(card).decode()
    assert "Finds faces and their five points" in text
    assert "| pictures with a false box | missed faces | people |" in text
    assert "A face is found when its confidence is at least the threshold." in text
    assert "false boxes a picture" in text


def test_a_model_that_finds_other_boxes_is_further_from_float(trained: FinishedRun) -> None:
    made = evaluator(trained)
    assert made.distance(REFERENCE, made.graphs.onnx) == 0
    near = made.distance(INT8, made.graphs.quantizer(INT8).quantize("minmax"))
    moved = Handmade()
    with torch.no_grad():
        moved.geometry.bias.add_(0.5)  # type: ignore[union-attr]
    far = made.distance(REFERENCE, Graphs(moved.eval(), (1, 128, 160), made.graphs.samples, RECIPE.outputs).onnx)
    blind = Handmade()
    with torch.no_grad():
        blind.confidence.bias.fill_(-20)  # type: ignore[union-attr]
    nothing = made.distance(REFERENCE, Graphs(blind.eval(), (1, 128, 160), made.graphs.samples, RECIPE.outputs).onnx)
    assert 0 <= near < far < nothing <= 2


def test_pictures_whose_faces_are_not_known_take_no_part(trained: FinishedRun) -> None:
    people = set(trained.split.validation)

    def changed(faces: tuple[LocatedFace, ...] | None, *, all_of_them: bool) -> FinishedRun:
        samples = []
        for number, one in enumerate(trained.data.samples):
            of_them = one.subject in people and (all_of_them or number % PICTURES == 1)
            samples.append(replace(one, faces=faces) if of_them else one)
        return replace(trained, data=replace(trained.data, samples=tuple(samples)))

    whole, fewer = evaluator(trained), evaluator(changed(None, all_of_them=False))
    counts = [len(one.scores(REFERENCE, one.graphs.onnx, "validation")) for one in (whole, fewer)]
    assert counts == [2 * (20 + 15), 2 * (19 + 14)]
    for faces in (None, ()):
        with pytest.raises(DatasetError, match="no picture with faces"):
            evaluator(changed(faces, all_of_them=True))


def test_pictures_must_be_placed_by_fit(trained: FinishedRun) -> None:
    stretched = (preprocess.ToGray(), preprocess.Resize(height=128, width=160, interpolation="area"))
    preset = replace(RECIPE.presets["plain"], preprocessing=stretched)
    recipe = replace(RECIPE, presets={"plain": preset})
    with pytest.raises(UsageError, match="end with fit"):
        build_evaluator(replace(trained, recipe=recipe))
