"""Pictures that are one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.export.data.identical import IdenticalPicture, without_identical
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample

from ...paths import DATA


def sample(path: Path, person: str, content: bytes, dataset: str = "a") -> Sample:
    path.write_bytes(content)
    return Sample(dataset, f"{dataset}/{person}", True, path, modality="face")


def test_of_a_persons_the_first_stays_and_of_several_peoples_none(tmp_path: Path) -> None:
    samples = (
        one := sample(tmp_path / "1", "ann", b"same"),
        copy := sample(tmp_path / "2", "ann", b"same"),
        as_long := sample(tmp_path / "3", "ann", b"else"),
        hers := sample(tmp_path / "4", "ann", b"both"),
        his := sample(tmp_path / "5", "bob", b"both"),
        elsewhere := sample(tmp_path / "6", "bob", b"both", "b"),
        gone := Sample("a", "a/bob", True, tmp_path / "nowhere", modality="face"),
    )

    kept, left_out = without_identical(Dataset("a+b", samples))

    assert kept.samples == (one, as_long, elsewhere, gone)
    assert left_out == (
        IdenticalPicture(str(copy.path), "a/ann", str(one.path), "a/ann"),
        IdenticalPicture(str(hers.path), "a/ann", str(his.path), "a/bob"),
        IdenticalPicture(str(his.path), "a/bob", str(hers.path), "a/ann"),
    )


def test_data_without_any_stay_as_they_are(tmp_path: Path) -> None:
    data = Dataset("a", (sample(tmp_path / "1", "ann", b"one"), sample(tmp_path / "2", "ann", b"two")))
    assert without_identical(data) == (data, ())


@pytest.mark.skipif(not (DATA / "cfp").is_dir(), reason="needs the CFP data set (EDGE_SDK_DATA)")
def test_the_cfp_that_is_here() -> None:
    """29 pairs within a person: 26 pictures that are there twice, and one that is there three times."""
    _, left_out = without_identical(load(f"cfp:{DATA / 'cfp'}"))
    assert len(left_out) == 28
    assert all(one.subject == one.other for one in left_out)


@pytest.mark.skipif(not (DATA / "lfw").is_dir(), reason="needs the LFW data set (EDGE_SDK_DATA)")
def test_the_lfw_that_is_here() -> None:
    """Two pairs between persons."""
    _, left_out = without_identical(load(f"lfw:{DATA / 'lfw'}"))
    assert sorted(one.subject for one in left_out) == [
        "lfw/Bart_Hendricks",
        "lfw/Carlos_Beltran",
        "lfw/Raul_Ibanez",
        "lfw/Ricky_Ray",
    ]
