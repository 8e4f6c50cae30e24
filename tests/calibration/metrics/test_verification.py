"""Golden values come from scikit-learn or from counting by hand in the test, never from our own output."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from edge_sdk.calibration.metrics import resampling, verification
from edge_sdk.calibration.metrics.verification import Curves, ScoreSet
from edge_sdk.errors import ScoreError

LEVELS = [round(0.1 * k, 1) for k in range(11)]  # few levels, so that ties are the rule
score_lists = st.lists(st.tuples(st.sampled_from(LEVELS), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({mated for _, mated in rows}) == 2
)


def score_set(rows):
    scores, mated = zip(*rows, strict=True)
    return ScoreSet(scores, mated, np.arange(len(rows)) % 5)


def random_set(count=2000, people=20, seed=0, shift=1.5):
    rng = np.random.default_rng(seed)
    mated = rng.random(count) < 0.4
    person = rng.integers(0, people, count)
    return ScoreSet(rng.normal(size=count) + shift * mated + 0.5 * rng.normal(size=people)[person], mated, person)


def interpolated_eer(mated, scores):
    """FMR = FNMR on scikit-learn's ROC with straight lines between its points, segment by segment."""
    fpr, tpr, _ = roc_curve(mated, scores, drop_intermediate=False)
    for (x0, y0), (x1, y1) in zip(
        zip(fpr, 1 - tpr, strict=False), zip(fpr[1:], 1 - tpr[1:], strict=False), strict=False
    ):
        if x1 >= y1:
            share = (y0 - x0) / ((y0 - x0) + (x1 - y1))
            return x0 + share * (x1 - x0)
    raise AssertionError


# --- score sets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused(bad):
    with pytest.raises(ScoreError, match="1 of 2 scores are not finite"):
        ScoreSet([0.1, bad], [True, False], [0, 1])


def test_lengths_must_agree():
    with pytest.raises(ScoreError, match="one length"):
        ScoreSet([0.1, 0.2], [True], [0, 1])
    with pytest.raises(ScoreError, match="one length"):
        ScoreSet([[0.1]], [[True]], [[0]])


def test_a_score_set_neither_shares_nor_exposes_memory():
    scores = np.array([0.1, 0.9])
    kept = ScoreSet(scores, [False, True], ["a", "b"])
    scores[:] = 7
    assert kept.scores.tolist() == [0.1, 0.9]
    with pytest.raises(ValueError, match="read-only"):
        kept.scores[0] = 1


@pytest.mark.parametrize("rows", [[], [(0.5, True)], [(0.5, False), (0.6, False)]])
def test_a_missing_class_is_a_typed_error(rows):
    scores = ScoreSet([s for s, _ in rows], [m for _, m in rows], [0] * len(rows))
    for statistic in (
        verification.eer,
        verification.auroc,
        verification.det_curve,
        verification.best_balanced_accuracy_threshold,
        lambda s: verification.fmr_fnmr(s, 0.5),
        lambda s: verification.fnmr_at_fmr(s, 0.1),
        lambda s: verification.accuracy_precision_recall(s, 0.5),
    ):
        with pytest.raises(ScoreError, match="mated and impostor"):
            statistic(scores)


def test_concatenate():
    both = verification.concatenate([ScoreSet([1.0], [True], ["a"]), ScoreSet([0.0, 2.0], [False, True], ["a", "b"])])
    assert both.scores.tolist() == [1, 0, 2]
    assert both.subject_count == 2
    assert both.mated_count == 2
    with pytest.raises(ScoreError):
        verification.concatenate([])


# --- statistics ---------------------------------------------------------------------------------------------------


@given(score_lists)
def test_auroc_equals_scikit_learn(rows):
    scores = score_set(rows)
    assert verification.auroc(scores) == pytest.approx(roc_auc_score(scores.mated, scores.scores))


@given(score_lists)
def test_eer_equals_the_crossing_on_scikit_learns_roc(rows):
    scores = score_set(rows)
    assert verification.eer(scores).eer == pytest.approx(interpolated_eer(scores.mated, scores.scores))


@given(score_lists, st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0]))
def test_fnmr_at_fmr_is_the_best_of_all_thresholds_within_the_request(rows, target):
    scores = score_set(rows)
    fpr, tpr, _ = roc_curve(scores.mated, scores.scores, drop_intermediate=False)
    assert verification.fnmr_at_fmr(scores, target) == pytest.approx((1 - tpr)[fpr <= target].min())
    rates = verification.fmr_fnmr(scores, verification.threshold_at_fmr(scores, target))
    assert rates.fmr <= target
    assert rates.fnmr == pytest.approx(verification.fnmr_at_fmr(scores, target))


@given(score_lists, st.sampled_from([*LEVELS, -1.0, 0.55, 2.0]))
def test_decisions_equal_scikit_learn(rows, threshold):
    scores = score_set(rows)
    accepted = scores.scores >= threshold
    got = verification.accuracy_precision_recall(scores, threshold)
    assert got.accuracy == pytest.approx(accuracy_score(scores.mated, accepted))
    assert got.precision == pytest.approx(precision_score(scores.mated, accepted, zero_division=0))
    assert got.recall == pytest.approx(recall_score(scores.mated, accepted))
    assert got.balanced_accuracy == pytest.approx(balanced_accuracy_score(scores.mated, accepted))


@given(score_lists)
def test_best_balanced_accuracy_threshold_is_the_best(rows):
    scores = score_set(rows)
    found = verification.best_balanced_accuracy_threshold(scores)
    every = [balanced_accuracy_score(scores.mated, scores.scores >= t) for t in [*LEVELS, 2.0]]
    assert balanced_accuracy_score(scores.mated, scores.scores >= found) == pytest.approx(max(every))
    found = verification.best_accuracy_threshold(scores)
    every = [accuracy_score(scores.mated, scores.scores >= t) for t in [*LEVELS, 2.0]]
    assert accuracy_score(scores.mated, scores.scores >= found) == pytest.approx(max(every))


@given(score_lists)
def test_det_curve_is_exact_at_its_own_thresholds_and_monotone(rows):
    scores = score_set(rows)
    curve = verification.det_curve(scores)
    assert (np.diff(curve.thresholds) > 0).all()
    assert (np.diff(curve.fmr) <= 0).all()
    assert (np.diff(curve.fnmr) >= 0).all()
    assert (curve.fmr[0], curve.fnmr[0], curve.fmr[-1], curve.fnmr[-1]) == (1, 0, 0, 1)
    for k, threshold in enumerate(curve.thresholds):
        rates = verification.fmr_fnmr(scores, threshold)
        assert (curve.fmr[k], curve.fnmr[k]) == (pytest.approx(rates.fmr), pytest.approx(rates.fnmr))


@given(score_lists, st.sampled_from([lambda s: 3 * s - 1, np.exp, lambda s: s**3]))
def test_rank_statistics_ignore_a_rising_transform(rows, transform):
    scores = score_set(rows)
    moved = ScoreSet(transform(scores.scores), scores.mated, scores.subjects)
    assert verification.auroc(moved) == pytest.approx(verification.auroc(scores))
    assert verification.eer(moved).eer == pytest.approx(verification.eer(scores).eer)


def test_accept_iff_score_at_least_threshold():
    scores = ScoreSet([0.5, 0.5, 0.4], [True, False, False], [0, 0, 0])
    assert verification.fmr_fnmr(scores, 0.5) == (0.5, 0.0)
    assert verification.fmr_fnmr(scores, np.nextafter(0.5, 1)) == (0.0, 1.0)
    with pytest.raises(ScoreError, match="NaN"):
        verification.fmr_fnmr(scores, np.nan)


def test_separable_scores_put_the_threshold_in_the_middle_of_the_gap():
    scores = ScoreSet([0.2, 0.4, 0.6, 0.9], [False, False, True, True], [0, 1, 0, 1])
    assert verification.eer(scores) == (0.0, 0.5)
    assert verification.auroc(scores) == 1.0
    assert verification.best_balanced_accuracy_threshold(scores) == 0.5
    assert verification.fnmr_at_fmr(scores, 0.0) == 0.0


def test_all_scores_equal():
    scores = ScoreSet([0.5] * 4, [True, True, False, False], [0, 1, 0, 1])
    assert verification.eer(scores).eer == 0.5
    assert verification.auroc(scores) == 0.5
    assert verification.fnmr_at_fmr(scores, 0.9) == 1.0
    assert verification.threshold_at_fmr(scores, 0.9) > 0.5


def test_neighbouring_floats_stay_apart():
    low, high = 0.5, np.nextafter(0.5, 1)
    scores = ScoreSet([low, high], [False, True], [0, 1])
    assert verification.fmr_fnmr(scores, verification.eer(scores).threshold) == (0, 0)


# --- bootstrap ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistic", "reference"),
    [
        (Curves.eer, lambda drawn: verification.eer(drawn).eer),
        (Curves.auroc, lambda drawn: roc_auc_score(drawn.mated, drawn.scores)),
        (lambda c: c.fnmr_at_fmr(0.05), lambda drawn: verification.fnmr_at_fmr(drawn, 0.05)),
        (lambda c: c.at(0.75)[0], lambda drawn: np.mean(drawn.scores[~drawn.mated] >= 0.75)),
        (lambda c: c.at(0.75)[1], lambda drawn: np.mean(drawn.scores[drawn.mated] < 0.75)),
    ],
)
def test_replicates_equal_an_explicit_resampling_loop(statistic, reference):
    scores = random_set(400, people=6)
    draws = resampling.draw_subjects(6, 15, seed=3)
    got = resampling.replicate(scores, statistic, draws, thresholds=[0.75])
    for row, value in zip(draws, got, strict=True):
        rows = np.concatenate([np.flatnonzero(scores.subjects == s) for s in range(6) for _ in range(int(row[s]))])
        drawn = ScoreSet(scores.scores[rows], scores.mated[rows], scores.subjects[rows])
        assert value == pytest.approx(reference(drawn))


def test_each_resample_draws_as_many_subjects_as_there_are():
    draws = resampling.draw_subjects(7, 50, seed=0)
    assert draws.shape == (50, 7)
    assert (draws.sum(axis=1) == 7).all()
    assert np.array_equal(draws, resampling.draw_subjects(7, 50, seed=0))


def test_the_interval_is_seeded_and_contains_the_value():
    scores = random_set()
    first = resampling.bootstrap(scores, Curves.eer, 300, seed=1)
    assert first == resampling.bootstrap(scores, Curves.eer, 300, seed=1)
    assert first.low < first.value < first.high
    assert first.value == pytest.approx(verification.eer(scores).eer)


def test_subjects_and_not_comparisons_are_resampled():
    """Copies of every comparison add no people, so they must not narrow the interval."""
    scores = random_set(500, people=10)
    copies = verification.concatenate([scores] * 8)
    assert resampling.bootstrap(copies, Curves.eer, 200) == pytest.approx(resampling.bootstrap(scores, Curves.eer, 200))


def test_the_interval_of_a_mean_like_rate_has_the_textbook_width():
    """One comparison a person: FNMR is a binomial proportion with standard error sqrt(p (1 - p) / n)."""
    rng = np.random.default_rng(0)
    people = 800
    rejected = rng.random(people) < 0.2
    mated = ScoreSet(np.where(rejected, 0.0, 1.0), np.ones(people, bool), np.arange(people))
    impostors = ScoreSet(np.zeros(people), np.zeros(people, bool), np.arange(people))
    interval = resampling.bootstrap(
        verification.concatenate([mated, impostors]), lambda c: c.at(0.5)[1], 2000, thresholds=[0.5]
    )
    p = rejected.mean()
    assert interval.value == pytest.approx(p)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / people), rel=0.1)


def test_long_lists_are_binned_without_moving_the_value_and_hardly_the_interval():
    scores = random_set(20_000, people=30)
    draws = resampling.draw_subjects(30, 20, seed=0)
    for statistic in (Curves.eer, Curves.auroc, lambda c: c.fnmr_at_fmr(1e-2)):
        exact = resampling.replicate(scores, statistic, draws, bins=len(scores))
        assert resampling.replicate(scores, statistic, draws) == pytest.approx(exact, abs=2e-3)
    assert resampling.bootstrap(scores, Curves.eer, 10).value == pytest.approx(verification.eer(scores).eer, abs=1e-12)


def test_a_difference_is_of_the_same_resamples():
    """Against an explicit loop over drawn people."""
    first, second = random_set(400, people=6), random_set(400, people=6, shift=1.0)
    second = ScoreSet(second.scores, first.mated, first.subjects)
    got = resampling.bootstrap_difference(first, second, Curves.eer, 40, seed=2)
    differences = []
    for row in resampling.draw_subjects(6, 40, seed=2):
        rows = np.concatenate([np.flatnonzero(first.subjects == s) for s in range(6) for _ in range(int(row[s]))])
        drawn = [ScoreSet(one.scores[rows], one.mated[rows], one.subjects[rows]) for one in (first, second)]
        differences.append(verification.eer(drawn[0]).eer - verification.eer(drawn[1]).eer)
    assert got.value == pytest.approx(verification.eer(first).eer - verification.eer(second).eer)
    assert (got.low, got.high) == pytest.approx(np.quantile(differences, [0.025, 0.975]))
    same = resampling.bootstrap_difference(first, first, Curves.eer, 20)
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_a_difference_of_other_comparisons_is_refused():
    scores = random_set(50)
    for other in (random_set(51), ScoreSet(scores.scores, ~scores.mated, scores.subjects)):
        with pytest.raises(ScoreError, match="the same comparisons in the same order"):
            resampling.bootstrap_difference(scores, other, Curves.eer)
    alone = ScoreSet([0, 1], [False, True], [0, 0])
    with pytest.raises(ScoreError, match="at least 2"):
        resampling.bootstrap_difference(alone, alone, Curves.eer)


def test_too_few_subjects():
    with pytest.raises(ScoreError, match="at least 2"):
        resampling.bootstrap(ScoreSet([0, 1], [False, True], [0, 0]), Curves.eer)


def test_resamples_without_a_class_are_dropped_but_not_most_of_them():
    rng = np.random.default_rng(0)
    mated = ScoreSet(rng.normal(size=40) + 1, np.ones(40, bool), np.repeat(np.arange(8), 5))
    one_impostor = ScoreSet([0.0], [False], [0])
    interval = resampling.bootstrap(verification.concatenate([mated, one_impostor]), Curves.eer, 200)
    assert np.isfinite([interval.value, interval.low, interval.high]).all()
    with pytest.raises(ScoreError, match="too few subjects"):
        resampling.defined(np.array([np.nan, np.nan, np.nan, 0.5]))
