"""Whom a device trusts: every bundle that is not what a trusted key signed is refused, as the policy says."""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import edge_sdk
from edge_sdk import Locator, SpoofDetector, Trust, Verifier, files
from edge_sdk.bundle import Bundle, BundleWriter, SigningKey, pack, shipped, sign_bundle, signing, trust
from edge_sdk.bundle.stores import Folder
from edge_sdk.bundle.trust import OFF, default_trust, version_order
from edge_sdk.errors import (
    BundleError,
    InstallationError,
    IntegrityError,
    RollbackError,
    SignatureError,
    StorageError,
    UsageError,
)
from edge_sdk.files import CONFIG_VARIABLE
from edge_sdk.slicing import slice_bundle

from .made import edit_manifest, fill, manifest_of, pin, reseal, write

KEY, STRANGER = SigningKey.generate(), SigningKey.generate()
VENDOR = Trust(keys=[KEY.public_pem()])
WARNING = Trust(keys=[KEY.public_pem()], policy="warn")


@pytest.fixture(params=["tiny", "tiny.edge"])
def signed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder and a file that the vendor signed."""
    return sign_bundle(write(tmp_path / request.param), [KEY]).path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sign_bundle(write(tmp_path / "tiny"), [KEY]).path


# --- what is signed --------------------------------------------------------------------------------------------------


def test_what_a_trusted_key_signed_is_opened(signed: Path) -> None:
    bundle = Bundle.open(signed, trust=VENDOR)
    assert [one.key_id for one in bundle.signatures()] == [KEY.key_id]
    assert Bundle.open(bundle, trust=VENDOR) is bundle
    assert Bundle.open(signed, trust=Trust(keys=[STRANGER.public_pem(), KEY.public_pem()])).id == bundle.id


def test_signing_changes_no_other_byte(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    before = {path.name: path.read_bytes() for path in bundle.path.rglob("*") if path.is_file()}
    assert sign_bundle(bundle, [KEY]).sha256 == bundle.sha256
    after = {path.name: path.read_bytes() for path in bundle.path.rglob("*") if path.is_file()}
    assert after.pop("signature.json")
    assert after == before


@pytest.mark.parametrize("name", ["copy", "copy.edge"])
def test_a_copy_keeps_the_signature(signed: Path, name: str) -> None:
    copy = pack(Bundle.open(signed), signed.with_name(name))
    assert Bundle.open(copy.path, trust=VENDOR).sha256 == copy.sha256


def test_a_copy_keeps_a_manifest_that_was_written_in_other_words(folder: Path, tmp_path: Path) -> None:
    """As one of another edge-sdk may be: its signature is of its bytes."""
    (folder / "signature.json").unlink()
    edit_manifest(folder, "version", value="1.1")  # json.dumps has spaces, and another order
    sign_bundle(folder, [KEY])
    opened = Bundle.open(folder, trust=VENDOR)
    copy = pack(opened, tmp_path / "copy.edge")
    assert Bundle.open(copy.path, trust=VENDOR).sha256 == opened.sha256
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes() + b"\n")
    reseal(folder)
    with pytest.raises(IntegrityError, match="was replaced after the bundle was opened"):
        pack(opened, tmp_path / "late")


def test_a_copy_can_be_signed_anew(signed: Path, tmp_path: Path) -> None:
    both = sign_bundle(signed, [KEY, STRANGER], tmp_path / "both.edge")
    assert {one.key_id for one in both.signatures()} == {KEY.key_id, STRANGER.key_id}
    for key in (KEY, STRANGER):
        Bundle.open(both.path, trust=Trust(keys=[key.public_pem()]))
    other = sign_bundle(both, [STRANGER], tmp_path / "other")
    with pytest.raises(SignatureError, match="no such key is trusted"):
        Bundle.open(other.path, trust=VENDOR)


def test_a_bundle_whose_signature_does_not_fit_is_not_signed(folder: Path, tmp_path: Path) -> None:
    """Else the maker's own key would vouch for what somebody else has changed."""
    edit_manifest(folder, "version", value="1.1")
    before = (folder / "signature.json").read_bytes()
    for place in (None, tmp_path / "copy.edge"):
        with pytest.raises(SignatureError, match=r"was changed after .* or remove signature\.json"):
            sign_bundle(folder, [STRANGER, KEY], place)
    assert (folder / "signature.json").read_bytes() == before
    assert not (tmp_path / "copy.edge").exists()
    (folder / "signature.json").write_text("{}")
    with pytest.raises(SignatureError, match=r"damaged.* or remove signature\.json"):
        sign_bundle(folder, [KEY])
    (folder / "signature.json").unlink()
    Bundle.open(sign_bundle(folder, [KEY]).path, trust=VENDOR)


def test_a_signature_that_the_trust_file_can_check_has_to_fit_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    edit_manifest(folder, "version", value="1.1")
    monkeypatch.setattr("edge_sdk.bundle.writer.default_trust", lambda: WARNING)
    with pytest.raises(SignatureError, match="was changed after"):
        sign_bundle(folder, [STRANGER], tmp_path / "copy")


def test_a_damaged_bundle_is_not_signed(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny")
    (bundle.path / "golden/a.png").write_bytes(b"not really a pictuRe")
    with pytest.raises(IntegrityError):
        sign_bundle(bundle.path, [KEY])
    assert not (bundle.path / "signature.json").exists()


def test_a_bundle_with_a_signature_is_written_over_without_one(folder: Path) -> None:
    write(folder)
    assert not (folder / "signature.json").exists()


def test_a_manifest_cannot_list_its_signature(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "tiny") as writer:
        files = fill(writer)
        with pytest.raises(BundleError, match="nor its digest or signature"):
            manifest_of(*files, writer.add("signature.json", b"{}"))


# --- what is refused -------------------------------------------------------------------------------------------------


def test_without_a_signature(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("tiny", "tiny.edge"):
        path = write(tmp_path / name).path
        with pytest.raises(SignatureError, match="has no signature"):
            Bundle.open(path, trust=VENDOR)
        with pytest.raises(SignatureError, match="has no signature"):
            Bundle.open(Bundle.open(path), trust=VENDOR)
        with caplog.at_level(logging.WARNING, "edge_sdk"):
            Bundle.open(path, trust=WARNING)
        assert "has no signature; it is opened" in caplog.text
        assert Bundle.open(path, trust=OFF).signatures() == ()


def test_a_key_that_is_not_known(signed: Path, caplog: pytest.LogCaptureFixture) -> None:
    others = [STRANGER.public_pem()]
    with pytest.raises(SignatureError, match=f"signed with {KEY.key_id[:12]}, and no such key is trusted"):
        Bundle.open(signed, trust=Trust(keys=others))
    with pytest.raises(SignatureError):
        Bundle.open(signed, trust=Trust())  # nobody but the package itself
    with caplog.at_level(logging.WARNING, "edge_sdk"):
        Bundle.open(signed, trust=Trust(keys=others, policy="warn"))
    assert "no such key is trusted here; it is opened" in caplog.text
    Bundle.open(signed, trust=Trust(keys=others, policy="off"))


def test_a_changed_threshold_and_its_digest(folder: Path) -> None:
    """Whoever can write the folder can write the manifest and its digest; not the signature."""
    edit_manifest(folder, "variants", 0, "operating_points", 0, "reason", value="none any more")
    Bundle.open(folder)
    for needed in (VENDOR, WARNING):
        with pytest.raises(SignatureError, match="does not belong to this manifest"):
            Bundle.open(folder, trust=needed)
    Bundle.open(folder, trust=OFF)


def test_nothing_of_a_changed_manifest_is_parsed(folder: Path) -> None:
    edit_manifest(folder, "score", "kind", value="no such")
    with pytest.raises(SignatureError):
        Bundle.open(folder, trust=VENDOR)


def test_a_changed_file(folder: Path) -> None:
    model = folder / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[::-1])
    bundle = Bundle.open(folder, trust=VENDOR)
    with pytest.raises(IntegrityError, match="SHA-256 that the manifest gives"):
        bundle.read_model("fp32.onnx")


def test_the_signature_of_another_bundle(folder: Path, tmp_path: Path) -> None:
    other = sign_bundle(write(tmp_path / "other", version="2.0"), [KEY])
    shutil.copy(other.path / "signature.json", folder)
    for needed in (VENDOR, WARNING):
        with pytest.raises(SignatureError, match="the signature is another bundle's"):
            Bundle.open(folder, trust=needed)


def test_no_flipped_bit_of_a_signature_opens(folder: Path) -> None:
    """But of what says the same: white space, and the last bits of base64, which hold nothing."""
    path = folder / "signature.json"
    data, signatures = path.read_bytes(), Bundle.open(folder).signatures()
    for index, byte in enumerate(data):
        path.write_bytes(data[:index] + bytes([byte ^ 1 << index % 8]) + data[index + 1 :])
        try:
            found = Bundle.open(folder, trust=VENDOR)
        except SignatureError:
            continue
        assert found.signatures() == signatures
        assert chr(byte).isspace() or data[index + 1 : index + 2] == b"="


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b" " * 2**20, b"[" * 2**13])
def test_a_file_that_is_no_signature(folder: Path, data: bytes) -> None:
    (folder / "signature.json").write_bytes(data)
    for needed in (VENDOR, WARNING):
        with pytest.raises(SignatureError, match="get the bundle again"):
            Bundle.open(folder, trust=needed)
    Bundle.open(folder, trust=OFF)


def test_a_signature_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Folder.read

    def refuse(store: Folder, path: str, limit: int) -> bytes:
        if path == "signature.json":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(store, path, limit)

    monkeypatch.setattr(Folder, "read", refuse)
    for needed in (VENDOR, WARNING):
        with pytest.raises(BundleError, match=r"cannot read signature\.json"):
            Bundle.open(folder, trust=needed)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes are POSIX")
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_takes_the_place_of_a_signature_is_a_damaged_one(folder: Path, make: Callable[[Path], object]) -> None:
    (folder / "signature.json").unlink()
    make(folder / "signature.json")
    for needed in (VENDOR, WARNING):
        with pytest.raises(SignatureError, match="its signature cannot be read"):
            Bundle.open(folder, trust=needed)
    assert Bundle.open(folder, trust=OFF).has_signature


def test_a_signature_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    """Installers and container volumes make every file one."""
    (folder / "signature.json").rename(tmp_path / "elsewhere")
    (folder / "signature.json").symlink_to(tmp_path / "elsewhere")
    assert Bundle.open(folder, trust=VENDOR).check_trust(VENDOR) == (KEY.key_id,)


def test_without_the_package_that_checks_signatures_nothing_opens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(InstallationError, match="cryptography"):
        Bundle.open(folder, trust=VENDOR)


# --- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["require", "warn", "off"])
def test_an_older_version_is_refused_under_every_policy(folder: Path, policy: trust.Policy) -> None:
    def wanted(version: str) -> Trust:
        return Trust(keys=[KEY.public_pem()], policy=policy, minimum_versions={"tiny": version})

    for version in ("1.0", "1", "0.9.9", "1.0.0-rc.1"):
        assert Bundle.open(folder, trust=wanted(version)).manifest.version == "1.0"
    for version in ("1.0.1", "1.10", "2.0.0-alpha"):
        with pytest.raises(RollbackError, match=f"has version 1.0, and at least {version} is wanted here: get"):
            Bundle.open(folder, trust=wanted(version))
    assert Bundle.open(folder, trust=Trust(keys=[KEY.public_pem()], minimum_versions={"other": "9"}))


def test_a_version_without_an_order_is_refused(tmp_path: Path) -> None:
    bundle = write(tmp_path / "tiny", version="spring")
    with pytest.raises(RollbackError):
        Bundle.open(bundle, trust=Trust(policy="off", minimum_versions={"tiny": "0.1"}))


def test_versions_are_ordered_as_semantic_versioning_has_it() -> None:
    rising = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
    rising += ["1.0.0-rc.1", "1.0.0", "1.0.1", "1.2", "1.10", "2.0.0", "2.0.0.1"]
    orders = [version_order(version) for version in rising]
    assert orders == sorted(orders)  # type: ignore[type-var]
    assert len(set(orders)) == len(orders)
    assert version_order("1") == version_order("1.0.0") == version_order("1.0.0+build.7")
    for none in ("", "v1", "1.", "1..2", "1.0-", "1.0.0-a..b", "1.2.3.4.5.6.7", "9" * 10, "one"):
        assert version_order(none) is None, none


# --- shipped bundles -------------------------------------------------------------------------------------------------


def test_shipped_bundles_are_vouched_for_by_the_package() -> None:
    for name in shipped():
        assert Bundle.open(name, trust=Trust()).manifest.name == name
    with pytest.raises(RollbackError, match="update edge-sdk"):
        Bundle.open("deepsign", trust=Trust(minimum_versions={"deepsign": "99.0"}))
    with pytest.raises(RollbackError, match="update edge-sdk"):
        Bundle.open(Bundle.open("deepsign"), trust=Trust(minimum_versions={"deepsign": "99.0"}))


def test_a_copy_of_a_shipped_bundle_is_not(tmp_path: Path) -> None:
    """Else whoever can write a folder could put another bundle in its place."""
    copy = pack(Bundle.open("deepsign"), tmp_path / "deepsign")
    for path in (copy.path, Bundle.open("deepsign").path):
        with pytest.raises(SignatureError, match="has no signature"):
            Bundle.open(path, trust=VENDOR)
    Bundle.open(sign_bundle("deepsign", [KEY], tmp_path / "mine.edge").path, trust=VENDOR)


def test_a_shipped_bundle_that_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write(tmp_path / "bundles" / "tiny")
    pin(monkeypatch, bundle)
    monkeypatch.setattr("edge_sdk.bundle.finding.SHIPPED", tmp_path / "bundles")
    assert Bundle.open("tiny", trust=Trust())
    edit_manifest(bundle.path, "version", value="1.1")
    with pytest.raises(IntegrityError, match="not the bundle of that name"):
        Bundle.open("tiny", trust=Trust())


def test_a_shipped_bundle_is_not_signed_in_its_place(tmp_path: Path) -> None:
    for bundle in ("deepsign", Bundle.open("deepsign").path):
        with pytest.raises(UsageError, match="sign a copy"):
            sign_bundle(bundle, [KEY])
    with pytest.raises(UsageError, match="1 to 8 keys"):
        sign_bundle("deepsign", [], tmp_path / "copy")


# --- what opens bundles ----------------------------------------------------------------------------------------------


def test_what_opens_bundles_asks(tiny_bundle: Bundle, tmp_path: Path) -> None:
    for bundle in (tiny_bundle, tiny_bundle.path):
        with pytest.raises(SignatureError):
            Verifier(bundle, trust=VENDOR)
    with Verifier(sign_bundle(tiny_bundle, [KEY], tmp_path / "mine.edge").path, trust=VENDOR) as verifier:
        assert verifier.bundle.sha256 == tiny_bundle.sha256
    for opener, name in ((SpoofDetector, "liveness"), (Locator, "face_locator"), (Verifier, "deepsign")):
        with pytest.raises(RollbackError):
            opener(name, trust=Trust(minimum_versions={name: "99.0"}))  # type: ignore[operator]
        copy = pack(Bundle.open(name), tmp_path / name)
        with pytest.raises(SignatureError):
            opener(copy.path, trust=VENDOR)  # type: ignore[operator]


@pytest.mark.parametrize(("opener", "name"), [(SpoofDetector, "liveness"), (Verifier, "face_lite")])
def test_the_locator_that_comes_along_is_asked_too(opener: type, name: str) -> None:
    with pytest.raises(RollbackError, match="face_locator"):
        opener(name, faces="locator", trust=Trust(minimum_versions={"face_locator": "99.0"}))


def test_slices_are_signed_or_not(make_bundle: object, tmp_path: Path) -> None:
    whole = sign_bundle(make_bundle(), [KEY])  # type: ignore[operator]
    plain = slice_bundle(whole, tmp_path / "plain", precision="int8")
    with pytest.raises(SignatureError, match="has no signature"):
        Bundle.open(plain.path, trust=VENDOR)
    slice_bundle(whole, tmp_path / "slice.edge", precision="int8", sign_with=[KEY])
    Bundle.open(tmp_path / "slice.edge", trust=VENDOR)
    same = slice_bundle(whole, tmp_path / "same.edge", format="onnx")  # all that there is
    assert Bundle.open(same.path, trust=VENDOR).sha256 == whole.sha256


def test_a_slice_of_all_that_there_is_keeps_no_damaged_signature(make_bundle: object, tmp_path: Path) -> None:
    opened = make_bundle()  # type: ignore[operator]
    (opened.path / "signature.json").write_bytes(b"{}")
    with pytest.raises(SignatureError, match="damaged"):
        slice_bundle(opened, tmp_path / "same", format="onnx")
    assert not (tmp_path / "same").exists()
    assert not slice_bundle(opened, tmp_path / "less", precision="int8").has_signature


def test_a_bundle_that_is_replaced_while_it_is_signed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write(tmp_path / "other", version="2.0").path
    write_bytes = files.write_bytes

    def replaced(path: Path, data: bytes) -> None:
        write_bytes(path, data)
        shutil.copytree(other, folder, dirs_exist_ok=True)

    monkeypatch.setattr(files, "write_bytes", replaced)
    with pytest.raises(IntegrityError, match="SHA-256"):
        sign_bundle(folder, [KEY])
    with pytest.raises(SignatureError, match="does not belong to this manifest"):
        Bundle.open(folder, trust=VENDOR)


# --- the trust file --------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "settings"
    folder.mkdir()
    monkeypatch.setenv(CONFIG_VARIABLE, str(folder))
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    return folder


def put(folder: Path, name: str = "trust.json", **content: object) -> Path:
    (folder / "vendor.pub.pem").write_bytes(KEY.public_pem())
    path = folder / name
    path.write_text(json.dumps(content or {"keys": ["vendor.pub.pem"]}))
    for one in folder.iterdir():
        one.chmod(0o644)
    return path


def test_without_a_file_nobody_asks(config: Path, tmp_path: Path) -> None:
    assert default_trust() is OFF
    assert Bundle.open(write(tmp_path / "tiny").path)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs knows where")
@pytest.mark.parametrize("home", ["", "relative"])
def test_without_a_home_folder_nothing_opens(config: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """The trust file of this user may lie where nobody can look for it."""
    monkeypatch.delenv(CONFIG_VARIABLE)
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(StorageError, match="no home folder; set EDGE_SDK_CONFIG"):
        Bundle.open("deepsign")
    assert Bundle.open("deepsign", trust=OFF)


def test_which_trust_file_counts_is_logged(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, trust.__name__)
    default_trust()
    put(config)
    default_trust()
    path = config / "trust.json"
    assert caplog.messages == [
        f"no trust file at {path}: bundles need no signature",
        f"the trust file {path}: policy require, keys: 1",
    ]


def test_the_file_in_the_folder_for_settings_counts(config: Path, folder: Path, tmp_path: Path) -> None:
    put(config, keys=["vendor.pub.pem"], minimum_versions={"tiny": "0.9"})
    assert default_trust().policy == "require"
    assert list(default_trust().public_keys) == [KEY.key_id]
    assert Bundle.open(folder)
    plain = write(tmp_path / "plain")
    with pytest.raises(SignatureError):
        Bundle.open(plain.path)
    assert Bundle.open(plain.path, trust=OFF)
    put(config, keys=["vendor.pub.pem"], minimum_versions={"tiny": "1.1"})
    with pytest.raises(RollbackError):
        Bundle.open(folder)


def test_the_file_that_the_environment_names_counts_first(
    config: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(config, policy="require", keys=[STRANGER.public_pem().decode()])
    with pytest.raises(SignatureError):
        Bundle.open(folder)
    (tmp_path / "elsewhere").mkdir()
    path = put(tmp_path / "elsewhere", "other.json")
    monkeypatch.setenv(trust.VARIABLE, str(path))
    assert Bundle.open(folder)
    assert Trust.read(path) == default_trust()
    path.unlink()
    with pytest.raises(StorageError, match="is missing; EDGE_SDK_TRUST says where it is"):
        Bundle.open(folder)
    with pytest.raises(FileNotFoundError):
        Trust.read(path)


def test_a_link_that_leads_nowhere_is_no_missing_file(config: Path) -> None:
    (config / "trust.json").symlink_to(config / "not mounted.json")
    with pytest.raises(StorageError, match="is missing"):
        default_trust()


@pytest.mark.parametrize("below", ["", "device"])
def test_a_folder_for_settings_that_is_not_mounted_is_no_missing_file(
    config: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    (config / "link").symlink_to(config / "not mounted")
    monkeypatch.setenv(CONFIG_VARIABLE, str(config / "link" / below))
    with pytest.raises(StorageError, match="link is a link that leads nowhere"):
        default_trust()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[" * 5000,
        b'"require"',
        b'{"policy": "maybe"}',
        b'{"polcy": "require"}',
        b'{"keys": ["missing.pem"]}',
        b'{"keys": ["trust.json"]}',
        b'{"keys": ["-----BEGIN PUBLIC KEY-----"]}',
        b'{"keys": ["a\\u0000b"]}',
        b'{"minimum_versions": {"tiny": "new"}}',
        b" " * (trust.MAX_TRUST_BYTES + 1),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(config: Path, folder: Path, content: bytes) -> None:
    put(config).write_bytes(content)
    with pytest.raises(StorageError):
        Bundle.open(folder)


def test_a_policy_that_there_is_not_is_refused_with_those_that_there_are(config: Path, folder: Path) -> None:
    put(config).write_text('{"policy": "Require"}')
    with pytest.raises(StorageError, match=r"the policy is 'Require'; it must be one of require, warn, off"):
        Bundle.open(folder)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.parametrize("name", ["trust.json", "vendor.pub.pem", "."])
@pytest.mark.parametrize("bits", [0o020, 0o002])
@pytest.mark.usefixtures("shared_group")
def test_a_file_that_others_can_write_is_refused(config: Path, folder: Path, name: str, bits: int) -> None:
    put(config)
    assert Bundle.open(folder)
    path = config / name
    path.chmod(path.stat().st_mode | bits)
    with pytest.raises(StorageError, match="can be written by others"):
        Bundle.open(folder)


def test_a_private_key_is_refused(config: Path) -> None:
    put(config)
    (config / "vendor.pub.pem").write_bytes(KEY.pem())
    with pytest.raises(StorageError, match=r"vendor\.pub\.pem is a private key"):
        default_trust()


# --- the record ------------------------------------------------------------------------------------------------------


def test_what_a_trust_takes(tmp_path: Path) -> None:
    path = tmp_path / "vendor.pub.pem"
    path.write_bytes(KEY.public_pem())
    for key in (path, str(path), KEY.public_pem(), KEY.public_pem().decode()):
        assert Trust(keys=[key]).public_keys == {KEY.key_id: KEY.public}
    assert pickle.loads(pickle.dumps(VENDOR)) == VENDOR
    assert edge_sdk.Trust is Trust
    for wrong in (
        {"policy": "maybe"},
        {"keys": str(path)},
        {"minimum_versions": {"tiny": "new"}},
        {"minimum_versions": {"tiny": 1.2}},
        {"keys": [b""] * 101},
        {"keys": None},
        {"minimum_versions": "1.2.0"},
    ):
        with pytest.raises(UsageError):
            Trust(**wrong)  # type: ignore[arg-type]
    for wrong_key in (tmp_path / "missing.pem", b"", KEY.pem(), tmp_path):
        with pytest.raises(StorageError):
            Trust(keys=[wrong_key])
    with pytest.raises(UsageError, match=r"must be an edge_sdk\.Trust"):
        Bundle.open("deepsign", trust="trust.json")  # type: ignore[arg-type]
    assert signing.key_id(KEY.public) == KEY.key_id
