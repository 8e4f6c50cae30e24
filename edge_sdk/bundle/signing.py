"""The signature of a bundle: whose key vouches for its manifest, which names every other file by its hash.

``signature.json`` lies beside the manifest and holds one Ed25519 signature (RFC 8032) a key::

    {"version": 1, "signatures": [{"key_id": "e2c5...", "signature": "base64"}]}

A key's id is the SHA-256 of its 32 public bytes. What is signed is :func:`message`: a constant, and the SHA-256 of the
manifest's bytes as they are stored. Nothing is encoded again, so that there are no two readings of one signature; name
and version are the manifest's, so that nothing is said twice.

Keys are PEM files as OpenSSL writes them (RFC 8410). Which keys are trusted is the business of
:mod:`edge_sdk.bundle.trust`.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from edge_sdk import files
from edge_sdk.errors import SignatureError, StorageError, UsageError
from edge_sdk.extras import needs_requirements

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_SIGNATURES = 8
MAX_SIGNATURE_BYTES = 16 * 2**10
"""The largest ``signature.json`` that is read."""
MAX_KEY_BYTES = 16 * 2**10
"""The largest PEM file that is read."""

_CONTEXT = b"edge-sdk bundle signature v1\0"
_BEFORE_KEY = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, section 4: DER in front of the 32 bytes
_SMALL_ORDER = frozenset(  # all y of the 8 points whose order divides 8, in each encoding that decoders take
    bytes.fromhex(y)
    for y in (
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)
_BEGIN, _END = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"


class KeySignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key's signature of a manifest."""

    key_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


class _SignatureFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: Literal[1] = 1
    signatures: Annotated[tuple[KeySignature, ...], msgspec.Meta(min_length=1, max_length=MAX_SIGNATURES)]


_DECODER = msgspec.json.Decoder(_SignatureFile)  # made once, at import: see edge_sdk.schema


class SigningKey:
    """A private key that signs bundles. It is kept in memory while the object lives, and shown by nothing."""

    def __init__(self, private: "Ed25519PrivateKey") -> None:
        self._private = private

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a new key of the system's random numbers."""
        with needs_requirements():
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> "SigningKey":
        """Make a new key in a new file, which its owner alone may read, and its public key in :func:`public_path`.

        Raises:
            UsageError: ``keyring:...``, which is for keys of templates.
            StorageError: One of the files is there already, if only as a link that leads nowhere, or cannot be written;
                ``ForeignFileError`` if others may write their folder.
        """
        name = os.fspath(path)
        if name.startswith("keyring:"):
            raise UsageError("a key that signs bundles is kept in a file, not in the system's key store: name one")
        if not Path(path).name:
            raise StorageError(f"{name!r} names no file to write a key to")
        key = cls.generate()
        try:
            files.write_new(path, key.pem(), 0o600)
            try:
                files.write_new(public_path(path), key.public_pem(), 0o644)
            except BaseException:
                Path(path).unlink()
                raise
        except StorageError:
            raise
        except FileExistsError as error:
            raise StorageError(f"{error.filename} is there already, and keys are not replaced: name another") from error
        except OSError as error:
            raise StorageError(f"the key {name} cannot be written: {error.strerror or error}") from error
        return key

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "SigningKey":
        """Read a file that only its owner may read; see :meth:`from_pem`.

        Raises:
            StorageError: It cannot be read, or holds no Ed25519 private key; ``ForeignFileError`` if others may read
                it, or write it or its folder.
        """
        if read_key_file(path).lstrip().startswith(_BEGIN):  # others may read one, so that is said first
            raise StorageError(f"{os.fspath(path)} is a public key: sign with the private key that it belongs to")
        try:
            data = files.read_own(path, MAX_KEY_BYTES, secret=True)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"the key {os.fspath(path)} cannot be read: {error.strerror or error}") from error
        return cls.from_pem(data, path)

    @classmethod
    def from_pem(cls, data: bytes, where: object = "the key") -> "SigningKey":
        """Take an unencrypted private key in PEM (PKCS#8), as OpenSSL writes it; ``where`` names it in errors.

        Raises:
            StorageError: It is no Ed25519 private key.
        """
        with needs_requirements():
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        try:
            private = load_pem_private_key(data, None)
        except TypeError as error:
            raise StorageError(
                f"{where} is encrypted with a passphrase: decrypt it (openssl pkey -in KEY -out PLAIN), or sign with "
                "OpenSSL itself (docs/trust.md)"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise StorageError(
                f"{where} holds no private key in PEM: edge-sdk keygen signing makes one, and so does openssl genpkey "
                "-algorithm ed25519"
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise StorageError(f"{where} holds a private key of another kind: bundles are signed with Ed25519")
        return cls(private)

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public key."""
        return self._private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """See :func:`key_id`."""
        return key_id(self.public)

    def pem(self) -> bytes:
        """The private key in PEM, not encrypted."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_pem(self) -> bytes:
        """The public key in PEM."""
        return b"%s\n%s\n%s\n" % (_BEGIN, base64.b64encode(_BEFORE_KEY + self.public), _END)

    def sign(self, sha256: str) -> KeySignature:
        """Sign the manifest of this SHA-256."""
        return KeySignature(key_id=self.key_id, signature=self._private.sign(message(sha256)))


def public_path(path: str | os.PathLike[str]) -> Path:
    """Where the public key of a private one is written: ``vendor.pub.pem`` beside ``vendor.pem``."""
    return Path(path).with_suffix(".pub.pem")


def message(sha256: str) -> bytes:
    """What is signed of a manifest of this SHA-256 (64 hex digits): 61 bytes."""
    return _CONTEXT + bytes.fromhex(sha256)


def key_id(public: bytes) -> str:
    """The SHA-256 of a public key's 32 bytes, in 64 hex digits: ``openssl pkey -pubout -outform DER | tail -c 32``."""
    return hashlib.sha256(public).hexdigest()


def sign(sha256: str, keys: Sequence[SigningKey]) -> tuple[KeySignature, ...]:
    """Sign the manifest of this SHA-256 by one or several keys; ``UsageError`` where they are none or too many."""
    signed = {key.key_id: key.sign(sha256) for key in keys}
    if not 1 <= len(signed) <= MAX_SIGNATURES:
        raise UsageError(f"a bundle is signed with 1 to {MAX_SIGNATURES} keys, not {len(signed)}")
    return tuple(signed.values())


def encode(signatures: Sequence[KeySignature]) -> bytes:
    """The content of ``signature.json``."""
    content = msgspec.json.encode(_SignatureFile(signatures=tuple(signatures)))
    return msgspec.json.format(content, indent=1) + b"\n"


def decode(where: object, data: bytes) -> tuple[KeySignature, ...]:
    """The signatures in a ``signature.json``, of which nothing is checked but the form.

    Raises:
        SignatureError: It is too large, damaged, of a newer version, or names a key twice.
    """
    if len(data) > MAX_SIGNATURE_BYTES:
        raise SignatureError(f"{where}: its signature exceeds {MAX_SIGNATURE_BYTES} bytes: get the bundle again")
    try:
        signatures = _DECODER.decode(data).signatures
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SignatureError(
            f"{where}: its signature is damaged, or of a newer edge-sdk ({error}): get the bundle again"
        ) from error
    if len({one.key_id for one in signatures}) < len(signatures):
        raise SignatureError(f"{where}: its signature names a key twice: get the bundle again")
    return signatures


def signers(
    where: object, sha256: str, signatures: Sequence[KeySignature], trusted: Mapping[str, bytes]
) -> tuple[str, ...]:
    """The ids of trusted keys that signed the manifest of this SHA-256; signatures of other keys say nothing.

    Args:
        where: Names the bundle in errors.
        sha256: Of the manifest.
        signatures: Those that came with it.
        trusted: Public keys of 32 bytes, by their ids.

    Raises:
        SignatureError: A signature is said to be of a trusted key and is not, or not of this manifest.
    """
    known = [one for one in signatures if one.key_id in trusted]
    if not known:
        return ()
    with needs_requirements():
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    for one in known:
        try:
            Ed25519PublicKey.from_public_bytes(trusted[one.key_id]).verify(one.signature, message(sha256))
        except InvalidSignature as error:
            raise SignatureError(
                f"{where}: the signature of the key {one.key_id[:12]} does not belong to this manifest: the bundle was "
                "changed after it was signed, or the signature is another bundle's; get the bundle again"
            ) from error
    return tuple(one.key_id for one in known)


def public_key(pem: bytes, where: object) -> bytes:
    """The 32 bytes of an Ed25519 public key in PEM, with nothing before or behind it but white space.

    Raises:
        StorageError: It is something else.
    """
    text = pem.strip()
    if text.startswith(b"-----BEGIN") and b"PRIVATE KEY-----" in text:
        raise StorageError(f"{where} is a private key: give the public one (openssl pkey -in KEY -pubout)")
    framed = text.startswith(_BEGIN) and text.endswith(_END)
    try:
        der = base64.b64decode(b"".join(text[len(_BEGIN) : -len(_END)].split()), validate=True) if framed else b""
    except binascii.Error:
        der = b""
    if not der.startswith(_BEFORE_KEY) or len(der) != len(_BEFORE_KEY) + 32:
        raise StorageError(f"{where} is no Ed25519 public key in PEM, as openssl pkey -in KEY -pubout writes it")
    key = der[len(_BEFORE_KEY) :]
    if key[:-1] + bytes([key[-1] & 0x7F]) in _SMALL_ORDER:  # without the sign of x
        raise StorageError(
            f"{where} is a key of small order, for which anybody can make signatures: nobody's key is one"
        )
    return key


def read_key_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a PEM file; ``StorageError`` where it cannot be read."""
    try:
        return files.read_bytes(path, MAX_KEY_BYTES)
    except OSError as error:
        raise StorageError(f"the key {os.fspath(path)} cannot be read: {error.strerror or error}") from error
