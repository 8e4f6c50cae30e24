"""Open-set identification against explicit loops: FPIR, FNIR, ranks, ties, and who is searched for where."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.calibration.metrics.identification import (
    draw_galleries,
    fnir_at_fpir,
    fpir_fnir,
    search_galleries,
    searches,
    threshold_at_fpir,
)
from edge_sdk.errors import ScoreError


def counted(
    scores: np.ndarray, probes: list[str], enrolled: list[str], threshold: float, rank: int
) -> tuple[float, float]:
    """FPIR and FNIR search by search, as ISO/IEC 19795-1 defines them; ties rank against the right person."""
    returned_somebody = non_mated = missed = mated = 0
    for row, person in zip(scores, probes, strict=True):
        if person in enrolled:
            mated += 1
            own = row[enrolled.index(person)]
            ahead = sum(1 for name, score in zip(enrolled, row, strict=True) if name != person and score >= own)
            if own < threshold or ahead >= rank:
                missed += 1
        else:
            non_mated += 1
            if max(row) >= threshold:
                returned_somebody += 1
    return returned_somebody / non_mated, missed / mated


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rates_are_those_of_explicit_loops(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    enrolled = [f"p{number}" for number in range(7)]
    probes = [f"p{number}" for number in rng.integers(0, 12, 60)]
    scores = rng.integers(0, 6, (60, 7)) / 5  # coarse, so that many tie
    found = searches(scores, probes, enrolled, rank=rank)

    for threshold in (0.0, 0.1, 0.2, 0.6, 1.0, 1.1):
        assert fpir_fnir(found, threshold) == pytest.approx(counted(scores, probes, enrolled, threshold, rank))
    for target in (0.0, 0.1, 0.5, 0.99):
        threshold = threshold_at_fpir(found, target)
        fpir, fnir = counted(scores, probes, enrolled, threshold, rank)
        assert fpir <= target
        assert fnir_at_fpir(found, target) == pytest.approx(fnir)
        lower = [t for t in np.unique(scores) if t < threshold]
        assert all(counted(scores, probes, enrolled, t, rank)[0] > target for t in lower)


def test_a_tie_with_another_person_is_a_miss() -> None:
    found = searches([[0.9, 0.9], [0.8, 0.7]], ["a", "x"], ["a", "b"])
    assert fpir_fnir(found, 0.5) == (1.0, 1.0)
    assert fpir_fnir(searches([[0.9, 0.9], [0.8, 0.7]], ["a", "x"], ["a", "b"], rank=2), 0.85) == (0.0, 0.0)


def test_one_enrolled_person_is_verification() -> None:
    rng = np.random.default_rng(5)
    scores, probes = rng.normal(size=(40, 1)), ["me"] * 15 + ["other"] * 25
    found = searches(scores, probes, ["me"])
    np.testing.assert_array_equal(found.scores, scores[:, 0])
    assert found.mated_count == 15


@pytest.mark.parametrize(
    ("scores", "probes", "enrolled", "rank", "message"),
    [
        ([[1.0, 0.0]], ["a"], ["a"], 1, "have shape"),
        ([[]], ["a"], [], 1, "have shape"),
        ([[1.0, 0.0]], ["a"], ["a", "a"], 1, "enrolled twice"),
        ([[np.nan, 0.0]], ["a"], ["a", "b"], 1, "not finite"),
        ([[-np.inf, 0.0]], ["a"], ["a", "b"], 1, "not finite"),
        ([[1.0, 0.0]], ["a"], ["a", "b"], 0, "from rank 1 on"),
        ([[1.0, 0.0]], ["a"], ["a", "b"], float("nan"), "from rank 1 on"),
        ([[1.0, 0.0]], [1], ["1", "2"], 1, "some people are named by text"),
    ],
)
def test_what_is_no_search(scores: list[list[float]], probes: list, enrolled: list, rank: int, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        searches(scores, probes, enrolled, rank=rank)


def test_a_rate_without_searches_of_its_kind_is_refused() -> None:
    only_mated = searches([[0.5, 0.1]], ["a"], ["a", "b"])
    with pytest.raises(ScoreError, match="got 1 and 0"):
        fnir_at_fpir(only_mated, 0.1)
    both = searches([[0.5, 0.1], [0.2, 0.3]], ["a", "x"], ["a", "b"])
    with pytest.raises(ScoreError, match="below 1"):
        fnir_at_fpir(both, 1.0)
    with pytest.raises(ScoreError, match="below all scores"):
        fpir_fnir(both, -np.inf)


def test_each_sample_is_searched_once_at_home_and_once_elsewhere() -> None:
    subjects = np.array([*sorted([f"p{number:02d}" for number in range(23)] * 3), "single"])

    galleries = draw_galleries(subjects, 5, seed=3)

    assert len(galleries) == 4  # 23 people: three are enrolled nowhere
    enrolled = [set(subjects[gallery.references]) for gallery in galleries]
    assert [len(people) for people in enrolled] == [5] * 4
    assert len(set.union(*enrolled)) == 20
    for number, gallery in enumerate(galleries):
        assert set(subjects[gallery.mated]) == enrolled[number]
        assert not set(subjects[gallery.non_mated]) & enrolled[number]
    mated = np.concatenate([gallery.mated for gallery in galleries])
    assert sorted(mated) == sorted(
        k
        for k, name in enumerate(subjects)
        if name in set.union(*enrolled) and k % 3  # not the first of three
    )
    references = np.concatenate([gallery.references for gallery in galleries])
    searched = sorted(np.concatenate([gallery.non_mated for gallery in galleries]))
    assert searched == sorted(set(range(len(subjects))) - set(references))


def test_galleries_of_embeddings_are_searched_by_the_score() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 3)
    embeddings = rng.normal(size=(24, 4))
    galleries = draw_galleries(subjects, 4)

    found = search_galleries(galleries, embeddings, subjects, lambda a, b: a @ b.T)

    expected = []
    for gallery in galleries:
        for probe in (*gallery.mated, *gallery.non_mated):
            row = [float(embeddings[k] @ embeddings[probe]) for k in gallery.references]
            people = subjects[gallery.references].tolist()
            if subjects[probe] in people:
                own = row[people.index(subjects[probe])]
                expected.append(own if own == max(row) else -1e300)
            else:
                expected.append(max(row))
    np.testing.assert_allclose(found.scores, expected)


@pytest.mark.parametrize(("size", "message"), [(0, "at least one person"), (5, "too few for two galleries of 5")])
def test_galleries_that_cannot_be_drawn(size: int, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        draw_galleries(np.repeat(np.arange(8), 2), size)
