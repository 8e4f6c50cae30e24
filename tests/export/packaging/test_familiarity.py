"""What a bundle says of the samples that it was made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import modalities
from edge_sdk.bundle import Bundle, SigningKey, sign_bundle
from edge_sdk.errors import DatasetError, ScoreError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.data.splits import Split
from edge_sdk.export.packaging.familiarity import add_familiarity, familiarity, main
from edge_sdk.files import CONFIG_VARIABLE
from edge_sdk.manifest import Familiarity
from edge_sdk.preprocess import INK

Maker = Callable[..., Bundle]
WRITERS = "synthetic:30"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load(WRITERS)


@pytest.fixture(scope="module")
def split(data: Dataset) -> Split:
    return Split.draw(data, 0)


def test_a_bundle_gets_it_and_keeps_all_else(tiny_bundle: Bundle, data: Dataset, split: Split, tmp_path: Path) -> None:
    written = add_familiarity(tiny_bundle, data, split, tmp_path / "copy")
    found = written.manifest.familiarity
    assert found is not None
    assert found.measures == modalities.get("signature").measures
    assert found.subjects == len(split.train) + len(split.validation)
    assert found.data == "synthetic, train and validation people"
    assert msgspec.structs.replace(written.manifest, familiarity=None) == tiny_bundle.manifest
    assert [written.read(entry) for entry in written.manifest.files] == [
        tiny_bundle.read(entry) for entry in tiny_bundle.manifest.files
    ]


def test_others_of_the_same_data_are_familiar(tiny_bundle: Bundle, data: Dataset, split: Split) -> None:
    manifest = tiny_bundle.manifest
    found = familiarity(data, split, manifest.modality, INK, manifest.source)
    assert found is not None
    modality = modalities.get("signature")
    flagged = [
        not found.knows(modality.measure(modality.prepare(INK, modality.decode(sample.path), manifest.source)))
        for sample in data.select(split.test).samples
    ]
    assert np.mean(flagged) <= 0.1


def test_the_command_writes_into_the_bundle(
    make_bundle: Maker, tmp_path: Path, split: Split, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    split.write(tmp_path / "split.json")
    main([str(bundle.path), WRITERS, "--split", str(tmp_path / "split.json")])
    written = Bundle.open(bundle.path)
    assert isinstance(written.manifest.familiarity, Familiarity)
    assert capsys.readouterr().out == f"{written.id} in {written.path}: not signed\n"


def test_what_is_written_is_signed_by_the_keys_that_are_given(
    make_bundle: Maker, tmp_path: Path, split: Split, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, stranger = SigningKey.create(tmp_path / "vendor.pem"), SigningKey.generate()
    bundle = sign_bundle(make_bundle(tmp_path / "tiny"), [key])
    assert not add_familiarity(bundle, data, split, tmp_path / "copy").has_signature
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path))
    (tmp_path / "trust.json").write_text('{"keys": ["vendor.pub.pem"]}')
    with pytest.raises(UsageError, match="it would have no signature any more"):
        main([str(bundle.path), WRITERS])
    with pytest.raises(UsageError, match="no key is trusted here that would sign it"):
        add_familiarity(bundle, data, split, sign_with=[stranger])
    assert Bundle.open(bundle.path).sha256 == bundle.sha256
    split.write(tmp_path / "split.json")
    options = ["--split", str(tmp_path / "split.json"), "--sign-key", str(tmp_path / "vendor.pem")]
    main([str(bundle.path), WRITERS, *options, "--out", str(tmp_path / "signed.edge")])
    assert Bundle.open(tmp_path / "signed.edge").manifest.familiarity is not None
    assert Bundle.open(bundle.path).manifest.familiarity is None
    main([str(bundle.path), WRITERS, *options])
    assert Bundle.open(bundle.path).manifest.familiarity is not None


def test_pictures_that_cannot_be_used_do_not_count(tiny_bundle: Bundle, data: Dataset, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    people = tuple(data.subjects[:6])
    chosen = data.select(people)
    worse = replace(chosen, samples=(replace(chosen.samples[0], path=broken), *chosen.samples[1:]))
    split = Split(people, (), (), (), ())
    found = familiarity(worse, split, "signature", INK, tiny_bundle.manifest.source)
    assert found is not None
    assert found.samples == len(chosen.samples) - 1


def test_too_few_people_and_people_that_are_not_there_are_refused(
    tiny_bundle: Bundle, data: Dataset, tmp_path: Path
) -> None:
    few = Split(tuple(data.subjects[:4]), (), (), (), ())
    with pytest.raises(ScoreError, match="4 people are too few"):
        add_familiarity(tiny_bundle, data, few, tmp_path / "copy")
    with pytest.raises(DatasetError):
        add_familiarity(tiny_bundle, data, Split(("nobody",), (), (), (), ()), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_modality_that_measures_nothing_has_none(data: Dataset, split: Split, tiny_bundle: Bundle) -> None:
    assert familiarity(data, split, "face", INK, tiny_bundle.manifest.source) is None
