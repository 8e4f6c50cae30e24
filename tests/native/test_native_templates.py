"""Encrypted templates in the device library: the bytes of Python in both directions, and every refusal."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable

import msgspec
import pytest

from edge_sdk import Template
from edge_sdk.runtime import template_layouts
from edge_sdk.runtime.template_keys import TemplateKey
from edge_sdk.runtime.template_layouts import ENCRYPTED, TemplateHeader

from ..runtime.test_template_encryption import KEY, OF_OLD, OTHER, parts, template
from .interface import STATUSES, Library, NativeError
from .test_native_refusals import RECORDS

PLAIN = template().to_bytes(plain=True)
HEADER = TemplateHeader(template_id="12" * 16, key_id=KEY.id, embedding_space_id="f" * 32, variant_sha256="0" * 64)


@pytest.fixture
def encrypting(library: Library) -> Library:
    """The library, if it encrypts."""
    try:
        library.to_bytes(library.template(PLAIN), KEY.secret)
    except NativeError as refused:
        if refused.status != "UNSUPPORTED":
            raise
        pytest.skip("OpenSSL's headers are not installed: apt-get install libssl-dev")
    return library


def status(call: Callable[[], object]) -> str:
    with pytest.raises(NativeError) as refused:
        call()
    return refused.value.status


def test_templates_go_from_one_to_the_other(encrypting: Library) -> None:
    native = encrypting.to_bytes(encrypting.template(PLAIN), KEY.secret)
    python = template().to_bytes(key=KEY)
    assert Template.from_bytes(native, key=KEY, template_id="12" * 16) == template()
    assert encrypting.to_bytes(encrypting.template(python, KEY.secret)) == PLAIN
    assert encrypting.to_bytes(encrypting.template(native, KEY.secret)) == PLAIN
    assert parts(native)[0] == parts(python)[0], "what is readable is the same, to the byte"
    assert len(native) == len(python)


def test_each_is_encrypted_with_a_nonce_of_its_own(encrypting: Library) -> None:
    held = encrypting.template(PLAIN)
    written = [encrypting.to_bytes(held, KEY.secret) for _ in range(50)]
    sealed = [parts(data)[1] for data in written]
    assert len({data[:12] for data in sealed}) == len({data[12:] for data in sealed}) == len(written)
    for data in written:
        assert template().values not in data
        assert b"tiny" not in data


def test_a_template_without_an_id_gets_one_in_what_is_written(encrypting: Library) -> None:
    held = encrypting.template(OF_OLD)
    first, second = (Template.from_bytes(encrypting.to_bytes(held, KEY.secret), key=KEY) for _ in range(2))
    assert len(first.template_id) == 32
    assert first.template_id != second.template_id
    assert msgspec.structs.replace(first, template_id="").to_bytes(plain=True) == OF_OLD
    assert encrypting.id_of(held) == ""


# --- what is refused ---


def test_every_flipped_bit_and_every_truncation_is_found(encrypting: Library) -> None:
    data = encrypting.to_bytes(encrypting.template(PLAIN), KEY.secret)
    id_at = data.index(KEY.id.encode())
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            found = status(lambda damaged=damaged: encrypting.template(bytes(damaged), KEY.secret))
            another_key = id_at <= place < id_at + 32 and bit < 7  # with the highest bit it is no UTF-8
            assert found == ("TEMPLATE_KEY" if another_key else "TEMPLATE"), (place, bit)
        assert status(lambda place=place: encrypting.template(data[:place], KEY.secret)) == "TEMPLATE"
    assert status(lambda: encrypting.template(data + b"\0", KEY.secret)) == "TEMPLATE"


def test_another_key_and_none(encrypting: Library) -> None:
    data = encrypting.to_bytes(encrypting.template(PLAIN), KEY.secret)
    with pytest.raises(NativeError, match=f"by the key {KEY.id}, this is {OTHER.id}") as refused:
        encrypting.template(data, OTHER.secret)
    assert refused.value.status == "TEMPLATE_KEY"
    renamed = data.replace(KEY.id.encode(), OTHER.id.encode())
    with pytest.raises(NativeError, match="changed or damaged") as refused:
        encrypting.template(renamed, OTHER.secret)
    assert refused.value.status == "TEMPLATE"


def test_an_encrypted_template_needs_its_key(library: Library) -> None:
    """Whether or not the library encrypts."""
    with pytest.raises(NativeError, match=f"encrypted by the key {KEY.id}") as refused:
        library.template(template().to_bytes(key=KEY))
    assert refused.value.status == "TEMPLATE_KEY"


def test_without_openssl_nothing_is_encrypted_or_decrypted(without_openssl: Library) -> None:
    held = without_openssl.template(PLAIN)
    assert status(lambda: without_openssl.to_bytes(held, KEY.secret)) == "UNSUPPORTED"
    for data in (template().to_bytes(key=KEY), PLAIN, b"no template"):
        assert status(lambda data=data: without_openssl.template(data, KEY.secret)) == "UNSUPPORTED"
    assert without_openssl.to_bytes(held) == PLAIN


def test_a_plain_template_in_the_place_of_an_encrypted_one_is_refused(encrypting: Library) -> None:
    with pytest.raises(NativeError, match="anybody") as refused:
        encrypting.template(PLAIN, KEY.secret)
    assert refused.value.status == "TEMPLATE"


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length(library: Library, length: int) -> None:
    assert status(lambda: library.template(template().to_bytes(key=KEY), bytes(length))) == "USAGE"
    assert status(lambda: library.to_bytes(library.template(PLAIN), bytes(length))) == "USAGE"


@pytest.mark.parametrize("changed", ["template_id", "embedding_space_id", "variant_sha256"])
def test_a_header_of_another_template_of_the_same_key_is_refused(encrypting: Library, changed: str) -> None:
    ours, theirs = template(), template(**{changed: "34" * 16})
    (header, _), (_, sealed) = parts(theirs.to_bytes(key=KEY)), parts(ours.to_bytes(key=KEY))
    with pytest.raises(NativeError, match="changed or damaged"):
        encrypting.template(header + sealed, KEY.secret)
    said = msgspec.structs.replace(HEADER, **{changed: "34" * 16})
    data = template_layouts.encrypted(msgspec.msgpack.encode(ours), said, KEY)  # which only the key's owner can make
    with pytest.raises(NativeError, match="header is of another one"):
        encrypting.template(data, KEY.secret)


@pytest.mark.parametrize("record", RECORDS)
def test_a_template_that_nobody_could_have_enrolled_is_refused_with_the_right_key(
    encrypting: Library, record: str
) -> None:
    changed = msgspec.msgpack.decode(PLAIN[32:])
    RECORDS[record](changed)
    data = template_layouts.encrypted(msgspec.msgpack.encode(changed), HEADER, KEY)
    assert status(lambda: encrypting.template(data, KEY.secret)) == "TEMPLATE"


def test_an_odd_payload_or_header_is_refused_with_the_right_key(encrypting: Library) -> None:
    payload = PLAIN[32:]
    for nonsense in (b"", payload[:-1], payload + b"\0", b"\x91" * 100_000):
        data = template_layouts.encrypted(nonsense, HEADER, KEY)
        assert status(lambda data=data: encrypting.template(data, KEY.secret)) == "TEMPLATE"
    fields = msgspec.structs.asdict(HEADER)
    headers = (b"", b"\x80", b"\xc0", msgspec.msgpack.encode(fields | {"more": "x"}), b"\x81\xa6key_id\xa0")
    for header in (*headers, msgspec.msgpack.encode(dict(reversed(fields.items())))):
        data = sealed_with(header, payload)
        assert status(lambda data=data: encrypting.template(data, KEY.secret)) == "TEMPLATE"
        assert status(lambda data=data: encrypting.template(data)) == "TEMPLATE"
    assert encrypting.template(sealed_with(msgspec.msgpack.encode(fields), payload), KEY.secret)


def sealed_with(header: bytes, payload: bytes, key: TemplateKey = KEY) -> bytes:
    """A template whose header is anything, sealed as such."""
    bound = ENCRYPTED + len(header).to_bytes(2, "big") + header
    return bound + bytes(12) + template_layouts._cipher(key).encrypt(bytes(12), payload, bound)


def test_a_template_beyond_16_mib_is_neither_written_nor_read(encrypting: Library) -> None:
    assert status(lambda: encrypting.template(ENCRYPTED + bytes(2**24), KEY.secret)) == "TEMPLATE"
    rows = (2**24 - len(PLAIN)) // 4  # which just fits in plain
    largest = template(values=b"\0\0\x80?" * rows, dim=rows)
    held = encrypting.template(largest.to_bytes(plain=True))
    with pytest.raises(NativeError, match="up to 16 MiB") as refused:
        encrypting.to_bytes(held, KEY.secret)
    assert refused.value.status == "TEMPLATE"


def test_a_template_is_written_whole_or_not_at_all(encrypting: Library) -> None:
    held, length = encrypting.template(PLAIN), c.c_size_t()
    size = len(encrypting.to_bytes(held, KEY.secret))
    room = c.create_string_buffer(b"\xaa" * size, size)
    secret = KEY.secret, c.c_size_t(32)
    short = encrypting.c.edge_template_encrypt(held, *secret, room, c.c_size_t(size - 1), c.byref(length))
    assert (STATUSES[short], length.value, room.raw) == ("BUFFER", size, b"\xaa" * size)
