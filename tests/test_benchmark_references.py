"""``benchmarks/references.py``: which comparisons a forgery among the references is measured by."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest

from .paths import ROOT

pytest.importorskip("torch", reason="needs edge-sdk[export]")

OWN, FORGED = 8, 5


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("references")


@pytest.fixture
def people(benchmark: ModuleType) -> object:
    """Two writers; the third has too few signatures to be enrolled."""
    subjects = np.repeat(["a", "b", "c"], [OWN + FORGED, OWN + FORGED, 3])
    genuine = np.array([*([True] * OWN + [False] * FORGED) * 2, True, True, False])
    return benchmark.EmbeddedPeople(np.eye(len(subjects), dtype=np.float32), subjects, genuine)


def test_a_forgery_takes_the_place_of_one_reference_and_nothing_else_changes(
    benchmark: ModuleType, people: object
) -> None:
    genuine, false, fewer = benchmark.spoiled(people, 4, draws=3).values()
    assert np.array_equal(genuine.queries, false.queries)
    assert np.array_equal(genuine.queries, fewer.queries)
    assert np.array_equal(genuine.mated, people.genuine[genuine.queries])
    assert set(people.subjects[genuine.queries]) == {"a", "b"}
    assert people.genuine[genuine.references].all()
    assert np.array_equal(genuine.references[:, :3], fewer.references)
    assert np.array_equal(false.references[:, :3], fewer.references)
    assert not people.genuine[false.references[:, 3]].any()
    for enrolled, query in zip(np.hstack([genuine.references, false.references]), false.queries, strict=True):
        assert query not in enrolled
        assert set(people.subjects[enrolled]) == {people.subjects[query]}


def test_the_last_reference_is_the_stranger(benchmark: ModuleType, people: object) -> None:
    genuine, forged, other = benchmark.with_strangers(people, 4, 3).values()
    assert len(genuine) == len(forged) == len(other) == 2 * 3
    for own, false, strange in zip(genuine, forged, other, strict=True):
        person = people.subjects[own[0]]
        assert people.genuine[own].all()
        assert len(set(own)) == 4
        assert (people.subjects[false[3]], people.genuine[false[3]]) == (person, False)
        assert people.subjects[strange[3]] != person
        assert people.genuine[strange[3]]
