"""Signatures: what is signed, by which key, and every way in which a signature or a key is not what it should be."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_sdk.bundle import signing
from edge_sdk.bundle.signing import SigningKey
from edge_sdk.errors import ForeignFileError, SignatureError, StorageError, UsageError

MANIFEST = b'{"name": "door"}\n'
SHA256 = hashlib.sha256(MANIFEST).hexdigest()
OTHER = hashlib.sha256(b"another").hexdigest()


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


def trusted(*keys: SigningKey) -> dict[str, bytes]:
    return {one.key_id: one.public for one in keys}


def checked(data: bytes, sha256: str, *keys: SigningKey) -> tuple[str, ...]:
    return signing.signers("door", sha256, signing.decode("door", data), trusted(*keys))


def test_a_signature_holds_for_its_manifest_and_key_alone(key: SigningKey) -> None:
    data = signing.encode(signing.sign(SHA256, [key]))
    assert checked(data, SHA256, key) == (key.key_id,)
    assert checked(data, SHA256, SigningKey.generate()) == ()
    with pytest.raises(SignatureError, match="changed after it was signed, or the signature is another bundle's"):
        checked(data, OTHER, key)


def test_several_keys_sign_one_bundle(key: SigningKey) -> None:
    new = SigningKey.generate()
    data = signing.encode(signing.sign(SHA256, [key, new, key]))
    assert checked(data, SHA256, key) == (key.key_id,)
    assert checked(data, SHA256, new) == (new.key_id,)
    assert set(checked(data, SHA256, key, new)) == {key.key_id, new.key_id}


def test_a_signature_of_another_key_under_a_trusted_id_is_refused(key: SigningKey) -> None:
    content = json.loads(signing.encode(signing.sign(SHA256, [SigningKey.generate()])))
    content["signatures"][0]["key_id"] = key.key_id
    with pytest.raises(SignatureError, match="does not belong to this manifest"):
        checked(json.dumps(content).encode(), SHA256, key)


def test_one_wrong_signature_spoils_a_right_one(key: SigningKey) -> None:
    new = SigningKey.generate()
    content = json.loads(signing.encode(signing.sign(SHA256, [key, new])))
    content["signatures"][1]["signature"] = content["signatures"][0]["signature"]
    with pytest.raises(SignatureError):
        checked(json.dumps(content).encode(), SHA256, key, new)


def test_how_many_keys_may_sign(key: SigningKey) -> None:
    for keys in ([], [SigningKey.generate() for _ in range(signing.MAX_SIGNATURES + 1)]):
        with pytest.raises(UsageError, match="1 to 8 keys"):
            signing.sign(SHA256, keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content | {"version": 2},
        lambda content: content | {"more": 1},
        lambda content: content | {"signatures": []},
        lambda content: content | {"signatures": content["signatures"] * 2},
        lambda content: content | {"signatures": content["signatures"] * 9},
        lambda content: content | {"signatures": [content["signatures"][0] | {"key_id": "AB" * 32}]},
        lambda content: content | {"signatures": [content["signatures"][0] | {"key_id": "ab"}]},
        lambda content: content | {"signatures": [content["signatures"][0] | {"signature": "AAAA"}]},
        lambda content: content | {"signatures": [content["signatures"][0] | {"signature": "!" * 88}]},
        lambda content: [content],
    ],
)
def test_a_file_that_is_no_signature_is_refused(key: SigningKey, change: object) -> None:
    content = change(json.loads(signing.encode(signing.sign(SHA256, [key]))))  # type: ignore[operator]
    with pytest.raises(SignatureError, match="get the bundle again"):
        signing.decode("door", json.dumps(content).encode())


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 9000, b"{}", b" " * (signing.MAX_SIGNATURE_BYTES + 1)])
def test_bytes_that_are_no_signature_are_refused(data: bytes) -> None:
    with pytest.raises(SignatureError, match="get the bundle again"):
        signing.decode("door", data)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_key_is_written_and_read_again(key: SigningKey, tmp_path: Path) -> None:
    made = SigningKey.create(tmp_path / "vendor.pem")
    assert SigningKey.read(tmp_path / "vendor.pem").key_id == made.key_id
    assert signing.public_key((tmp_path / "vendor.pub.pem").read_bytes(), "it") == made.public
    again = SigningKey.from_pem(key.pem())
    assert again.key_id == key.key_id == hashlib.sha256(key.public).hexdigest()
    assert again.sign(SHA256) == key.sign(SHA256)
    assert signing.public_key(key.public_pem(), "vendor.pub.pem") == key.public
    assert key.pem() not in repr(key).encode()


def openssl(*arguments: str | Path) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60).stdout


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


@needs_openssl
def test_openssl_makes_keys_and_signs_and_verifies(tmp_path: Path) -> None:
    """With what docs/trust.md says, for a private key that edge-sdk never sees."""
    private, public = tmp_path / "vendor.pem", tmp_path / "vendor.pub.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    message, signature = tmp_path / "message", tmp_path / "signature"
    message.write_bytes(b"edge-sdk bundle signature v1\0" + hashlib.sha256(MANIFEST).digest())
    openssl("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", message, "-out", signature)
    key = SigningKey.read(private)
    assert key.sign(SHA256).signature == signature.read_bytes()
    assert signing.public_key(public.read_bytes(), public) == key.public
    assert key.public_pem() == public.read_bytes()
    assert openssl("pkey", "-in", private, "-pubout", "-outform", "DER")[-32:] == key.public
    openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-in", message, "-sigfile", signature)


@needs_openssl
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"), "another kind"),
        (("-algorithm", "ed448"), "another kind"),
        (("-algorithm", "ed25519", "-aes256", "-pass", "pass:secret"), "passphrase"),
    ],
)
def test_other_private_keys_are_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    openssl("genpkey", *options, "-out", tmp_path / "key.pem")
    with pytest.raises(StorageError, match=said):
        SigningKey.read(tmp_path / "key.pem")


def test_what_is_no_private_key_is_refused(key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(StorageError, match="cannot be read"):
        SigningKey.read(path)
    for data in (b"", b"\xff\0", key.public_pem(), key.pem()[:60], b" " * (signing.MAX_KEY_BYTES + 1)):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(StorageError):
            SigningKey.read(path)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_key_is_its_owners_alone(tmp_path: Path, mode: int) -> None:
    SigningKey.create(tmp_path / "vendor.pem")
    (tmp_path / "vendor.pem").chmod(mode)
    with pytest.raises(ForeignFileError, match="chmod go"):
        SigningKey.read(tmp_path / "vendor.pem")


def test_what_is_no_public_key_is_refused(key: SigningKey) -> None:
    with pytest.raises(StorageError, match="private key: give the public one"):
        signing.public_key(key.pem(), "vendor.pem")
    good = key.public_pem()
    short = good.splitlines()[0] + b"\nMCowBQ==\n" + good.splitlines()[2]
    other = good.replace(b"MCowBQYDK2Vw", b"MCowBQYDK2Vx")  # X448's number
    for data in (b"", b"\xff", good + good, b"key\n" + good, good[:-5], short, other):
        with pytest.raises(StorageError, match="no Ed25519 public key"):
            signing.public_key(data, "vendor.pub.pem")
    assert signing.public_key(b"\n" + good.replace(b"\n", b"\r\n"), "vendor.pub.pem") == key.public


@pytest.mark.parametrize("y", [1, 2**255 - 20, 2**255 - 18, 2**255 + 1], ids=["1", "-1", "p + 1", "with the sign of x"])
def test_a_key_for_which_anybody_can_sign_is_refused(y: int) -> None:
    """Points of small order: the check of RFC 8032, section 5.1.7, takes signatures by them that need no key."""
    der = bytes.fromhex("302a300506032b6570032100") + y.to_bytes(32, "little")
    pem = b"-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n" % base64.b64encode(der)
    with pytest.raises(StorageError, match="small order"):
        signing.public_key(pem, "it")
