"""Triplets by explicit loops over squared distances, and the batches that they are mined from."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch

from edge_sdk.errors import DatasetError, MissingToolError, UsageError
from edge_sdk.export.data.samples import Labels
from edge_sdk.export.losses.triplet import Triplets
from edge_sdk.scoring.embedding import EmbeddingDistance

SCORE = EmbeddingDistance(output="embedding", metric="euclidean")
PEOPLE = np.repeat(np.arange(6), 4)


def embeddings(spread: float) -> torch.Tensor:
    """Of PEOPLE, four of each round a centre of their own."""
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(6, 16, generator=generator).repeat_interleave(4, dim=0)
    made = centres + spread * torch.randn(24, 16, generator=generator)
    return torch.nn.functional.normalize(made, dim=1)


def by_loops(made: torch.Tensor, margin: float, *, semihard: bool) -> list[float]:
    rows = made.double().tolist()
    terms = []
    for a, p, n in itertools.permutations(range(len(rows)), 3):
        if PEOPLE[a] == PEOPLE[p] != PEOPLE[n]:
            near = sum((x - y) ** 2 for x, y in zip(rows[a], rows[p], strict=True))
            far = sum((x - y) ** 2 for x, y in zip(rows[a], rows[n], strict=True))
            if near - far + margin >= 0 and (far > near or not semihard):
                terms.append(near - far + margin)
    return terms


@pytest.mark.parametrize("negatives", ["semihard", "any"])
@pytest.mark.parametrize("spread", [0.6, 1.2])
def test_the_loss_by_loops(negatives: str, spread: float) -> None:
    pytest.importorskip("pytorch_metric_learning", reason="triplets are mined with the export extra")
    made = embeddings(spread)
    terms = by_loops(made, 0.2, semihard=negatives == "semihard")
    assert 5 < len(terms) < 24 * 3 * 20  # some, and not all
    subject, genuine = torch.from_numpy(PEOPLE), torch.ones(24, dtype=torch.bool)
    total = Triplets(negatives=negatives).loss(made, subject, genuine)
    assert total.item() == pytest.approx(sum(terms), rel=1e-4)
    mean = Triplets(negatives=negatives, reduction="mean").loss(made, subject, genuine)
    assert mean.item() == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_where_no_margin_is_broken_the_loss_is_zero_and_has_gradients() -> None:
    pytest.importorskip("pytorch_metric_learning", reason="triplets are mined with the export extra")
    made = torch.nn.functional.one_hot(torch.from_numpy(PEOPLE), 6).float().requires_grad_()
    loss = Triplets().loss(made, torch.from_numpy(PEOPLE), torch.ones(24, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert made.grad is not None
    assert not made.grad.any()


def test_a_batch_holds_people_with_several_images_and_strangers() -> None:
    labels = Labels(np.array([0] * 9 + [1] * 3 + [2] + [3] * 5 + [4] * 2), np.array([True] * 18 + [False] * 2))
    bank = np.zeros((20, 4), np.float32)
    seen = set()
    for seed in range(20):
        drawn = Triplets(people=2, images=4, strangers=3).batch(labels, bank, np.random.default_rng(seed))
        assert len(set(drawn.tolist())) == drawn.size == 2 * 4 + 3
        assert labels.genuine[drawn].all()
        counts = np.bincount(labels.subject[drawn], minlength=5)
        wanted = [min(4, len(labels.originals[person])) for person in range(5)]
        assert sum(counts[person] >= max(2, wanted[person]) for person in range(5)) >= 2
        seen.update(labels.subject[drawn].tolist())
    assert seen == {0, 1, 2, 3}  # person 2 as a stranger alone; person 4 has forgeries only
    everybody = Triplets(people=45, images=40, strangers=100).batch(labels, bank, np.random.default_rng(0))
    assert sorted(everybody.tolist()) == list(range(18))


def test_too_few_people_and_settings_that_make_no_triplets() -> None:
    labels = Labels(np.array([0, 0, 1]), np.ones(3, np.bool_))
    with pytest.raises(DatasetError, match="two people with two images"):
        Triplets().batch(labels, np.zeros((3, 4), np.float32), np.random.default_rng(0))
    for wrong in ({"people": 1}, {"images": 1}, {"strangers": -1}):
        with pytest.raises(UsageError, match="at least 2 people"):
            Triplets(**wrong)
    for margin in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="above 0"):
            Triplets(margin=margin)


def test_without_the_library_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == "pytorch_metric_learning":
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    labels = Labels(PEOPLE, np.ones(24, np.bool_))
    with pytest.raises(MissingToolError, match='the extra "export"'):
        Triplets().task(labels, (), score=SCORE, outputs=("embedding",), embedding_size=128)
