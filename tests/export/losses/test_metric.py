"""Losses, re-derived with explicit loops, and the batches they ask for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.samples import Dataset, Labels, Sample
from edge_sdk.export.losses.metric import ContrastivePairs, MinedMetric, contrastive, enrolment_ratios, l2
from edge_sdk.export.recipes.deepsign import RECIPE


def unit(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.fixture
def roster() -> Labels:
    return Labels(np.repeat(np.arange(4), 8), np.tile([True] * 5 + [False] * 3, 4))


def test_contrastive_is_equation_1_read_right() -> None:
    distances, genuine = [0.0, 0.3, 0.9, 1.7, 0.4], [True, True, False, False, False]
    terms = [d * d if y else max(0.0, 1 - d) ** 2 for d, y in zip(distances, genuine, strict=True)]
    loss = contrastive(torch.tensor(distances), torch.tensor(genuine))
    assert loss.item() == pytest.approx(sum(terms) / 5)


def test_contrastive_gradients_pull_genuine_pairs_and_push_forged_ones() -> None:
    distance = torch.tensor([0.5, 0.5], requires_grad=True)
    contrastive(distance, torch.tensor([True, False])).backward()
    assert distance.grad is not None
    assert distance.grad[0] > 0 > distance.grad[1]


def test_the_penalty_by_loops() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    coefficients = {"0.weight": 5e-4, "1.weight": 0.1}
    expected = 0.0
    for name, coefficient in coefficients.items():
        for row in network.get_parameter(name).tolist():
            for weight in row:
                expected += coefficient * weight * weight
    assert l2(network, coefficients).item() == pytest.approx(expected)
    assert l2(network, {}).item() == 0
    l2(network, {"0.weight": 0.5}).backward()
    assert torch.allclose(network[0].weight.grad, network[0].weight)
    assert network[1].weight.grad is None
    with pytest.raises(UsageError, match=r"2\.weight"):
        l2(network, {"2.weight": 0.1})


def test_pair_batches_hold_the_papers_pairs(roster: Labels) -> None:
    bank = np.zeros((32, 8), np.float32)
    rng = np.random.default_rng(0)
    pairs = np.concatenate([ContrastivePairs(pairs=500).batch(roster, bank, rng) for _ in range(4)]).reshape(-1, 2)
    first, second = pairs.T
    assert np.array_equal(roster.subject[first], roster.subject[second])
    assert roster.genuine[first].all()
    assert (first != second).all()
    share = (~roster.genuine[second]).mean()  # 10 genuine pairs and 15 forged ones a writer
    assert share == pytest.approx(15 / 25, abs=0.04)


def test_metric_loss_by_loops(roster: Labels) -> None:
    objective = MinedMetric(temperature=0.2, sharpness=5, centre=0.4, skilled=0.6, verification=0.7)
    embeddings = unit(32)
    subject, genuine = torch.from_numpy(roster.subject), torch.from_numpy(roster.genuine)
    cosine = (embeddings @ embeddings.T).double().tolist()
    ranking, positives, forgeries, strangers = [], [], [], []
    for a in range(32):
        if not genuine[a]:
            continue
        negatives = [n for n in range(32) if subject[n] != subject[a] or (not genuine[n])]
        for b in range(32):
            s = cosine[a][b]
            if subject[a] == subject[b] and genuine[b] and a != b:
                e = math.exp(s / 0.2)
                ranking.append(-math.log(e / (e + sum(math.exp(cosine[a][n] / 0.2) for n in negatives))))
                positives.append(math.log1p(math.exp(-5 * (s - 0.4))))
            elif subject[a] == subject[b] and not genuine[b]:
                forgeries.append(math.log1p(math.exp(5 * (s - 0.4))))
            elif subject[a] != subject[b] and genuine[b]:
                strangers.append(math.log1p(math.exp(5 * (s - 0.4))))
    verification = 0.5 * np.mean(positives) + 0.3 * np.mean(forgeries) + 0.2 * np.mean(strangers)
    expected = np.mean(ranking) + 0.7 * verification
    assert objective.loss(embeddings, subject, genuine).item() == pytest.approx(expected, rel=1e-5)


def test_the_enrolment_loss_by_loops(roster: Labels) -> None:
    """Every genuine sample, forgery and other writer's sample against the others of a writer, one by one."""
    embeddings, subject = unit(32), torch.from_numpy(roster.subject)
    rows, genuine = embeddings.double().numpy(), torch.from_numpy(roster.genuine)
    genuine[8:11] = False  # two genuine samples are left of the second writer: no enrolment
    enrolled = {}
    for who in (0, 2, 3):
        own = [k for k in range(32) if subject[k] == who and genuine[k]]
        for left in own:
            others = rows[[k for k in own if k != left]]
            mean = others.mean(axis=0)
            enrolled[left] = who, mean, ((others - mean) ** 2).sum() / (len(others) - 1), len(others)
    usual = np.mean([np.mean([s for w, _, s, _ in enrolled.values() if w == who]) for who in (0, 2, 3)])
    mated, forged, random = [], [], []
    for left, (who, mean, scatter, n) in enrolled.items():
        level = math.log((scatter * (n - 1) + 2 * usual) / (n + 1) + 1e-4)
        for k in range(32):
            ratio = level - 2 * math.log(((rows[k] - mean) ** 2).sum() / (1 + 1 / n) + 1e-4)
            if k == left:
                mated.append(ratio)
            elif subject[k] == who and not genuine[k]:
                forged.append(ratio)
            elif subject[k] != who and genuine[k]:
                random.append(ratio)
    found = enrolment_ratios(embeddings, subject, genuine)
    for ratios, expected in zip(found, (mated, forged, random), strict=True):
        assert sorted(ratios.tolist()) == pytest.approx(sorted(expected), rel=1e-4, abs=1e-4)
    objective = MinedMetric(verification=0.0, enrolment=2.0, skilled=0.6)
    cost = [np.log1p(np.exp(sign * np.array(x))).mean() for sign, x in ((-1, mated), (1, forged), (1, random))]
    without = MinedMetric(verification=0.0).loss(embeddings, subject, genuine).item()
    expected_loss = without + 2 * (0.5 * cost[0] + 0.3 * cost[1] + 0.2 * cost[2])
    assert objective.loss(embeddings, subject, genuine).item() == pytest.approx(expected_loss, rel=1e-4)


def test_an_enrolment_term_needs_enrolments_in_a_batch() -> None:
    with pytest.raises(UsageError, match="takes 3 genuine samples"):
        MinedMetric(genuine=2, enrolment=1.0)


def test_a_batch_without_enrolments_has_no_enrolment_loss() -> None:
    subject, genuine = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([True, True, False, True, True])
    objective = MinedMetric(verification=0.0, enrolment=2.0)
    without = MinedMetric(verification=0.0)
    assert objective.loss(unit(5), subject, genuine) == without.loss(unit(5), subject, genuine)


def test_metric_batches_mine_close_forgeries(roster: Labels) -> None:
    bank = unit(32).numpy()
    close = roster.forgeries[0][0]
    bank[roster.originals[0]] = bank[roster.originals[0][0]]
    bank[close] = bank[roster.originals[0][0]]
    rng, objective = np.random.default_rng(0), MinedMetric(writers=4, forged=1, hardness=6)
    drawn = np.concatenate([objective.batch(roster, bank, rng) for _ in range(60)])
    counts = [np.count_nonzero(drawn == k) for k in roster.forgeries[0]]
    assert counts[0] > 2 * max(counts[1:])


def test_metric_batch_is_complete_and_without_repeats(roster: Labels) -> None:
    batch = MinedMetric(writers=4, genuine=5, forged=3).batch(
        roster, np.zeros((32, 8), np.float32), np.random.default_rng(0)
    )
    assert sorted(batch) == list(range(32))


def test_pairs_are_validated_by_the_best_accuracy_of_any_threshold() -> None:
    """Sections 3.2 and 5.2, by loops over all pairs of a writer and all distances between them."""
    samples = [Sample("set", f"set/{k // 6}", k % 6 < 4, Path(f"{k}.png"), modality="signature") for k in range(18)]
    labels, embeddings = Labels.of(Dataset("set", tuple(samples))), unit(18).numpy()
    pairs: list[tuple[float, bool]] = []
    for a, first in enumerate(samples):
        for b, second in enumerate(samples):
            if first.genuine and first.subject == second.subject and (b > a if second.genuine else True):
                pairs.append((float(np.linalg.norm(embeddings[a] - embeddings[b])), second.genuine))
    assert len(pairs) == 3 * (6 + 8)
    best = max(np.mean([(distance <= limit) == mated for distance, mated in pairs]) for limit, _ in [(-1, 0), *pairs])
    settings = {"score": RECIPE.score, "outputs": ("embedding",), "embedding_size": 8}
    by_accuracy = ContrastivePairs().task(labels, samples, **settings).measure(embeddings, samples)
    assert by_accuracy.accuracy == pytest.approx(best)
    assert by_accuracy.selection_metric == by_accuracy.accuracy
    by_auroc = ContrastivePairs(by_accuracy=False).task(labels, samples, **settings).measure(embeddings, samples)
    assert (by_auroc.accuracy, by_auroc.selection_metric) == (None, by_accuracy.auroc)


@pytest.mark.parametrize("objective", [ContrastivePairs(), MinedMetric()])
def test_no_pairs_is_a_clear_error(objective: ContrastivePairs | MinedMetric) -> None:
    lonely = Labels(np.array([0]), np.array([True]))
    with pytest.raises(DatasetError, match="two"):
        objective.batch(lonely, np.zeros((1, 8), np.float32), np.random.default_rng(0))


def test_writers_without_forgeries_train_too() -> None:
    roster = Labels(np.repeat(np.arange(3), 4), np.ones(12, bool))
    batch = MinedMetric().batch(roster, np.zeros((12, 8), np.float32), np.random.default_rng(0))
    loss = MinedMetric().loss(
        unit(len(batch)), torch.from_numpy(roster.subject[batch]), torch.from_numpy(roster.genuine[batch])
    )
    assert torch.isfinite(loss)
