"""How a template lies in a file: plain, or encrypted and authenticated.

Layout 1, plain: ``EDGE-TEMPLATE-1`` and a line end, the first 16 bytes of the payload's SHA-256, and the payload. The
checksum tells a damaged file from a sound one and nothing more: whoever can write the file can make another.

Layout 2, encrypted: ``EDGE-TEMPLATE-2`` and a line end, the header's length in two bytes (big-endian), the header, a
nonce of 12 bytes, and the payload by AES-256-GCM (NIST SP 800-38D), its tag of 16 bytes at the end. All that stands
before the nonce is associated data: a header that somebody changed, or took of another template, is refused with the
payload. The header is readable without the key. Each file has a random nonce of its own; one key may encrypt
2**32 files.

The payload of both is the same record (:class:`edge_sdk.runtime.template.Template`).
"""

import hashlib
import os
from typing import TYPE_CHECKING, Annotated

import msgspec

from edge_sdk.errors import TemplateError, TemplateKeyError
from edge_sdk.extras import needs_requirements
from edge_sdk.runtime.template_keys import VARIABLE, TemplateKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FAMILY = b"EDGE-TEMPLATE-"
PLAIN = FAMILY + b"1\n"
ENCRYPTED = FAMILY + b"2\n"

_CHECKSUM = 16
_LENGTH = 2
_NONCE = 12
_TAG = 16

Text = Annotated[str, msgspec.Meta(max_length=1000)]


class TemplateHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an encrypted template shows without its key."""

    template_id: Text
    key_id: Text
    embedding_space_id: Text
    variant_sha256: Text


_HEADER: msgspec.msgpack.Decoder[TemplateHeader] = msgspec.msgpack.Decoder(TemplateHeader)


def plain(payload: bytes) -> bytes:
    """A file of layout 1."""
    return PLAIN + hashlib.sha256(payload).digest()[:_CHECKSUM] + payload


def encrypted(payload: bytes, header: TemplateHeader, key: TemplateKey) -> bytes:
    """A file of layout 2, with a new nonce."""
    named = msgspec.msgpack.encode(header)
    bound = ENCRYPTED + len(named).to_bytes(_LENGTH, "big") + named
    nonce = os.urandom(_NONCE)
    return bound + nonce + _cipher(key).encrypt(nonce, payload, bound)


def payload_of(data: bytes, key: TemplateKey | None) -> tuple[bytes, TemplateHeader | None]:
    """The record in a file, and its header where it is encrypted.

    Args:
        data: The file.
        key: For an encrypted one; None takes plain ones alone.

    Raises:
        TemplateError: It is no template or not of these layouts, it is cut or was changed; or it is plain, and there is
            a key.
        TemplateKeyError: It is encrypted, and there is no key or another one.
    """
    if data.startswith(ENCRYPTED):
        return _decrypted(data, key)
    if not data.startswith(PLAIN):
        raise TemplateError("template of another version of edge-sdk" if data.startswith(FAMILY) else "not a template")
    if key is not None:
        raise TemplateError(
            "template is plain, so that anybody who can write the file may have made it, and a key was given: to take "
            "it nevertheless say plain (plain=True, --plain), and save it with the key"
        )
    start = len(PLAIN) + _CHECKSUM
    if hashlib.sha256(data[start:]).digest()[:_CHECKSUM] != data[len(PLAIN) : start]:
        raise TemplateError("template is truncated or damaged")
    return data[start:], None


def header_of(data: bytes) -> TemplateHeader | None:
    """What a file shows without a key; None of a plain one, or of none. Nobody knows whether it was changed.

    Raises:
        TemplateError: It is cut or damaged.
    """
    return _header(data)[0] if data.startswith(ENCRYPTED) else None


def _header(data: bytes) -> tuple[TemplateHeader, int]:
    """The header, and where it ends."""
    start = len(ENCRYPTED) + _LENGTH
    end = start + int.from_bytes(data[len(ENCRYPTED) : start], "big")
    if len(data) < end + _NONCE + _TAG:
        raise TemplateError("template is truncated")
    try:
        return _HEADER.decode(data[start:end]), end
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise TemplateError(f"template is damaged: {exc}") from exc


def _decrypted(data: bytes, key: TemplateKey | None) -> tuple[bytes, TemplateHeader]:
    header, end = _header(data)
    if key is None:
        raise TemplateKeyError(
            f"template is encrypted by the key {header.key_id}: name it (key=..., --key FILE or "
            f"keyring:SERVICE/NAME, or the environment variable {VARIABLE})"
        )
    if header.key_id != key.id:
        raise TemplateKeyError(
            f"template is encrypted by the key {header.key_id}, this is {key.id}: name that one, or enroll anew"
        )
    with needs_requirements():
        from cryptography.exceptions import InvalidTag
    nonce, sealed = data[end : end + _NONCE], data[end + _NONCE :]
    try:
        return _cipher(key).decrypt(nonce, sealed, data[:end]), header
    except InvalidTag as exc:
        raise TemplateError("template was changed or damaged: it is not as its key's owner wrote it") from exc


def _cipher(key: TemplateKey) -> "AESGCM":
    with needs_requirements():
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 10 ms, and only where there is a key
    return AESGCM(key.secret)
