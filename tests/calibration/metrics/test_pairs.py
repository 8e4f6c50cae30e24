from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_sdk.calibration.metrics.pairs import build_pairs, score_pairs, verification_scores
from edge_sdk.errors import ScoreError

SUBJECTS = np.array(["a"] * 5 + ["b"] * 6 + ["c"] * 1)
GENUINE = np.array([1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0], dtype=bool)  # c: a forgery of somebody never seen


def embeddings(count=SUBJECTS.size, dim=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim))


def test_skilled_pairs_equal_the_explicit_loops():
    mated, impostor = [], []
    for i, j in itertools.combinations(range(SUBJECTS.size), 2):
        if SUBJECTS[i] == SUBJECTS[j] and GENUINE[i] and GENUINE[j]:
            mated.append((i, j))
    for i, j in itertools.product(range(SUBJECTS.size), repeat=2):
        if SUBJECTS[i] == SUBJECTS[j] and GENUINE[i] and not GENUINE[j]:
            impostor.append((i, j))
    pairs = build_pairs(SUBJECTS, GENUINE)
    got = list(zip(pairs.references[:, 0].tolist(), pairs.queries.tolist(), strict=True))
    assert sorted(p for p, m in zip(got, pairs.mated, strict=True) if m) == mated
    assert sorted(p for p, m in zip(got, pairs.mated, strict=True) if not m) == impostor
    assert (len(mated), len(impostor)) == (3 + 6, 3 * 2 + 4 * 2)


def test_random_forgeries_are_all_other_genuine_samples_when_few():
    pairs = build_pairs(SUBJECTS, GENUINE, forgeries="random")
    got = set(zip(pairs.references[~pairs.mated, 0].tolist(), pairs.queries[~pairs.mated].tolist(), strict=True))
    a, b = {0, 1, 2}, {5, 6, 7, 8}
    assert got == set(itertools.product(a, b)) | set(itertools.product(b, a))


def test_random_forgeries_are_capped_distinct_and_seeded():
    subjects = np.repeat(np.arange(6), 10)
    draw = [build_pairs(subjects, np.ones(60, bool), forgeries="random", limit=40, seed=s) for s in (1, 1, 2)]
    impostors = [list(zip(d.references[~d.mated, 0], d.queries[~d.mated], strict=True)) for d in draw]
    assert len(set(impostors[0])) == len(impostors[0]) == 6 * 40
    assert impostors[0] == impostors[1] != impostors[2]
    assert all(subjects[i] != subjects[j] for i, j in impostors[0])


@pytest.mark.parametrize("forgeries", ["skilled", "random"])
def test_several_references(forgeries):
    pairs = build_pairs(SUBJECTS, GENUINE, forgeries=forgeries, references=2, repeats=3, limit=6)
    assert pairs.references.shape[1] == 2
    for enrolled, query, mated in zip(pairs.references, pairs.queries, pairs.mated, strict=True):
        assert GENUINE[enrolled].all()
        assert len(set(SUBJECTS[enrolled])) == 1
        assert len(set(enrolled)) == 2
        assert query not in enrolled
        assert mated == (SUBJECTS[query] == SUBJECTS[enrolled[0]] and GENUINE[query])
        assert mated or (not GENUINE[query] if forgeries == "skilled" else SUBJECTS[query] != SUBJECTS[enrolled[0]])
    assert np.count_nonzero(pairs.mated) == 3 * (1 + 2)
    assert np.count_nonzero(~pairs.mated) == 3 * (2 + 2)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_scores_equal_the_formula(metric):
    vectors = embeddings()
    pairs = build_pairs(SUBJECTS, GENUINE)
    got = score_pairs(pairs, vectors, SUBJECTS, metric=metric)
    for k, (i, j) in enumerate(zip(pairs.references[:, 0], pairs.queries, strict=True)):
        a, b = (v / np.linalg.norm(v) for v in (vectors[i], vectors[j]))
        expected = 1 - np.linalg.norm(a - b) / 2 if metric == "euclidean" else (1 + a @ b) / 2
        assert got.scores[k] == pytest.approx(expected, abs=1e-6)
        assert got.subjects[k] == SUBJECTS[i]
    assert np.array_equal(got.mated, pairs.mated)


@pytest.mark.parametrize("rule", ["mean_score", "max_score", "mean_embedding"])
def test_rules_for_several_references(rule):
    vectors = embeddings()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = build_pairs(SUBJECTS, GENUINE, references=2)
    got = score_pairs(pairs, vectors, SUBJECTS, rule=rule)
    for k, (enrolled, query) in enumerate(zip(pairs.references, pairs.queries, strict=True)):
        each = [1 - np.linalg.norm(unit[r] - unit[query]) / 2 for r in enrolled]
        mean = unit[enrolled].mean(axis=0)
        expected = {
            "mean_score": np.mean(each),
            "max_score": np.max(each),
            "mean_embedding": 1 - np.linalg.norm(mean / np.linalg.norm(mean) - unit[query]) / 2,
        }[rule]
        assert got.scores[k] == pytest.approx(expected, abs=2e-6)


def test_more_samples_than_one_block():
    subjects = np.repeat(np.arange(130), 10)
    vectors = embeddings(1300, dim=3)
    pairs = build_pairs(subjects, np.arange(1300) % 10 < 8)
    got = score_pairs(pairs, vectors, subjects).scores
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = 1 - np.linalg.norm(unit[pairs.references[:, 0]] - unit[pairs.queries], axis=1) / 2
    assert got == pytest.approx(expected, abs=1e-6)


def test_perfect_embeddings_give_perfect_scores():
    vectors = np.where(GENUINE, 1.0, -1.0)[:, None] * np.ones((1, 4))
    scores = verification_scores(vectors, SUBJECTS, GENUINE)
    assert (scores.scores[scores.mated] == 1).all()
    assert (scores.scores[~scores.mated] == 0).all()


@pytest.mark.parametrize(("forgeries", "references"), [("skilled", 1), ("random", 1), ("skilled", 2)])
def test_samples_of_different_groups_are_not_compared(forgeries, references):
    subjects, genuine, groups = np.tile(SUBJECTS, 2), np.tile(GENUINE, 2), np.repeat([0, 1], SUBJECTS.size)
    vectors = embeddings(len(subjects))
    asked = {"forgeries": forgeries, "references": references}
    apart = [verification_scores(rows, SUBJECTS, GENUINE, **asked) for rows in np.split(vectors, 2)]
    found = verification_scores(vectors, subjects, genuine, groups=groups, **asked)
    assert np.array_equal(found.scores, np.concatenate([one.scores for one in apart]))
    assert np.array_equal(found.mated, np.concatenate([one.mated for one in apart]))
    assert len(found) < len(verification_scores(vectors, subjects, genuine, **asked))


def test_a_group_without_comparisons_is_left_out():
    vectors = embeddings(len(SUBJECTS) + 1)
    alone = verification_scores(vectors[:-1], SUBJECTS, GENUINE)
    groups = ["many"] * len(SUBJECTS) + ["one"]
    found = verification_scores(vectors, [*SUBJECTS, "x"], [*GENUINE, True], groups=groups)
    assert np.array_equal(found.scores, alone.scores)
    with pytest.raises(ScoreError, match="nobody is compared across data sets, and 0 mated"):
        verification_scores(vectors[:2], ["a", "b"], [True, True], groups=[0, 1])


def test_errors():
    with pytest.raises(ScoreError, match="0 mated"):
        build_pairs(["a", "b"], [True, True])
    with pytest.raises(ScoreError, match="0 skilled impostor"):
        build_pairs(["a", "a"], [True, True])
    with pytest.raises(ScoreError, match="one length"):
        build_pairs(["a", "a"], [True])
    with pytest.raises(ScoreError, match="at least one reference"):
        build_pairs(SUBJECTS, GENUINE, references=0)
    bad = embeddings()
    bad[0] = np.nan
    with pytest.raises(ScoreError, match="finite"):
        verification_scores(bad, SUBJECTS, GENUINE)
