"""Whose bundles the device library opens, and how old they may be: as ``edge_sdk.Trust`` with ``require``.

Signatures are verified by OpenSSL, and by what the application gives.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_sdk.bundle import Bundle
from edge_sdk.bundle.signing import _BEFORE_KEY, _BEGIN, _END, _SMALL_ORDER, MAX_SIGNATURE_BYTES, SigningKey
from edge_sdk.bundle.trust import version_order
from edge_sdk.slicing import slice_bundle

from .conftest import Built
from .interface import Library, NativeError, Session
from .test_native_refusals import BUNDLES, rewrite

VENDOR, OTHER = SigningKey.generate(), SigningKey.generate()


def verify(key: bytes, signature: bytes, message: bytes) -> int:
    """An application's check."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return 0
    return 1


class Checking(Library):
    """Sessions whose signatures Python verifies."""

    def open(self, path: Path | str, **options: Any) -> Session:
        if options.get("public_keys"):
            options["verify_ed25519"] = verify
        return super().open(path, **options)


@pytest.fixture(params=["by OpenSSL", "by the application"])
def signing(onnxruntime: Library, built: Built, request: pytest.FixtureRequest) -> Library:
    """A library that verifies signatures."""
    if request.param == "by the application":
        return Checking(built.file("libedge_sdk_without_openssl.so"))
    with pytest.raises(NativeError) as refused:
        onnxruntime.open(BUNDLES / "deepsign_nano", public_keys=[VENDOR.public_pem()])
    if refused.value.status == "UNSUPPORTED":
        pytest.skip("OpenSSL's headers are not installed: apt-get install libssl-dev")
    assert refused.value.status == "SIGNATURE"
    return onnxruntime


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A slice that Python signed."""
    return Path(slice_bundle("deepsign_nano", tmp_path / "signed", format="onnx", sign_with=[VENDOR]).path)


def status(library: Library, path: Path, keys: list[SigningKey], **options: Any) -> str:
    try:
        library.open(path, public_keys=[key.public_pem() for key in keys], **options).__exit__()
    except NativeError as refused:
        return refused.status
    return "opens"


def test_a_bundle_of_a_trusted_key_opens(signing: Library, signed: Path) -> None:
    assert status(signing, signed, [VENDOR]) == "opens"
    assert status(signing, signed, [OTHER, VENDOR]) == "opens"
    assert status(signing, signed, []) == "opens"


def test_others_do_not(signing: Library, signed: Path, tmp_path: Path) -> None:
    assert status(signing, signed, [OTHER]) == "SIGNATURE"
    unsigned = slice_bundle("deepsign_nano", tmp_path / "unsigned", format="onnx")
    assert status(signing, Path(unsigned.path), [VENDOR]) == "SIGNATURE"
    assert status(signing, Path(unsigned.path), []) == "opens"


def test_a_bundle_that_several_signed_opens_by_each(signing: Library, tmp_path: Path) -> None:
    path = Path(slice_bundle("deepsign_nano", tmp_path / "both", format="onnx", sign_with=[VENDOR, OTHER]).path)
    for keys in ([VENDOR], [OTHER], [VENDOR, OTHER]):
        assert status(signing, path, keys) == "opens"


def test_a_manifest_that_was_changed_afterwards_does_not(signing: Library, signed: Path) -> None:
    rewrite(signed, lambda manifest: manifest["variants"][0]["operating_points"][0].update(threshold=1e-6))
    assert status(signing, signed, [VENDOR]) == "SIGNATURE"
    assert status(signing, signed, []) == "opens"


def test_the_signature_of_another_bundle_does_not_fit(signing: Library, signed: Path, tmp_path: Path) -> None:
    other = slice_bundle("mobilenetv2", tmp_path / "other", format="onnx", precision="int8", sign_with=[VENDOR])
    (signed / "signature.json").write_bytes((Path(other.path) / "signature.json").read_bytes())
    assert status(signing, signed, [VENDOR]) == "SIGNATURE"


def test_a_file_that_was_changed_is_found_by_its_hash(signing: Library, signed: Path) -> None:
    model = signed / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    assert status(signing, signed, [VENDOR], variant="fp32.onnx") == "INTEGRITY"


def one(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda file: file["signatures"][0].update(changes)


def swapped(file: dict[str, Any]) -> None:
    """A trusted key's id on what another key signed."""
    forged = base64.b64encode(OTHER.sign("0" * 64).signature).decode()
    file["signatures"][0]["signature"] = forged


FILES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another signature": swapped,
    "a short signature": one(signature=base64.b64encode(bytes(63)).decode()),
    "a signature of zeros": one(signature=base64.b64encode(bytes(64)).decode()),
    "a signature that is no base64": one(signature="!" * 88),
    "a key's id in capitals": lambda file: one(key_id=file["signatures"][0]["key_id"].upper())(file),
    "a short id": one(key_id="ab"),
    "another field": one(name="deepsign"),
    "no signature": lambda file: file["signatures"].clear(),
    "no field": lambda file: file.clear(),
    "another version": lambda file: file.update(version=2),
    "a version of text": lambda file: file.update(version="1"),
    "a field more": lambda file: file.update(policy="off"),
    "a key twice": lambda file: file["signatures"].append(file["signatures"][0]),
    "nine signatures": lambda file: file["signatures"].extend([file["signatures"][0]] * 8),
    "too large": lambda file: file.update(version=[0] * MAX_SIGNATURE_BYTES),
    "a list": lambda file: file.update(signatures={"0": file["signatures"][0]}),
}


@pytest.mark.parametrize("change", FILES)
def test_a_damaged_signature_opens_nothing(signing: Library, signed: Path, change: str) -> None:
    file = json.loads((signed / "signature.json").read_bytes())
    FILES[change](file)
    (signed / "signature.json").write_bytes(msgspec.json.encode(file))
    assert status(signing, signed, [VENDOR]) == "SIGNATURE"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"[" * 5000, b'{"signatures": [], "signatures": []}'])
def test_what_is_no_signature_opens_nothing(signing: Library, signed: Path, data: bytes) -> None:
    (signed / "signature.json").write_bytes(data)
    assert status(signing, signed, [VENDOR]) == "SIGNATURE"


def test_a_folder_for_a_signature_opens_nothing(signing: Library, signed: Path) -> None:
    (signed / "signature.json").unlink()
    (signed / "signature.json").mkdir()
    assert status(signing, signed, [VENDOR]) == "SIGNATURE"


@pytest.mark.parametrize(
    "key",
    [
        b"", b"x", VENDOR.public, VENDOR.pem(), VENDOR.public_pem()[:-3], VENDOR.public_pem().replace(b"M", b"N", 1),
        VENDOR.public_pem() + VENDOR.public_pem(), VENDOR.public_pem() + b"x",
    ],
    ids=["empty", "a letter", "raw", "private", "cut", "changed", "twice", "something behind it"],
)  # fmt: skip
def test_what_is_no_public_key_opens_nothing(signing: Library, signed: Path, key: bytes) -> None:
    with pytest.raises(NativeError) as refused:
        signing.open(signed, public_keys=[VENDOR.public_pem(), key])
    assert refused.value.status == "USAGE"


@pytest.mark.parametrize("sign", [0, 0x80])
def test_a_key_of_small_order_opens_nothing(signing: Library, signed: Path, sign: int) -> None:
    for y in _SMALL_ORDER:
        der = base64.b64encode(_BEFORE_KEY + y[:-1] + bytes([y[-1] | sign]))
        with pytest.raises(NativeError, match="small order") as refused:
            signing.open(signed, public_keys=[b"%s\n%s\n%s\n" % (_BEGIN, der, _END)])
        assert refused.value.status == "USAGE"


def test_white_space_round_a_key_does_not_matter(signing: Library, signed: Path) -> None:
    pem = b" \n" + VENDOR.public_pem().replace(b"\n", b"\r\n") + b"\n\n"
    signing.open(signed, public_keys=[pem]).__exit__()


# --- verify_ed25519 ---


@pytest.fixture(params=["with OpenSSL", "without OpenSSL"])
def either(onnxruntime: Library, without_openssl: Library, request: pytest.FixtureRequest) -> Library:
    """Both builds."""
    return onnxruntime if request.param == "with OpenSSL" else without_openssl


@pytest.mark.parametrize("key", [VENDOR.public_pem(), b"no key"], ids=["a key", "no key"])
def test_nothing_opens_by_a_key_without_a_way_to_verify(without_openssl: Library, signed: Path, key: bytes) -> None:
    for bundle in (signed, BUNDLES / "deepsign_nano", signed / "nowhere"):
        with pytest.raises(NativeError, match="verify_ed25519") as refused:
            without_openssl.open(bundle, public_keys=[key])
        assert refused.value.status == "UNSUPPORTED"


@pytest.mark.parametrize("answer", [0, 2, -1, 256, 2**31 - 1])
def test_what_the_application_refuses_does_not_open(either: Library, signed: Path, answer: int) -> None:
    assert status(either, signed, [VENDOR], verify_ed25519=lambda *_: answer) == "SIGNATURE"


def test_the_application_is_asked_in_place_of_openssl(either: Library, signed: Path) -> None:
    asked = []
    assert status(either, signed, [OTHER, VENDOR], verify_ed25519=lambda *given: asked.append(given) or 1) == "opens"
    (file,) = json.loads((signed / "signature.json").read_bytes())["signatures"]
    manifest = hashlib.sha256((signed / "manifest.json").read_bytes()).digest()
    message = b"edge-sdk bundle signature v1\0" + manifest
    assert asked == [(VENDOR.public, base64.b64decode(file["signature"]), message)]


@pytest.mark.parametrize("wrong", [VENDOR, OTHER], ids=["the first", "the second"])
def test_each_signature_of_a_trusted_key_has_to_be_right(either: Library, tmp_path: Path, wrong: SigningKey) -> None:
    path = Path(slice_bundle("deepsign_nano", tmp_path / "both", format="onnx", sign_with=[VENDOR, OTHER]).path)
    assert status(either, path, [VENDOR, OTHER], verify_ed25519=lambda key, *_: key != wrong.public) == "SIGNATURE"


def test_nobody_is_asked_about_keys_that_did_not_sign(either: Library, signed: Path, tmp_path: Path) -> None:
    asked: list[object] = []
    unsigned = slice_bundle("deepsign_nano", tmp_path / "unsigned", format="onnx")
    for bundle in (signed, Path(unsigned.path)):
        assert status(either, bundle, [OTHER], verify_ed25519=lambda *given: asked.append(given) or 1) == "SIGNATURE"
    assert not asked


def test_a_check_without_keys_opens_nothing(either: Library, signed: Path) -> None:
    assert status(either, signed, [], verify_ed25519=lambda *_: 1) == "USAGE"


# --- versions ---

VERSIONS = [
    "0", "0.9", "1", "1.0", "1.0.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.1", "1.2.0", "1.10.0", "1.10.0+build.7", "1.2.3.4.5.6", "2.0.0-0", "2.0.0-01",
    "10", "1.0.0--", "1.0.0-1a", "999999999", "1.0.0-99999999999999999999", "1.0.0-Z", "1.0.0-a-b",
]  # fmt: skip
NONE = [
    "",
    "v1",
    "1.",
    ".1",
    "1..2",
    "1.2.3.4.5.6.7",
    "1.0.0-",
    "1.0.0-a..b",
    "1.0.0-ä",
    "1 ",
    "one",
    "9999999999",
    "1\n",
]


@pytest.mark.parametrize("version", [*VERSIONS, *NONE])
def test_versions_are_ordered_as_python_does(library: Library, tmp_path: Path, version: str) -> None:
    sliced = Path(slice_bundle("deepsign_nano", tmp_path / "sliced", format="tflite", precision="int8").path)
    rewrite(sliced, lambda manifest: manifest.update(version=version, modality="voice"))  # which is asked afterwards
    for least in VERSIONS:
        order, limit = version_order(version), version_order(least)
        older = order is None or order < limit  # type: ignore[operator]
        assert status(library, sliced, [], minimum_version=least) == ("ROLLBACK" if older else "UNSUPPORTED"), least


@pytest.mark.parametrize("least", NONE)
def test_a_minimum_that_has_no_order_opens_nothing(library: Library, least: str) -> None:
    assert status(library, BUNDLES / "deepsign_nano", [], minimum_version=least) == "USAGE"


def test_a_shipped_bundle_is_new_enough_or_not(onnxruntime: Library) -> None:
    version = Bundle.open("deepsign_nano").manifest.version
    assert status(onnxruntime, BUNDLES / "deepsign_nano", [], minimum_version=version) == "opens"
    assert status(onnxruntime, BUNDLES / "deepsign_nano", [], minimum_version=f"{version}.1") == "ROLLBACK"
