"""Losses and tasks of pairs, by explicit loops and by torch's own."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_sdk.calibration.metrics.pairs import Comparisons
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.pair_lists import PairList
from edge_sdk.export.data.samples import Dataset, Labels, Sample
from edge_sdk.export.losses.pair_tasks import PublishedPairs, percentile_threshold, probabilities
from edge_sdk.export.losses.pairs import PairCosine, PairDecision, cosine_embedding
from edge_sdk.export.losses.task import Objective
from edge_sdk.export.networks.siamese import DecisionNetwork
from edge_sdk.manifest import EmbeddingDistance

MATED = torch.tensor([True, False, True, False])


def faces(people: int = 4, each: int = 3) -> Dataset:
    samples = [
        Sample("made", f"made/{person}", genuine=True, path=Path(f"{person}/{number}.png"), modality="face")
        for person in range(people)
        for number in range(each)
    ]
    return Dataset("made", tuple(samples))


def task_of(objective: Objective, data: Dataset):
    score = EmbeddingDistance(output="embedding", metric="cosine")
    return objective.task(Labels.of(data), data.samples, score=score, outputs=("embedding",), embedding_size=8)


def test_losses_are_those_of_the_document() -> None:
    logits = torch.tensor([[0.3, -1.2], [2.0, 0.1], [-0.4, 0.9], [0.0, 3.0]])
    binary = cross = 0.0
    for (other, same), mated in zip(logits.tolist(), MATED.tolist(), strict=True):
        probability = 1 / (1 + math.exp(-same))
        binary -= math.log(probability if mated else 1 - probability) / 4
        chosen = same if mated else other
        cross -= math.log(math.exp(chosen) / (math.exp(same) + math.exp(other))) / 4
    assert PairDecision(loss_of="bce").loss(logits[:, 1:], MATED).item() == pytest.approx(binary, abs=1e-6)
    assert PairDecision(loss_of="cross_entropy").loss(logits, MATED).item() == pytest.approx(cross, abs=1e-6)


def test_the_cosine_loss_is_torchs() -> None:
    made = torch.nn.functional.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    theirs = torch.nn.CosineEmbeddingLoss(margin=0.5)(made[0::2], made[1::2], torch.where(MATED, 1, -1))
    assert PairCosine().loss(made, MATED).item() == pytest.approx(theirs.item(), abs=1e-6)
    assert cosine_embedding(torch.tensor([0.9, 0.7]), torch.tensor([True, False]), 0.5).item() == pytest.approx(0.15)


def test_pairs_are_drawn_half_of_one_person() -> None:
    data = faces()
    task = task_of(PairDecision(pairs=400), data)
    batch = task.batch(np.random.default_rng(0))
    assert batch.shape == (800,)
    first, second = batch[0::2], batch[1::2]
    people = task.labels.subject
    assert np.array_equal(people[first] == people[second], np.arange(400) % 2 == 1)
    assert not (first == second).any()
    assert set(batch.tolist()) == set(range(12))
    assert np.array_equal(batch, task.batch(np.random.default_rng(0)))


def test_published_pairs_are_taken_where_there_are_some() -> None:
    data = faces()
    listed = PairList(
        "made",
        data,
        first=np.array([0, 3, 6, 0, 9]),
        second=np.array([1, 4, 8, 5, 11]),
        mated=np.array([True, True, True, False, True]),
        folds=np.array([1, 1, 2, 1, 3]),
    )
    published = PublishedPairs(listed)
    known = data.select(["made/0", "made/1"])
    objective = PairDecision(pairs=3, published=published)
    task = task_of(objective, known)
    drawn = {tuple(pair) for seed in range(20) for pair in task.batch(np.random.default_rng(seed)).reshape(-1, 2)}
    assert drawn == {(0, 1), (3, 4), (0, 5)}
    validated = task.comparisons(data.select(["made/2", "made/3"]).samples)
    assert validated.references.tolist() == [[0], [3]]
    assert validated.queries.tolist() == [2, 5]
    assert validated.mated.tolist() == [True, True]
    with pytest.raises(DatasetError, match="no pair of made"):
        task_of(objective, Dataset("made", data.samples[1:3] + data.samples[7:9]))
    # A run's settings are told apart by the list, and hold none of its paths.
    settings = str(asdict(objective)["published"])
    assert settings.startswith("made, 5 pairs ")
    assert settings != str(PublishedPairs(listed.of([1])))


def test_validation_takes_every_pair_of_one_person_and_as_many_others() -> None:
    data = faces()
    pairs = task_of(PairDecision(), data).comparisons(data.samples)
    assert int(pairs.mated.sum()) == 12
    assert int((~pairs.mated).sum()) == 12
    people = np.array([sample.subject for sample in data.samples])
    assert np.array_equal(people[pairs.references[:, 0]] == people[pairs.queries], pairs.mated)


def test_validation_needs_pairs_of_both_kinds() -> None:
    task = task_of(PairDecision(), faces())
    for few in (faces(people=1), faces(each=1)):
        with pytest.raises(DatasetError, match="no pairs to validate on"):
            task.comparisons(few.samples)


def test_a_decision_is_the_mean_of_both_orders() -> None:
    torch.manual_seed(0)
    network = DecisionNetwork(classes=2, width=1 / 64).eval()
    templates = np.random.default_rng(0).random((4, network.size), np.float32)
    pairs = Comparisons(np.array([[0], [1], [3]]), np.array([1, 2, 0]), np.array([True, False, False]))
    found = probabilities(network, templates, pairs)
    for (first,), second, probability in zip(pairs.references, pairs.queries, found, strict=True):
        a, b = torch.from_numpy(templates[first]), torch.from_numpy(templates[second])
        with torch.no_grad():
            orders = [network.head(torch.cat(both)).softmax(0)[1].item() for both in ((a, b), (b, a))]
        assert probability == pytest.approx(sum(orders) / 2, abs=1e-6)
    swapped = Comparisons(pairs.queries[:, None], pairs.references[:, 0], pairs.mated)
    np.testing.assert_allclose(probabilities(network, templates, swapped), found, atol=1e-12)


def test_a_decision_network_is_validated_by_its_accuracy_at_a_half() -> None:
    data = faces()
    network = DecisionNetwork(width=1 / 64).eval()
    task = task_of(PairDecision(), data)
    with torch.no_grad():
        network.head[-1].bias.fill_(100.0)
    outputs = np.random.default_rng(0).random((12, network.size), np.float32)
    metrics = task.measure(outputs, data.samples, network)
    assert metrics.accuracy == metrics.selection_metric == 0.5  # all are accepted, half of them rightly
    assert metrics.validation_loss is None


def test_embeddings_are_validated_by_their_loss() -> None:
    data = faces()
    angles = np.repeat(np.arange(4) * math.pi / 2, 3)  # of one person alike, of others square or opposite
    outputs = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    metrics = task_of(PairCosine(), data).measure(outputs, data.samples, None)
    assert metrics.validation_loss == pytest.approx(0, abs=1e-6)
    assert metrics.selection_metric == -metrics.validation_loss
    assert metrics.accuracy == metrics.auroc == 1
    assert metrics.eer == 0


@pytest.mark.parametrize("shift", [0.3, 1.0, 6.0])
def test_the_threshold_lies_between_two_percentiles(shift: float) -> None:
    rng = np.random.default_rng(0)
    mated = np.arange(200) < 100
    values = rng.normal(0, 1, 200) + shift * mated
    low, high = sorted([np.percentile(values[mated], 5), np.percentile(values[~mated], 95)])
    best, chosen = -1.0, math.nan
    for candidate in sorted([low, high, *(value for value in values.tolist() if low <= value <= high)]):
        right = sum((value >= candidate) == bool(flag) for value, flag in zip(values, mated, strict=True)) / 200
        if right > best:
            best, chosen = right, candidate
    assert percentile_threshold(values, mated) == pytest.approx(chosen, abs=1e-12)


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one pair"):
        PairCosine(pairs=0)
    for alone in (faces(people=1), faces(each=1)):
        with pytest.raises(DatasetError, match="pairs need two people"):
            task_of(PairDecision(), alone)
    attack = Sample("made", "made/0", genuine=False, path=Path("a.png"), attack="print", modality="face")
    data = faces()
    with pytest.raises(DatasetError, match="presentation attack"):
        task_of(PairDecision(), Dataset("made", (*data.samples, attack)))
