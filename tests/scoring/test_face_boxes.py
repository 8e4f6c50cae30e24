"""Grids decoded to boxes, points and confidences, against explicit loops."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_sdk.errors import ManifestError, ScoreError
from edge_sdk.manifest import FaceBoxes, FaceLevel, Graph, GraphInterface, Input, Output
from edge_sdk.scoring.face_boxes import GEOMETRY, MOST, grouped, levels

SCORE = FaceBoxes(levels=levels((4, 8)), overlap=0.4)
PLAIN = FaceBoxes(levels=levels((4, 8)), overlap=0.4, blend=1.0)
GRIDS = {4: (6, 8), 8: (3, 4)}


def _outputs(seed: int, count: int = 1) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    made = {}
    for stride, grid in GRIDS.items():
        made[f"confidence{stride}"] = rng.normal(0, 2, (count, 1, *grid)).astype(np.float32)
        made[f"geometry{stride}"] = rng.normal(1, 1, (count, GEOMETRY, *grid)).astype(np.float32)
    return made


def _intersection_over_union(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


Cell = tuple[float, list[float]]


def _cells(tensors: dict[str, NDArray[np.float32]]) -> list[Cell]:
    """Confidence, and box and points, of every cell whose box has an area, the surest first."""
    cells = []
    for stride, (rows, columns) in GRIDS.items():
        for row in range(rows):
            for column in range(columns):
                confidence = round(1 / (1 + math.exp(-float(tensors[f"confidence{stride}"][0, 0, row, column]))), 8)
                g = [float(value) * stride for value in tensors[f"geometry{stride}"][0, :, row, column]]
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                box = [x - g[0], y - g[1], x + g[2], y + g[3]]
                points = [(x, y)[i % 2] + g[4 + i] for i in range(10)]
                if box[2] > box[0] and box[3] > box[1]:
                    cells.append((confidence, box + points))
    return sorted(cells, key=lambda cell: -cell[0])


def _by_loops(tensors: dict[str, NDArray[np.float32]], threshold: float, blend: float) -> list[Cell]:
    """Suppressed pair by pair, and averaged number by number."""
    groups: list[list[Cell]] = []
    for cell in _cells(tensors):
        for group in groups:
            if _intersection_over_union(cell[1], group[0][1]) > 0.4:
                group.append(cell)
                break
        else:
            groups.append([cell])
    faces = []
    for group in groups:
        surest = group[0][0]
        used = [cell for cell in group if cell[0] >= blend * surest]
        total = sum(cell[0] for cell in used)
        mean = [sum(cell[0] * cell[1][i] for cell in used) / total for i in range(14)]
        if surest >= threshold:
            faces.append((surest, mean if blend < 1 else group[0][1]))
    return faces


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.3, 0.7, 0.999]), st.sampled_from([SCORE, PLAIN]))
def test_faces_are_those_of_explicit_loops(seed: int, threshold: float, score: FaceBoxes) -> None:
    tensors = _outputs(seed)
    found = score.candidates(tensors, threshold)
    expected = _by_loops(tensors, threshold, score.blend)
    assert found.confidences.tolist() == [confidence for confidence, _ in expected]
    if expected:
        shapes = np.array([shape for _, shape in expected])
        np.testing.assert_allclose(found.boxes, shapes[:, :4], atol=1e-9)
        np.testing.assert_allclose(found.points.reshape(-1, 10), shapes[:, 4:], atol=1e-9)
    assert found.boxes.shape == (len(expected), 4)
    assert found.points.shape == (len(expected), 5, 2)


@given(st.integers(0, 10_000), st.floats(0.01, 0.99))
def test_a_higher_threshold_takes_faces_away_and_changes_none(seed: int, threshold: float) -> None:
    """So one pass at a low threshold is enough to measure all higher ones."""
    tensors = _outputs(seed)
    every, few = SCORE.candidates(tensors, 0.0), SCORE.candidates(tensors, threshold)
    stay = every.confidences >= threshold
    np.testing.assert_array_equal(every.boxes[stay], few.boxes)
    np.testing.assert_array_equal(every.points[stay], few.points)
    np.testing.assert_array_equal(every.confidences[stay], few.confidences)


def test_the_score_is_the_highest_confidence_of_each_picture() -> None:
    tensors = _outputs(3, count=4)
    scores = SCORE.score(tensors)
    for i, score in enumerate(scores):
        one = {name: values[i : i + 1] for name, values in tensors.items()}
        highest = max(float(one[f"confidence{stride}"].max()) for stride in GRIDS)
        assert score == round(1 / (1 + math.exp(-highest)), 8)


def test_confidences_of_any_logit_are_in_0_to_1() -> None:
    tensors = _outputs(0)
    for logit, confidence in ((-3e38, 0.0), (-100.0, 0.0), (0.0, 0.5), (100.0, 1.0), (3e38, 1.0)):
        for stride in GRIDS:
            tensors[f"confidence{stride}"][:] = logit
        assert SCORE.score(tensors).tolist() == [confidence]


def test_a_box_without_area_is_no_face() -> None:
    tensors = _outputs(0)
    for stride in GRIDS:
        tensors[f"geometry{stride}"][:, 0] = -tensors[f"geometry{stride}"][:, 2]
    assert SCORE.candidates(tensors, 0.0).confidences.size == 0


def test_no_picture_takes_longer_than_the_surest_cells() -> None:
    score = FaceBoxes(levels=levels((1,)), overlap=1.0, blend=1.0)
    logits = np.random.default_rng(0).normal(size=(1, 1, 30, 30)).astype(np.float32)
    geometry = np.ones((1, GEOMETRY, 30, 30), np.float32)
    found = score.candidates({"confidence1": logits, "geometry1": geometry}, 0.0)
    highest = np.sort(logits.ravel())[::-1][:MOST]
    np.testing.assert_allclose(found.confidences, 1 / (1 + np.exp(-highest.astype(float))), atol=1e-8)


def test_suppression_follows_the_order() -> None:
    def groups(boxes: list[tuple[float, ...]], overlap: float) -> list[list[int]]:
        return [group.tolist() for group in grouped(np.array(boxes).reshape(-1, 4), overlap)]

    a, b, c = (0.0, 0.0, 10.0, 10.0), (3.0, 0.0, 13.0, 10.0), (6.0, 0.0, 16.0, 10.0)  # 7/13, 7/13 and 4/16 in common
    assert groups([a, b, c], 0.4) == [[0, 1], [2]]
    assert groups([b, a, c], 0.4) == [[0, 1, 2]]
    assert groups([b, a, c], 0.55) == [[0], [1], [2]]
    assert groups([a, a], 1.0) == [[0], [1]]
    assert groups([], 0.4) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("confidence4", None),
        ("geometry8", None),
        ("confidence4", np.full((1, 1, 6, 8), np.nan)),
        ("geometry4", np.full((1, GEOMETRY, 6, 8), np.inf)),
        ("confidence4", np.zeros((1, 2, 6, 8))),
        ("geometry4", np.zeros((1, 4, 6, 8))),
        ("geometry4", np.zeros((1, GEOMETRY, 8, 6))),
        ("confidence4", np.zeros((1, 6, 8))),
        ("confidence4", np.zeros((0, 1, 6, 8))),
    ],
)
def test_outputs_that_are_no_faces_are_an_error(name: str, values: NDArray[np.float64] | None) -> None:
    tensors: dict[str, NDArray[np.float64]] = {key: value.astype(float) for key, value in _outputs(0).items()}
    if values is None:
        del tensors[name]
    else:
        tensors[name] = values
    with pytest.raises(ScoreError):
        SCORE.candidates(tensors, 0.0)


def _interface(**shapes: tuple[int | str, ...]) -> GraphInterface:
    given: dict[str, tuple[int | str, ...]] = {
        f"{kind}{stride}": ("batch", channels, *grid)
        for stride, grid in GRIDS.items()
        for kind, channels in (("confidence", 1), ("geometry", GEOMETRY))
    }
    outputs = tuple(
        Output(name=name, shape=shape, role="logit" if name.startswith("confidence") else "geometry")
        for name, shape in (given | shapes).items()
    )
    inputs = (Input(name="image", shape=("batch", 1, 24, 32)),)
    return GraphInterface((Graph(name="model", inputs=inputs, outputs=outputs, files={}),))


def test_the_manifest_must_have_such_grids() -> None:
    score = SCORE.renamed(lambda name: f"model.{name}")
    score.check(_interface(), "locate")
    assert msgspec.json.decode(msgspec.json.encode(score), type=FaceBoxes) == score
    wrong: list[dict[str, tuple[int | str, ...]]] = [
        {"confidence4": ("batch", 2, 6, 8)},
        {"geometry4": ("batch", 4, 6, 8)},
        {"geometry4": ("batch", GEOMETRY, 8, 6)},
        {"confidence4": ("batch", 1, 6)},
        {"confidence4": ("batch", 1, "rows", 8), "geometry4": ("batch", GEOMETRY, "rows", 8)},
        {"confidence8": ("batch", 1, 4, 4), "geometry8": ("batch", GEOMETRY, 4, 4)},
    ]
    for shapes in wrong:
        with pytest.raises(ManifestError):
            score.check(_interface(**shapes), "locate")


def test_bounds() -> None:
    level = FaceLevel(stride=8, confidence="a", geometry="b")
    for bad in (
        {"levels": ()},
        {"levels": (level, level)},
        {"levels": (level,), "overlap": 0.0},
        {"levels": (level,), "blend": 0.0},
    ):
        with pytest.raises(ManifestError):
            FaceBoxes(**bad)  # type: ignore[arg-type]
    with pytest.raises(ManifestError):
        FaceLevel(stride=0, confidence="a", geometry="b")
    with pytest.raises(ManifestError):
        FaceBoxes(levels=(FaceLevel(stride=8, confidence="a", geometry="a"),))
