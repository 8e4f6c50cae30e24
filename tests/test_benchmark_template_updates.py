"""``benchmarks/template_updates.py``: who joins by each rule, and whom the numbers are of; on made-up embeddings."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from edge_sdk.calibration.person_model import fit_background

from .paths import ROOT

DIM, SIGNATURES = 8, 14


@pytest.fixture(scope="module")
def updates() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("template_updates", ROOT / "benchmarks" / "template_updates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # where dataclasses and tuples look for it
        spec.loader.exec_module(module)
        yield module


def made(updates: ModuleType, seed: int, people: int = 8) -> list[object]:
    """Of each person a cloud, and beside it one of forgeries."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(people):
        center, offset = rng.standard_normal(DIM), 0.5 * rng.standard_normal(DIM)
        genuine, forged = (
            (center + shift + 0.25 * rng.standard_normal((SIGNATURES, DIM))).astype(np.float32) for shift in (0, offset)
        )
        found.append(updates.Person(f"{seed}/{number}", genuine, forged))
    return found


@pytest.fixture(scope="module")
def folds(updates: ModuleType) -> list[object]:
    read = []
    for seed in (1, 2):
        training = made(updates, 10 + seed)
        rows = np.concatenate([rows for one in training for rows in (one.genuine, one.forged)])  # type: ignore[attr-defined]
        names = [one.name for one in training for _ in range(2 * SIGNATURES)]  # type: ignore[attr-defined]
        genuine = np.tile(np.repeat([True, False], SIGNATURES), len(training))
        read.append(updates.Fold(tuple(made(updates, seed)), fit_background(rows, names, genuine), {}))
    found: list[object] = updates.with_thresholds(read, 0)
    return found


def test_thresholds_are_of_the_other_people(updates: ModuleType, folds: list[object]) -> None:
    first, second = folds
    assert first.thresholds == updates.thresholds([second], 0)  # type: ignore[attr-defined]
    assert set(first.thresholds) == set(updates.COUNTS)  # type: ignore[attr-defined]
    for rates in first.thresholds.values():  # type: ignore[attr-defined]
        assert rates[0.01] >= rates[0.05] >= rates[0.1]


def test_what_joins(updates: ModuleType, folds: list[object]) -> None:
    """Nothing, if nothing may; the less, the stricter; the enrolment stays but for the rule of the newest rows."""
    never, newest, accepted, lenient, strict, strictest = updates.RULES
    (fold, _), counts = folds, []
    person = fold.people[0]  # type: ignore[attr-defined]
    enrolled, stream = person.genuine[:3], [row[None] for row in person.genuine[3:]]
    for rule in (accepted, lenient, strict, strictest, never):
        rows = updates.updated(rule, enrolled, stream, fold)
        np.testing.assert_array_equal(rows[:3], enrolled)
        assert len(rows) <= 10
        counts.append(len(rows))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 3
    everything = updates.updated(newest, enrolled, stream, fold._replace(thresholds={1: dict.fromkeys((None,), -1e9)}))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(everything, person.genuine[-10:])


def test_a_sample_that_is_there_joins_once(updates: ModuleType, folds: list[object]) -> None:
    fold = folds[0]
    enrolled = fold.people[0].genuine[:3]  # type: ignore[attr-defined]
    rows = updates.updated(updates.RULES[2], enrolled, [enrolled[:1]] * 3, fold)
    np.testing.assert_array_equal(rows, enrolled)


def test_the_table(updates: ModuleType, folds: list[object]) -> None:
    table = updates.table(folds, 3)
    assert table.note == "3 enrolled, 16 people."
    assert len(table) == 3 * len(updates.RULES)
    for line in table.rows:
        what, rule, *_, rows, forged = line
        assert float(rows) >= 3
        if rule == "never updated":
            assert (rows, forged) == ("3.0", "0.0")
        if what == "genuine":
            assert forged == "0.0"
