"""``bom``: what CycloneDX's own schema accepts, and what the bundle holds."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.bundle.pins import PINS
from edge_sdk.cli import ERROR, USAGE, main
from edge_sdk.export.packaging import pins
from edge_sdk.manifest import UnsupportedPoint

from ..paths import ROOT

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def written(bundle: str, folder: Path) -> dict[str, Any]:
    """The document of a bundle, after the schema accepted it."""
    out = folder / "bom.cdx.json"
    assert main(["bom", bundle, "--out", str(out)]) == 0
    assert VALIDATOR.validate_str(out.read_text()) is None
    return dict(json.loads(out.read_text()))


@pytest.mark.parametrize("name", shipped())
def test_the_schema_accepts_that_of_every_shipped_bundle(name: str, tmp_path: Path) -> None:
    document, manifest = written(name, tmp_path), Bundle.open(name).manifest
    model = document["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", name, manifest.version)
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    points = [one for variant in manifest.variants for one in variant.operating_points]
    assert len(metrics) >= 2 * sum(not isinstance(one, UnsupportedPoint) for one in points)
    assert model["modelCard"]["considerations"]["technicalLimitations"]


def test_the_schema_refuses_what_is_no_bill_of_materials(tmp_path: Path) -> None:
    document = written("liveness", tmp_path)
    document["metadata"]["component"]["modelCard"]["accuracy"] = "good"
    assert VALIDATOR.validate_str(json.dumps(document)) is not None


def test_the_hashes_are_those_of_the_files(tmp_path: Path) -> None:
    files = written("deepsign", tmp_path)["metadata"]["component"]["components"]
    folder = Bundle.open("deepsign").path
    stated = {one["name"]: one["hashes"] for one in files}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert stated.keys() == there - {"manifest.sha256"}
    for name, hashes in stated.items():
        assert hashes == [{"alg": "SHA-256", "content": hashlib.sha256((folder / name).read_bytes()).hexdigest()}]


def test_every_data_set_has_its_licence(tmp_path: Path) -> None:
    document = written("deepsign", tmp_path)
    licences = {one["name"]: one["licenses"][0]["license"]["name"] for one in document["components"]}
    assert licences["cedar"] == "CEDAR offline signatures: research use, as its owner states"
    assert licences.keys() == {"cedar", "sigcomp2011", "svc2004"}
    named = document["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"]
    assert [one["ref"] for one in named] == [one["bom-ref"] for one in document["components"]]
    (cedar,) = (one for one in document["components"] if one["name"] == "cedar")
    assert [one["value"] for one in cedar["properties"]] == ["cedar", "photo+cedar"]


def test_a_data_set_of_one_s_own_has_the_statement_of_the_manifest(golden_bundle: Bundle, tmp_path: Path) -> None:
    document = written(str(golden_bundle.path), tmp_path)
    for one in document["components"]:
        assert one["licenses"][0]["license"]["name"] == golden_bundle.manifest.data_license.statement


def test_teachers_are_ancestors(tmp_path: Path) -> None:
    ancestors = written("face_lite", tmp_path)["metadata"]["component"]["pedigree"]["ancestors"]
    assert [one["name"] for one in ancestors] == [
        "sface (published) 0ba9fbfa01b5270c",
        "faceplugin (published) 87aacdfe57510db2",
        "face_lite-1.0.0-c673f27fc12b",
    ]


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert main(["bom", "gait_lite", "--out", str(first)]) == 0
    capsys.readouterr()
    assert main(["bom", "gait_lite", "--out", str(second), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["bom"], said["bytes"]) == (str(second), len(second.read_bytes()))
    assert first.read_bytes() == second.read_bytes()


def test_the_wheel_carries_that_of_its_bundles() -> None:
    """After another version, or a change of a shipped bundle: make pins."""
    document = (ROOT / "sboms" / "bundles.cdx.json").read_bytes()
    assert document == pins.bill_of_materials()
    assert VALIDATOR.validate_str(document.decode()) is None
    models = json.loads(document)["components"]
    assert {one["name"]: one["components"][0]["hashes"][0]["content"] for one in models} == PINS


def test_a_damaged_bundle_gets_none(tmp_path: Path) -> None:
    copy, out = tmp_path / "copy", tmp_path / "bom.json"
    shutil.copytree(Bundle.open("gait_lite").path, copy)
    card = copy / "MODEL_CARD.md"
    card.write_bytes(card.read_bytes()[:-1] + b"!")
    assert main(["bom", str(copy), "--out", str(out)]) == ERROR
    assert not out.exists()


def test_only_a_document_of_its_kind_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "vendor.pub.pem"
    for held in (b"", b"-----BEGIN PUBLIC KEY-----\n", b"\xff\xfe", b"[]", b'{"keys": []}'):
        out.write_bytes(held)
        assert main(["bom", "gait_lite", "--out", str(out)]) == USAGE
        assert "vendor.pub.pem exists and is no CycloneDX document: not replaced" in capsys.readouterr().err
        assert out.read_bytes() == held
    out.write_text('{"bomFormat": "CycloneDX"}')
    assert main(["bom", "gait_lite", "--out", str(out)]) == 0
    assert VALIDATOR.validate_str(out.read_text()) is None


def test_without_a_file_to_write_is_wrong_usage() -> None:
    assert main(["bom", "deepsign"]) == USAGE
