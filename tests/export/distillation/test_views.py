"""Teachers that see every step's views: what they are asked, and what the student is to say."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_sdk import preprocess
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.people import unknown_person
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.distillation.hook import DistillationHook
from edge_sdk.export.distillation.views import JoinedTeachers, ViewTargets, mixed
from edge_sdk.export.losses.distillation import EmbeddingDistillation, ViewDistillation
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.records import RunRecord, TeacherRecord
from edge_sdk.export.training.run import TrainingRun


@dataclass(frozen=True)
class Foreign:
    """A teacher that no run made."""

    network: nn.Module
    weights: str = "f" * 64
    name: str = "foreign"
    people: frozenset[str] = frozenset({unknown_person("elsewhere")})
    own_data: frozenset[str] = frozenset()
    preprocessing: tuple[preprocess.Operation, ...] = preprocess.ALIGNED
    distillation: type[ViewDistillation] = ViewDistillation
    share: float = 1.0

    def record(self) -> TeacherRecord:
        return TeacherRecord(
            recipe=self.name, preset="", preprocessing=preprocess.digest(self.preprocessing), weights=self.weights
        )


class Corners(nn.Module):
    """Mean brightness of the four quarters, about a large part that all pictures share."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.adaptive_avg_pool2d(x, 2).flatten(1) + 7


def faces(folder: Path, people: int = 4, each: int = 3) -> Dataset:
    rng = np.random.default_rng(0)
    samples = []
    for person in range(people):
        for number in range(each):
            path = folder / f"{person}-{number}.png"
            cv2.imwrite(str(path), cv2.GaussianBlur(rng.integers(0, 256, (112, 112), np.uint8), (0, 0), 9))
            samples.append(Sample("d", f"d/{person}", True, path, modality="face"))
    return Dataset("d", tuple(samples))


@pytest.fixture
def student(tmp_path: Path) -> TrainingRun:
    data = faces(tmp_path)
    split = Split(("d/0", "d/1"), ("d/2", "d/3"), (), (), ())
    return TrainingRun(
        recipe=recipes.get("face_lite"),
        preset_name="quick",
        folder=tmp_path / "run",
        train=data.select(["d/0", "d/1"]),
        validation=data.select(["d/2", "d/3"]),
        steps=2,
        tiny=True,
        hook=DistillationHook((Foreign(Corners()),), split, ViewDistillation()),
    )


def test_cosines_are_about_the_mean_and_weighted() -> None:
    pictures = torch.rand(5, 1, 8, 8)
    means = [torch.full((4,), 7.5), torch.zeros(64)]
    joined = JoinedTeachers([Corners(), nn.Flatten()], means, [3.0, 1.0])(pictures)
    assert torch.allclose(joined.norm(dim=1), torch.ones(5))
    first = functional.normalize(Corners()(pictures) - 7.5, dim=1)
    second = functional.normalize(pictures.flatten(1), dim=1)
    assert torch.allclose(joined @ joined.T, 0.75 * first @ first.T + 0.25 * second @ second.T, atol=1e-6)


def test_mixed_pictures_lie_between_two() -> None:
    torch.manual_seed(0)
    views = torch.eye(6).reshape(6, 1, 1, 6)
    made = mixed(views, 4)
    assert made.shape == (4, 1, 1, 6)
    assert torch.allclose(made.sum((1, 2, 3)), torch.ones(4))
    assert (made > 0).sum((1, 2, 3)).max() <= 2


def test_the_target_is_what_the_teacher_says_of_views_and_mixtures() -> None:
    torch.manual_seed(0)
    teacher = JoinedTeachers([nn.Flatten()], [torch.zeros(16)], [1.0])
    basis = torch.linalg.qr(torch.randn(16, 16))[0][:, :8]
    targets = ViewTargets(ViewDistillation(mixed=0.5), teacher, basis, contextlib.nullcontext)
    views = torch.rand(4, 1, 4, 4)
    made = targets(np.arange(4), np.random.default_rng(0), views)
    assert isinstance(made.images, torch.Tensor)
    assert made.images.shape == (6, 1, 4, 4)
    assert torch.equal(made.images[:4], views)
    unit = functional.normalize(made.images.flatten(1), dim=1)
    assert torch.allclose(made.teacher, unit, atol=1e-6)
    assert torch.allclose(made.target, functional.normalize(unit @ basis, dim=1), atol=1e-6)


def test_a_student_learns_by_one_command_and_resumes(student: TrainingRun) -> None:
    train(student, quiet=True)
    record = RunRecord.read(student.folder)
    assert record.second_hand == {"elsewhere/unknown"}
    assert [teacher.recipe for teacher in record.teachers] == ["foreign"]
    stored = sorted(path.name.partition("-")[0] for path in (student.folder / "teacher").iterdir())
    assert stored == ["basis", "mean"]
    train(student, quiet=True)  # complete: the teacher is not asked again


def test_a_teacher_that_fails(student: TrainingRun) -> None:
    class Broken(Corners):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * torch.nan

    assert student.hook is not None
    broken = replace(student, hook=replace(student.hook, teachers=(Foreign(Broken()),)))  # type: ignore[type-var]
    with pytest.raises(TrainingError, match="embeddings are not finite"):
        train(broken, quiet=True)


def test_who_can_teach_whom(student: TrainingRun) -> None:
    split = Split((), (), (), (), ())
    other = Foreign(Corners(), preprocessing=preprocess.FACE)
    with pytest.raises(UsageError, match="foreign has another pre-processing"):
        replace(student, hook=DistillationHook((other,), split, ViewDistillation()))
    with pytest.raises(UsageError, match="cannot be distilled so"):
        replace(student, hook=DistillationHook((Foreign(Corners()),), split, EmbeddingDistillation()))


@pytest.mark.parametrize("settings", [{"mixed": 1.5}, {"relation": 0.0, "embedding": 0.0}, {"labels": -1.0}])
def test_weights(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        ViewDistillation(**settings)
