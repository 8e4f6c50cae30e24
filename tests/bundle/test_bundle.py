from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import struct
import sys
import weakref
import zipfile
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle, finding, pack, reader, shipped
from edge_sdk.bundle.digests import digest_file
from edge_sdk.bundle.writer import ALIGNMENT
from edge_sdk.errors import (
    BundleError,
    BundleNotFoundError,
    IntegrityError,
    ManifestError,
    SchemaVersionError,
    UnsafePathError,
)
from edge_sdk.manifest import SCHEMA_VERSION, FileEntry

from .made import GOLDEN, MODEL, check_whole, edit_manifest, pin, write

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals, links or fork")
both = pytest.mark.parametrize("name", ["tiny", "tiny.edge"])

# --- the round trip --------------------------------------------------------------------------------------------------


@both
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    written = write(tmp_path / name)
    for source in (tmp_path / name, str(tmp_path / name), written):
        bundle = Bundle.open(source)
        assert bundle.read_model("fp32.onnx") == MODEL
        assert bundle.read(bundle.manifest.golden.inputs[0]) == GOLDEN
        assert bundle.manifest == written.manifest
    assert (tmp_path / name).is_dir() == (name == "tiny")
    assert [p.name for p in tmp_path.iterdir()] == [name], "nothing is left beside the bundle"
    with pytest.raises(ManifestError, match=r"int8\.onnx"):
        bundle.read_model("int8.onnx")


def test_an_opened_bundle_is_opened_as_itself(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    assert Bundle.open(bundle) is bundle


def test_bundles_of_one_folder_are_equal_also_out_of_another_process(tmp_path: Path) -> None:
    opened = write(tmp_path / "tiny")
    assert Bundle.open(tmp_path / "tiny") == opened == pickle.loads(pickle.dumps(opened))
    assert weakref.ref(opened)() is opened


def test_the_id_names_the_manifest(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    digest = hashlib.sha256((tmp_path / "tiny" / "manifest.json").read_bytes()).hexdigest()
    assert bundle.id == f"tiny-1.0-{digest[:12]}"


def test_packing_keeps_identity_and_repeats_bit_by_bit(tmp_path: Path) -> None:
    folder = write(tmp_path / "tiny")
    first = pack(folder, tmp_path / "a.edge")
    second = pack(first, tmp_path / "b.edge")
    back = pack(second, tmp_path / "back")
    assert folder.id == first.id == second.id == back.id
    assert (tmp_path / "a.edge").read_bytes() == (tmp_path / "b.edge").read_bytes()
    for path in ("manifest.json", "manifest.sha256", "model.fp32.onnx", "golden/a.png"):
        assert (tmp_path / "back" / path).read_bytes() == (tmp_path / "tiny" / path).read_bytes()


def test_packing_a_damaged_bundle_writes_nothing(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    (tmp_path / "tiny" / "golden" / "a.png").write_bytes(GOLDEN[::-1])
    with pytest.raises(IntegrityError):
        pack(bundle, tmp_path / "tiny.edge")
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_members_are_stored_at_page_boundaries(tmp_path: Path) -> None:
    write(tmp_path / "tiny.edge")
    data = (tmp_path / "tiny.edge").read_bytes()
    with zipfile.ZipFile(tmp_path / "tiny.edge") as archive:
        members = archive.infolist()
        assert archive.testzip() is None
        manifest = archive.read("manifest.json")
    paths = ["manifest.json", "manifest.sha256", "model.fp32.onnx", "golden/a.png", "golden/b.png"]
    assert [m.filename for m in members] == paths
    for member in members:
        # The local header by hand: name and extra lengths at 26 and 28, data behind them.
        name, extra = struct.unpack_from("<2H", data, member.header_offset + 26)
        start = member.header_offset + 30 + name + extra
        assert start % ALIGNMENT == 0
        assert hashlib.sha256(data[start : start + member.file_size]).hexdigest() in {
            hashlib.sha256(content).hexdigest() for content in (MODEL, GOLDEN, manifest, digest_file(manifest))
        }


# --- finding ---------------------------------------------------------------------------------------------------------


@both
def test_shipped_bundles_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(finding, "SHIPPED", tmp_path / "bundles")
    assert shipped() == ()
    pin(monkeypatch, write(tmp_path / "bundles" / name))
    assert shipped() == ("tiny",)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "tiny", b"another model")
    assert Bundle.open("tiny").read_model("fp32.onnx") == MODEL
    assert Bundle.open("./tiny").path == Path("tiny"), "pathlib drops the dot, the meaning stays"
    assert Bundle.open(Path("tiny")).read_model("fp32.onnx") == b"another model"


@pytest.mark.parametrize(
    "source", ["nothing_here", "", "a\0b", "\ud800", "../nothing", "Deepsign", "deepsign ", Path("nothing.edge")]
)
def test_missing_bundles_have_their_own_error(source: str | Path) -> None:
    with pytest.raises(BundleNotFoundError) as caught:
        Bundle.open(source)
    assert isinstance(caught.value, FileNotFoundError)


def test_what_the_system_refuses_is_a_bundle_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="cannot read"):
        Bundle.open(tmp_path / ("x" * 5000))
    with pytest.raises(BundleError, match="cannot read") as caught:
        Bundle.open("x" * 10_000)
    assert len(str(caught.value)) < 300
    write(tmp_path / "tiny")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BundleError, match=r"cannot read .*: Permission denied"):
        Bundle.open(tmp_path / "tiny")


def test_a_folder_called_edge_and_a_zip_of_another_name_are_what_they_are(tmp_path: Path) -> None:
    folder, packed = write(tmp_path / "folder"), write(tmp_path / "packed.edge")
    folder.path.rename(tmp_path / "folder.edge")
    packed.path.rename(tmp_path / "packed")
    assert Bundle.open(tmp_path / "folder.edge").id == Bundle.open(tmp_path / "packed").id == folder.id


@pytest.mark.parametrize("content", [b"", b"PK", b"hello" * 100, b"\x89PNG\r\n\x1a\n" * 10])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tiny.edge").write_bytes(content)
    with pytest.raises(IntegrityError, match="zip"):
        Bundle.open(tmp_path / "tiny.edge")


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"manifest\.json is missing"):
        Bundle.open(tmp_path)


# --- hostile and damaged folders -------------------------------------------------------------------------------------


def test_a_flipped_byte_is_found_before_anyone_sees_the_file(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    for position in (0, len(MODEL) // 2, len(MODEL) - 1):
        damaged = bytearray(MODEL)
        damaged[position] ^= 1
        (tmp_path / "tiny" / "model.fp32.onnx").write_bytes(damaged)
        with pytest.raises(IntegrityError, match="SHA-256"):
            Bundle.open(tmp_path / "tiny").read_model("fp32.onnx")


@pytest.mark.parametrize("change", [-1, 1, 10**9], ids=["shorter", "longer", "a gigabyte longer"])
def test_another_size_is_found_when_opening_and_when_reading(tmp_path: Path, change: int) -> None:
    bundle = write(tmp_path / "tiny")
    os.truncate(tmp_path / "tiny" / "model.fp32.onnx", len(MODEL) + change)
    with pytest.raises(IntegrityError, match="bytes"):
        Bundle.open(tmp_path / "tiny")
    with pytest.raises(IntegrityError, match="bytes"):
        bundle.read_model("fp32.onnx")


def test_an_oversized_manifest_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    os.truncate(tmp_path / "tiny" / "manifest.json", reader.MAX_MANIFEST_BYTES + 1)
    with pytest.raises(IntegrityError, match="exceeds"):
        Bundle.open(tmp_path / "tiny")


def test_a_file_may_not_announce_more_than_the_limit(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "graphs", 0, "files", "fp32.onnx", "size", value=2**33)
    with pytest.raises(ManifestError, match="size"):
        Bundle.open(tmp_path / "tiny")


@pytest.mark.parametrize("path", ["model.fp32.onnx", "golden/a.png", "golden"])
def test_a_missing_file_is_found_when_opening(tmp_path: Path, path: str) -> None:
    bundle = write(tmp_path / "tiny")
    target = tmp_path / "tiny" / path
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Bundle.open(tmp_path / "tiny")
    with pytest.raises(IntegrityError, match="missing"):
        check_whole(bundle)


@pytest.mark.parametrize("path", ["../outside", "golden/../../outside", "/etc/hostname", "C:\\outside", "..\\outside"])
def test_paths_out_of_the_bundle_are_refused(tmp_path: Path, path: str) -> None:
    write(tmp_path / "tiny")
    (tmp_path / "outside").write_bytes(MODEL)
    edit_manifest(tmp_path / "tiny", "graphs", 0, "files", "fp32.onnx", "path", value=path)
    with pytest.raises(UnsafePathError):
        Bundle.open(tmp_path / "tiny")


@posix
def test_a_link_to_the_bundle_itself_is_the_users_choice(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    (tmp_path / "current").symlink_to("tiny")
    check_whole(Bundle.open(tmp_path / "current"))


@posix
@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_only_ordinary_files_are_opened(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "tiny")
    target = tmp_path / "tiny" / "model.fp32.onnx"
    target.unlink()
    os.mkfifo(target) if kind == "fifo" else target.mkdir()
    with pytest.raises(IntegrityError, match="not a file"):
        Bundle.open(tmp_path / "tiny")


NAMES = [
    "con",
    "AUX.onnx",
    "golden/nul.png",
    "com1/a",
    "lpt9.x.y",
    "a.",
    "a ",
    "a\u0308.png",
    "\u00e4.png",
    "a:b",
    "*",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_not_the_same_file_everywhere_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "golden", "inputs", 0, "path", value=name)
    with pytest.raises(UnsafePathError):
        Bundle.open(tmp_path / "tiny")


@pytest.mark.parametrize("name", ["console.onnx", "auxiliary", "com.onnx", "a/nul_", "com10"])
def test_names_that_only_look_like_devices_are_fine(name: str) -> None:
    assert FileEntry(path=name, sha256="0" * 64, size=0).path == name


@pytest.mark.parametrize("name", ["MODEL.FP32.ONNX", "model.fp32.onnx/a.png", "Model.fp32.onnx/a.png"])
def test_names_that_cannot_be_told_apart_everywhere_are_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "golden", "inputs", 0, "path", value=name)
    with pytest.raises((ManifestError, IntegrityError), match=r"twice|a file, and a folder"):
        Bundle.open(tmp_path / "tiny")


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 1), ("MAX_TOTAL_BYTES", len(MODEL))])
def test_files_are_counted_before_any_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    write(tmp_path / "tiny")
    monkeypatch.setattr(reader, limit, value)
    with pytest.raises(IntegrityError, match="lists 3 files of 10280 bytes; at most"):
        Bundle.open(tmp_path / "tiny")


def test_a_newer_schema_says_so(tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    edit_manifest(tmp_path / "tiny", "schema_version", value=SCHEMA_VERSION + 1)
    with pytest.raises(SchemaVersionError, match="upgrade"):
        Bundle.open(tmp_path / "tiny")


def test_a_swap_while_open_is_noticed(tmp_path: Path) -> None:
    for name in ("tiny", "tiny.edge"):
        bundle = write(tmp_path / name)
        write(tmp_path / name, MODEL[::-1])
        with pytest.raises(IntegrityError):
            bundle.read_model("fp32.onnx")
