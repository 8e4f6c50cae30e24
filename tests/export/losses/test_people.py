"""Naming the people of the training set: the loss, whom a step shows, and validation on strangers."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_sdk.calibration.metrics.groups import build_groups
from edge_sdk.calibration.metrics.verification import eer
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Labels, Sample
from edge_sdk.export.data.splits import Split, split_subjects
from edge_sdk.export.distillation.hook import DistillationHook, distillation_settings
from edge_sdk.export.distillation.teachers import Teacher
from edge_sdk.export.losses.distillation import FeatureDistillation, geometry
from edge_sdk.export.losses.people import PeopleClassification, PeopleTask
from edge_sdk.export.networks.people_classifier import NamedPeople
from edge_sdk.export.recipes import gait
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.records import RunRecord
from edge_sdk.export.training.run import TrainingRun

SCORE = gait.RECIPE.score


def rows(*counts: tuple[int, ...]) -> tuple[Sample, ...]:
    """Of each person the rows of each walk."""
    return tuple(
        Sample("own", f"own/{person}", True, Path(f"{person}-{walk}.csv"), modality="gait")
        for person, walks in enumerate(counts)
        for walk, count in enumerate(walks)
        for _ in range(count)
    )


def task_of(samples: tuple[Sample, ...], objective: PeopleClassification | None = None) -> PeopleTask:
    labels = Labels.of(Dataset("own", samples))
    return (objective or PeopleClassification(rows=4)).task(
        labels, samples, score=SCORE, outputs=("features",), embedding_size=0
    )


def named(logits: torch.Tensor) -> NamedPeople:
    return NamedPeople(torch.zeros(len(logits), 4, 100), torch.zeros(len(logits), 2), logits)


def test_the_loss_is_over_the_people_there_are() -> None:
    task = task_of(rows((2,), (1,)))
    logits = torch.tensor([[2.0, 1.0, 90.0], [0.5, 3.0, 90.0]])  # nobody is the third
    expected = [-math.log(math.exp(2) / (math.exp(2) + math.e)), -math.log(math.exp(3) / (math.exp(3) + math.exp(0.5)))]
    assert task.loss(named(logits), np.array([0, 2]), None).item() == pytest.approx(np.mean(expected), rel=1e-6)
    smooth = task_of(rows((2,), (1,)), PeopleClassification(rows=4, smoothing=0.2))
    other = -math.log(math.e / (math.exp(2) + math.e))
    found = smooth.loss(named(logits[:1]), np.array([1]), None).item()
    assert found == pytest.approx(0.9 * expected[0] + 0.1 * other, rel=1e-6)  # 0.2, half of it on each
    with pytest.raises(UsageError, match="names 1 people and learns from 2"):
        task.loss(named(logits[:, :1]), np.array([0, 2]), None)


def test_people_are_drawn_alike_and_so_are_their_walks() -> None:
    task = task_of(rows((30, 10), (5,)))
    np.testing.assert_allclose(task.chances, [*[1 / 120] * 30, *[1 / 40] * 10, *[0.1] * 5])
    assert task.batch(np.random.default_rng(0)).shape == (4,)


def test_validation_compares_means_of_rows_by_their_cosine() -> None:
    samples = rows(*[(6, 6, 6)] * 3)
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(3, 5)), 18, axis=0)
    features = 7 + centres + rng.normal(0, 0.7, (54, 5))
    objective = PeopleClassification(rows=4, enrolment=4, test=2)
    found = task_of(samples, objective).measure(features, samples)
    plan = build_groups([s.subject for s in samples], [s.path.name for s in samples], enrolment=4, test=2)
    centred = features - features.mean(axis=0)
    scores = []
    for reference, query in zip(plan.reference, plan.query, strict=True):
        mean = sum(centred[row] for row in plan.enrolments[reference]) / 4
        cosines = [
            centred[row] @ mean / np.linalg.norm(centred[row]) / np.linalg.norm(mean) for row in plan.tests[query]
        ]
        scores.append(sum(cosines) / 2)
    expected = np.mean([a > b for a in np.array(scores)[plan.mated] for b in np.array(scores)[~plan.mated]])
    assert found.auroc == pytest.approx(expected, abs=1e-6)
    wanted = replace(plan.scores(lambda _: lambda tested: np.zeros(len(tested))), scores=np.round(scores, 8))
    assert found.eer == pytest.approx(float(eer(wanted).eer), abs=1e-9)


def test_what_cannot_be_learned_from() -> None:
    with pytest.raises(DatasetError, match="one person alone"):
        task_of(rows((3,)))
    attack = replace(rows((1,))[0], attack="screen")
    with pytest.raises(DatasetError, match="presentation attack"):
        task_of((*rows((1,), (1,)), attack))
    samples = rows((1,), (1,))
    with pytest.raises(UsageError, match="one output of features"):
        PeopleClassification().task(
            Labels.of(Dataset("own", samples)), samples, score=SCORE, outputs=("a", "b"), embedding_size=0
        )


@pytest.mark.parametrize("changes", [{"rows": 1}, {"smoothing": 1.0}, {"smoothing": -0.1}, {"test": 0}])
def test_settings_that_are_none(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="2 rows or more"):
        PeopleClassification(**changes)


def test_geometry_pair_by_pair() -> None:
    student, teacher = torch.randn(5, 3), torch.randn(5, 7)

    def products(rows_: torch.Tensor) -> list[float]:
        centred = [row - rows_.mean(dim=0) for row in rows_]
        size = sum(float(row @ row) for row in centred) / 5
        return [float(one @ other) / size for one in centred for other in centred]

    expected = np.mean([(a - b) ** 2 for a, b in zip(products(student), products(teacher), strict=True)])
    assert geometry(student, teacher).item() == pytest.approx(expected, rel=1e-4)
    turned, _ = torch.linalg.qr(torch.randn(3, 3))
    assert geometry(student, 5 * student @ turned + 2).item() == pytest.approx(0, abs=1e-9)


def test_a_student_is_asked_for_the_teachers_geometry() -> None:
    torch.manual_seed(0)
    teacher, cycles = gait.tiny().eval(), torch.randn(6, 4, 100)
    features = torch.randn(6, 3, requires_grad=True)
    settings = FeatureDistillation(geometry=2.0)
    made = NamedPeople(cycles, features, torch.zeros(6, 2))
    loss = settings.term(teacher, made, nullcontext)
    assert loss.item() == pytest.approx(2 * geometry(features, teacher(cycles)).item(), rel=1e-5)
    loss.backward()
    assert features.grad is not None
    assert all(p.grad is None for p in teacher.parameters())


def test_a_small_network_learns_from_a_large_one(tmp_path: Path) -> None:
    data = load("walks:6")
    first, second = split_subjects(data, (0.5, 0.5))
    teacher = Teacher(gait.RECIPE, "best", gait.tiny().eval(), "0" * 64, frozenset(first))
    lite = recipes.get("gait_lite")
    settings = distillation_settings(lite, lite.preset("best"), {"geometry": 3})
    hook = DistillationHook((teacher,), Split(first, second, (), (), ()), settings)
    run = TrainingRun(lite, "best", tmp_path, data.select(first), data.select(second), steps=2, tiny=True, hook=hook)
    assert train(run, quiet=True).steps == 2
    record = RunRecord.read(tmp_path)
    assert record.distillation is not None
    assert record.distillation.settings == {"geometry": 3, "labels": 1}
    other = replace(teacher, recipe=replace(gait.RECIPE, presets={"best": gait.PAPER}))
    with pytest.raises(UsageError, match="another pre-processing"):
        replace(run, hook=replace(hook, teachers=(other,)))
