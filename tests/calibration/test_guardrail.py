from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics import ScoreSet
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
    drift = guardrail.compare(first, first, data="test", threshold_float=1.0, threshold_quantised=1.0)
    assert (drift.delta, drift.upper90, drift.verdict) == (0, 0, "pass")
    assert (drift.agreement, drift.agreement_band, drift.subjects) == (1, 0, 40)


def test_pairing_cancels_what_people_have_in_common():
    """The interval of the difference is far narrower than that of either error rate, so a tiny noise passes."""
    first, second = pair(people=60, noise=0.01, each=120)
    assert guardrail.compare(first, second, data="test").verdict == "pass"


def test_a_loss_over_the_budget_fails():
    first, second = pair(loss=0.5)
    drift = guardrail.compare(first, second, data="test")
    assert drift.verdict == "fail"
    assert drift.delta > 0.03
    assert drift.upper90 > drift.delta


def test_few_people_cannot_tell():
    """Hand-made: one of three people loses, the other two gain; the mean is within the budget, its bound is not."""
    mated = np.tile([True] * 10 + [False] * 10, 3)
    person = np.repeat([0, 1, 2], 20)
    first = np.where(mated, 1.0, 0.0)
    second = first.copy()
    second[0] = -0.5  # person 0: one mated comparison below all impostors
    first[20] = first[40] = -0.5  # persons 1 and 2 had that in float
    drift = guardrail.compare(ScoreSet(first, mated, person), ScoreSet(second, mated, person), data="test")
    assert drift.delta < 0
    assert drift.verdict == "undecidable"
    assert drift.upper90 > drift.budget
    with pytest.raises(GuardrailError, match="undecidable with 3 subjects"):
        guardrail.enforce([drift])


def test_delta_is_the_difference_of_the_rates():
    mated = np.array([True, True, False, False] * 4)
    person = np.repeat(np.arange(4), 4)
    first = np.where(mated, 1.0, 0.0)
    second = first.copy()
    second[0] = -1.0  # one of eight mated comparisons is below every impostor
    drift = guardrail.compare(
        ScoreSet(first, mated, person), ScoreSet(second, mated, person), data="test", metric="fnmr_at_fmr_1e-1"
    )
    assert drift.delta == pytest.approx(1 / 8)
    assert (drift.metric, drift.verdict) == ("fnmr_at_fmr_1e-1", "fail")


def test_upper_bound_equals_an_explicit_paired_loop():
    first, second = pair(people=5, noise=0.3, each=30)
    drift = guardrail.compare(first, second, data="test", replicates=400, seed=4)
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
    assert drift.upper90 == pytest.approx(max(drift.delta, np.quantile(losses, 0.95)), abs=1e-9)


def test_agreement_and_its_band():
    mated = np.arange(1000) % 2 == 0
    first = np.where(mated, 0.9, 0.1)
    first[:4] = [0.51, 0.45, 0.52, 0.30]
    second = first.copy()
    second[:3] = [0.49, 0.55, 0.48]  # three decisions flip; their float scores are 0.01, 0.05, 0.02 from 0.5
    drift = guardrail.compare(
        ScoreSet(first, mated, np.arange(1000) % 7),
        ScoreSet(second, mated, np.arange(1000) % 7),
        data="test",
        threshold_float=0.5,
        threshold_quantised=0.5,
    )
    assert drift.agreement == pytest.approx(0.997)
    # beyond 0.01 two flips are left (over 0.1 %), beyond 0.02 one of 998 (0.1002 %), beyond 0.05 none
    assert drift.agreement_band == pytest.approx(0.05)


def test_other_comparisons_are_refused():
    first, second = pair()
    flipped = ScoreSet(second.scores, ~second.mated, second.subjects)
    with pytest.raises(ScoreError, match="same comparisons"):
        guardrail.compare(first, flipped, data="test")
    alone, _ = pair(people=1)
    with pytest.raises(ScoreError, match="at least 2 people"):
        guardrail.compare(alone, alone, data="test")


@pytest.mark.parametrize("metric", ["auc", "fnmr_at_fmr_", "fnmr_at_fmr_2", "fnmr_1e-2"])
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
