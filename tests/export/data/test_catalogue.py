"""The rows of data sets: what help texts are made of, and that every licence is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk import modalities
from edge_sdk.errors import DatasetError, UsageError
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.licenses import PRETRAINED, data_license
from edge_sdk.export.data.load import load
from edge_sdk.export.data.people import dataset_of, person_id


def test_every_row_is_complete() -> None:
    rows = list(catalogue.rows())
    assert {row.modality for row in rows} <= set(modalities.MODALITIES)
    assert all(row.description and row.licence and ":" in row.specification for row in rows)
    names = [row.specification.partition(":")[0] for row in rows]
    assert len(set(names)) == len(names)
    assert [row.specification for row in rows if row.commercial_use] == ["synthetic:N[@SEED]", "walks:N[@SEED]"]
    prefixes = {"photo+", "print+", "screen+", "camera+", "scene+", "film+", "crop+", "align+"}
    prefixes |= {"varied-print+", "varied-screen+", "varied-camera+"}
    assert prefixes == {prefix for prefix, _, _ in catalogue.prefixes()}


@pytest.mark.parametrize("modality", list(catalogue.DATA))
def test_what_a_modality_brings_fits_together(modality: str) -> None:
    data = catalogue.of(modality)
    assert data.golden.keys() == data.limits.keys()
    reader = modalities.get(modality)
    for make in data.golden.values():
        files = make()
        assert len(files) == 2
        for name, content in files.items():
            assert any(name.endswith(suffix) for suffix in reader.suffixes)
            assert data.view(reader.decode(content)).dtype == "uint8"


def test_an_unknown_data_set_has_no_licence() -> None:
    with pytest.raises(DatasetError, match="licence of the data set casia"):
        data_license(["cedar", "casia"])
    mixed = data_license(["synthetic", "mine"], own={"mine"})
    assert not mixed.commercial_use
    assert "mine: the user's own data" in mixed.statement
    assert data_license(["synthetic"]).commercial_use
    assert not data_license(["synthetic"], own={"synthetic"}).commercial_use  # a folder that is called so
    assert all(not data_license([name]).commercial_use for name in PRETRAINED)


def test_prefixes_are_taken_off_in_order() -> None:
    assert catalogue.split_kind("crop+print+lfw") == catalogue.SourceName("crop", "print", "lfw")
    assert catalogue.split_kind("photo+cedar").prefix == "photo+"
    assert catalogue.split_kind("a+b") == catalogue.SourceName("", "", "a+b")
    for wrong in ("photo+lfw:x", "print+cedar:x", "crop+nexus:x", "nexus:", "nothing:x"):
        with pytest.raises(UsageError, match="names no data set"):
            load(wrong)


def test_names_of_people() -> None:
    assert dataset_of(person_id("bhsig260", "Hindi/7")) == "bhsig260"


def test_a_users_folder_is_known_as_such(tmp_path: Path) -> None:
    for kind in ("genuine", "forged"):
        (tmp_path / "mine" / "anna" / kind).mkdir(parents=True)
        (tmp_path / "mine" / "anna" / kind / "1.png").write_bytes(b"x")
    data = load(f"folder:{tmp_path / 'mine'}")
    assert data.own == data.select(data.subjects).own == {"mine"}
    assert load(f"folder:{tmp_path / 'mine'}", "synthetic:2").own == {"mine"}
