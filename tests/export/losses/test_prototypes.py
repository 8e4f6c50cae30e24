"""Margin softmax with remembered prototypes, person by person."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Labels, Sample
from edge_sdk.export.losses.prototypes import PrototypeMargin, PrototypeTask, margin_softmax
from edge_sdk.scoring.embedding import EmbeddingDistance

SCORE = EmbeddingDistance(output="embedding", metric="euclidean")


def labels(*subject: int) -> Labels:
    return Labels(np.array(subject, np.int64), np.ones(len(subject), np.bool_))


def test_the_loss_is_equation_4() -> None:
    embedding, prototypes = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    own, other = 10 * (0.6 - 0.2), 10 * 0.8
    expected = -math.log(math.exp(own) / (math.exp(own) + math.exp(other)))
    found = margin_softmax(embedding, prototypes, torch.tensor([0]), scale=10, margin=0.2)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_a_prototype_is_the_mean_of_the_last_embeddings() -> None:
    task = PrototypeTask(PrototypeMargin(images=2, scale=8.0, margin=0.1), labels(0, 0, 1), 2)
    first = functional.normalize(torch.tensor([[1.0, 0.2], [0.1, 1.0], [-1.0, 0.3]]), dim=1)
    assert task.loss(first, np.array([0, 1, 2]), None).item() == pytest.approx(
        np.mean([-math.log(math.exp(-0.8) / (math.exp(-0.8) + 1))] * 3), abs=1e-6
    )  # nobody was seen before: every cosine is 0
    assert torch.equal(task.bank, first)
    second = functional.normalize(torch.tensor([[0.7, 0.7]]), dim=1)
    prototypes = torch.stack([functional.normalize(first[0] + first[1], dim=0), first[2]])
    expected = margin_softmax(second, prototypes, torch.tensor([0]), scale=8.0, margin=0.1)
    assert task.loss(second, np.array([1]), None).item() == pytest.approx(expected.item(), abs=1e-6)
    assert torch.equal(task.bank, torch.stack([first[0], second[0], first[2]]))


def test_nothing_is_learned_through_the_prototypes() -> None:
    task = PrototypeTask(PrototypeMargin(images=2), labels(0, 1), 2)
    made = functional.normalize(torch.randn(2, 2), dim=1).requires_grad_()
    task.loss(made, np.array([0, 1]), None).backward()
    task.loss(made.detach().requires_grad_(), np.array([0, 1]), None).backward()  # the first graph is gone
    assert not task.bank.requires_grad


def test_people_with_many_pictures_do_not_fill_the_batches() -> None:
    subject = [0] * 64 + [1] * 4 + [2]
    task = PrototypeTask(PrototypeMargin(images=40000), labels(*subject), 2)
    drawn = np.bincount(np.array(subject)[task.batch(np.random.default_rng(0))]) / 40000
    assert drawn == pytest.approx(np.array([8, 2, 1]) / 11, abs=0.01)


def test_a_picture_comes_once_a_step_and_forgeries_never() -> None:
    some = Labels(np.array([0, 0, 1, 1, 1]), np.array([True, True, True, True, False]))
    drawn = PrototypeTask(PrototypeMargin(images=4), some, 2).batch(np.random.default_rng(1))
    assert sorted(drawn.tolist()) == [0, 1, 2, 3]


def test_a_resumed_run_knows_its_prototypes() -> None:
    task = PrototypeTask(PrototypeMargin(images=2), labels(0, 1), 2)
    task.loss(functional.normalize(torch.randn(2, 2), dim=1), np.array([0, 1]), None)
    other = PrototypeTask(PrototypeMargin(images=2), labels(0, 1), 2)
    other.restore(task.state())
    assert torch.equal(other.bank, task.bank)


@pytest.mark.parametrize("settings", [{"images": 1}, {"scale": 0.0}, {"margin": 1.0}, {"scale": math.nan}])
def test_settings_that_mean_nothing(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="a step takes 2 images or more"):
        PrototypeMargin(**settings)  # type: ignore[arg-type]


def test_what_cannot_be_learned_from() -> None:
    def task(subjects: tuple[int, ...], attack: str | None = None, size: int = 8) -> PrototypeTask:
        samples = [Sample("d", f"d/{s}", attack is None, Path("x"), attack, modality="face") for s in subjects]
        return PrototypeMargin().task(
            labels(*subjects), samples, score=SCORE, outputs=("embedding",), embedding_size=size
        )

    with pytest.raises(DatasetError, match="one person alone"):
        task((0, 0))
    with pytest.raises(DatasetError, match="a presentation attack"):
        task((0, 1), attack="print")
    with pytest.raises(UsageError, match="one output of embeddings"):
        task((0, 1), size=0)
