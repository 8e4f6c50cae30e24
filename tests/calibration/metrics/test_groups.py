from __future__ import annotations

import doctest

import numpy as np
import pytest

from edge_sdk.calibration.metrics import groups
from edge_sdk.calibration.metrics.groups import build_groups
from edge_sdk.errors import ScoreError


def walks(rows_of_each, people="abcdef"):
    """Subjects and walks of rows: each person has a walk of each of these lengths."""
    subjects, sources = [], []
    for person in people:
        for number, rows in enumerate(rows_of_each):
            subjects += [person] * rows
            sources += [f"{person}/{number}"] * rows
    return np.array(subjects), np.array(sources)


SUBJECTS, SOURCES = walks([7, 12, 9, 11, 8, 10, 13])


def test_the_helper_shares_evenly():
    assert doctest.testmod(groups).failed == 0


@pytest.mark.parametrize(("enrolment", "test"), [(1, 1), (10, 5), (30, 8), (10, 12)])
def test_no_walk_is_on_both_sides_and_every_group_is_of_one_person(enrolment, test):
    plan = build_groups(SUBJECTS, SOURCES, enrolment=enrolment, test=test)
    assert plan.enrolments.shape[1:] == (enrolment,)
    assert plan.tests.shape[1:] == (test,)
    assert plan.left_out == ()
    assert plan.mated.any()
    assert not plan.mated.all()
    for reference, query, mated, subject in zip(plan.reference, plan.query, plan.mated, plan.subjects, strict=True):
        enrolled, tested = plan.enrolments[reference], plan.tests[query]
        assert set(SUBJECTS[enrolled]) == {subject}
        (other,) = set(SUBJECTS[tested])
        assert (other == subject) == mated
        assert not set(SOURCES[enrolled]) & set(SOURCES[tested])
        assert len(set(enrolled)) == enrolment
        assert len(set(tested)) == test


def test_rows_of_a_group_lie_one_behind_the_other():
    plan = build_groups(SUBJECTS, SOURCES, enrolment=10, test=5)
    for block in plan.tests:
        assert len(set(SOURCES[block])) == 1
        assert (np.diff(block) == 1).all()
    for block in plan.enrolments:
        assert len(set(SOURCES[block])) == 5
        for source in set(SOURCES[block]):
            assert (np.diff(block[SOURCES[block] == source]) == 1).all()


def test_an_enrolment_takes_more_walks_where_few_are_too_short_for_it():
    plan = build_groups(SUBJECTS, SOURCES, enrolment=30, test=2, spread=1)
    for block in plan.enrolments:
        assert 3 <= len(set(SOURCES[block])) <= 4


def test_a_test_joins_walks_only_where_none_is_long_enough():
    plan = build_groups(SUBJECTS, SOURCES, enrolment=5, test=20, spread=2)
    assert all(len(set(SOURCES[block])) > 1 for block in plan.tests)


def test_the_same_walks_enrol_for_every_number_of_rows():
    few, many = (build_groups(SUBJECTS, SOURCES, enrolment=count, test=3) for count in (5, 20))
    assert [set(SOURCES[block]) for block in few.enrolments] == [set(SOURCES[block]) for block in many.enrolments]


def test_a_person_s_enrolments_are_the_same_whoever_else_is_there():
    plan = build_groups(SUBJECTS, SOURCES, enrolment=10, test=5)
    kept = SUBJECTS < "d"  # the first rows: their indices stay
    part = build_groups(SUBJECTS[kept], SOURCES[kept], enrolment=10, test=5)
    np.testing.assert_array_equal(plan.enrolments[: len(part.enrolments)], part.enrolments)


def test_the_plan_follows_from_the_seed():
    first, again, other = (build_groups(SUBJECTS, SOURCES, enrolment=10, test=5, seed=seed) for seed in (3, 3, 4))
    for name in ("enrolments", "tests", "reference", "query", "mated", "subjects"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.enrolments, other.enrolments)


def test_nobody_dominates():
    few, many = walks([9] * 4, "abc"), walks([9] * 30, "xyz")
    subjects, sources = (np.concatenate(pair) for pair in zip(few, many, strict=True))
    plan = build_groups(subjects, sources, enrolment=5, test=3, spread=2, mated=25, impostors=100)
    owner = np.array([subjects[block[0]] for block in plan.tests])
    for person in np.unique(subjects):
        own = plan.subjects == person
        assert np.count_nonzero(own & plan.mated) == 25
        assert np.count_nonzero(own & ~plan.mated) == 100
        # 20 impostor tests an enrolment, of five others: four of each.
        others = owner[plan.query[own & ~plan.mated]]
        assert set(np.unique(others, return_counts=True)[1]) == {20}


def test_scores_are_the_mean_of_rows_by_explicit_loops():
    features = np.random.default_rng(0).normal(size=(SUBJECTS.size, 3))
    plan = build_groups(SUBJECTS, SOURCES, enrolment=10, test=5)

    def enroll(rows):
        mean = features[rows].mean(axis=0)
        return lambda tested: -np.abs(features[tested] - mean).sum(axis=1)

    found = plan.scores(enroll)
    for number, (reference, query) in enumerate(zip(plan.reference, plan.query, strict=True)):
        mean = sum(features[row] for row in plan.enrolments[reference]) / 10
        distances = [sum(abs(a - b) for a, b in zip(features[row], mean, strict=True)) for row in plan.tests[query]]
        assert found.scores[number] == pytest.approx(-sum(distances) / 5, abs=1e-7)
    np.testing.assert_array_equal(found.mated, plan.mated)
    np.testing.assert_array_equal(found.subjects, plan.subjects)


def test_people_with_too_few_walks_or_rows_are_left_out_by_name():
    parts = [walks([9] * 3, "ab"), walks([40], "c"), walks([2, 2], "d")]
    subjects, sources = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    plan = build_groups(subjects, sources, enrolment=5, test=4)
    assert plan.left_out == ("c", "d")
    assert set(plan.subjects) == {"a", "b"}
    owner = np.array([subjects[block[0]] for block in plan.tests])
    assert "c" in owner[plan.query]  # whoever has one walk is an impostor all the same


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"] * 9, ["1"] * 9), "rows of two samples"),
        (walks([9], "abc"), "0 mated"),
        (walks([9, 9], "a"), "0 impostor"),
        ((["a", "b"], ["1", "1"]), "of two people"),
        ((["a", "b"], ["1"]), "one length"),
        (([], []), "0 mated"),
    ],
)
def test_what_gives_no_comparisons_is_refused(arguments, message):
    with pytest.raises(ScoreError, match=message):
        build_groups(*arguments, enrolment=3, test=2)


@pytest.mark.parametrize("name", ["enrolment", "test", "spread", "repeats"])
def test_groups_of_nothing_are_refused(name):
    with pytest.raises(ScoreError, match="at least one"):
        build_groups(SUBJECTS, SOURCES, **{"enrolment": 2, "test": 2, name: 0})
