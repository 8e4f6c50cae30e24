from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import GuardrailError, ScoreError, UsageError


def pair(people=40, noise=0.0, loss=0.0, seed=0, each=60):
    """Float scores, and "quantised" ones with noise on all and a loss on mated comparisons."""
    rng = np.random.default_rng(seed)
    count = people * each
    mated = np.arange(count) % 3 == 0
    person = np.arange(count) // each
    values = rng.normal(size=count) + 2.5 * mated
    moved = values + noise * rng.normal(size=count) - loss * mated
    return ScoreSet(values, mated, person), ScoreSet(moved, mated, person)


def test_equal_scores_pass_with_no_loss_at_all():
    first, _ = pair()
    difference = guardrail.compare(first, first, data="test", threshold_float=1.0, threshold_quantised=1.0)
    assert (difference.delta, difference.upper90, difference.verdict) == (0, 0, "pass")
    assert (difference.agreement, difference.agreement_band, difference.subjects) == (1, 0, 40)


def test_pairing_cancels_what_people_have_in_common():
    """The interval of the difference is far narrower than that of either error rate, so a tiny noise passes."""
    first, second = pair(people=60, noise=0.01, each=120)
    assert guardrail.compare(first, second, data="test").verdict == "pass"


def test_a_loss_over_the_budget_fails():
    first, second = pair(loss=0.5)
    difference = guardrail.compare(first, second, data="test")
    assert difference.verdict == "fail"
    assert difference.delta > 0.03
    assert difference.upper90 > difference.delta


def test_few_people_cannot_tell():
    """Hand-made: one of three people loses, the other two gain; the mean is within the budget, its bound is not."""
    mated = np.tile([True] * 10 + [False] * 10, 3)
    person = np.repeat([0, 1, 2], 20)
    first = np.where(mated, 1.0, 0.0)
    second = first.copy()
    second[0] = -0.5  # person 0: one mated comparison below all impostors
    first[20] = first[40] = -0.5  # persons 1 and 2 had that in float
    difference = guardrail.compare(ScoreSet(first, mated, person), ScoreSet(second, mated, person), data="test")
    assert difference.delta < 0
    assert difference.verdict == "undecidable"
    assert difference.upper90 > difference.budget
    with pytest.raises(GuardrailError, match="undecidable with 3 subjects"):
        guardrail.enforce([difference])


def test_delta_is_the_difference_of_the_rates():
    mated = np.array([True, True, False, False] * 4)
    person = np.repeat(np.arange(4), 4)
    first = np.where(mated, 1.0, 0.0)
    second = first.copy()
    second[0] = -1.0  # one of eight mated comparisons is below every impostor
    difference = guardrail.compare(
        ScoreSet(first, mated, person), ScoreSet(second, mated, person), data="test", metric="fnmr_at_fmr_1e-1"
    )
    assert difference.delta == pytest.approx(1 / 8)
    assert (difference.metric, difference.verdict) == ("fnmr_at_fmr_1e-1", "fail")


def test_upper_bound_equals_an_explicit_paired_loop():
    first, second = pair(people=5, noise=0.3, each=30)
    difference = guardrail.compare(first, second, data="test", replicates=400, seed=4)
    draws = np.random.default_rng(4).multinomial(5, np.full(5, 0.2), size=400)

    def eer(score_set, rows):
        from sklearn.metrics import roc_curve

        fpr, tpr, _ = roc_curve(score_set.mated[rows], score_set.scores[rows], drop_intermediate=False)
        gap = (1 - tpr) - fpr
        k = int(np.argmax(gap <= 0))
        share = gap[k - 1] / (gap[k - 1] - gap[k])
        return fpr[k - 1] + share * (fpr[k] - fpr[k - 1])

    losses = []
    for draw in draws:
        rows = np.concatenate([np.flatnonzero(first.subjects == s) for s in range(5) for _ in range(draw[s])])
        losses.append(eer(second, rows) - eer(first, rows))
    assert difference.upper90 == pytest.approx(max(difference.delta, np.quantile(losses, 0.95)), abs=1e-9)


def test_agreement_and_its_band():
    mated = np.arange(1000) % 2 == 0
    first = np.where(mated, 0.9, 0.1)
    first[:4] = [0.51, 0.45, 0.52, 0.30]
    second = first.copy()
    second[:3] = [0.49, 0.55, 0.48]  # three decisions flip; their float scores are 0.01, 0.05, 0.02 from 0.5
    difference = guardrail.compare(
        ScoreSet(first, mated, np.arange(1000) % 7),
        ScoreSet(second, mated, np.arange(1000) % 7),
        data="test",
        threshold_float=0.5,
        threshold_quantised=0.5,
    )
    assert difference.agreement == pytest.approx(0.997)
    # beyond 0.01 two flips are left (over 0.1 %), beyond 0.02 one of 998 (0.1002 %), beyond 0.05 none
    assert difference.agreement_band == pytest.approx(0.05)


def test_agreement_is_required_by_share():
    mated = np.arange(1000) % 2 == 0
    first = ScoreSet(np.where(mated, 0.9, 0.1), mated, np.arange(1000) % 7)
    moved = first.scores.copy()
    moved[[0, 1]] = [0.2, 0.8]
    found = guardrail.agreement(first, ScoreSet(moved, mated, first.subjects), 0.5, 0.5)
    assert (found.share, found.comparisons) == (pytest.approx(0.998), 1000)
    found.require(guardrail.ACROSS_PRECISIONS)
    with pytest.raises(GuardrailError, match=r"99\.800% of 1000 decisions"):
        found.require(guardrail.SAME_ARTIFACT)
    assert guardrail.agreement(first, first, 0.5, 0.5) == guardrail.Agreement(1.0, 0.0, 1000)
    with pytest.raises(ScoreError, match="same comparisons"):
        guardrail.agreement(first, ScoreSet(moved, ~mated, first.subjects), 0.5, 0.5)


def attacks(people=12, seed=0):
    """Bona fide scores and attacks of an easy and a hard species: (scores, mated, subjects, species)."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), 30)
    species = np.tile(["live"] * 10 + ["print"] * 10 + ["replay"] * 10, people)
    mated = species == "live"
    values = rng.normal(size=person.size) + 3 * mated + 1.0 * (species == "replay")
    return values, mated, person, species


def test_bpcer_at_apcer_is_that_of_the_worst_species_by_explicit_search():
    values, mated, person, species = attacks()
    moved = values + 0.5 * np.random.default_rng(1).normal(size=values.size)

    def bpcer(scores, kinds):
        """At the lowest threshold where at most 5 % of each kind of attack is accepted."""
        for threshold in np.append(np.sort(scores), np.inf):
            apcer = max(np.mean(scores[chosen] >= threshold) for chosen in kinds)
            if apcer <= 0.05:
                return np.mean(scores[mated] < threshold)
        raise AssertionError

    for given, kinds in ((None, [~mated]), (species, [species == "print", species == "replay"])):
        difference = guardrail.compare(
            ScoreSet(values, mated, person),
            ScoreSet(moved, mated, person),
            data="test",
            metric="bpcer_at_apcer_0.05",
            budget=0.01,
            species=given,
        )
        assert difference.delta == pytest.approx(bpcer(moved, kinds) - bpcer(values, kinds))
        assert (difference.metric, difference.budget, difference.verdict) == ("bpcer_at_apcer_0.05", 0.01, "fail")


def test_a_loss_on_one_species_alone_is_seen():
    """All attacks at once would hide that the rarer replays get through."""
    values, mated, person, species = attacks(people=30)
    rare = (species == "replay") & (np.arange(values.size) % 10 > 0)
    values, mated, person, species = (array[~rare] for array in (values, mated, person, species))
    moved = values + 1.0 * (species == "replay")
    sets = ScoreSet(values, mated, person), ScoreSet(moved, mated, person)
    losses = [
        guardrail.compare(*sets, data="test", metric="bpcer_at_apcer_0.05", budget=0.01, species=given).delta
        for given in (None, species)
    ]
    assert losses[1] > losses[0] + 0.1


def test_attack_species_must_fit():
    values, mated, person, species = attacks()
    scores = ScoreSet(values, mated, person)
    with pytest.raises(ScoreError, match="species of shape"):
        guardrail.compare(scores, scores, data="test", metric="bpcer_at_apcer_0.05", species=species[1:])
    with pytest.raises(UsageError, match="only a BPCER"):
        guardrail.compare(scores, scores, data="test", species=species)
    same = guardrail.compare(scores, scores, data="test", metric="bpcer_at_apcer_0.05", budget=0.01, species=species)
    assert (same.delta, same.upper90, same.verdict) == (0, 0, "pass")


def test_other_comparisons_are_refused():
    first, second = pair()
    flipped = ScoreSet(second.scores, ~second.mated, second.subjects)
    with pytest.raises(ScoreError, match="same comparisons"):
        guardrail.compare(first, flipped, data="test")
    alone, _ = pair(people=1)
    with pytest.raises(ScoreError, match="at least 2 people"):
        guardrail.compare(alone, alone, data="test")


@pytest.mark.parametrize("metric", ["auc", "fnmr_at_fmr_", "fnmr_at_fmr_2", "fnmr_1e-2", "bpcer_at_apcer_0"])
def test_unknown_metric(metric):
    first, _ = pair()
    with pytest.raises(UsageError):
        guardrail.compare(first, first, data="test", metric=metric)


def test_enforce():
    first, second = pair(loss=0.5)
    passed, failed = guardrail.compare(first, first, data="dev"), guardrail.compare(first, second, data="dev")
    guardrail.enforce([passed])
    with pytest.raises(GuardrailError, match=r"(?s)upper 90 %.*pass.*fail"):
        guardrail.enforce([passed, failed])
    with pytest.raises(GuardrailError, match="nothing"):
        guardrail.enforce([])
