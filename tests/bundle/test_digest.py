"""The digest beside a manifest, and the pins of shipped bundles: no other manifest is ever opened."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_sdk.bundle import SHIPPED, Bundle, finding, shipped
from edge_sdk.bundle.digests import check_digest, digest_file
from edge_sdk.bundle.pins import PINS
from edge_sdk.errors import BundleError, IntegrityError, ManifestError
from edge_sdk.export.packaging import pins as writing
from edge_sdk.manifest import DIGEST_PATH, FileEntry

from .made import edit_manifest, pin, reseal, write


def test_the_digest_is_what_sha256sum_writes_and_checks(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    said = (tmp_path / "tiny" / "manifest.sha256").read_text()
    assert said == f"{hashlib.sha256((tmp_path / 'tiny' / 'manifest.json').read_bytes()).hexdigest()}  manifest.json\n"
    if tool := shutil.which("sha256sum"):
        check = [tool, "--check", "--strict", "manifest.sha256"]
        assert subprocess.run(check, cwd=tmp_path / "tiny", capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("file", ["manifest.json", "manifest.sha256"])
def test_no_flipped_bit_of_a_folder_opens(tmp_path: Path, file: str) -> None:
    path = write(tmp_path / "tiny").path / file
    whole, beside = path.read_bytes(), {one.name: one.read_bytes() for one in path.parent.glob("manifest.*")}
    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        read = beside | {file: bytes(damaged)}
        with pytest.raises(IntegrityError):
            check_digest("tiny", read["manifest.json"], read["manifest.sha256"])
        if bit % 41 == 0:  # the same through files, which takes longer
            path.write_bytes(damaged)
            with pytest.raises(IntegrityError):
                Bundle.open(tmp_path / "tiny")
    path.write_bytes(whole)
    Bundle.open(tmp_path / "tiny")


@pytest.mark.parametrize(
    "change",
    [
        lambda digest: b"",
        lambda digest: digest[:-1],
        lambda digest: digest + b"\n",
        lambda digest: digest.upper(),
        lambda digest: digest.replace(b"  ", b" *"),
        lambda digest: digest.replace(b"\n", b"\r\n"),
        lambda digest: digest_file(b"another manifest"),
        lambda digest: digest * 2**20,
    ],
)
def test_the_digest_has_one_spelling(tmp_path: Path, change: Any) -> None:
    path = write(tmp_path / "tiny").path / "manifest.sha256"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(IntegrityError, match=r"sha256sum manifest\.json > manifest\.sha256"):
        Bundle.open(tmp_path / "tiny")


def test_a_bundle_without_digest_says_how_to_make_one(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    (bundle.path / "manifest.sha256").unlink()
    with pytest.raises(IntegrityError, match=r"sha256 is missing; get the bundle again, or .*sha256sum manifest\.json"):
        Bundle.open(tmp_path / "tiny")
    reseal(bundle.path)
    assert Bundle.open(tmp_path / "tiny").id == bundle.id


def test_who_edits_and_seals_again_gets_another_id(tmp_path: Path) -> None:
    """What a digest cannot find: an application that must know compares the id, or the bundle is a shipped one."""
    bundle = write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "score", "metric", value="euclidean")
    assert Bundle.open(tmp_path / "tiny").id != bundle.id


@pytest.mark.parametrize("name", ["tiny", "tiny.edge"])
def test_the_bundle_of_one_digest_alone(tmp_path: Path, name: str) -> None:
    bundle = write(tmp_path / name)
    digest = (write(tmp_path / "folder").path / "manifest.sha256").read_text().split()[0]
    assert bundle.sha256 == digest
    assert bundle.id == f"tiny-1.0-{digest[:12]}"
    for source in (tmp_path / name, bundle):
        assert Bundle.open(source, sha256=digest).sha256 == digest
        for other in ("0" * 64, digest[:12], ""):
            with pytest.raises(IntegrityError, match=f"its manifest has the SHA-256 {digest}, not"):
                Bundle.open(source, sha256=other)


@pytest.mark.parametrize("path", ["manifest.sha256", "Manifest.SHA256"])
def test_no_file_may_take_the_digests_place(path: str) -> None:
    with pytest.raises(ManifestError, match="digest"):
        FileEntry(path=path, sha256="0" * 64, size=0)


def test_the_pins_are_those_of_the_tree() -> None:
    """After an export of a shipped bundle: make pins."""
    manifests = {name: (SHIPPED / name / "manifest.json").read_bytes() for name in shipped()}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in manifests.items()} == PINS
    assert {name: (SHIPPED / name / DIGEST_PATH).read_bytes() for name in shipped()} == {
        name: digest_file(data) for name, data in manifests.items()
    }


def test_a_swapped_shipped_bundle_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "SHIPPED", tmp_path)
    pin(monkeypatch, write(tmp_path / "tiny"))
    assert Bundle.open("tiny").manifest.version == "1.0"
    write(tmp_path / "tiny", version="2.0")
    with pytest.raises(IntegrityError, match="not the bundle of that name"):
        Bundle.open("tiny")
    assert Bundle.open(tmp_path / "tiny").manifest.version == "2.0", "a path is the user's choice"
    write(tmp_path / "added")
    with pytest.raises(IntegrityError, match="added is not the bundle"):
        Bundle.open("added")


def test_a_shipped_bundle_that_was_left_behind_is_never_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen without its data files, and a folder of that name in the working directory."""
    monkeypatch.setattr(finding, "SHIPPED", tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "deepsign")
    with pytest.raises(BundleError, match=r"deepsign comes with edge-sdk.*lacks it.*--collect-data edge_sdk"):
        Bundle.open("deepsign")


def test_pins_are_written_for_whole_bundles_alone(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    (bundle.path / "manifest.sha256").unlink()
    (digest,) = writing.pin(tmp_path).values()
    assert digest == hashlib.sha256((bundle.path / "manifest.json").read_bytes()).hexdigest()
    assert Bundle.open(bundle.path).id == bundle.id
    made: dict[str, Any] = {}
    exec(writing.source({"tiny": digest}), made)
    assert made["PINS"] == {"tiny": digest}
    (bundle.path / "model.fp32.onnx").write_bytes(b"?" * 10240)
    with pytest.raises(IntegrityError, match="SHA-256"):
        writing.pin(tmp_path)
    (bundle.path / "manifest.json").write_bytes(json.dumps({}).encode())
    with pytest.raises(ManifestError):
        writing.pin(tmp_path)
