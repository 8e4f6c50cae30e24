from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from edge_sdk.calibration import thresholds
from edge_sdk.calibration.metrics import verification
from edge_sdk.calibration.metrics.presentation_attack import AttackScores
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.errors import ScoreError
from edge_sdk.manifest import BonaFidePoint, SpoofPoint, UnsupportedPoint, VerifyPoint


def scores(impostors=20_000, mated=2000, people=20, shift=2.0, decimals=6, seed=0):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(size=impostors), rng.normal(size=mated) + shift]).round(decimals)
    return ScoreSet(values, np.arange(values.size) >= impostors, np.arange(values.size) % people)


def points(score_set, **settings):
    return {point.name: point for point in thresholds.operating_points(score_set, data="test", **settings)}


@pytest.mark.parametrize("decimals", [6, 2, 1])  # coarser scores tie more often
def test_every_point_keeps_its_promise(decimals):
    score_set = scores(decimals=decimals)
    found = points(score_set, replicates=200)
    assert list(found) == ["fmr_1e-1", "fmr_5e-2", "fmr_1e-2", "fmr_1e-3", "eer", "best_balanced_accuracy"]
    for point in found.values():
        accepted = score_set.scores >= point.threshold
        assert point.fmr.errors == np.count_nonzero(accepted & ~score_set.mated)
        assert point.fnmr.errors == np.count_nonzero(~accepted & score_set.mated)
        assert (point.fmr.trials, point.fnmr.trials, point.subjects) == (20_000, 2000, 20)
        assert point.fmr.low <= point.fmr.value <= point.fmr.high
        if point.target is not None:
            assert point.fmr.value <= point.target
            lower = score_set.scores[score_set.scores < point.threshold].max()
            assert np.mean(score_set.scores[~score_set.mated] >= lower) > point.target  # the lowest such threshold


def test_too_few_impostors_are_said_and_not_guessed():
    found = points(scores(impostors=999, mated=100))
    assert isinstance(found["fmr_1e-1"], VerifyPoint)
    assert found["fmr_1e-2"] == UnsupportedPoint(
        name="fmr_1e-2", target=1e-2, reason="999 impostor comparisons; FMR 0.01 needs 1000"
    )
    assert isinstance(points(scores(impostors=1000, mated=100))["fmr_1e-2"], VerifyPoint)
    assert isinstance(found["eer"], VerifyPoint)


def test_too_few_people():
    found = points(scores(people=4))
    assert "4 people" in found["fmr_1e-1"].reason
    assert isinstance(found["eer"], VerifyPoint)
    with pytest.raises(ScoreError, match="2 people"):
        thresholds.operating_points(scores(people=1), data="test")


def test_a_threshold_that_rejects_everybody_is_no_operating_point():
    score_set = ScoreSet([1.0] * 600, [False] * 500 + [True] * 100, np.arange(600) % 10)
    assert "every genuine comparison" in points(score_set)["fmr_1e-1"].reason


def test_missing_class():
    with pytest.raises(ScoreError, match="mated and impostor"):
        thresholds.operating_points(ScoreSet([0.1], [True], [0]), data="test")


def test_best_balanced_accuracy():
    score_set = scores(impostors=5000, mated=100)
    point = points(score_set)["best_balanced_accuracy"]
    every = [
        verification.accuracy_precision_recall(score_set, t).balanced_accuracy for t in np.unique(score_set.scores)
    ]
    assert 1 - (point.fmr.value + point.fnmr.value) / 2 == pytest.approx(max(every))


@pytest.mark.parametrize(
    ("target", "name"), [(0.1, "fmr_1e-1"), (0.01, "fmr_1e-2"), (0.001, "fmr_1e-3"), (0.05, "fmr_5e-2")]
)
def test_names(target, name):
    assert thresholds.fmr_name(target) == name


@pytest.mark.parametrize(("errors", "trials"), [(0, 10), (3, 10), (10, 10), (7, 1000)])
def test_wilson_equals_scipy(errors, trials):
    expected = binomtest(errors, trials).proportion_ci(0.95, method="wilson")
    assert thresholds.wilson(errors, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_no_errors_do_not_claim_certainty():
    rate = thresholds.rate(np.zeros(300, bool), np.arange(300) % 10)
    assert (rate.value, rate.errors, rate.low) == (0, 0, 0)
    assert 0.005 < rate.high < 0.02
    with pytest.raises(ScoreError):
        thresholds.rate(np.zeros(0, bool), np.zeros(0))


def test_errors_of_one_person_widen_the_interval():
    people = np.repeat(np.arange(20), 50)
    spread = thresholds.rate(np.arange(1000) % 10 == 0, people)
    gathered = thresholds.rate(people < 2, people)
    assert spread.value == gathered.value == 0.1
    assert gathered.high - gathered.low > 3 * (spread.high - spread.low)


def presentations(live=1000, attacks=(1000, 1000), people=20, decimals=6, seed=0):
    """Live faces, and attacks by print and by screen, of which the second come closer."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=live) + 3, *(rng.normal(size=n) + k for k, n in enumerate(attacks))]
    species = [None] * live + ["print"] * attacks[0] + ["screen"] * attacks[1]
    return AttackScores(np.concatenate(values).round(decimals), species, np.arange(len(species)) % people)


def spoof_points(scores, **settings):
    return {point.name: point for point in thresholds.spoof_points(scores, data="test", replicates=100, **settings)}


@pytest.mark.parametrize("decimals", [6, 1])
def test_every_spoof_point_keeps_its_promise_for_every_species(decimals):
    scores = presentations(decimals=decimals)
    values = scores.presented.scores
    found = spoof_points(scores)
    assert list(found) == ["apcer_1e-1", "apcer_5e-2", "apcer_1e-2", "eer"]
    for point in found.values():
        for kind, rate in point.species.items():
            assert rate.errors == np.count_nonzero(values[scores.species == kind] >= point.threshold)
            assert (rate.trials, rate.low <= rate.value <= rate.high) == (1000, True)
        assert point.apcer == point.species["screen"]
        assert point.bpcer.errors == np.count_nonzero(values[scores.live] < point.threshold)
        if point.target is not None:
            assert point.apcer.value <= point.target
            lower = values[values < point.threshold].max()
            assert np.mean(values[scores.species == "screen"] >= lower) > point.target  # the lowest such threshold
    if decimals == 6:
        assert found["eer"].apcer.value == pytest.approx(found["eer"].bpcer.value, abs=0.002)


def test_too_few_attacks_of_one_species():
    found = spoof_points(presentations(attacks=(1000, 999)))
    assert isinstance(found["apcer_5e-2"], SpoofPoint)
    assert found["apcer_1e-2"] == UnsupportedPoint(
        name="apcer_1e-2", target=1e-2, reason="999 attacks with screen; APCER 0.01 needs 1000"
    )
    assert isinstance(found["eer"], SpoofPoint)


def test_too_few_people_for_a_spoof_point():
    assert spoof_points(presentations(people=4))["apcer_1e-1"].reason == "4 people in live; an APCER needs 5"
    with pytest.raises(ScoreError, match="live presentations and attacks"):
        spoof_points(presentations(live=0))


def test_a_threshold_that_rejects_all_that_live_is_no_operating_point():
    scores = AttackScores([1.0] * 400, [None] * 200 + ["print"] * 200, np.arange(400) % 10)
    assert "every live presentation" in spoof_points(scores)["apcer_1e-1"].reason


def bona_fide_points(scores, people, **settings):
    found = thresholds.bona_fide_points(scores, people, data="test", replicates=100, **settings)
    return {point.name: point for point in found}


@pytest.mark.parametrize("decimals", [6, 1])
def test_live_scores_alone_give_thresholds_that_reject_at_most_the_target(decimals):
    scores = np.random.default_rng(0).normal(size=500).round(decimals)
    found = bona_fide_points(scores, np.arange(500) % 7)
    assert list(found) == ["bpcer_1e-1", "bpcer_5e-2", "bpcer_1e-2"]
    for point, rank in zip(found.values(), (50, 25, 5), strict=True):  # floor(501 t)
        assert point.threshold == sorted(scores)[rank - 1]
        assert point.bpcer.errors == sum(score < point.threshold for score in scores) <= rank - 1
        assert (point.bpcer.trials, point.subjects) == (500, 7)
        assert point.bpcer.value <= point.target
        assert point.rates == {"BPCER": point.bpcer}


def test_the_next_live_picture_is_rejected_no_more_often_than_the_target():
    """Every order of 60 scores is as likely, so each of them may be the next one."""
    scores = np.random.default_rng(1).normal(size=60)
    rejected = 0
    for k in range(60):
        others = np.delete(scores, k)
        point = bona_fide_points(others, np.zeros(59), targets=(0.1,))["bpcer_1e-1"]
        rejected += scores[k] < point.threshold
    assert rejected == 6, "the six lowest, each of which is below the sixth of the others"


def test_too_few_live_pictures_for_a_point():
    found = bona_fide_points(np.arange(99.0), np.zeros(99))
    assert isinstance(found["bpcer_1e-1"], BonaFidePoint)
    assert found["bpcer_5e-2"] == UnsupportedPoint(
        name="bpcer_5e-2", target=5e-2, reason="99 live pictures; BPCER 0.05 needs 100"
    )
    for equal in ([], [1.0] * 80):
        with pytest.raises(ScoreError, match="all equal"):
            bona_fide_points(equal, np.zeros(len(equal)))


def test_points_of_each_number_of_references():
    def with_references(count):
        if count == 10:
            raise ScoreError("0 mated comparisons")
        people = {1: 8, 3: 6, 5: 4}[count]
        rng = np.random.default_rng(count)
        mated = np.tile([True, False], people * 20)
        values = rng.normal(size=mated.size) + count * mated
        return ScoreSet(values, mated, np.repeat(np.arange(people), 40))

    found = thresholds.points_by_references(with_references, (1, 3, 5, 10), data="{} each".format, targets=(0.1, 0.001))
    assert [point.references for point in found] == [1] * 4 + [3] * 4 + [5] * 4 + [10] * 4
    for start, count in ((0, 1), (4, 3)):
        alone = thresholds.operating_points(
            with_references(count), data=f"{count} each", references=count, targets=(0.1, 0.001)
        )
        assert found[start : start + 4] == alone
        assert [point.name for point in alone] == ["fmr_1e-1", "fmr_1e-3", "eer", "best_balanced_accuracy"]
        assert isinstance(alone[1], UnsupportedPoint)
    for point, reason in zip(found[8:], ["4 people have samples for 5 references"] * 4 + ["0 mated"] * 4, strict=True):
        assert isinstance(point, UnsupportedPoint)
        assert point.reason.startswith(reason)
        assert point.target == {"fmr_1e-1": 0.1, "fmr_1e-3": 0.001}.get(point.name)
    with pytest.raises(ScoreError, match="0 mated"):
        thresholds.points_by_references(with_references, (10, 20), data=str)
    few = thresholds.points_by_references(lambda _: with_references(5), (1,), data=str)
    assert any(isinstance(point, VerifyPoint) for point in few), "of the first count few people are better than none"
