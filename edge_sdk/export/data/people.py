"""Names of people: ``DATASET/PERSON``, unique across data sets. The only place that makes and splits them.

>>> person_id("cedar", "7"), dataset_of("bhsig260/Bengali/3"), unknown_person("pictures")
('cedar/7', 'bhsig260', 'pictures/unknown')
"""

from __future__ import annotations

from collections.abc import Iterable


def person_id(dataset: str, person: str) -> str:
    """The name of a person of a data set, the one that the person was recorded for."""
    return f"{dataset}/{person}"


def unknown_person(dataset: str) -> str:
    """Stands for whoever a data set shows whose people are not told apart."""
    return person_id(dataset, "unknown")


def dataset_of(person: str) -> str:
    """The data set that a person was recorded for. It may contain no slash, the rest may."""
    return person.partition("/")[0]


def datasets_of(people: Iterable[str]) -> frozenset[str]:
    """The data sets of several people."""
    return frozenset(map(dataset_of, people))
