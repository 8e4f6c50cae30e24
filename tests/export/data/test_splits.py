"""Folds of people who keep their published folds, and who are not somebody else of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.pair_lists import PairList
from edge_sdk.export.data.same_people import SamePeople
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import Split

PEOPLE_A_FOLD = 10


def people(name: str, count: int) -> Dataset:
    return Dataset(
        name,
        tuple(
            Sample(name, f"{name}/{number:02d}", True, Path(f"{number}.png"), modality="face")
            for number in range(count)
        ),
    )


def published(data: Dataset, folds: int) -> PairList:
    """Each person with the next, in folds of PEOPLE_A_FOLD; who comes behind them is in none."""
    first = np.array([k for k in range(folds * PEOPLE_A_FOLD) if (k + 1) % PEOPLE_A_FOLD])
    return PairList(data.name, data, first, first + 1, np.zeros(first.size, bool), 1 + first // PEOPLE_A_FOLD)


@pytest.fixture
def both() -> tuple[Dataset, list[PairList]]:
    """``a`` has four folds and five people in none, ``b`` two folds."""
    a, b = people("a", 45), people("b", 20)
    return Dataset("a+b", a.samples + b.samples), [published(a, 4), published(b, 2)]


def names(name: str, numbers: range) -> set[str]:
    return {f"{name}/{number:02d}" for number in numbers}


def measuring(split: Split) -> set[str]:
    return {*split.test, *split.thresholds, *split.guardrail}


def test_published_folds_stay_whole(both: tuple[Dataset, list[PairList]]) -> None:
    data, lists = both

    first, second = (Split.draw_published_fold(data, number, 2, 0, lists) for number in (1, 2))

    assert measuring(first) == names("a", range(20)) | names("b", range(10))
    assert measuring(second) == names("a", range(20, 40)) | names("b", range(10, 20))
    for split in (first, second):
        assert names("a", range(40, 45)) <= set(split.train)
        assert sorted(split.everybody) == list(data.subjects)
        assert [len(split.validation), len(split.test), len(split.thresholds)] == [3, 15, 8]


def test_an_uneven_number_of_folds_is_dealt_in_order(both: tuple[Dataset, list[PairList]]) -> None:
    data, lists = both
    split = Split.draw_published_fold(data.select(lists[0].data.subjects), 1, 3, 0, lists[:1])
    assert measuring(split) == names("a", range(20))  # two of four; then one each


def test_nobody_tests_under_one_name_and_trains_under_another(both: tuple[Dataset, list[PairList]]) -> None:
    data, lists = both
    same = SamePeople.of([("a/03", "b/15"), ("a/44", "b/00"), ("a/21", "b/12")])

    split = Split.draw_published_fold(data, 1, 2, 0, lists, same=same)

    assert measuring(split) == names("a", range(20)) | names("b", range(10))
    assert set(data.subjects) - set(split.everybody) == {"b/15", "a/44"} | (
        {"a/21", "b/12"} - {*split.train, *split.validation}
    )
    assert not same.others(split.validation) & set(split.train)


def test_folds_that_are_drawn_leave_the_same_people_out(both: tuple[Dataset, list[PairList]]) -> None:
    data, _ = both
    same = SamePeople.of([(f"a/{number:02d}", f"b/{number:02d}") for number in range(20)])
    for number in (1, 2):
        split = Split.draw_fold(data, number, 2, 0, same=same)
        assert not same.others(split.test) & {*split.train, *split.validation}
        assert not same.others(split.validation) & set(split.train)
        assert split.test == Split.draw_fold(data, number, 2, 0).test


def test_folds_that_cannot_be_dealt(both: tuple[Dataset, list[PairList]]) -> None:
    data, lists = both
    with pytest.raises(UsageError, match="no fold 3 of 2"):
        Split.draw_published_fold(data, 3, 2, 0, lists)
    with pytest.raises(DatasetError, match="b: 2 folds are too few for 3 parts"):
        Split.draw_published_fold(data, 1, 3, 0, lists)
    with pytest.raises(DatasetError, match="nobody is in the folds of part 1"):
        Split.draw_published_fold(people("c", 9), 1, 2, 0, lists)


def test_a_table_of_the_same_people(tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    path.write_bytes(
        b"\xef\xbb\xbflfw/A,cfp/001\n# a comment\n\ncfp/001 , live/me\nlfw/B,cfp/002\n"
    )  # as a spreadsheet begins it

    same = SamePeople.read(path)

    assert same.others(["lfw/A"]) == {"cfp/001", "live/me"}
    assert same.others(["lfw/A", "cfp/001", "cfp/002"]) == {"live/me", "lfw/B"}
    assert same.others(["lfw/Nobody"]) == frozenset()


@pytest.mark.parametrize("line", ["lfw/A", "lfw/A,lfw/A", "lfw/A,Bob", "lfw/A,/", "lfw/A,cfp/", "/A,cfp/001"])
def test_a_table_that_says_something_else(tmp_path: Path, line: str) -> None:
    path = tmp_path / "same.csv"
    with pytest.raises(DatasetError, match="holds no table of people"):
        SamePeople.read(path)
    path.write_text(f"lfw/A,cfp/001\n{line}\n")
    with pytest.raises(DatasetError, match="line 2: expected the names of one person"):
        SamePeople.read(path)


@pytest.mark.parametrize(
    ("end", "message"), [('"cfp/002\nlfw/C,cfp/003', "unexpected end"), ("c/" + "x" * 200_000, "limit")]
)
def test_a_table_with_an_open_quote_or_a_field_without_end(tmp_path: Path, end: str, message: str) -> None:
    path = tmp_path / "same.csv"
    path.write_text(f"lfw/B,{end}\n")
    with pytest.raises(DatasetError, match=f"holds no table of people: .*{message}"):
        SamePeople.read(path)
