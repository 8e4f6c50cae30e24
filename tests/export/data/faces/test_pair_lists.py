"""Published pairs of faces: which pictures are compared, in which fold, and what is left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.pair_lists import IDENTICAL, PairList, load_pairs

from ....paths import DATA

PEOPLE_A_FOLD = 2


def picture(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((4, 4), level, np.uint8))[1].tobytes())


@pytest.fixture
def cfp(tmp_path: Path) -> Path:
    """CFP's layout: two people a fold, each with two frontal pictures and a profile."""
    root = tmp_path / "cfp"
    frontal, profile = [], []
    for person in range(1, 10 * PEOPLE_A_FOLD + 1):
        for kind, numbers, names in (("frontal", (1, 2), frontal), ("profile", (1,), profile)):
            for number in numbers:
                name = f"Data/Images/{person:03d}/{kind}/{number:02d}.jpg"
                picture(root / name, 10 * person + number + 4 * (kind == "profile"))
                names.append(name)
    for which, names in (("F", frontal), ("P", profile)):
        listed = root / f"Protocol/Pair_list_{which}.txt"
        listed.parent.mkdir(parents=True, exist_ok=True)
        listed.write_text("".join(f"{number} ../{name}\r\n" for number, name in enumerate(names, start=1)))
    for fold in range(1, 11):
        one, other = 4 * fold - 3, 4 * fold - 1  # the first frontal picture of each person
        lists = {
            ("FF", "same"): [(one, one + 1), (other + 1, other)],
            ("FF", "diff"): [(one, other), (other, one + 1)],
            ("FP", "same"): [(one, 2 * fold - 1)],
            ("FP", "diff"): [(one, 2 * fold)],
        }
        for (kind, name), pairs in lists.items():
            path = root / f"Protocol/Split/{kind}/{fold:02d}/{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{first},{second}\n" for first, second in pairs))
    return root


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    root = tmp_path / "lfw"
    for level, (person, number) in enumerate(
        (("Ann_Ax", 1), ("Ann_Ax", 12), ("Bo", 1), ("Cy", 1), ("Cy", 2), ("Di", 1))
    ):
        picture(root / person / f"{person}_{number:04d}.jpg", 10 * level)
    (root / "pairs.txt").write_text("2\t1\nAnn_Ax\t1\t12\nAnn_Ax\t12\tBo\t1\nCy\t1\t2\nCy\t2\tDi\t1\n")
    return root


def named(pairs: PairList) -> list[tuple[int, str, str, bool]]:
    """Fold, pictures and label of each pair."""
    names = ["/".join(sample.path.with_suffix("").parts[-3:]) for sample in pairs.data.samples]
    rows = zip(pairs.folds.tolist(), pairs.first, pairs.second, pairs.mated.tolist(), strict=True)
    return [(fold, names[first], names[second], mated) for fold, first, second, mated in rows]


def test_cfp_pairs_are_as_published(cfp: Path) -> None:
    frontal, profile, pooled = (load_pairs(f"cfp-{kind}:{cfp}") for kind in ("ff", "fp", "pooled"))

    assert named(frontal)[4:8] == [
        (2, "003/frontal/01", "003/frontal/02", True),
        (2, "004/frontal/02", "004/frontal/01", True),
        (2, "003/frontal/01", "004/frontal/01", False),
        (2, "004/frontal/01", "003/frontal/02", False),
    ]
    assert named(profile)[2:4] == [
        (2, "003/frontal/01", "003/profile/01", True),
        (2, "003/frontal/01", "004/profile/01", False),
    ]
    assert [row for row in named(pooled) if row[0] == 2] == named(frontal)[4:8] + named(profile)[2:4]
    assert (frontal.name, pooled.numbers, pooled.left_out) == ("cfp-ff", tuple(range(1, 11)), ())
    assert {(sample.dataset, sample.genuine, sample.modality) for sample in pooled.data.samples} == {
        ("cfp", True, "face")
    }
    assert pooled.of((9,)).holdout == pooled.holdout
    assert pooled.holdout
    assert frontal.holdout is None
    assert frontal.people([2]) == {"cfp/003", "cfp/004"}


def test_folds_are_taken_apart_with_their_own_pictures(cfp: Path) -> None:
    pairs = load_pairs(f"cfp-pooled:{cfp}")

    part = pairs.of((3, 7))

    assert named(part) == [row for row in named(pairs) if row[0] in (3, 7)]
    assert part.data.subjects == ("cfp/005", "cfp/006", "cfp/013", "cfp/014")
    assert len(part.data.samples) == 2 * 2 * 3
    assert (part.comparisons.references[:, 0] == part.first).all()
    assert (part.comparisons.queries == part.second).all()
    with pytest.raises(DatasetError, match="cfp-pooled: no fold 11; there are"):
        pairs.of((1, 11))


def test_pairs_of_identical_pictures_are_left_out_and_told(cfp: Path) -> None:
    images = cfp / "Data/Images/001/frontal"
    (images / "02.jpg").write_bytes((images / "01.jpg").read_bytes())

    pairs = load_pairs(f"cfp-ff:{cfp}")

    assert [tuple(pair) for pair in pairs.left_out] == [(1, images / "01.jpg", images / "02.jpg", True, IDENTICAL)]
    assert (1, "001/frontal/01", "001/frontal/02", True) not in named(pairs)
    assert Counter(pairs.folds.tolist()) == {1: 3, **dict.fromkeys(range(2, 11), 4)}
    assert (len(pairs.of((1,)).left_out), len(pairs.of((2,)).left_out)) == (1, 0)


@pytest.mark.parametrize("by_fold", [False, True])
def test_lfw_pairs_of_a_full_download_and_by_fold(lfw: Path, by_fold: bool) -> None:
    if by_fold:
        lines = (lfw / "pairs.txt").read_text().splitlines()[1:]
        (lfw / "pairs.txt").unlink()
        (lfw / "pairs_by_fold.txt").write_text("".join(f"{1 + k // 2}\t{line}\n" for k, line in enumerate(lines)))

    pairs = load_pairs(f"lfw:{lfw}")

    assert named(pairs) == [
        (1, "lfw/Ann_Ax/Ann_Ax_0001", "lfw/Ann_Ax/Ann_Ax_0012", True),
        (1, "lfw/Ann_Ax/Ann_Ax_0012", "lfw/Bo/Bo_0001", False),
        (2, "lfw/Cy/Cy_0001", "lfw/Cy/Cy_0002", True),
        (2, "lfw/Cy/Cy_0002", "lfw/Di/Di_0001", False),
    ]
    assert pairs.people([1]) == {"lfw/Ann_Ax", "lfw/Bo"}


def test_a_person_in_two_folds_is_refused(lfw: Path) -> None:
    text = (lfw / "pairs.txt").read_text().replace("Cy\t2\tDi\t1", "Cy\t2\tBo\t1")
    (lfw / "pairs.txt").write_text(text)
    with pytest.raises(DatasetError, match="lfw/Bo is in the folds 1 and 2"):
        load_pairs(f"lfw:{lfw}")


def test_half_complete_folders_are_named(cfp: Path, lfw: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no such folder; expected frontal with frontal faces: Protocol/Pair_list_"):
        load_pairs(f"cfp-ff:{tmp_path / 'nowhere'}")
    short = cfp / "Protocol/Split/FP/07/diff.txt"
    short.write_text("")
    with pytest.raises(DatasetError, match=r"07/diff.txt: half-complete: an empty list of pairs"):
        load_pairs(f"cfp-fp:{cfp}")
    short.unlink()
    with pytest.raises(DatasetError, match=r"07/diff.txt: no such list of pairs"):
        load_pairs(f"cfp-pooled:{cfp}")
    load_pairs(f"cfp-ff:{cfp}")  # whose lists are whole
    same = cfp / "Protocol/Split/FF/03/same.txt"
    same.write_text(same.read_text().splitlines()[0])
    with pytest.raises(DatasetError, match="fold 03 of FF has 1 pairs of one person and 2 of two"):
        load_pairs(f"cfp-ff:{cfp}")
    (lfw / "Di/Di_0001.jpg").unlink()
    with pytest.raises(DatasetError, match=r"half-complete: 1 of the 6 pictures .* are missing: Di/Di_0001.jpg"):
        load_pairs(f"lfw:{lfw}")
    picture(lfw / "Di/Di_0001.jpg", 3)
    (lfw / "pairs.txt").write_text("2\t1\nAnn_Ax\t1\t12\n")
    with pytest.raises(DatasetError, match="half-complete: 1 pairs, and its head says 2 folds of 2 x 1"):
        load_pairs(f"lfw:{lfw}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Pair_list_F.txt", "1 ../../etc/passwd", "expected a number and a picture"),
        ("Pair_list_F.txt", "1 Data/Images/001/frontal/01.jpg\n01 Data/Images/001/frontal/02.jpg", "for two pictures"),
        ("Split/FF/01/same.txt", "1;2", "expected two numbers of pictures"),
        ("Split/FF/01/same.txt", "1,4000", "no such picture in the Pair_list files"),
        ("Split/FF/01/same.txt", "1,3", "is of 001 and 002"),
        ("Split/FF/01/diff.txt", "1,2", "is of 001 and 001"),
        ("Split/FF/01/diff.txt", "\xff1,2", "cannot be read"),
    ],
)
def test_lines_that_say_something_else_are_named(cfp: Path, name: str, content: str, message: str) -> None:
    (cfp / "Protocol" / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(DatasetError, match=message):
        load_pairs(f"cfp-ff:{cfp}")


@pytest.mark.parametrize("line", ["Ann_Ax\t1", "Ann_Ax\tone\t2", "..\t1\t..\t2", "Ann_Ax\t1\tBo\t1\t1"])
def test_lfw_lines_that_say_something_else_are_named(lfw: Path, line: str) -> None:
    (lfw / "pairs_by_fold.txt").write_text(f"1\t{line}\n")
    with pytest.raises(DatasetError, match="line 1: expected a person and two pictures"):
        load_pairs(f"lfw:{lfw}")


def test_an_lfw_list_that_contradicts_itself_is_named(lfw: Path) -> None:
    (lfw / "pairs.txt").write_text("2 folds\nAnn_Ax\t1\t12\n")
    with pytest.raises(DatasetError, match="such as 10 300, not '2 folds'"):
        load_pairs(f"lfw:{lfw}")
    (lfw / "pairs_by_fold.txt").write_text("1\tAnn_Ax\t1\tAnn_Ax\t12\n")
    with pytest.raises(DatasetError, match="line 1: a pair of two persons, and both are Ann_Ax"):
        load_pairs(f"lfw:{lfw}")


@pytest.mark.parametrize("spec", ["cfp", "cfp-ff:", "cedar:PATH", "print+cfp-ff:PATH", "nowhere+lfw:PATH"])
def test_specifications_that_name_no_list(spec: str) -> None:
    with pytest.raises(UsageError, match="names no list of pairs; expected cfp-ff:PATH, cfp-fp:PATH"):
        load_pairs(spec)


@pytest.mark.skipif(not (DATA / "cfp").is_dir(), reason="needs the CFP data set (EDGE_SDK_DATA)")
def test_the_cfp_that_is_here() -> None:
    """500 people in folds of 50; three official FF pairs of one person are the same file twice."""
    pairs = load_pairs(f"cfp-pooled:{DATA / 'cfp'}")

    assert pairs.holdout is not None
    uses = (pairs.holdout.train, pairs.holdout.validation, pairs.holdout.test)
    assert [len(pairs.of(part)) for part in uses] == [8397, 2800, 2800]  # 8,400 published
    assert [min(pairs.people([fold])) for fold in pairs.numbers] == [f"cfp/{n:03d}" for n in range(1, 500, 50)]
    assert [(pair.fold, pair.first.parts[-3], pair.mated) for pair in pairs.left_out] == [
        (1, "014", True),
        (1, "037", True),
        (5, "236", True),
    ]


@pytest.mark.skipif(not (DATA / "lfw/pairs_by_fold.txt").is_file(), reason="needs the LFW data set (EDGE_SDK_DATA)")
def test_the_lfw_that_is_here() -> None:
    pairs = load_pairs(f"lfw:{DATA / 'lfw'}")

    assert (len(pairs), len(pairs.data.subjects), pairs.left_out) == (4480, 3237, ())
    assert pairs.numbers == tuple(range(1, 9))
