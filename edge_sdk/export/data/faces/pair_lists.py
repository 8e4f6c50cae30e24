"""The published pairs of CFP and LFW.

CFP (Sengupta et al., 2016): ten folds of 50 people, for frontal with frontal faces (FF) and frontal with profile (FP).
LFW's view 2 (Huang et al., 2007): ten folds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import DatasetError
from edge_sdk.export.data.layouts import Entry
from edge_sdk.export.data.modality_data import Holdout, PairSource, PublishedPair

FOLDS = 10
_SPLIT = "Protocol/Split/{kind}/{fold:02d}/{name}.txt"
_LISTED = re.compile(
    r"(?P<number>\d+)\s+(?:\.\./)?(?P<path>Data/Images/(?P<person>\d{3})/(?:frontal|profile)/\d+\.jpg)"
)


@dataclass(frozen=True)
class CfpPairs:
    """One or both of CFP's lists; with both, each fold has the pairs of FF before those of FP."""

    kinds: tuple[str, ...]

    def __call__(self, root: Path) -> list[PublishedPair]:
        frontal = _numbered(root, "F")
        pictures = {"FF": (frontal, frontal), "FP": (frontal, _numbered(root, "P") if "FP" in self.kinds else {})}
        found: list[PublishedPair] = []
        for fold in range(1, FOLDS + 1):
            for kind in self.kinds:
                lists = [root / _SPLIT.format(kind=kind, fold=fold, name=name) for name in ("same", "diff")]
                same, diff = (list(_cfp_list(path, fold, *pictures[kind])) for path in lists)
                if len(same) != len(diff):
                    raise DatasetError(
                        f"{root}: half-complete: fold {fold:02d} of {kind} has {len(same)} pairs of one person and "
                        f"{len(diff)} of two; fetch {lists[0].name} and {lists[1].name} again"
                    )
                found += same + diff
        return found


def _numbered(root: Path, which: str) -> dict[int, Entry]:
    """The pictures by the numbers that the lists of pairs name them by."""
    path = root / "Protocol" / f"Pair_list_{which}.txt"
    pictures = {}
    for number, line in _lines(path):
        match = _LISTED.fullmatch(line)
        if match is None:
            raise DatasetError(
                f"{path}, line {number}: expected a number and a picture such as 1 ../Data/Images/001/frontal/01.jpg, "
                f"not {line!r}"
            )
        if int(match["number"]) in pictures:
            raise DatasetError(f"{path}, line {number}: the number {match['number']} stands for two pictures")
        pictures[int(match["number"])] = Entry(match["person"], True, root / match["path"])
    return pictures


def _cfp_list(path: Path, fold: int, references: dict[int, Entry], probes: dict[int, Entry]) -> Iterator[PublishedPair]:
    mated = path.stem == "same"
    for number, line in _lines(path):
        names = line.split(",")
        if len(names) != 2 or not all(name.strip().isdecimal() for name in names):
            raise DatasetError(f"{path}, line {number}: expected two numbers of pictures such as 4,7, not {line!r}")
        first, second = references.get(int(names[0])), probes.get(int(names[1]))
        if first is None or second is None:
            raise DatasetError(f"{path}, line {number}: no such picture in the Pair_list files: {line!r}")
        if (first.person == second.person) != mated:
            raise DatasetError(f"{path}, line {number}: {line!r} is of {first.person} and {second.person}")
        yield PublishedPair(fold, first, second, mated)


def lfw_pairs(root: Path) -> list[PublishedPair]:
    """LFW's pairs: ``pairs_by_fold.txt``, official lines with the fold in front, else the official ``pairs.txt``."""
    path = root / "pairs_by_fold.txt"
    if not path.is_file():
        return _official(root, root / "pairs.txt")
    found = []
    for number, line in _lines(path):
        fold, *names = line.split("\t")
        if not fold.isdecimal() or int(fold) < 1:
            raise DatasetError(f"{path}, line {number}: expected the number of a fold in front, not {line!r}")
        found.append(_lfw_pair(root, path, number, int(fold), names))
    return found


def _official(root: Path, path: Path) -> list[PublishedPair]:
    """A head with the number of folds and of pairs; then by fold as many pairs of one person, and as many of two."""
    lines = list(_lines(path))
    head = lines[0][1].split()
    if len(head) != 2 or not all(word.isdecimal() for word in head):
        raise DatasetError(
            f"{path}, line 1: expected the numbers of folds and of pairs such as 10 300, not {lines[0][1]!r}"
        )
    folds, each = map(int, head)
    if len(lines) != 1 + 2 * folds * each:
        raise DatasetError(
            f"{path}: half-complete: {len(lines) - 1} pairs, and its head says {folds} folds of 2 x {each}; fetch it "
            "again"
        )
    return [
        _lfw_pair(root, path, number, 1 + index // (2 * each), line.split("\t"))
        for index, (number, line) in enumerate(lines[1:])
    ]


def _lfw_pair(root: Path, path: Path, number: int, fold: int, names: list[str]) -> PublishedPair:
    """``Abel_Pacheco 1 4`` or ``Andy_Dick 1 Simon_Yam 1``."""
    mated = len(names) == 3
    if mated:
        names = [names[0], names[1], names[0], names[2]]
    if len(names) != 4 or not (names[1].isdecimal() and names[3].isdecimal()) or {"", ".", ".."} & {names[0], names[2]}:
        raise DatasetError(
            f"{path}, line {number}: expected a person and two pictures, or two persons with a picture each, separated "
            f"by tabs, not {names}"
        )
    if not mated and names[0] == names[2]:
        raise DatasetError(f"{path}, line {number}: a pair of two persons, and both are {names[0]}")
    first, second = (
        Entry(person, True, root / person / f"{person}_{int(picture):04d}.jpg")
        for person, picture in ((names[0], names[1]), (names[2], names[3]))
    )
    return PublishedPair(fold, first, second, mated)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, from 1; DatasetError if there are none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: no such list of pairs, or it cannot be read: {error}") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise DatasetError(f"{path}: half-complete: an empty list of pairs; fetch it again")
    yield from lines


_PERSON_VERIFICATION = Holdout(train=(1, 2, 3, 4, 5, 6), validation=(7, 8), test=(9, 10))
"""Of the siamese person verification: which folds its authors trained, chose and tested on."""

_CFP = "Protocol/Pair_list_{F,P}.txt, Protocol/Split/%s/NN/{same,diff}.txt, Data/Images/"
PAIRS = {
    "cfp-ff": PairSource(CfpPairs(("FF",)), "cfp", "frontal with frontal faces: " + _CFP % "FF"),
    "cfp-fp": PairSource(CfpPairs(("FP",)), "cfp", "frontal with profile faces: " + _CFP % "FP"),
    "cfp-pooled": PairSource(
        CfpPairs(("FF", "FP")), "cfp", "both of these in one list: " + _CFP % "{FF,FP}", _PERSON_VERIFICATION
    ),
    "lfw": PairSource(lfw_pairs, "lfw", "view 2: pairs.txt or pairs_by_fold.txt, PERSON/PERSON_NNNN.jpg"),
}
