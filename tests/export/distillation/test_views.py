"""Teachers that see every step's views: what they are asked, and what the student is to say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional

from edge_sdk import preprocess
from edge_sdk.errors import TrainingError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.batch_augmentation import BatchViews
from edge_sdk.export.data.faces.views import FaceViews
from edge_sdk.export.data.people import unknown_person
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.distillation.hook import DistillationHook
from edge_sdk.export.distillation.view_pool import Chunk, TeachersAnswers, ViewPool
from edge_sdk.export.distillation.views import JoinedAnswers, ViewTargets
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
    answers = torch.randn(50, 7) + 5
    joined = JoinedAnswers.of(answers, [Foreign(Corners(), share=3.0), Foreign(Corners())], [4, 3])
    made = joined(answers[:5])
    assert torch.allclose(made.norm(dim=1), torch.ones(5))
    first, second = ((answers - answers.mean(dim=0))[:5, part] for part in (slice(4), slice(4, 7)))
    first, second = functional.normalize(first, dim=1), functional.normalize(second, dim=1)
    assert torch.allclose(made @ made.T, 0.75 * first @ first.T + 0.25 * second @ second.T, atol=1e-6)


def batch_views(data: Dataset) -> BatchViews:
    return BatchViews.of(data.samples, preprocess.ALIGNED, FaceViews(), torch.device("cpu"))


def test_a_chunk_is_always_drawn_alike_and_mixes_two_of_its_own(tmp_path: Path) -> None:
    views = batch_views(faces(tmp_path))
    chunk = Chunk(0, 0, np.array([1, 3, 4, 8, 9]), 7)
    shown, pairs = chunk.drawn(views, 0.8)
    again, _ = chunk.drawn(views, 0.8)
    assert torch.equal(shown, again)
    assert shown.shape == (9, 1, 112, 112)
    assert pairs.shape == (4, 2)
    assert np.isin(pairs, chunk.pictures).all()
    place = {picture: number for number, picture in enumerate(chunk.pictures.tolist())}
    for mixture, (first, second) in zip(shown[5:].double(), pairs.tolist(), strict=True):
        one, other = shown[place[first]].double(), shown[place[second]].double()
        if first == second:
            assert torch.equal(mixture, one)
            continue
        share = ((mixture - other) * (one - other)).sum() / (one - other).square().sum()
        assert 0 <= share <= 1
        assert (share * one + (1 - share) * other - mixture).abs().max() < 1.6  # levels: three were rounded


def test_every_round_shows_everything_once_and_groups_are_not_mixed() -> None:
    groups = [np.arange(0, 700), np.arange(700, 1000)]
    chunks = Chunk.all(groups, 2, 0)
    for number in range(2):
        shown = np.concatenate([chunk.pictures for chunk in chunks if chunk.round == number])
        assert np.array_equal(np.sort(shown), np.arange(1000))
    assert all(
        np.isin(chunk.pictures, group).all() or not np.isin(chunk.pictures, group).any()
        for chunk in chunks
        for group in groups
    )
    assert len({chunk.seed for chunk in chunks}) == len(chunks)


def test_a_pool_holds_what_the_teacher_said_of_each_picture(tmp_path: Path) -> None:
    views, fabric = batch_views(faces(tmp_path)), Fabric(accelerator="cpu", devices=1, precision="32-true")
    chunks = [
        Chunk(r, k, part, 10 * r + k) for r in range(2) for k, part in enumerate((np.arange(7), np.arange(7, 12)))
    ]
    answers = TeachersAnswers.by([Foreign(Corners())], (), views, 1.0, folder=tmp_path / "answers", fabric=fabric)
    pool = ViewPool.of(chunks, views, 1.0, answers)
    assert pool.views.shape == (2, 12, 1, 112, 112)
    said = Corners()(pool.views.flatten(0, 1).float() / 255).reshape(2, 12, 4)
    assert torch.allclose(pool.view_answers.float(), said, atol=4e-3)  # of 7: half precision
    assert torch.allclose(pool.mixture_answers.float(), Corners()(pool.mixtures.float() / 255), atol=4e-3)
    few = np.array([2, 3, 5, 9])
    some = pool.select(few)
    assert torch.equal(some.views, pool.views[:, few])
    expected = [(a, b) for a, b in pool.mixed.tolist() if a in few and b in few]
    assert [(few[a], few[b]) for a, b in some.mixed.tolist()] == expected
    assert len(some.mixtures) == len(some.mixture_answers) == len(expected)
    # A step takes one view of each picture of its batch, and mixtures.
    basis = torch.linalg.qr(torch.randn(4, 4))[0][:, :3]
    joined = JoinedAnswers((4,), torch.full((4,), 7.5), (1.0,))
    made = ViewTargets(ViewDistillation(mixed=0.5), pool, joined, basis)(
        np.array([4, 0, 4, 11]), np.random.default_rng(0)
    )
    assert isinstance(made.images, torch.Tensor)
    assert made.images.shape == (6, 1, 112, 112)
    unit = functional.normalize(Corners()(made.images) - 7.5, dim=1)
    assert torch.allclose(made.teacher, unit, atol=0.03)
    assert torch.allclose(made.target, functional.normalize(made.teacher @ basis, dim=1), atol=1e-6)


def test_a_student_learns_by_one_command_and_resumes(student: TrainingRun) -> None:
    train(student, quiet=True)
    record = RunRecord.read(student.folder)
    assert record.second_hand == {"elsewhere/unknown"}
    assert [teacher.recipe for teacher in record.teachers] == ["foreign"]
    (kept,) = (student.folder / "teacher").iterdir()
    assert sorted(path.name.partition("-")[0] for path in kept.iterdir()) == [*map(str, range(8)), "basis.npy"]


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


@pytest.mark.parametrize(
    "settings", [{"mixed": 1.5}, {"views": 0}, {"relation": 0.0, "embedding": 0.0}, {"labels": -1.0}]
)
def test_weights(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        ViewDistillation(**settings)
