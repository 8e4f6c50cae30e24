from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import folds, split_subjects

from ...paths import ROOT

REAL = Path(os.environ.get("EDGE_SDK_DATA", ROOT / "../shared/data"))

# Tiny trees in the official layouts: (specification, genuine files, forged files, subjects).
TREES = {
    "cedar": (
        ["full_org/original_2_1.png", "full_org/original_10_1.png", "full_org/original_2_2.png"],
        ["full_forg/forgeries_2_1.png", "full_forg/forgeries_10_1.png"],
        ["cedar/10", "cedar/2"],
    ),
    "sigcomp2011": (
        ["001/001_01.png", "012/012_1.PNG"],
        ["001_forg/0119001_01.png", "012_forg/0113012_04.png", "012_forg/02_0124012.png"],
        ["sigcomp2011/001", "sigcomp2011/012"],
    ),
    "svc2004": (
        ["user1/genuine/U1S1.png", "user11/genuine/U11S3.png"],
        ["user1/forged/U1S21.png", "user11/forged/U11S40.png"],
        ["svc2004/1", "svc2004/11"],
    ),
    "bhsig260": (
        ["Bengali/001/B-S-001-G-01.tif", "Hindi/001/H-S-001-G-24.tif", "Hindi/7/H-S-7-G-01.tif"],
        ["Bengali/001/B-S-001-F-01.tif", "Hindi/001/H-S-001-F-30.tif", "Hindi/7/H-S-7-F-01.tif"],
        ["bhsig260/Bengali/001", "bhsig260/Hindi/001", "bhsig260/Hindi/7"],
    ),
    "folder": (
        ["Anna B/genuine/scan one.jpg", "user.7/genuine/a.bmp"],
        ["Anna B/forged/x.png", "user.7/forged/a.tiff"],
        ["data/Anna B", "data/user.7"],
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def plant(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, np.full((4, 6), 200, np.uint8))[1].tobytes())


def forged_files_of(kind: str, root: Path, genuine: list[str], forged: list[str], writer: str) -> set[str]:
    """The forged files of one writer, as the loader attributes them in a complete copy of the tree."""
    whole = root.with_name("whole")
    plant(whole, *genuine, *forged)
    return {
        sample.path.relative_to(whole).as_posix()
        for sample in load(f"{kind}:{whole}").samples
        if not sample.genuine and sample.subject.endswith("/" + writer)
    }


def made_up(**subjects_of: int) -> Dataset:
    return Dataset(
        "made-up",
        tuple(
            Sample(name, f"{name}/{i}", genuine, Path("none.png"), modality="signature")
            for name, count in subjects_of.items()
            for i in range(count)
            for genuine in (True, False)
        ),
    )


@pytest.mark.parametrize("kind", TREES)
def test_reads_the_official_layout(kind: str, root: Path) -> None:
    genuine, forged, subjects = TREES[kind]
    plant(root, *genuine, *forged)
    (root / "Thumbs.db").write_bytes(b"no image")
    (root / "._hidden.png").write_bytes(b"")

    data = load(f"{kind}:{root}")

    assert list(data.subjects) == subjects
    assert {s.path.relative_to(root).as_posix() for s in data.samples if s.genuine} == set(genuine)
    assert {s.path.relative_to(root).as_posix() for s in data.samples if not s.genuine} == set(forged)
    assert all(s.subject.startswith(s.dataset + "/") for s in data.samples)
    assert all(s.read().shape[:2] == (4, 6) for s in data.samples)


def test_order_is_by_writer_number_then_genuine_then_file_number(root: Path) -> None:
    plant(root, *(f"full_org/original_{w}_{k}.png" for w in (10, 2) for k in (10, 9)))
    plant(root, *(f"full_forg/forgeries_{w}_1.png" for w in (10, 2)))
    names = [sample.path.stem for sample in load(f"cedar:{root}").samples]
    assert names == [
        *("original_2_9", "original_2_10", "forgeries_2_1"),
        *("original_10_9", "original_10_10", "forgeries_10_1"),
    ]


@pytest.mark.parametrize("kind", TREES)
def test_writer_without_forgeries_is_named(kind: str, root: Path) -> None:
    genuine, forged, subjects = TREES[kind]
    writer = subjects[0].split("/", 1)[1]
    lost = forged_files_of(kind, root, genuine, forged, writer)
    plant(root, *genuine, *(name for name in forged if name not in lost))
    with pytest.raises(DatasetError, match=f"1 writer.* genuine but no forged images: {writer}; add"):
        load(f"{kind}:{root}")


def test_writer_without_genuine_signatures_is_named(root: Path) -> None:
    plant(root, "anna/genuine/1.png", "anna/forged/1.png", "bert/forged/1.png")
    with pytest.raises(DatasetError, match="forged but no genuine images: bert"):
        load(f"folder:{root}")


@pytest.mark.parametrize("kind", TREES)
def test_missing_and_empty_folders_say_what_was_expected(kind: str, root: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder; expected"):
        load(f"{kind}:{root}")
    root.mkdir()
    with pytest.raises(DatasetError, match="no images; expected"):
        load(f"{kind}:{root}")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("cedar", "full_org/original_3.png"),
        ("cedar", "full_org/forgeries_3_1.png"),
        ("sigcomp2011", "001_forg/0119002_01.png"),  # a forgery of writer 002 in the folder of 001
        ("svc2004", "user1/genuine/U2S1.png"),
        ("bhsig260", "Hindi/001/B-S-001-G-01.tif"),
        ("bhsig260", "Bengali/002/B-S-001-G-01.tif"),
        ("folder", "anna/geniune/1.png"),
        ("folder", "1.png"),
    ],
)
def test_image_with_a_strange_name_is_named(kind: str, name: str, root: Path) -> None:
    genuine, forged, _ = TREES[kind]
    plant(root, *genuine, *forged, name)
    with pytest.raises(DatasetError, match=rf"1 image\(s\) do not fit the layout: {name}; expected"):
        load(f"{kind}:{root}")


def test_empty_file_is_named(root: Path) -> None:
    plant(root, "anna/genuine/1.png", "anna/forged/1.png")
    (root / "anna/genuine/2.png").touch()
    with pytest.raises(DatasetError, match=r"0 bytes: anna/genuine/2\.png"):
        load(f"folder:{root}")


@pytest.mark.parametrize("spec", ["", "cedar", "cedar:", "mnist:/tmp", "synthetic:", "synthetic:0", "synthetic:x@1"])
def test_unreadable_specification(spec: str) -> None:
    with pytest.raises(UsageError, match="synthetic:N"):
        load(spec)


def test_several_data_sets_join_into_one(tmp_path: Path) -> None:
    for name in ("first", "second"):
        plant(tmp_path / name, "anna/genuine/1.png", "anna/forged/1.png")
    data = load(f"folder:{tmp_path}/first", f"folder:{tmp_path}/second")
    assert data.name == "first+second"
    assert data.subjects == ("first/anna", "second/anna")
    with pytest.raises(DatasetError, match="first/anna"):
        load(f"folder:{tmp_path}/first", f"folder:{tmp_path}/first")


def test_select_keeps_order_and_refuses_strangers() -> None:
    data = made_up(a=3)
    chosen = data.select(["a/2", "a/0"])
    assert chosen.samples == tuple(s for s in data.samples if s.subject != "a/1")
    with pytest.raises(DatasetError, match="a/9"):
        data.select(["a/9"])


def test_split_is_disjoint_complete_stratified_and_repeatable() -> None:
    data = made_up(a=20, b=10)
    parts = split_subjects(data, seed=3)
    assert sorted(sum(parts, ())) == list(data.subjects)
    assert [[sum(s.startswith(name) for s in part) for name in "ab"] for part in parts] == [[12, 6], [4, 2], [4, 2]]
    assert parts == split_subjects(data, seed=3)
    assert parts != split_subjects(data, seed=4)


def test_split_of_one_data_set_does_not_depend_on_the_others() -> None:
    alone = split_subjects(made_up(a=20), seed=1)
    beside = split_subjects(made_up(a=20, b=7), seed=1)
    assert alone == tuple(tuple(s for s in part if s.startswith("a/")) for part in beside)


def test_folds_are_disjoint_complete_and_even() -> None:
    data = made_up(a=11, b=6)
    parts = folds(data, 5, seed=0)
    assert sorted(sum(parts, ())) == list(data.subjects)
    assert {len(part) for part in parts} == {3, 4}
    assert {sum(s.startswith("a/") for s in part) for part in parts} == {2, 3}
    assert parts != folds(data, 5, seed=1)


def test_impossible_splits() -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        split_subjects(made_up(a=9), (0.5, 0.2))
    with pytest.raises(UsageError, match="positive"):
        split_subjects(made_up(a=9), (1.2, -0.2))
    with pytest.raises(DatasetError, match="too few"):
        split_subjects(made_up(a=2))
    with pytest.raises(UsageError, match="at least 2"):
        folds(made_up(a=9), 1)
    with pytest.raises(DatasetError, match="too few"):
        folds(made_up(a=3), 4)


@pytest.mark.parametrize(
    ("kind", "folder", "subjects", "genuine", "forged"),
    [
        ("cedar", "cedar", 44, 1056, 1056),
        ("cedar", "cedar_raw", 3, 72, 72),
        ("sigcomp2011", "sigcomp2011_dutch", 32, 455, 399),
        ("svc2004", "svc2004", 20, 400, 400),
    ],
)
def test_real_data(kind: str, folder: str, subjects: int, genuine: int, forged: int) -> None:
    if not (REAL / folder).is_dir():
        pytest.skip(f"real data absent: {REAL / folder} (set EDGE_SDK_DATA)")
    data = load(f"{kind}:{REAL / folder}")
    counts = [sum(sample.genuine is kind for sample in data.samples) for kind in (True, False)]
    assert (len(data.subjects), *counts) == (subjects, genuine, forged)
    image = data.samples[-1].read()
    assert image.dtype == np.uint8
    assert min(image.shape[:2]) > 30
