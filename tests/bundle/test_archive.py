"""A bundle as one zip: whatever is done to it, it opens with its own content or not at all."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError

from .made import GOLDEN, MODEL, check_whole, write
from .zips import REFUSED, Zip, rezip, with_damaged_headers, with_flipped_bits, with_flips_and_cuts


@pytest.fixture
def made(tmp_path: Path) -> Zip:
    return Zip(write(tmp_path / "tiny").path)


def test_a_plain_uncompressed_zip_is_a_bundle(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    zipped = Bundle.open(rezip(tmp_path / "tiny", tmp_path / "tiny.edge"))
    check_whole(zipped)
    assert zipped.id == bundle.id


def test_a_zip_by_hand_is_a_bundle(made: Zip, tmp_path: Path) -> None:
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge")))
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge", between=b"padding between members")))
    extra = struct.pack("<HH", 0xD935, 6) + bytes(6)
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge", local={"extra": extra}, central={"flags": 0})))


def test_folders_that_zip_tools_list_are_no_members(made: Zip, tmp_path: Path) -> None:
    made.files = {"golden/": b"", **made.files}
    check_whole(Bundle.open(made.write(tmp_path / "tiny.edge")))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_zip_of_one_reading_is_refused(tmp_path: Path, name: str) -> None:
    make, error, message = REFUSED[name]
    make(write(tmp_path / "tiny").path, tmp_path / "tiny.edge")
    with pytest.raises(error, match=message):
        Bundle.open(tmp_path / "tiny.edge")


def test_the_directory_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write(tmp_path / "tiny.edge")
    monkeypatch.setattr(zipfile, "ZipFile", None)
    check_whole(bundle)


def test_random_damage_never_changes_content_and_never_escapes_the_error_tree(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.edge").path
    for damaged in with_damaged_headers(path.read_bytes(), 600):
        path.write_bytes(damaged)
        try:
            bundle = Bundle.open(path)
            for entry in bundle.manifest.files:
                assert bundle.read(entry) in (MODEL, GOLDEN)
        except BundleError:
            pass


def test_no_flipped_bit_of_a_header_opens_with_another_content(made: Zip, tmp_path: Path) -> None:
    path = made.write(tmp_path / "tiny.edge")
    whole, bundle = path.read_bytes(), Bundle.open(path)
    outcomes = []
    for damaged in with_flipped_bits(whole, list(made.files), step=5):
        path.write_bytes(damaged)
        try:
            opened = Bundle.open(path)
            assert opened.manifest == bundle.manifest
            assert [opened.read(entry) for entry in opened.manifest.files] == [MODEL, GOLDEN, GOLDEN]
            outcomes.append("opened")
        except BundleError:
            outcomes.append("refused")
    assert outcomes.count("refused") > len(outcomes) / 2, "most of a header counts: names, sizes, places, kinds"


def test_random_flips_and_truncations_never_open_with_another_content(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.edge").path
    for damaged in with_flips_and_cuts(path.read_bytes(), 1000):
        path.write_bytes(damaged)
        try:
            opened = Bundle.open(path)
            assert [opened.read(entry) for entry in opened.manifest.files] == [MODEL, GOLDEN, GOLDEN]
        except BundleError:
            pass
