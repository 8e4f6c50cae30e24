"""Comparisons that a data set publishes: which picture with which, in folds that share nobody."""

from __future__ import annotations

import filecmp
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration.metrics.pairs import Comparisons
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.layouts import Entry, order, require_content, some
from edge_sdk.export.data.load import sample_of
from edge_sdk.export.data.modality_data import Holdout, PublishedPair
from edge_sdk.export.data.samples import Dataset, Indices, ReportProgress, unreported

IDENTICAL = "the same file twice"
NO_PICTURE = "one of its pictures was left out when the faces were cut out"


class LeftOutPair(NamedTuple):
    """A published pair that is not compared, and why."""

    fold: int
    first: Path
    second: Path
    mated: bool
    reason: str

    @property
    def identical(self) -> bool:
        """Whether its two pictures are one file."""
        return self.reason == IDENTICAL


@dataclass(frozen=True, eq=False)
class PairList:
    """P pairs of pictures, in the order that they are published in.

    Attributes:
        name: Of the list, such as ``cfp-ff``.
        data: Every picture of the pairs, once.
        first, second: ``int64 (P,)``, into ``data.samples``.
        mated: ``bool (P,)``, whether both are of one person.
        folds: ``int64 (P,)``, the published number of the pair's fold, from 1.
        left_out: Published pairs that are not among them.
        holdout: The use of its folds; None where each is tested once, with the threshold chosen on the others.

    Raises:
        DatasetError: There is no pair, or a person is in two folds, so that a fold would test who another fits on.
    """

    name: str
    data: Dataset
    first: Indices
    second: Indices
    mated: NDArray[np.bool_]
    folds: Indices
    left_out: tuple[LeftOutPair, ...] = ()
    holdout: Holdout | None = None

    def __post_init__(self) -> None:
        if not self.folds.size:
            raise DatasetError(f"{self.name}: there is no pair to compare")
        home: dict[str, int] = {}
        for number in self.numbers:
            for person in sorted(self.people([number])):
                if home.setdefault(person, number) != number:
                    raise DatasetError(f"{self.name}: {person} is in the folds {home[person]} and {number}")

    def __len__(self) -> int:
        return self.folds.size

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The folds that there are, in rising order."""
        return tuple(np.unique(self.folds).tolist())

    @cached_property
    def subjects(self) -> NDArray[np.str_]:
        """``(P, 2)``: the persons on both pictures of each pair."""
        people = np.array([sample.subject for sample in self.data.samples])
        return np.stack([people[self.first], people[self.second]], axis=1)

    @property
    def comparisons(self) -> Comparisons:
        """The pairs as comparisons of the data's samples: the first is the reference."""
        return Comparisons(self.first[:, None], self.second, self.mated)

    def people(self, folds: Collection[int]) -> frozenset[str]:
        """Everybody in these folds."""
        return frozenset(self.subjects[np.isin(self.folds, list(folds))].ravel().tolist())

    def of(self, folds: Collection[int]) -> PairList:
        """The pairs of these folds, with their pictures alone.

        Raises:
            DatasetError: There is no such fold.
        """
        if unknown := sorted(set(folds).difference(self.numbers)):
            raise DatasetError(f"{self.name}: no fold {', '.join(map(str, unknown))}; there are {self.numbers}")
        chosen = np.isin(self.folds, list(folds))
        kept, place = np.unique(np.concatenate([self.first[chosen], self.second[chosen]]), return_inverse=True)
        first, second = np.split(place.astype(np.int64), 2)
        return PairList(
            self.name,
            Dataset(self.data.name, tuple(self.data.samples[k] for k in kept), self.data.own),
            first,
            second,
            self.mated[chosen],
            self.folds[chosen],
            tuple(pair for pair in self.left_out if pair.fold in folds),
            self.holdout,
        )


def load_pairs(spec: str, progress: ReportProgress = unreported) -> PairList:
    """Load published pairs. Those of byte-identical pictures are left out: there is nothing to compare.

    Args:
        spec: ``cfp-ff:PATH``, ``lfw:PATH`` and so on; in front may stand a crop, as before the name of a data set.
        progress: As for :func:`edge_sdk.export.data.load.load`.

    Raises:
        DatasetError: A folder is missing or half-complete.
        UsageError: The specification cannot be read.
    """
    name, _, rest = spec.partition(":")
    crop, _, kind = name.rpartition("+")
    found = next(((data, data.pairs[kind]) for data in catalogue.DATA.values() if kind in data.pairs), None)
    if found is None or not rest or (crop and crop not in found[0].crops):
        raise UsageError(f'"{spec}" names no list of pairs; expected {", ".join(f"{row}:PATH" for row, _ in rows())}')
    data, source = found
    root = Path(rest).expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; expected {source.description}")
    published = source.read(root)
    require_pictures(root, [entry for pair in published for entry in (pair.first, pair.second)])
    entries = sorted({entry for pair in published for entry in (pair.first, pair.second)}, key=order)
    shown = {_picture(entry): entry for entry in entries}
    if crop:
        made = data.crops[crop].make(entries, "", partial(progress, f"rendering {name}"))
        shown = {_picture(entry): entry for entry in made}
    kept, left_out = _sort_out(published, shown)
    used = sorted({shown[_picture(entry)] for pair in kept for entry in (pair.first, pair.second)}, key=order)
    index = {_picture(entry): number for number, entry in enumerate(used)}
    dataset = f"{crop}+{source.people}" if crop else source.people
    return PairList(
        name,
        Dataset(dataset, tuple(sample_of(dataset, source.people, data.modality, entry) for entry in used)),
        np.array([index[_picture(pair.first)] for pair in kept], np.int64),
        np.array([index[_picture(pair.second)] for pair in kept], np.int64),
        np.array([pair.mated for pair in kept], np.bool_),
        np.array([pair.fold for pair in kept], np.int64),
        tuple(left_out),
        source.holdout,
    )


def rows() -> Iterable[tuple[str, str]]:
    """Every kind of list with its files, for help texts."""
    return ((name, source.description) for data in catalogue.DATA.values() for name, source in data.pairs.items())


def _sort_out(
    published: Sequence[PublishedPair], shown: dict[tuple[str, ...], Entry]
) -> tuple[list[PublishedPair], list[LeftOutPair]]:
    kept, left_out = [], []
    for pair in published:
        first, second = pair.first.path, pair.second.path
        if not {_picture(pair.first), _picture(pair.second)} <= shown.keys():
            left_out.append(LeftOutPair(pair.fold, first, second, pair.mated, NO_PICTURE))
        elif filecmp.cmp(first, second, shallow=False):  # looks at the sizes first
            left_out.append(LeftOutPair(pair.fold, first, second, pair.mated, IDENTICAL))
        else:
            kept.append(pair)
    return kept, left_out


def _picture(entry: Entry) -> tuple[str, ...]:
    """What tells a picture from the others of its data set, and which it keeps when it is cut out."""
    return entry.person, entry.path.parent.name, entry.path.stem


def require_pictures(root: Path, entries: Iterable[Entry]) -> None:
    """Raise DatasetError if pictures that a list names are missing, or have 0 bytes."""
    paths = sorted({entry.path for entry in entries})
    if missing := [path.relative_to(root).as_posix() for path in paths if not path.is_file()]:
        raise DatasetError(
            f"{root}: half-complete: {len(missing)} of the {len(paths)} pictures in its lists of pairs are missing: "
            f"{some(missing)}; fetch them again"
        )
    require_content(root, paths)
