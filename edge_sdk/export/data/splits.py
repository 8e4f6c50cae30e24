"""Who is used for what: five groups of people that share nobody.

An error rate must be measured on people that nothing was fitted on. So the weights, the moment to stop, the thresholds
and the guardrail's result each come from people of their own, and the test people are used by nothing but evaluation.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk import files
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.pair_lists import PairList
from edge_sdk.export.data.people import dataset_of, datasets_of
from edge_sdk.export.data.same_people import SamePeople
from edge_sdk.export.data.samples import Dataset

MAX_BYTES = 256 * 2**20
FRACTIONS = {"train": 0.62, "validation": 0.06, "thresholds": 0.11, "guardrail": 0.11, "test": 0.10}

DIFFERENT_PEOPLE = SamePeople()


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Subjects by their use.

    Attributes:
        train: For the weights, and for the images that int8 ranges are calibrated on.
        validation: For early stopping and the choice of the calibration method.
        thresholds: For the operating points.
        guardrail: For what int8 costs.
        test: For the numbers that are reported.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    thresholds: tuple[str, ...]
    guardrail: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.everybody) != len(set(self.everybody)):
            raise DatasetError("a subject has two roles in the split")

    @property
    def everybody(self) -> tuple[str, ...]:
        """All subjects, role by role."""
        return tuple(subject for role in self.__struct_fields__ for subject in getattr(self, role))

    @classmethod
    def draw(cls, dataset: Dataset, seed: int) -> Split:
        """Draw the groups by :data:`FRACTIONS` within each data set; DatasetError if there are too few people."""
        return cls(*split_subjects(dataset, tuple(FRACTIONS.values()), seed))

    @classmethod
    def draw_fold(
        cls, dataset: Dataset, number: int, count: int, seed: int, *, same: SamePeople = DIFFERENT_PEOPLE
    ) -> Split:
        """Fold ``number`` of ``count``, from 1: its people test, a tenth of all others validate, the rest trains.

        Args:
            same: Who is somebody else of the data too. Whoever tests under one name is in no group under another, and
                whoever validates does not train.

        Raises:
            UsageError: There is no such fold.
            DatasetError: There are too few people.
        """
        _require_fold(number, count)
        test = folds(dataset, count, seed)[number - 1]
        others = dataset.select(set(dataset.subjects).difference(test, same.others(test)))
        train, validation = split_subjects(others, (0.9, 0.1), seed)
        return cls(_without(train, same.others(validation)), validation, (), (), test)

    @classmethod
    def draw_published_fold(
        cls,
        dataset: Dataset,
        number: int,
        count: int,
        seed: int,
        published: Sequence[PairList],
        *,
        same: SamePeople = DIFFERENT_PEOPLE,
    ) -> Split:
        """The same with the folds of published lists kept whole: each list's are dealt to ``count`` parts in order.

        The people of part ``number`` of every list measure: a half of them test, a quarter fits thresholds, a quarter
        is for the guardrail. A tenth of the people of the other parts validates; the rest trains, and so does whoever
        is in no fold.

        Raises:
            UsageError: There is no such part.
            DatasetError: A list has fewer folds than parts, or there are too few people.
        """
        _require_fold(number, count)
        measuring: set[str] = set()
        others: set[str] = set()
        for pairs in published:
            if len(pairs.numbers) < count:
                raise DatasetError(f"{pairs.name}: {len(pairs.numbers)} folds are too few for {count} parts")
            parts = [pairs.people(part.tolist()) for part in np.array_split(pairs.numbers, count)]
            measuring |= parts[number - 1]
            others |= frozenset().union(*parts)
        everybody = set(dataset.subjects)
        measuring &= everybody
        others = (others & everybody) - measuring - same.others(measuring)
        if not measuring or not others:
            raise DatasetError(f"{dataset.name}: nobody is in the folds of part {number}, or nobody in the others")
        test, thresholds, guardrail = split_subjects(dataset.select(measuring), (0.5, 0.25, 0.25), seed)
        _, validation = split_subjects(dataset.select(others), (0.9, 0.1), seed)
        left = everybody - measuring - set(validation) - same.others(measuring) - same.others(validation)
        return cls(tuple(sorted(left)), validation, thresholds, guardrail, test)

    @classmethod
    def read(cls, path: Path) -> Split:
        """Raises DatasetError if the file is missing or no split."""
        try:
            return msgspec.json.decode(files.read_bytes(path, MAX_BYTES), type=cls)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DatasetError(f"{path} holds no split of subjects: {error}") from error

    def measuring(self, people: frozenset[str]) -> dict[str, list[str]]:
        """Those of ``people`` who measure, sorted, by role: no weights may have learned from them."""
        roles = {role: getattr(self, role) for role in self.__struct_fields__ if role != "train"}
        return {role: sorted(people.intersection(them)) for role, them in roles.items() if people.intersection(them)}

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        files.write_bytes(path, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def split_subjects(
    dataset: Dataset, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> tuple[tuple[str, ...], ...]:
    """Split the persons at random into disjoint parts, each data set by the same fractions.

    How one data set is split depends on its own persons and the seed alone, not on the data sets beside it.

    Args:
        dataset: the persons to split.
        fractions: size of each part, positive, summing to 1.
        seed: another seed, another split.

    Raises:
        UsageError: the fractions are not positive or do not sum to 1.
        DatasetError: so few subjects that a part would be empty.
    """
    if min(fractions, default=0) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise UsageError(f"fractions must be positive and sum to 1, not {tuple(fractions)}")
    parts: list[list[str]] = [[] for _ in fractions]
    for subjects in _shuffled(dataset, seed):
        ends = np.rint(np.cumsum(fractions) * len(subjects)).astype(int)
        for part, chunk in zip(parts, np.split(subjects, ends[:-1]), strict=True):
            part.extend(chunk.tolist())
    return _complete(dataset, parts)


def folds(dataset: Dataset, n: int, seed: int = 0) -> tuple[tuple[str, ...], ...]:
    """Split the persons at random into ``n`` disjoint test folds of equal size (within 1), mixed alike by data set.

    Raises:
        UsageError: fewer than 2 folds.
        DatasetError: fewer subjects than folds.
    """
    if n < 2:
        raise UsageError(f"cross-validation needs at least 2 folds, not {n}")
    order = [subject for subjects in _shuffled(dataset, seed) for subject in subjects.tolist()]
    return _complete(dataset, [order[i::n] for i in range(n)])


def _require_fold(number: int, count: int) -> None:
    if not 1 <= number <= count:
        raise UsageError(f"there is no fold {number} of {count}; folds are counted from 1")


def _without(people: Sequence[str], others: Collection[str]) -> tuple[str, ...]:
    return tuple(person for person in people if person not in others)


def _shuffled(dataset: Dataset, seed: int) -> list[NDArray[np.str_]]:
    # By the data set that a person comes from: scans and photographs of one person stay together.
    names = sorted(datasets_of(dataset.subjects))
    groups = [[s for s in dataset.subjects if dataset_of(s) == name] for name in names]
    seeds = [(seed, zlib.crc32(name.encode())) for name in names]
    return [np.random.default_rng(s).permutation(np.array(group)) for s, group in zip(seeds, groups, strict=True)]


def _complete(dataset: Dataset, parts: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    if not all(parts):
        raise DatasetError(f"{dataset.name}: {len(dataset.subjects)} subjects are too few for {len(parts)} parts")
    return tuple(tuple(sorted(part)) for part in parts)
