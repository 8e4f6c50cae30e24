"""``.edge`` files in the device library: they are what their folders are, and what Python refuses is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_sdk.bundle import Bundle, pack
from edge_sdk.bundle.signing import SigningKey
from edge_sdk.errors import UnsafePathError
from edge_sdk.slicing import slice_bundle

from ..bundle.made import GOLDEN, MODEL, write
from ..bundle.zips import REFUSED, Zip, rezip, with_damaged_headers, with_flipped_bits, with_flips_and_cuts
from .hooks import Hooks
from .interface import CUT_OUT, Image, Library, NativeError, Session, image
from .test_native_sessions import BUNDLES, FORMATS, PICTURES, golden, signatures, takes, variants

WHOLE = MODEL + GOLDEN + GOLDEN


def numbers(session: Session, name: str, pictures: list[Image]) -> list[object]:
    """What a session says of pictures, whatever its task."""
    if takes(name) == CUT_OUT and name != "face_lite":
        return [session.detect(one).score for one in pictures]
    if name == "face_locator":
        return [bytes(face) for one in pictures for face in session.locate(one)]
    template = session.enroll(pictures[:1])
    return [session.verify(pictures[:1], one).score for one in pictures] + [
        session.verify(template, one).raw_score for one in pictures
    ]


@pytest.mark.parametrize("name", PICTURES)
def test_a_packed_bundle_decides_as_its_folder(library: Library, engine: str, tmp_path: Path, name: str) -> None:
    packed = pack(Bundle.open(BUNDLES / name), tmp_path / f"{name}.edge").path
    pictures = [image(one) for one in golden(name)] + [image(one) for one in signatures(1, 2) if "sig" in name]
    for variant in variants(name, engine):
        with (
            library.open(BUNDLES / name, variant=variant, faces=takes(name)) as folder,
            library.open(packed, variant=variant, faces=takes(name)) as archive,
        ):
            assert archive.selftest().passed
            assert archive.selftest().score == folder.selftest().score
            assert archive.describe().manifest_sha256 == folder.describe().manifest_sha256
            assert numbers(archive, name, pictures) == numbers(folder, name, pictures)


def test_other_zips_of_stored_files_are_bundles(hooks: Hooks, tmp_path: Path) -> None:
    folder, file = write(tmp_path / "tiny").path, tmp_path / "tiny.edge"
    made = Zip(folder)
    assert hooks.files(folder) == WHOLE
    assert hooks.files(rezip(folder, file)) == WHOLE
    assert hooks.files(made.write(file, between=b"padding between members")) == WHOLE
    made.files = {"golden/": b"", **made.files}
    assert hooks.files(made.write(file, local={"extra": bytes(9)}, central={"flags": 0})) == WHOLE


@pytest.mark.parametrize("name", REFUSED)
def test_what_python_refuses_is_refused(hooks: Hooks, library: Library, tmp_path: Path, name: str) -> None:
    make, error, message = REFUSED[name]
    make(write(tmp_path / "tiny").path, tmp_path / "tiny.edge")
    with pytest.raises(NativeError, match=message) as refused:
        hooks.files(tmp_path / "tiny.edge")
    status = "BUNDLE" if error is UnsafePathError else "INTEGRITY"
    assert refused.value.status == status
    if name != "a file that is missing":  # which is found when it is read
        with pytest.raises(NativeError, match=message) as refused:
            library.open(tmp_path / "tiny.edge")
        assert refused.value.status == status


@pytest.mark.parametrize("damage", ["headers", "one bit", "flips and cuts"])
def test_whatever_opens_has_its_own_content(hooks: Hooks, tmp_path: Path, damage: str) -> None:
    folder, file = write(tmp_path / "tiny").path, tmp_path / "tiny.edge"
    if damage == "one bit":
        made = Zip(folder)
        files = with_flipped_bits(made.write(file).read_bytes(), list(made.files), step=1)
    else:
        data = pack(Bundle.open(folder), file).path.read_bytes()
        files = with_damaged_headers(data, 2000) if damage == "headers" else with_flips_and_cuts(data, 2000)
    outcomes = set()
    for data in files:
        file.write_bytes(data)
        try:
            assert hooks.files(file) == WHOLE
            outcomes.add("opened")
        except NativeError as error:
            outcomes.add(error.status)
    assert outcomes == {"opened", "BUNDLE", "INTEGRITY"}


def test_a_file_of_the_bundle_is_compared_with_its_hash(library: Library, engine: str, tmp_path: Path) -> None:
    form = FORMATS[engine]
    path = slice_bundle("deepsign_nano", tmp_path / "nano.edge", format=form, precision="fp32").path
    data = path.read_bytes()
    model = (BUNDLES / "deepsign_nano" / f"model.fp32.{form}").read_bytes()
    place = data.index(model) + len(model) // 2
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(NativeError, match=r"model\.fp32") as refused:
        library.open(path)
    assert refused.value.status == "INTEGRITY"


def test_manifest_and_signature_are_checked_as_in_a_folder(onnxruntime: Library, tmp_path: Path) -> None:
    vendor, other = SigningKey.generate(), SigningKey.generate()
    signed = slice_bundle("deepsign_nano", tmp_path / "signed.edge", format="onnx", sign_with=[vendor])
    unsigned = slice_bundle("deepsign_nano", tmp_path / "unsigned.edge", format="onnx")

    def status(path: Path, **options: object) -> str:
        try:
            onnxruntime.open(path, **options).__exit__()
        except NativeError as refused:
            return refused.status
        return "opens"

    assert status(signed.path, manifest_sha256=signed.sha256) == "opens"
    assert status(signed.path, manifest_sha256="0" * 64) == "INTEGRITY"
    damaged = tmp_path / "damaged.edge"
    made = Zip(slice_bundle("deepsign_nano", tmp_path / "folder", format="onnx").path)
    made.files["manifest.sha256"] = b"0" * 64 + b"  manifest.json\n"
    assert status(made.write(damaged)) == "INTEGRITY"
    if status(signed.path, public_keys=[vendor.public_pem()]) == "UNSUPPORTED":
        pytest.skip("OpenSSL's headers are not installed: apt-get install libssl-dev")
    assert status(signed.path, public_keys=[vendor.public_pem()]) == "opens"
    assert status(signed.path, public_keys=[other.public_pem()]) == "SIGNATURE"
    assert status(unsigned.path, public_keys=[vendor.public_pem()]) == "SIGNATURE"


def test_what_is_no_file_is_not_opened(library: Library, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.edge")
    (tmp_path / "text.edge").write_text("no zip")
    (tmp_path / "loop.edge").symlink_to("loop.edge")
    expected = {"pipe": "INTEGRITY", "text": "INTEGRITY", "loop": "BUNDLE", "missing": "BUNDLE"}
    for name, status in expected.items():
        with pytest.raises(NativeError) as refused:
            library.open(tmp_path / f"{name}.edge")
        assert refused.value.status == status, name


def test_a_file_behind_a_link_is_opened(onnxruntime: Library, tmp_path: Path) -> None:
    slice_bundle("deepsign_nano", tmp_path / "nano.edge", format="onnx")
    (tmp_path / "current.edge").symlink_to("nano.edge")
    onnxruntime.open(tmp_path / "current.edge").__exit__()


def test_a_file_that_is_replaced_while_it_is_open_is_noticed(onnxruntime: Library, tmp_path: Path) -> None:
    path = slice_bundle("deepsign_nano", tmp_path / "nano.edge", format="onnx").path
    with onnxruntime.open(path) as session:
        assert session.selftest().passed
        for data in (path.read_bytes()[:5000], bytes(path.stat().st_size)):
            path.write_bytes(data)
            with pytest.raises(NativeError) as refused:
                session.selftest()
            assert refused.value.status == "INTEGRITY"
