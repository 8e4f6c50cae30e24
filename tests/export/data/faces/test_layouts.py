"""Sets of faces: which images they hold, of whom, live or by which attack."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.layouts import Pose
from edge_sdk.export.data.licenses import data_license
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import joined

from ....paths import DATA


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "mine"


def plant(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, np.full((4, 4), 90, np.uint8))[1].tobytes())


def nuaa(root: Path, **lists: list[str]) -> None:
    """A tree in NUAA's layout; ``client_test=["0010_00_00_01_3"]`` and so on, each list with at least person 0001."""
    for kind, folder in (("client", "ClientNormalized"), ("imposter", "ImposterNormalized")):
        for part in ("train", "test"):
            names = lists.get(f"{kind}_{part}", ["0001_00_00_01_0"])
            plant(root, *(f"{folder}/{name[:4]}/{name}.bmp" for name in names))
            lines = "".join(f"{name[:4]}\\{name}.bmp\r\n" for name in names)
            (root / f"{kind}_{part}_normalized.txt").write_bytes(lines.encode())


def test_nuaa_is_as_its_lists_say(root: Path) -> None:
    nuaa(
        root,
        client_train=["0001_00_00_01_7", "0001_00_00_01_12", "0002_01_05_03_0"],
        client_test=["0001_00_00_02_0", "0010_00_00_01_3"],
        imposter_train=["0003_00_01_02_5"],
        imposter_test=["0002_00_01_03_0", "0011_00_01_03_1"],
    )
    plant(root, "ClientNormalized/0001/0001_00_00_01_999.bmp")  # in no list

    train, test, new = (load(f"nuaa-{part}:{root}") for part in ("train", "test", "test-new"))

    assert [(s.subject, s.genuine, s.attack, s.session, s.path.stem[13:]) for s in train.samples] == [
        ("nuaa/0001", True, None, "00_00_01", "_7"),
        ("nuaa/0001", True, None, "00_00_01", "_12"),
        ("nuaa/0002", True, None, "01_05_03", "_0"),
        ("nuaa/0003", False, "print", "00_01_02", "_5"),
    ]
    assert test.subjects == ("nuaa/0001", "nuaa/0002", "nuaa/0010", "nuaa/0011")
    assert new.subjects == ("nuaa/0010", "nuaa/0011")  # 0002 is known by a live face, though not by an attack
    assert set(new.samples) < set(test.samples)
    assert set(load(f"nuaa:{root}").samples) == {*train.samples, *test.samples}
    assert (train.name, new.name, {s.dataset for s in joined(train, new).samples}) == (
        "nuaa-train",
        "nuaa-test-new",
        {"nuaa"},
    )
    with pytest.raises(DatasetError, match="nuaa-train and nuaa-test both hold nuaa/0001"):
        joined(train, test)


def test_nuaa_that_is_not_whole(root: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder; expected client_"):
        load(f"nuaa:{root}")
    nuaa(root)
    with pytest.raises(DatasetError, match="no new people"):
        load(f"nuaa-test-new:{root}")
    (root / "ImposterNormalized/0001/0001_00_00_01_0.bmp").unlink()
    with pytest.raises(
        DatasetError, match=r"half-complete: 1 of the 1 images in imposter_train_normal.*Imposter.*0\.bmp"
    ):
        load(f"nuaa:{root}")
    (root / "ImposterNormalized/0001/0001_00_00_01_0.bmp").touch()
    with pytest.raises(DatasetError, match="0 bytes"):
        load(f"nuaa:{root}")
    for text, wrong in (("", "not nothing"), ("0001/../../0001_00_00_01_0.bmp", "expected lines such as")):
        (root / "client_train_normalized.txt").write_text(text)
        with pytest.raises(DatasetError, match=wrong):
            load(f"nuaa:{root}")
    (root / "client_train_normalized.txt").unlink()
    with pytest.raises(DatasetError, match="no list client_train_normalized"):
        load(f"nuaa:{root}")


@pytest.mark.parametrize(
    ("kind", "names", "people"),
    [
        ("lfw", ["A_B/A_B_0001.jpg", "A_B/A_B_0002.jpg", "C/C_0001.jpg"], ["lfw/A_B", "lfw/A_B", "lfw/C"]),
        ("cfp", ["Data/Images/010/frontal/01.jpg", "Data/Images/010/profile/01.jpg"], ["cfp/010", "cfp/010"]),
        ("cfp-frontal", ["Data/Images/010/frontal/01.jpg", "Data/Images/010/profile/01.jpg"], ["cfp/010"]),
        ("live", ["anna/1.png", "anna/monday/2.png", "bert/am/car 2/3.bmp"], ["mine/anna", "mine/anna", "mine/bert"]),
    ],
)
def test_live_faces(kind: str, names: list[str], people: list[str], root: Path) -> None:
    plant(root, *names)
    data = load(f"{kind}:{root}")
    assert [sample.subject for sample in data.samples] == people
    assert all(sample.genuine and sample.attack is None for sample in data.samples)
    plant(root, "strange/Kitten_1.png" if kind != "live" else "1.png")
    with pytest.raises(DatasetError, match=r"1 image\(s\) do not fit"):
        load(f"{kind}:{root}")


def test_ones_own_attacks(root: Path) -> None:
    plant(root, "live/anna/1.png", "live/anna/drive/2.png", "attack-Print/anna/1.png", "attack-3d-mask/eve/x/y/1.png")
    (root / "poses.csv").write_text("file,x,y,z\nlive/anna/drive/2.png,3,-4.5,0\n")
    assert [(s.subject, s.genuine, s.attack, s.session, s.pose) for s in load(f"spoof:{root}").samples] == [
        ("mine/anna", True, None, None, None),
        ("mine/anna", True, None, "drive", Pose(3, -4.5, 0)),
        ("mine/anna", False, "print", None, None),
        ("mine/eve", False, "3d-mask", "x/y", None),
    ]


@pytest.mark.parametrize(
    ("names", "empty", "missing"),
    [
        (["live/a/1.png"], None, "no images in attack-TYPE"),
        (["live/a/1.png", "attack-print/a/1.png"], "attack-screen", "no images in attack-screen"),
        (["attack-print/a/1.png"], None, "no images in live"),
        (["attack-print/a/1.png"], "live", "no images in live;"),
    ],
)
def test_half_of_ones_own(names: list[str], empty: str | None, missing: str, root: Path) -> None:
    plant(root, *names)
    if empty:
        (root / empty).mkdir()
    (root / "notes").mkdir()
    with pytest.raises(DatasetError, match=f"half-complete: {missing}"):
        load(f"spoof:{root}")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("live/a/1.png,3,4", "line 1: expected file,x,y,z"),
        ("live/a/1.png,3,4,x", "line 1: expected file,x,y,z"),
        ("live/a/1.png,3,4,nan", "between -180 and 180"),
        ("live/a/9.png,3,4,0", "no such image"),
    ],
)
def test_poses_that_cannot_be_read(line: str, wrong: str, root: Path) -> None:
    plant(root, "live/a/1.png", "attack-print/a/1.png")
    (root / "poses.csv").write_text(line + "\n")
    with pytest.raises(DatasetError, match=wrong):
        load(f"spoof:{root}")


def test_poses_as_a_spreadsheet_writes_them(root: Path) -> None:
    plant(root, "anna/1.png")
    (root / "poses.csv").write_bytes("\ufefffile,x,y,z\r\nanna/1.png,1,2,3\r\n\r\n".encode())
    assert [sample.pose for sample in load(f"live:{root}").samples] == [Pose(1, 2, 3)]
    (root / "poses.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DatasetError, match="UTF-8"):
        load(f"live:{root}")


@pytest.mark.parametrize("kind", ["lfw", "cfp", "cfp-frontal", "live", "spoof"])
def test_missing_and_empty_folders_say_what_was_expected(kind: str, root: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder; expected"):
        load(f"{kind}:{root}")
    root.mkdir()
    with pytest.raises(DatasetError, match="no images; expected"):
        load(f"{kind}:{root}")


def test_profiles_alone_are_no_frontal_faces(root: Path) -> None:
    plant(root, "Data/Images/010/profile/01.jpg")
    with pytest.raises(DatasetError, match="none of the images is wanted"):
        load(f"cfp-frontal:{root}")


def test_faces_are_not_photographed_as_scans_are(root: Path) -> None:
    with pytest.raises(UsageError, match="names no data set"):
        load(f"photo+lfw:{root}")


def test_terms_of_public_faces() -> None:
    assert not data_license(["lfw"]).commercial_use
    assert "as its owner states" in data_license(["nuaa"]).statement


@pytest.mark.data
@pytest.mark.parametrize(
    ("kind", "people", "live", "attacks"),
    [
        ("nuaa-train", 9, 1742, 1748),  # the official lists, whole
        ("nuaa-test", 16, 1121, 1921),  # every third entry
        ("nuaa-test-new", 7, 663, 739),  # 10 to 16
        ("cfp", 500, 7000, 0),
        ("cfp-frontal", 500, 5000, 0),
    ],
)
def test_real_data(kind: str, people: int, live: int, attacks: int) -> None:
    folder = DATA / kind.partition("-")[0]
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder} (set EDGE_SDK_DATA)")
    data = load(f"{kind}:{folder}")
    counts = Counter(sample.attack for sample in data.samples)
    assert (len(data.subjects), counts[None], counts["print"]) == (people, live, attacks)
    assert data.samples[0].read().dtype == np.uint8
