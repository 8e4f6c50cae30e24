"""Which cell answers for a face, what it is asked for, and that the device reads it back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from edge_sdk.export.data.faces.scenes.truth import face_box
from edge_sdk.export.losses.location import CORE, REACH, RIM, Assigned, LevelRange, assign, location_loss
from edge_sdk.scoring.face_boxes import FaceBoxes, levels

FINE, COARSE = LevelRange(8, 0, 44), LevelRange(16, 34, math.inf)
SIZES = {8: (16, 20), 16: (8, 10)}


def face(x: float, y: float, side: float) -> np.ndarray:
    """Five points whose box is of ``side`` about (x, y)."""
    shape = np.array([[-0.2, -0.125], [0.2, -0.125], [0, 0.08], [-0.15, 0.275], [0.15, 0.275]])
    points = (shape * side).astype(np.float32)
    box = face_box(points)
    return points + np.array([x, y], np.float32) - (box[:2] + box[2:]) / 2


def scene(*faces: np.ndarray, state: tuple[int, ...] | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    points = np.stack(faces)[None]
    states = torch.tensor([state or (1,) * len(faces)])
    return states, torch.from_numpy(face_box(points)), torch.from_numpy(points)


def assigned(level: LevelRange, *faces: np.ndarray, state: tuple[int, ...] | None = None) -> Assigned:
    return assign(level, SIZES[level.stride], *scene(*faces, state=state))


@pytest.mark.parametrize(("level", "side"), [(FINE, 12), (FINE, 30), (COARSE, 60), (COARSE, 150)])
def test_cells_near_the_middle_answer_for_a_face(level: LevelRange, side: float) -> None:
    x, y = 70.0, 55.0
    found = assigned(level, face(x, y, side)).confidence[0]
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            away = max(abs((column + 0.5) * level.stride - x), abs((row + 0.5) * level.stride - y))
            core = away < CORE * side or away <= level.stride / 2
            rim = away < max(RIM * side, 0.75 * level.stride)
            assert found[row, column] == (1 if core else -1 if rim else 0)
    assert (found == 1).any()


def test_a_face_belongs_to_the_maps_of_its_size_and_is_not_asked_for_elsewhere() -> None:
    for side, maps in ((20, (True, False)), (40, (True, True)), (90, (False, True))):
        found = [assigned(level, face(80, 64, side)).confidence for level in (FINE, COARSE)]
        assert tuple(bool((one == 1).any()) for one in found) == maps
        assert all((one == -1).any() for one, ours in zip(found, maps, strict=True) if not ours)


def test_nobody_and_unclear_faces_answer_for_nothing() -> None:
    assert (assigned(COARSE, face(80, 64, 90), state=(0,)).confidence == 0).all()
    unclear = assigned(COARSE, face(80, 64, 90), state=(2,)).confidence
    assert not (unclear == 1).any() and (unclear == -1).any()


def test_of_two_faces_the_smaller_gets_the_cell() -> None:
    found = assigned(COARSE, face(88, 72, 140), face(88, 72, 50))
    assert found.side[0, 4, 5] * 16 == pytest.approx(50, abs=0.1)
    assert found.side[0, 4, 4] * 16 == pytest.approx(140, abs=0.1)  # 16 pixels off: only the larger one's


def test_the_device_reads_the_targets_back() -> None:
    """What the loss asks for is what :class:`FaceBoxes` makes a face of."""
    faces = [face(30, 40, 24), face(104, 70, 80)]
    tensors: dict[str, np.ndarray] = {}
    for level in (FINE, COARSE):
        wanted = assigned(level, *faces)
        logits = torch.where(wanted.confidence > 0, 6.0, -6.0)[:, None]
        tensors |= {f"confidence{level.stride}": logits.numpy(), f"geometry{level.stride}": wanted.geometry.numpy()}
    found = FaceBoxes(levels=levels((8, 16))).candidates(tensors, 0.5)
    assert len(found.boxes) == 2
    for one in faces:
        near = int(np.abs(found.points - one).sum((1, 2)).argmin())
        assert found.points[near] == pytest.approx(one, abs=1e-3)
        assert found.boxes[near] == pytest.approx(face_box(one), abs=1e-3)


def maps(wanted: Assigned, logit: float) -> tuple[torch.Tensor, torch.Tensor]:
    face = (wanted.confidence > 0)[:, None]
    return torch.where(face, logit, -logit), wanted.geometry * face


def test_what_was_asked_for_costs_nothing_and_mistakes_cost_what_the_formula_says() -> None:
    wanted = assigned(FINE, face(80, 64, 40))
    logits, geometry = maps(wanted, 30.0)
    assert location_loss([(logits, geometry)], [wanted]).item() == pytest.approx(0, abs=1e-6)
    positives = (wanted.confidence == 1)[:, None]
    half = torch.where(positives, 0.0, logits)
    expected = math.log(2) * 0.5**2  # focal loss of a probability of a half
    assert location_loss([(half, geometry)], [wanted]).item() == pytest.approx(expected, rel=1e-4)
    shifted = geometry.clone()
    shifted[:, 4:] += 0.1 * 40 / 8  # a tenth of the face's side, in strides
    assert location_loss([(logits, shifted)], [wanted]).item() == pytest.approx(8 * (0.1 - 0.005), rel=1e-3)
    unasked = torch.where((wanted.confidence == -1)[:, None], 30.0, logits)
    assert location_loss([(unasked, geometry)], [wanted]).item() == pytest.approx(0, abs=1e-6)


def test_scenes_without_faces_have_a_loss_and_far_geometry_a_price() -> None:
    wanted = assigned(FINE, face(80, 64, 40), state=(0,))
    logits, geometry = torch.full((1, 1, 16, 20), -30.0), torch.zeros(1, 14, 16, 20)
    assert location_loss([(logits, geometry)], [wanted]).item() == pytest.approx(0, abs=1e-6)
    geometry[0, :, 3, 3] = REACH + 2
    assert location_loss([(logits, geometry)], [wanted]).item() == pytest.approx(2, rel=1e-4)
