"""Golden values come from scikit-learn or from counting in loops, never from our own output."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from edge_sdk.calibration.metrics import resampling, verification
from edge_sdk.calibration.metrics.presentation_attack import (
    AttackScores,
    average_precision,
    bootstrap,
    bpcer_at_apcer,
    precision_recall,
    rates,
    threshold_at_apcer,
)
from edge_sdk.errors import ScoreError

LEVELS = [round(0.1 * k, 1) for k in range(8)]  # few levels, so that ties are the rule
KINDS = [None, "mask", "print", "screen"]
rows = st.lists(st.tuples(st.sampled_from(LEVELS), st.sampled_from(KINDS)), min_size=2, max_size=50).filter(
    lambda rows: {None} < {kind for _, kind in rows}
)


def scored(rows):
    scores, species = zip(*rows, strict=True)
    return AttackScores(scores, species, np.arange(len(rows)) % 5)


def random_set(count=600, people=6, seed=0):
    rng = np.random.default_rng(seed)
    species = rng.choice(np.array(KINDS, dtype=object), count).tolist()
    person = rng.integers(0, people, count)
    worth = np.array([{None: 1.6, "mask": 0.7, "print": 0.0, "screen": -0.5}[kind] for kind in species])
    return AttackScores(rng.normal(size=count) + worth + 0.4 * rng.normal(size=people)[person], species, person)


def counted(rows, threshold):
    """APCER by species and BPCER, by a loop."""
    passed, seen = {}, {}
    for score, kind in rows:
        seen[kind] = seen.get(kind, 0) + 1
        passed[kind] = passed.get(kind, 0) + (score >= threshold)
    apcer = {kind: passed[kind] / seen[kind] for kind in seen if kind is not None}
    return apcer, 1 - passed[None] / seen[None]


@given(rows, st.sampled_from([*LEVELS, -1.0, 0.25, 9.0]))
def test_rates_are_what_counting_gives(rows, threshold):
    apcer, bpcer = counted(rows, threshold)
    found = rates(scored(rows), threshold)
    assert found.species == pytest.approx(apcer)
    assert (found.apcer, found.bpcer) == (pytest.approx(max(apcer.values())), pytest.approx(bpcer))
    assert found.acer == pytest.approx((max(apcer.values()) + bpcer) / 2)


@given(rows, st.sampled_from([0.0, 0.01, 0.05, 0.3, 0.5, 1.0]))
def test_bpcer_at_apcer_is_the_best_of_all_thresholds_that_hold_back_every_species(rows, target):
    scores = scored(rows)
    allowed = []
    for threshold in [*LEVELS, 9.0]:
        apcer, bpcer = counted(rows, threshold)
        if max(apcer.values()) <= target:
            allowed.append(bpcer)
    assert bpcer_at_apcer(scores, target) == pytest.approx(min(allowed))
    found = rates(scores, threshold_at_apcer(scores, target))
    assert found.apcer <= target
    assert found.bpcer == pytest.approx(min(allowed))


@given(rows)
def test_precision_and_recall_are_what_counting_gives(rows):
    scores = scored(rows)
    curve = precision_recall(scores)
    attacks = sum(kind is not None for _, kind in rows)
    assert curve.ratio == pytest.approx(attacks / len(rows))
    for precision, recall, threshold in zip(curve.precision, curve.recall, curve.thresholds, strict=True):
        flagged = [kind is not None for score, kind in rows if score < threshold]
        assert recall == pytest.approx(sum(flagged) / attacks)
        assert precision == pytest.approx(sum(flagged) / len(flagged) if flagged else 1)
    assert (curve.recall[0], curve.recall[-1]) == (0, 1)


@given(rows)
def test_average_precision_equals_scikit_learn(rows):
    values, species = zip(*rows, strict=True)
    wanted = average_precision_score([kind is not None for kind in species], -np.array(values))
    assert average_precision(scored(rows)).value == pytest.approx(wanted)


@given(rows, st.sampled_from([0.1, 0.5, 0.9]))
def test_average_precision_of_another_mixture_equals_scikit_learns_weights(rows, ratio):
    values, species = zip(*rows, strict=True)
    attack = np.array([kind is not None for kind in species])
    weights = np.where(attack, ratio / attack.sum(), (1 - ratio) / (~attack).sum())
    wanted = average_precision_score(attack, -np.array(values), sample_weight=weights)
    assert average_precision(scored(rows), ratio) == (pytest.approx(wanted), ratio)


def test_guessing_has_the_ratio_as_average_precision():
    even = AttackScores([0.5] * 8, [None] * 6 + ["print"] * 2, range(8))
    assert average_precision(even) == (pytest.approx(0.25), pytest.approx(0.25))
    assert average_precision(even, 0.7) == (pytest.approx(0.7), 0.7)


def test_one_species_that_gets_through_counts_and_not_the_average():
    scores = AttackScores(
        [0.9, 0.8, 0.3, 0.2, 0.1, 0.1, 0.85], [None, None, "print", "print", "print", "print", "mask"], range(7)
    )
    found = rates(scores, 0.5)
    assert found == (1.0, 0.0, 0.5, {"mask": 1.0, "print": 0.0})
    assert bpcer_at_apcer(scores, 0.2) == 0.5  # pooled, one in five attacks would do
    assert verification.fnmr_at_fmr(scores.presented, 0.2) == 0.0


def test_live_iff_score_at_least_threshold():
    scores = AttackScores([0.5, 0.5, 0.4], [None, "print", "print"], [0, 0, 0])
    assert rates(scores, 0.5)[:2] == (0.5, 0.0)
    assert rates(scores, np.nextafter(0.5, 1))[:2] == (0.0, 1.0)
    with pytest.raises(ScoreError, match="NaN"):
        rates(scores, np.nan)


def test_all_scores_equal():
    scores = AttackScores([0.5] * 4, [None, None, "print", "mask"], range(4))
    assert bpcer_at_apcer(scores, 0.99) == 1.0
    assert threshold_at_apcer(scores, 0.99) > 0.5
    assert bpcer_at_apcer(scores, 1.0) == 0.0


def test_few_attacks_mean_that_none_may_pass():
    scores = AttackScores([0.9, 0.1, 0.6, 0.5, 0.2], [None, None, "print", "print", "print"], range(5))
    assert bpcer_at_apcer(scores, 0.05) == bpcer_at_apcer(scores, 0.0) == 0.5


def test_roc_and_auc_are_of_all_species():
    scores = random_set()
    assert verification.auroc(scores.presented) == pytest.approx(roc_auc_score(scores.live, scores.presented.scores))


@pytest.mark.parametrize("rows", [[], [(0.5, None)], [(0.5, "print"), (0.6, "mask")]])
def test_a_missing_class_is_a_typed_error(rows):
    scores = AttackScores([s for s, _ in rows], [k for _, k in rows], [0] * len(rows))
    for statistic in (
        lambda s: rates(s, 0.5),
        lambda s: bpcer_at_apcer(s, 0.1),
        lambda s: threshold_at_apcer(s, 0.1),
        precision_recall,
        average_precision,
        lambda s: bootstrap(s, [lambda c: c.bpcer_at_apcer(0.05)]),
    ):
        with pytest.raises(ScoreError, match="live presentations and attacks"):
            statistic(scores)


def test_scores_that_are_none():
    with pytest.raises(ScoreError, match="not finite"):
        AttackScores([0.5, np.nan], [None, "print"], [0, 1])
    with pytest.raises(ScoreError, match="one length"):
        AttackScores([0.5], [None, "print"], [0, 1])
    with pytest.raises(ScoreError, match="attack of no name"):
        AttackScores([0.5, 0.6], [None, ""], [0, 1])
    for ratio in (0, 1, float("nan")):
        with pytest.raises(ScoreError, match="between 0 and 1"):
            average_precision(random_set(), ratio)


# --- bootstrap ----------------------------------------------------------------------------------------------------


STATISTICS = [
    (lambda c: c.bpcer_at_apcer(0.05), lambda drawn: bpcer_at_apcer(drawn, 0.05)),
    (lambda c: c.acer(0.75), lambda drawn: rates(drawn, 0.75).acer),
    (lambda c: c.average_precision(), lambda drawn: average_precision(drawn).value),
    (lambda c: c.average_precision(0.3), lambda drawn: average_precision(drawn, 0.3).value),
    (lambda c: c.worst.at(0.75)[0], lambda drawn: rates(drawn, 0.75).apcer),
    (lambda c: c.pooled.auroc(), lambda drawn: verification.auroc(drawn.presented)),
]


def test_intervals_equal_an_explicit_resampling_loop():
    scores = random_set(400)
    found = bootstrap(scores, [statistic for statistic, _ in STATISTICS], 25, seed=3, thresholds=[0.75])
    species = np.where(scores.live, None, scores.species.astype(object))
    values = [[] for _ in STATISTICS]
    for draw in resampling.draw_subjects(6, 25, seed=3):
        persons = [person for person in range(6) for _ in range(int(draw[person]))]
        taken = np.concatenate([np.flatnonzero(scores.presented.subjects == person) for person in persons])
        drawn = AttackScores(scores.presented.scores[taken], species[taken].tolist(), taken)
        for column, (_, reference) in zip(values, STATISTICS, strict=True):
            column.append(reference(drawn))
    for interval, column, (_, reference) in zip(found, values, STATISTICS, strict=True):
        low, high = np.quantile(column, [0.025, 0.975])
        value = reference(scores)
        assert interval.value == pytest.approx(value)
        assert interval.low == pytest.approx(min(low, value))
        assert interval.high == pytest.approx(max(high, value))


def test_subjects_and_not_presentations_are_resampled():
    """Copies of every presentation add no people, so they must not narrow the interval."""
    scores = random_set(300)
    species = np.where(scores.live, None, scores.species.astype(object)).tolist()
    copies = AttackScores(np.tile(scores.presented.scores, 5), species * 5, np.tile(scores.presented.subjects, 5))
    once, often = (bootstrap(each, [lambda c: c.bpcer_at_apcer(0.05)], 200)[0] for each in (scores, copies))
    assert (often.value, often.low, often.high) == pytest.approx((once.value, once.low, once.high))


def test_a_species_that_one_person_alone_attacks_with():
    """Resamples without that person say nothing; where most are such, neither does the interval."""
    rng = np.random.default_rng(0)
    species = [None, "print"] * 20 + ["mask"]
    scores = AttackScores(rng.normal(size=41), species, [*(i // 2 for i in range(40)), 0])
    (interval,) = bootstrap(scores, [lambda c: c.bpcer_at_apcer(0.05)], 200)
    assert np.isfinite([interval.value, interval.low, interval.high]).all()
    lonely = AttackScores(rng.normal(size=42), [*species, "bust"], [*(i // 2 for i in range(40)), 0, 1])
    with pytest.raises(ScoreError, match="too few subjects"):
        bootstrap(lonely, [lambda c: c.pooled.auroc()], 200)


def test_too_few_subjects():
    with pytest.raises(ScoreError, match="at least 2"):
        bootstrap(AttackScores([0, 1], ["print", None], [0, 0]), [lambda c: c.acer(0.5)])
